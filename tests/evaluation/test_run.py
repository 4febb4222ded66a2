"""An evaluation: the same twice, resumed after a kill, honest about failures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mattelike import metrics, photos
from mattelike.errors import UsageError
from mattelike.evaluation import rows
from mattelike.evaluation.benchmarks import Benchmark
from mattelike.evaluation.marks import FORMS, mark
from mattelike.evaluation.protocols import MEASURED, Protocol
from mattelike.evaluation.run import TABLE, Evaluation, evaluate, matte_path
from mattelike.prompts import Mask, resolve
from tests.evaluation.benches import Knowing


def test_a_method_that_knows_scores_nothing_wrong(bench: Benchmark, built: Path, tmp_path: Path) -> None:
    found = evaluate(Evaluation(bench, Protocol(), {"knowing": Knowing(built)}, tmp_path))
    assert len(found) == 8
    for row in found:
        assert [row.values[name] for name in MEASURED] == [0, 0, 0, 0, 0, 1, 1], row
    assert {row.split: row.present for row in found} == {
        "absent": False,
        "photo-to-render": True,
        "scenes": True,
    }


def test_trap_100_what_is_measured_is_what_was_saved(bench: Benchmark, built: Path, tmp_path: Path) -> None:
    off = 0.1003
    found = evaluate(Evaluation(bench, Protocol(), {"off": Knowing(built, off)}, tmp_path))
    for row in found:
        saved = photos.read(matte_path(tmp_path, "off", row.key)).pixels[..., 0]
        truth = photos.read((built / row.target).with_suffix(".png")).pixels[..., 0]
        assert row.values["sad"] == metrics.sad(saved, truth)
        assert row.values["conn"] == metrics.conn(saved, truth)
    floats = evaluate(Evaluation(bench, Protocol(depth=0), {"off": Knowing(built, off)}, tmp_path / "f"))
    assert [row.values for row in floats if row.present] != [row.values for row in found if row.present]


def test_the_same_evaluation_twice_gives_the_same_bytes(
    bench: Benchmark, built: Path, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        methods = {"right": Knowing(built), "off": Knowing(built, 0.2)}
        evaluate(Evaluation(bench, Protocol(form="click"), methods, tmp_path / name))
    assert (tmp_path / "one" / TABLE).read_bytes() == (tmp_path / "two" / TABLE).read_bytes()


class Killed(BaseException):
    """What ends a process in the middle."""


def test_trap_74_a_killed_evaluation_goes_on_where_it_was(
    bench: Benchmark, built: Path, tmp_path: Path
) -> None:
    whole = Evaluation(bench, Protocol(), {"a": Knowing(built), "b": Knowing(built, 0.2)}, tmp_path / "whole")
    evaluate(whole)
    seen = 0

    def kill(row: rows.Row, seconds: float) -> None:
        nonlocal seen
        seen += 1
        if seen == 11:
            raise Killed

    methods = {"a": Knowing(built), "b": Knowing(built, 0.2)}
    evaluation = Evaluation(bench, Protocol(), methods, tmp_path / "cut")
    with pytest.raises(Killed):
        evaluate(evaluation, kill)
    # A line that was being written when the power went.
    with (tmp_path / "cut" / "journals" / "b.csv").open("a") as file:
        file.write("b,fish,cate")
    methods["a"].asked.clear()
    methods["b"].asked.clear()
    evaluate(evaluation)
    assert (len(methods["a"].asked), len(methods["b"].asked)) == (0, 5)
    assert (tmp_path / "cut" / TABLE).read_bytes() == (tmp_path / "whole" / TABLE).read_bytes()


def test_another_evaluation_in_the_folder_is_refused(bench: Benchmark, built: Path, tmp_path: Path) -> None:
    evaluate(Evaluation(bench, Protocol(), {"a": Knowing(built)}, tmp_path))
    for changed in (
        Evaluation(bench, Protocol(seed=1), {"a": Knowing(built)}, tmp_path),
        Evaluation(bench, Protocol(), {"a": Knowing(built, 0.5)}, tmp_path),
    ):
        with pytest.raises(UsageError, match="holds another evaluation"):
            evaluate(changed)
    other = Evaluation(bench, Protocol(), {"a": Knowing(built, 0.5)}, tmp_path, overwrite=True)
    assert evaluate(other)[-1].values["sad"] > 0


def test_trap_73_a_picture_a_method_fails_on_is_a_row_and_is_tried_again(
    bench: Benchmark, built: Path, tmp_path: Path
) -> None:
    method = Knowing(built, fails=["fish/scenes-00.jpg"])
    evaluation = Evaluation(bench, Protocol(), {"a": method}, tmp_path)
    failed = [row for row in evaluate(evaluation) if row.error]
    assert [row.target for row in failed] == ["fish/scenes-00.jpg"]
    assert failed[0].error == "fish/scenes-00.jpg: no answer" and failed[0].values == {}
    method.fails = ()
    method.asked.clear()
    assert not any(row.error for row in evaluate(evaluation))
    assert method.asked == ["fish/scenes-00.jpg"]


def test_references_are_looked_at_once_a_group(bench: Benchmark, built: Path, tmp_path: Path) -> None:
    method = Knowing(built)
    evaluate(Evaluation(bench, Protocol(), {"a": method}, tmp_path))
    assert method.encoded == [(f"{kind}/reference-00.jpg",) for kind in ("fish", "mushroom", "sloth")]


def test_the_region_is_what_the_trimap_leaves_unknown(bench: Benchmark, built: Path, tmp_path: Path) -> None:
    protocol = Protocol(region="unknown", trimap_radius=2)
    found = evaluate(Evaluation(bench, protocol, {"off": Knowing(built, 0.3)}, tmp_path))
    for row in found:
        # An absent thing has no edge, so nothing counts (trap 95).
        assert bool(row.values) == row.present
        assert row.values.get("mad", 0) < 0.3


def test_release_connectivity_is_an_option(bench: Benchmark, built: Path, tmp_path: Path) -> None:
    sums = []
    for conn in ("standard", "release"):
        protocol = Protocol(conn=conn)  # type: ignore[arg-type]
        found = evaluate(Evaluation(bench, protocol, {"off": Knowing(built, 1.0)}, tmp_path / conn))
        sums.append(sum(row.values["conn"] for row in found))
    assert sums[0] > 0 and sums[1] == 0, "to the release, a thing that is missed altogether costs nothing"


def test_a_table_is_read_as_it_was_written(bench: Benchmark, built: Path, tmp_path: Path) -> None:
    written = evaluate(Evaluation(bench, Protocol(), {"off": Knowing(built, 0.25)}, tmp_path))
    read, columns = rows.read(tmp_path / TABLE)
    assert columns == MEASURED
    assert [row.key for row in read] == [row.key for row in written]
    assert read[0].references == written[0].references
    rows.write(tmp_path / "again.csv", read, columns)
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / TABLE).read_bytes()
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="not a table that"):
        rows.read(tmp_path / "other.csv")


@pytest.mark.parametrize("form", FORMS)
def test_a_simulated_mark_depends_on_seed_round_and_picture_alone(form: str) -> None:
    alpha = np.zeros((60, 80), np.float32)
    alpha[10:50, 15:70] = 1
    photo = photos.read(np.zeros((60, 80, 3), np.uint8))

    def region(name: str, seed: int, turn: int) -> np.ndarray:
        return resolve(mark(form, alpha, name, seed, turn), photo).positive  # type: ignore[arg-type]

    first = region("a", 0, 0)
    assert first.any()
    assert np.array_equal(first, region("a", 0, 0))
    others = [region("b", 0, 0), region("a", 1, 0), region("a", 0, 1)]
    assert (form == "mask") == all(np.array_equal(first, other) for other in others)


def test_a_mask_drawn_by_hand_is_a_little_off() -> None:
    alpha = np.zeros((96, 96), np.float32)
    alpha[30:60, 30:60] = 1
    shapes = [mark("jittered", alpha, "a", seed, 0) for seed in range(20)]
    areas = {int(np.count_nonzero(shape.mask)) for shape in shapes if isinstance(shape, Mask)}
    assert min(areas) < 900 < max(areas)
    assert all(0.3 * 900 < area < 2 * 900 for area in areas)
