"""Clips: frames in order of time, and how steadily they are followed beside how well."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from mattelike import photos
from mattelike.baselines import Answer, Help, Reference
from mattelike.errors import MetricError, UsageError
from mattelike.evaluation import comparing, report, rows
from mattelike.evaluation.benchmarks import Benchmark, opened
from mattelike.evaluation.protocols import MEASURED, Protocol
from mattelike.evaluation.questions import asked
from mattelike.evaluation.reading import Shelf
from mattelike.evaluation.run import TABLE, Evaluation, evaluate, matte_path
from mattelike.evaluation.scoring import paired, scored
from mattelike.evaluation.steadiness import STEADY
from mattelike.evaluation.summary import summed
from mattelike.metrics import dtssd, messddt
from mattelike.values import Float32, Photo

LENGTHS = {"boat": 4, "kite": 3}


def truth(clip: str, number: int) -> Float32:
    """A square that goes to the right; the kite is out of sight in its last frame."""
    alpha = np.zeros((24, 40), np.float32)
    if (clip, number) != ("kite", 2):
        alpha[6:16, 4 + 3 * number : 16 + 3 * number] = 1
    return alpha


def clips(root: Path) -> Path:
    for clip, count in LENGTHS.items():
        for number in range(count):
            for part in ("image", "alpha"):
                (root / clip / part).mkdir(parents=True, exist_ok=True)
            alpha = truth(clip, number)
            photos.write_rgb(
                root / clip / "image" / f"f{number + 8}.png", np.dstack([alpha * 200] * 3).astype("u1")
            )
            photos.write_alpha(root / clip / "alpha" / f"f{number + 8}.png", alpha)
    return root


class Flickering:
    """The truth, a fifth lower in every other frame.

    Args:
        steady: A fifth lower in all of them instead.
        fails: A frame it has no answer for.
        help: What it is given.
    """

    def __init__(self, steady: bool = False, fails: str = "", help: Help = "references") -> None:
        self.steady, self.fails = steady, fails
        self.help: Help = help
        self.about = {"steady": str(steady)}

    def encode(self, references: list[Reference]) -> None:
        return None

    def matte(self, photo: Photo, context: None) -> Answer:
        from mattelike.errors import ModelError

        if photo.name == self.fails:
            raise ModelError("no answer")
        clip, name = photo.name.split("/")
        number = int(name[1:].removesuffix(".png")) - 8
        low = self.steady or number % 2 == 1
        return Answer(truth(clip, number) * np.float32(0.8 if low else 1.0), 0.9)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    return opened(f"clips:{clips(tmp_path_factory.mktemp('clips'))}")


def saved(folder: Path, method: str, clip: str) -> np.ndarray:
    keys = [(f"{clip}/f{number + 8}.png", 0, 0) for number in range(LENGTHS[clip])]
    return np.stack([photos.read(matte_path(folder, method, key)).pixels[..., 0] for key in keys])


def test_frames_are_in_order_of_their_numbers_and_the_first_is_the_reference(bench: Benchmark) -> None:
    assert bench.clips
    assert [e.sample.image.stem for e in bench.groups()["boat"]] == ["f8", "f9", "f10", "f11"]
    questions = list(asked(bench, Protocol(), "references", Shelf(Protocol())))
    assert [q.references[0].sample.image.stem for q in questions[:4]] == ["f9", "f8", "f8", "f8"]


@pytest.mark.parametrize("region", ["all", "unknown"])
def test_the_figures_of_a_clip_are_those_of_the_metrics(
    bench: Benchmark, tmp_path: Path, region: str
) -> None:
    protocol = Protocol(region=region, trimap_radius=2)  # type: ignore[arg-type]
    evaluation = Evaluation(bench, protocol, {"f": Flickering()}, tmp_path)
    found = evaluate(evaluation)
    shelf = Shelf(protocol)
    expected: dict[str, list[float]] = {name: [] for name in STEADY}
    for clip, members in bench.groups().items():
        true = np.stack([photos.quantised(truth(clip, n), 8) for n in range(LENGTHS[clip])])
        where = np.stack([shelf.shown(entry).trimap == 0.5 for entry in members])
        options = {} if region == "all" else {"where": where}
        expected["dtssd"].append(dtssd(saved(tmp_path, "f", clip), true, **options))
        expected["messddt"].append(messddt(saved(tmp_path, "f", clip), true, **options))
    part = summed(found, evaluation.metrics).parts[0]
    assert part.metrics == (*MEASURED, "dtssd", "messddt")
    for name in STEADY:
        shown = part.figures["f"][part.metrics.index(name)]
        assert shown.count == 2, "clips"
        assert shown.mean == pytest.approx(np.mean(expected[name]), abs=1e-12)
    assert min(*expected["dtssd"], *expected["messddt"]) > 0


def test_a_matte_that_flickers_is_told_from_one_that_is_off_as_much(bench: Benchmark, tmp_path: Path) -> None:
    methods = {"flickering": Flickering(), "steady": Flickering(steady=True)}
    evaluation = Evaluation(bench, Protocol(), methods, tmp_path)
    report.write(evaluation, evaluate(evaluation), ["mattelike", "evaluate"])
    for name in ("report.md", "index.html"):
        text = (tmp_path / name).read_text()
        assert "dtssd" in text and "at rest" in text
    sides = [comparing.side(f"{tmp_path}@{name}") for name in methods]
    found = {c.metric: c for c in comparing.compared(sides[0][1], sides[1][1], sides[0][2])}
    assert found["sad"].change.mean < 0 < found["dtssd"].change.mean, "better in itself, worse in time"
    assert found["dtssd"].change.count == 2 and found["sad"].change.count == 6


def test_trap_74_a_killed_evaluation_of_clips_ends_in_the_same_bytes(
    bench: Benchmark, tmp_path: Path
) -> None:
    evaluate(Evaluation(bench, Protocol(), {"f": Flickering()}, tmp_path / "whole"))

    class Killed(BaseException):
        pass

    def kill(row: rows.Row, seconds: float) -> None:
        if row.target == "boat/f10.png":
            raise Killed

    cut = Evaluation(bench, Protocol(), {"f": Flickering()}, tmp_path / "cut")
    with pytest.raises(Killed):
        evaluate(cut, kill)
    evaluate(cut)
    evaluate(cut)
    assert (tmp_path / "cut" / TABLE).read_bytes() == (tmp_path / "whole" / TABLE).read_bytes()


def test_frames_beside_a_failed_one_and_those_out_of_sight(bench: Benchmark, tmp_path: Path) -> None:
    failing = Evaluation(bench, Protocol(), {"f": Flickering(fails="boat/f9.png")}, tmp_path / "a")
    known = [row.target for row in evaluate(failing) if "dtssd" in row.values]
    assert known == ["boat/f11.png", "kite/f9.png", "kite/f10.png"], "no change over two frames"
    alone = Evaluation(bench, Protocol(), {"f": Flickering(help="trimap")}, tmp_path / "b")
    assert [row.target for row in evaluate(alone) if "dtssd" in row.values][-1] == "kite/f9.png"


def test_floats_are_measured_from_mattes_of_16_bits(bench: Benchmark, tmp_path: Path) -> None:
    figures = []
    for depth in (8, 0):
        protocol = Protocol(depth=depth)  # type: ignore[arg-type]
        found = evaluate(Evaluation(bench, protocol, {"f": Flickering()}, tmp_path / str(depth)))
        figures.append(next(row.values["dtssd"] for row in found if row.target == "boat/f9.png"))
    assert saved(tmp_path / "0", "f", "boat").dtype == np.uint16
    assert figures[1] == pytest.approx(0.2 * np.sqrt(120 / 960), abs=1e-5)
    assert figures[0] == pytest.approx(figures[1], abs=1e-3)


def test_trap_96_frames_of_two_sizes_are_named(tmp_path: Path) -> None:
    clips(tmp_path)
    for part in ("image", "alpha"):
        photos.write_rgb(tmp_path / "boat" / part / "f9.png", np.full((20, 40, 3), 255, np.uint8))

    class Blank(Flickering):
        def matte(self, photo: Photo, context: None) -> Answer:
            return Answer(np.zeros(photo.pixels.shape[:2], np.float32))

    evaluation = Evaluation(opened(f"clips:{tmp_path}"), Protocol(), {"b": Blank()}, tmp_path / "out")
    with pytest.raises(MetricError, match=r"boat/f8\.png and boat/f9\.png.*40 x 24 and 40 x 20"):
        evaluate(evaluation)


def test_a_table_with_frames_is_one_of_clips(tmp_path: Path) -> None:
    clips(tmp_path)
    lines = [("group", "image", "alpha", "trimap", "kind", "is_reference", "frame")]
    for number, frame in ((8, 20), (9, 5), (10, 7)):
        lines.append(
            ("boat", f"boat/image/f{number}.png", f"boat/alpha/f{number}.png", "", "", "", str(frame))
        )

    def write() -> str:
        with (tmp_path / "benchmark.csv").open("w", newline="") as file:
            csv.writer(file).writerows(lines)
        return str(tmp_path)

    bench = opened(write())
    assert bench.clips and [e.sample.image.stem for e in bench.entries] == ["f9", "f10", "f8"]
    for value, message in (("", "some have none"), ("7", "two frames 7"), ("x", "a whole number")):
        lines[1] = (*lines[1][:-1], value)
        with pytest.raises(UsageError, match=message):
            opened(write())


def test_score_reads_folders_as_clips(bench: Benchmark, tmp_path: Path) -> None:
    evaluation = Evaluation(bench, Protocol(), {"f": Flickering()}, tmp_path)
    asked_for = {(row.group, row.target): row.values for row in evaluate(evaluation)}
    theirs = tmp_path / "theirs"
    for clip, count in LENGTHS.items():
        (theirs / clip).mkdir(parents=True)
        for number in range(count):
            photos.write_alpha(theirs / clip / f"f{number + 8}.png", truth(clip, number))
    found = scored(paired(tmp_path / "mattes" / "f", theirs), "f", Protocol(), clips=True)
    assert {(row.group, f"{row.target}.png"): row.values for row in found} == asked_for
    (tmp_path / "mattes" / "f" / "boat" / "f9.png").unlink()
    parted = scored(paired(tmp_path / "mattes" / "f", theirs), "f", Protocol(), clips=True)
    assert [row.target for row in parted if "dtssd" in row.values] == ["boat/f11", "kite/f9", "kite/f10"]
