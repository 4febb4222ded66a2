"""Bounds that hold for any prediction and truth, and agreement with slow copies on pictures of all sorts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import metric_references as plain
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import ndimage

from mattelike import metrics
from mattelike.metrics import connectivity

Array = NDArray[Any]
QUICK = settings(max_examples=60)
VALUES = st.one_of(
    st.floats(0, 1, width=64),
    st.integers(0, 255).map(lambda v: v / 255),
    st.integers(0, 10).map(lambda v: v * 0.1),
)
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Array, Array, Array]:
    """Prediction, truth and a region that is not empty."""
    shape = draw(SHAPES)
    pred, true = (draw(hnp.arrays(np.float64, shape, elements=VALUES)) for _ in range(2))
    where = draw(hnp.arrays(np.bool_, shape))
    where[0, 0] = True
    return pred, true, where


def smooth(seed: int, rough: float = 3.0, shape: tuple[int, int] = (48, 56)) -> Array:
    """A random soft matte with solid parts."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), rough)
    matte: Array = np.clip(0.5 + noise * rough * 3, 0, 1)
    return matte


def saved(matte: Array) -> Array:
    levels: Array = np.rint(matte * 255) / 255
    return levels


@QUICK
@given(pairs())
def test_bound_1_mse_lies_between_mad_squared_and_mad(pair: tuple[Array, Array, Array]) -> None:
    pred, true, where = pair
    mad, mse, sad = (metric(pred, true, where=where) for metric in (metrics.mad, metrics.mse, metrics.sad))
    assert mad**2 <= mse + 1e-12 and mse <= mad + 1e-12
    assert 1000 * sad == pytest.approx(where.sum() * mad, abs=1e-9)


@QUICK
@given(pairs())
def test_bound_2_A20_standard_connectivity_is_symmetric(pair: tuple[Array, Array, Array]) -> None:
    pred, true, where = pair
    assert metrics.conn(pred, true, where=where) == pytest.approx(
        metrics.conn(true, pred, where=where), abs=1e-12
    )


@QUICK
@given(pairs())
def test_bound_3_connectivity_is_no_less_than_the_gross_error(pair: tuple[Array, Array, Array]) -> None:
    pred, true, where = pair
    error = np.abs(pred - true)[where]
    conn, sad = metrics.conn(pred, true, where=where), metrics.sad(pred, true, where=where)
    assert 1000 * conn >= error[error >= 0.15 + 1e-12].sum() - 1e-9
    assert where.sum() * metrics.mse(pred, true, where=where) <= 850 * conn + 150 * sad + 1e-9


def test_A20_bound_3_on_200_smooth_pairs() -> None:
    for seed in range(200):
        pred, true = smooth(seed), smooth(seed + 1000)
        error = np.abs(pred - true)
        conn = metrics.conn(pred, true)
        assert 1000 * conn >= error[error >= 0.15].sum() - 1e-9
        assert conn == pytest.approx(metrics.conn(true, pred), abs=1e-12)


def test_A20_release_keeps_no_such_bound_and_is_another_variant() -> None:
    nothing, square = np.zeros((40, 40)), np.pad(np.ones((10, 10)), 15)
    assert metrics.conn(nothing, square, variant="release") == 0 < metrics.conn(nothing, square)


def test_A20_a_region_restricts_the_sum_only() -> None:
    pred, true = smooth(3), smooth(4)
    parts = np.zeros(pred.shape, bool), np.zeros(pred.shape, bool)
    parts[0][:, :20], parts[1][:, 20:] = True, True
    for measure in (metrics.conn, metrics.grad, metrics.sad):
        assert sum(measure(pred, true, where=part) for part in parts) == pytest.approx(
            measure(pred, true), abs=1e-12
        )


@pytest.mark.parametrize("variant", ["standard", "release"])
@pytest.mark.parametrize("made", [lambda matte: matte, saved], ids=["float", "8-bit"])
@pytest.mark.parametrize("rough", [0.4, 1.0, 4.0])
def test_connectivity_equals_labelling_every_threshold(
    rough: float, made: Callable[[Array], Array], variant: connectivity.Variant
) -> None:
    for seed in range(8):
        true = made(smooth(seed, rough, (61, 47)))
        pred = made(np.clip(true + 0.3 * smooth(seed + 50, rough, true.shape) - 0.15, 0, 1))
        where = smooth(seed + 90, 5, true.shape) > 0.4
        for region in (None, where):
            value = metrics.conn(pred, true, where=region, variant=variant)
            assert value == pytest.approx(plain.conn(pred, true, where=region, variant=variant), abs=1e-12)


