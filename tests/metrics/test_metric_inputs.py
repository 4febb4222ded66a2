"""What may be compared, what is refused, and how sums over many pictures add."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mattelike import metrics
from mattelike.errors import MetricError
from mattelike.metrics import METRICS, Metric, Sums

Array = NDArray[Any]
ROWS = pytest.mark.parametrize("row", METRICS.values(), ids=METRICS)


def example(row: Metric, seed: int = 0) -> tuple[Array, Array]:
    """A random prediction and truth of the right number of axes."""
    noise = np.random.default_rng(seed)
    shape = (3, 12, 15) if row.clip else (12, 15)
    return noise.random(shape), noise.random(shape)


@ROWS
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_trap_94_nan_or_infinity_is_an_error(row: Metric, bad: float, side: int) -> None:
    mattes = example(row)
    mattes[side][..., 3, 4] = bad
    with pytest.raises(MetricError, match=r"(prediction|truth).* has 1 pixels that are NaN or infinite"):
        row.measure(*mattes)


@ROWS
def test_trap_95_empty_region_is_zero_or_nothing_and_not_counted(row: Metric) -> None:
    pred, true = example(row)
    nowhere = np.zeros(pred.shape[-2:], bool)
    assert row.measure(pred, true, where=nowhere) == (1 if row.higher_is_better else 0)
    assert row.update(pred, true, where=nowhere) == Sums(0.0, 0)


@ROWS
def test_trap_95_empty_truth_is_defined(row: Metric) -> None:
    nothing = np.zeros((3, 12, 15) if row.clip else (12, 15))
    assert row.measure(nothing, nothing) == (1 if row.higher_is_better else 0)
    guess = nothing.copy()
    guess[..., 4:8, 4:8] = 1
    assert np.isfinite(row.measure(guess, nothing)) and np.isfinite(row.measure(nothing, guess))


@ROWS
def test_trap_96_sizes_that_differ_are_named(row: Metric) -> None:
    pred, true = example(row)
    with pytest.raises(MetricError, match=r"prediction \((3, )?12, 14\) and truth \((3, )?12, 15\) differ"):
        row.measure(pred[..., :-1], true)


@ROWS
def test_trap_96_channels_are_not_guessed(row: Metric) -> None:
    pred, true = example(row)
    with pytest.raises(MetricError, match=r"prediction .*12, 15, 3\) and truth .*12, 15\) differ"):
        row.measure(np.stack([pred] * 3, axis=-1), true)
    with pytest.raises(MetricError, match="give one channel"):
        row.measure(pred[..., None], true[..., None])


@ROWS
def test_trap_96_region_must_fit(row: Metric) -> None:
    pred, true = example(row)
    with pytest.raises(MetricError, match=r"region \(12, 14\)"):
        row.measure(pred, true, where=np.ones((12, 14), bool))
    with pytest.raises(Exception, match="bool"):
        row.measure(pred, true, where=np.full((12, 15), 128, np.uint8))


def test_trap_98_whole_picture_or_region_and_units() -> None:
    pred, true = np.full((100, 100), 0.5), np.zeros((100, 100))
    unknown = np.zeros((100, 100), bool)
    unknown[:10, :10] = True
    assert metrics.sad(pred, true) == 5.0 and metrics.sad(pred, true, where=unknown) == 0.05
    assert metrics.mse(pred, true) == metrics.mse(pred, true, where=unknown) == 0.25
    assert METRICS["sad"].unit == "thousands of pixels" and "times 1000" in METRICS["mse"].unit


def test_trap_99_parameters_are_stated() -> None:
    assert "sigma 1.4" in METRICS["grad"].parameters
    assert "step 0.1, theta 0.15, 4-connected" in METRICS["conn"].parameters


def test_trap_100_saved_levels_are_read_by_their_declared_range() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (2, 20, 30), dtype=np.uint8)
    for name in ("sad", "mse", "mad", "grad", "conn", "iou", "boundary_iou"):
        measure = METRICS[name].measure
        value = measure(levels[0], levels[1])
        assert measure(levels[0] / 255, levels[1] / 255) == value
        assert measure(levels[0].astype(np.uint16) * 257, levels[1]) == pytest.approx(value, abs=1e-12)
    dark = np.full((20, 30), 3, np.uint8)
    assert metrics.mad(dark, np.zeros_like(dark)) == pytest.approx(3 / 255)
    mask = levels[0] > 99
    assert metrics.sad(mask, mask.astype(np.float32)) == 0


def test_trap_100_float32_six_tenths_passes_a_threshold_that_its_saved_level_fails() -> None:
    square = np.pad(np.full((80, 80), 153, np.uint8), 10)
    true = square > 0
    assert metrics.conn(square, true) == pytest.approx(3.2, abs=1e-12)
    assert metrics.conn(np.float32(0.6) * true.astype(np.float32), true) == pytest.approx(2.56, abs=1e-3)


@pytest.mark.parametrize("offset", [-0.01, 1.01])
def test_values_outside_0_to_1_are_an_error(offset: float) -> None:
    pred = np.full((4, 5), 0.5)
    pred[2, 2] = offset
    with pytest.raises(MetricError, match=r"prediction ranges from .* clip or scale"):
        metrics.mse(pred, np.zeros((4, 5)))
    with pytest.raises(MetricError, match="prediction ranges from"):
        metrics.mse(np.full((4, 5), 255.0), np.zeros((4, 5)))


def test_types_without_a_range_and_pictures_without_pixels_are_errors() -> None:
    zeros = np.zeros((4, 5))
    with pytest.raises(MetricError, match="int64 has no declared range"):
        metrics.sad(zeros.astype(np.int64), zeros)
    with pytest.raises(MetricError, match="no pixels"):
        metrics.sad(zeros[:0], zeros[:0])


def test_inputs_are_left_alone() -> None:
    for row in METRICS.values():
        pred, true = example(row)
        copies = pred.copy(), true.copy()
        pred.flags.writeable = true.flags.writeable = False
        row.measure(pred, true)
        assert np.array_equal(pred, copies[0]) and np.array_equal(true, copies[1])


def test_views_measure_like_copies() -> None:
    for row in METRICS.values():
        pred, true = example(row)
        where = example(METRICS["sad"], 5)[0] < 0.5
        turned = row.measure(pred[..., ::-1], true[..., ::-1], where=where[:, ::-1])
        copied = row.measure(pred[..., ::-1].copy(), true[..., ::-1].copy(), where=where[:, ::-1].copy())
        assert turned == copied


@ROWS
def test_trap_105_sums_of_shards_are_the_sums_of_all(row: Metric) -> None:
    pictures = [example(row, seed) for seed in range(7)]
    whole = sum((row.update(*picture) for picture in pictures), Sums())
    shards = [sum((row.update(*picture) for picture in pictures[rank::3]), Sums()) for rank in range(3)]
    merged = sum(shards, Sums())
    assert merged.count == whole.count == 7
    assert merged.compute() == pytest.approx(
        np.mean([row.measure(*picture) for picture in pictures]), abs=1e-12
    )
    assert row.update(*pictures[0]).compute() == row.measure(*pictures[0])
    assert Sums().compute() == 0.0


def test_options_pass_through_update() -> None:
    square, nothing = np.pad(np.ones((10, 10)), 15), np.zeros((40, 40))
    assert METRICS["conn"].update(nothing, square, variant="release") == Sums(0.0, 1)
    assert METRICS["conn"].update(nothing, square) == Sums(0.1, 1)


def test_settings_that_do_not_exist_are_errors() -> None:
    still = np.zeros((2, 4, 5))
    with pytest.raises(Exception, match="released"):
        metrics.conn(still[0], still[0], variant="released")  # type: ignore[arg-type]
    with pytest.raises(Exception, match="max"):
        metrics.dtssd(still, still, norm="max")  # type: ignore[arg-type]


def test_a_clip_needs_two_frames_and_a_flow_that_fits() -> None:
    clip = np.zeros((3, 4, 5))
    with pytest.raises(MetricError, match="at least two frames"):
        metrics.dtssd(clip[:1], clip[:1])
    with pytest.raises(MetricError, match=r"flow \(3, 4, 5, 2\).* must be \(2, 4, 5, 2\)"):
        metrics.messddt(clip, clip, flow=np.zeros((3, 4, 5, 2)))
    with pytest.raises(MetricError, match="flow has values that are NaN"):
        metrics.messddt(clip, clip, flow=np.full((2, 4, 5, 2), np.nan))


def test_each_frame_may_have_its_own_region() -> None:
    pred, true = np.zeros((3, 4, 5)), np.zeros((3, 4, 5))
    pred[1] = 0.1
    region = np.zeros((3, 4, 5), bool)
    region[1, 0, 0] = True
    # Frames 0 and 2 have no pixel that counts: left are the change into frame 1, and the step out of it.
    assert metrics.dtssd(pred, true, where=region) == pytest.approx(0.1)
    assert metrics.messddt(pred, true, where=region) == pytest.approx(0.01)


def test_a_change_counts_where_dtssd_has_its_later_and_messddt_its_earlier_frame() -> None:
    pred, true = np.zeros((2, 4, 4)), np.zeros((2, 4, 4))
    pred[1, 0, 0] = 0.5
    where = np.zeros((2, 4, 4), bool)
    where[0, 0, 0] = where[1, 3, 3] = True
    assert metrics.dtssd(pred, true, where=where) == 0
    assert metrics.messddt(pred, true, where=where) == 0.25
    assert metrics.dtssd(pred, true, where=where[::-1]) == 0.5
    assert metrics.messddt(pred, true, where=where[::-1]) == 0


def test_numpy_is_all_it_loads() -> None:
    code = (
        "import sys, mattelike.metrics\n"
        "heavy = {'scipy', 'torch', 'onnxruntime', 'pyvips', 'PIL'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