@pytest.mark.parametrize("variant", ["standard", "release"])
@pytest.mark.parametrize("made", [lambda matte: matte, saved], ids=["float", "8-bit"])
@pytest.mark.parametrize("power", [0.1, 0.4, 1.0, 2.0])
def test_connectivity_of_pure_noise_is_that_of_every_threshold_labelled(
    power: float, made: Callable[[Array], Array], variant: connectivity.Variant
) -> None:
    """The denser the noise, the higher the threshold at which its one part falls to crumbs."""
    for seed, shape in enumerate([(120, 90), (37, 251), (1, 400)]):
        one, other = (made(n) for n in np.random.default_rng(seed).random((2, *shape)) ** power)
        steps = connectivity.STEPS[connectivity.held(one, other, variant)]
        last = plain.connected(one, other, variant=variant)
        # A pixel of the last threshold is 1 in both, and never counts: the standard leaves it out.
        assert np.array_equal(steps, np.minimum(last, connectivity.STEPS[connectivity.LAST[variant]]))
        value = metrics.conn(one, other, variant=variant)
        assert value == pytest.approx(plain.conn(one, other, variant=variant), rel=1e-13)


@QUICK
@given(pairs(), st.sampled_from(["standard", "release"]))
def test_connectivity_equals_labelling_every_threshold_on_small_pictures(
    pair: tuple[Array, Array, Array], variant: connectivity.Variant
) -> None:
    pred, true, where = pair
    value = metrics.conn(pred, true, where=where, variant=variant)
    assert value == pytest.approx(plain.conn(pred, true, where=where, variant=variant), abs=1e-12)


def spiral(side: int) -> Array:
    """One long winding part: the worst case for labels that spread step by step."""
    matte, row, column = np.zeros((side, side)), 0, -1
    steps = [side, *(n for n in range(side - 1, 1, -2) for _ in range(2))]
    for way, length in enumerate(steps):
        down, right = ((0, 1), (1, 0), (0, -1), (-1, 0))[way % 4]
        for _ in range(length):
            row, column = row + down, column + right
            matte[row, column] = 1
    return matte


def test_a_winding_part_is_one_part() -> None:
    matte = spiral(101)
    assert ndimage.label(matte)[1] == 1
    assert metrics.conn(0.9 * matte, matte) == 0
    comb = np.zeros((60, 60))
    comb[:, ::2] = comb[-1] = 1
    assert metrics.conn(0.9 * comb, comb) == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3, 50), (70, 33), (129, 20)])
def test_gradient_equals_scipy(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(shape[0])
    pred, true = noise.random(shape), noise.random(shape)
    near = true.copy()
    near[shape[0] // 2, shape[1] // 2] = 0.5
    where = noise.random(shape) < 0.5
    for guess in (pred, near):
        assert metrics.grad(guess, true) == pytest.approx(plain.grad(guess, true), abs=1e-12)
        assert metrics.grad(guess, true, where=where) == pytest.approx(
            plain.grad(guess, true, where=where), abs=1e-12
        )


@pytest.mark.parametrize("shape", [(1, 1), (30, 200), (150, 140)])
def test_boundary_iou_equals_scipy(shape: tuple[int, int]) -> None:
    for seed in range(4):
        pred, true = smooth(seed, 4, shape), smooth(seed + 9, 4, shape)
        where = smooth(seed + 20, 4, shape) > 0.4
        assert metrics.boundary_iou(pred, true) == plain.boundary_iou(pred, true)
        assert metrics.boundary_iou(pred, true, where=where) == plain.boundary_iou(pred, true, where=where)


@settings(QUICK, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_clips_equal_the_plain_loops(seed: int) -> None:
    noise = np.random.default_rng(seed)
    pred, true = noise.random((3, 6, 7)), noise.random((3, 6, 7))
    flow, where = noise.normal(0, 2, (2, 6, 7, 2)), noise.random((6, 7)) < 0.6
    where[0, 0] = True
    for region in (None, where):
        value = metrics.messddt(pred, true, flow=flow, where=region)
        assert value == pytest.approx(plain.messddt(pred, true, flow=flow, where=region), abs=1e-12)
        assert metrics.dtssd(pred, true, where=region) == pytest.approx(
            plain.dtssd(pred, true, where=region), abs=1e-12
        )
