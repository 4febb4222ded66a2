"""The public validation: same questions, same pictures, same scores each time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mattelike import prompts
from mattelike.metrics import auroc, iou, sad
from mattelike.prompts import Prompt
from mattelike.training import loop, pack
from mattelike.training.groups import held_out, kind_of, table
from mattelike.training.validation import choosing, methods, questions, report, scoring
from mattelike.training.validation.drawing import SIDE, Studio
from mattelike.training.validation.marking import marked
from mattelike.training.validation.methods import Answered
from mattelike.training.validation.questions import FORMS, Picture, Plan, Question, Thing
from mattelike.values import Photo
from tests.scenes import disc_alpha
from tests.training.test_loop import TINY
from tests.training.toys import SHAPES, drawn, items

COMMITTED = Path(__file__).parents[2] / "recipes" / "validation.json"
LIST = questions.load(COMMITTED)


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> pack.Pack:
    """Four held-out kinds with photos, two of them with a render; crosses are trained on."""
    folder = tmp_path_factory.mktemp("pack")
    rows = []
    for item, pixels in items():
        kept = replace(item, split="validation") if item.kind in ("disc", "bar", "ring", "wedge") else item
        if item.truth == "none":
            kept = replace(kept, source="wallpaper_photos")
        # With room around them: a thing that is cut off by its photo is not pasted.
        rows.append((kept, np.pad(pixels, ((12, 12), (12, 12), (0, 0)))))
    render = replace(rows[0][0], name="toy/disc/render", domain="render", photo="r")
    rows.append((render, drawn("disc", 99)))
    other = replace(rows[3][0], name="toy/bar/render", domain="render", photo="s")
    rows.append((other, drawn("bar", 98)))
    pack.write(folder, iter(rows))
    return pack.load(folder)


@pytest.fixture(scope="module")
def plan(toys: pack.Pack) -> Plan:
    return choosing.chosen(toys, {"toy/wedge/2": "for the test"})


def few(plan: Plan) -> list[Question]:
    """Every row, but three scenes, each question asked once."""
    kept = [q for q in plan.questions if q.row != "scenes" or q.target < "scene/03"]
    return [replace(question, forms=("mask",)) for question in kept]


class Oracle:
    """Knows every answer; a method that cannot fail must score 1."""

    name = "oracle"

    def __init__(self, studio: Studio, asked: Sequence[Question]) -> None:
        self.truths: dict[bytes, dict[str, np.ndarray]] = {}
        for question in asked:
            picture = studio.picture(question.target)
            self.truths.setdefault(picture.rgb.tobytes(), {})[question.kind] = picture.alpha(question.kind)
        self.question: Question | None = None

    def encode(self, references: Sequence[tuple[np.ndarray, Prompt]]) -> Any:
        assert all(photo.dtype == np.uint8 for photo, _ in references)
        return self.question

    def matte(self, photo: np.ndarray, context: Any) -> Answered:
        alpha = self.truths[photo.tobytes()][context.kind]
        return Answered(alpha, float(alpha.max()))


def test_A8_a_method_that_is_right_scores_one_in_every_row(toys: pack.Pack, plan: Plan) -> None:
    studio = Studio(toys, plan)
    oracle = Oracle(studio, few(plan))
    scores = []
    for question in few(plan):
        oracle.question = question
        scores += list(scoring.answered(oracle, studio, [question], quick=False))
    table = scoring.summed(scores)
    assert table.scenes == table.kinds == table.one == table.presence == 1
    assert table.photo_to_render == table.render_to_photo == 1
    assert table.sad == 0


@dataclass(frozen=True)
class Everything:
    """Takes all for the thing, whatever is asked."""

    name: str = "everything"

    def encode(self, references: Sequence[tuple[np.ndarray, Prompt]]) -> Any:
        return None

    def matte(self, photo: np.ndarray, context: Any) -> Answered:
        return Answered(np.ones(photo.shape[:2], np.float32), 0.5)


def test_A8_a_method_that_does_not_look_scores_badly(toys: pack.Pack, plan: Plan) -> None:
    table = scoring.summed(list(scoring.answered(Everything(), Studio(toys, plan), few(plan), False)))
    assert table.scenes < 0.2
    assert table.presence == 0.5
    assert table.sad > 100


def test_a_scene_has_the_alpha_of_each_thing_where_it_was_put(toys: pack.Pack) -> None:
    things = (Thing("toy/disc/0", 0.25, 0.25, 0.4), Thing("toy/bar/1", 0.75, 0.7, 0.3, 0.2, True))
    plan = Plan((Question("scenes", "disc", ("toy/disc/1",), "s"),), {"s": Picture("toy/back/0", things)})
    drawn_once, again = (Studio(toys, plan).picture("s") for _ in range(2))
    assert np.array_equal(drawn_once.rgb, again.rgb)
    assert drawn_once.rgb.shape == (SIDE, SIDE, 3)
    rows, columns = np.nonzero(drawn_once.alpha("disc") > 0.5)
    assert abs(rows.mean() / SIDE - 0.25) < 0.01
    assert abs(columns.mean() / SIDE - 0.25) < 0.01
    assert abs((np.ptp(rows) + 1) / SIDE - 0.4) < 0.07
    assert (drawn_once.alpha("disc") + drawn_once.alpha("bar") <= 1.0001).all()
    assert not drawn_once.alpha("ring").any()


def test_trap_49_a_pasted_thing_has_no_rim_of_its_old_background(tmp_path: Path) -> None:
    alpha = disc_alpha(96, 96, softness=10)
    red = np.array([230, 20, 20]) * alpha[..., None] + np.array([10, 220, 10]) * (1 - alpha[..., None])
    photo = np.dstack([red, alpha * 255]).round().astype(np.uint8)
    rows = list(items())
    thing = replace(rows[0][0], name="toy/red", split="validation")
    white = replace(rows[-1][0], name="toy/white")
    blank = np.dstack([np.full((80, 80, 3), 255), np.zeros((80, 80))]).astype(np.uint8)
    pack.write(tmp_path, iter([(thing, photo), (white, blank)]))
    plan = Plan(
        (Question("one", "disc", ("toy/red",), "p"),),
        {"p": Picture("toy/white", (Thing("toy/red", 0.5, 0.5, 0.8),))},
    )
    seen = Studio(pack.load(tmp_path), plan).picture("p")
    edge = (seen.alpha("disc") > 0.2) & (seen.alpha("disc") < 0.8)
    red_level, green, blue = seen.rgb[edge].astype(float).mean(axis=0)
    assert red_level > 225
    assert abs(green - blue) < 6


def test_trap_103_a_picture_that_is_trained_on_is_refused(toys: pack.Pack) -> None:
    plan = Plan((Question("kinds", "cross", ("toy/cross/0",), "toy/cross/1"),), {})
    with pytest.raises(ValueError, match="toy/cross/0 is trained on"):
        Studio(toys, plan)


def test_too_few_kinds_for_a_scene_is_an_error(toys: pack.Pack) -> None:
    without = {place.item.name: "for the test" for place in toys.places if place.item.kind == "ring"}
    with pytest.raises(ValueError, match="four held-out kinds"):
        choosing.chosen(toys, without)


def test_the_list_is_saved_and_loaded_and_chosen_the_same(
    toys: pack.Pack, plan: Plan, tmp_path: Path
) -> None:
    questions.save(plan, tmp_path / "list.json")
    assert questions.load(tmp_path / "list.json") == plan
    assert choosing.chosen(toys, {"toy/wedge/2": "for the test"}) == plan
    assert "toy/wedge/2" not in plan.items()


# --- the committed list ------------------------------------------------------------------------------


def test_trap_104_the_committed_list_holds_held_out_kinds_and_no_test_set() -> None:
    for name in LIST.items():
        source, group, identity = name.split("/")
        assert source not in ("dreambooth", "davis16")
        assert not identity.startswith("aim_")
        assert held_out(kind_of(source, group, identity)) or source == "wallpaper_photos"
        assert name not in LIST.excluded


def test_every_kind_held_out_exists_and_is_asked_about_unless_its_photos_are_excluded() -> None:
    known = {kind_of(*name.split("/")) for name in {*LIST.items(), *LIST.excluded}}
    assert sorted(set(table()["held_out"]) - known) == []


def test_A8_the_committed_list_is_as_large_as_the_table_says() -> None:
    count = {row: sum(q.row == row for q in LIST.questions) for row in report.ROWS}
    assert count["scenes"] == 48 * 4
    assert len({q.kind for q in LIST.questions if q.row == "kinds"}) >= 25
    quick = sum(len(q.asked(True)) for q in LIST.questions)
    assert 150 <= quick <= 250
    assert all(q.target not in q.references for q in LIST.questions)
    scenes = [p for name, p in LIST.pictures.items() if name.startswith("scene/")]
    assert all(len(p.things) == 4 for p in scenes)


def test_every_question_of_the_committed_list_knows_its_marks() -> None:
    for question in LIST.questions:
        assert question.forms[0] == "mask"
        assert set(question.forms) <= set(FORMS)
        assert ("four" in question.forms) == (len(question.references) == 4)


# --- marks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_marks_lie_on_the_thing(form: questions.Form, shape: str) -> None:
    alpha = drawn(shape, 1)[..., 3].astype(np.float32) / 255
    photo = Photo(drawn(shape, 1)[..., :3])
    roi = prompts.resolve(marked(form, alpha, 7), photo)
    again = prompts.resolve(marked(form, alpha, 7), photo)
    assert np.array_equal(roi.positive, again.positive)
    if form == "box":
        assert (roi.positive | (alpha <= 0.5)).all()
        assert np.count_nonzero(roi.positive) < 1.5 * alpha.any(1).sum() * alpha.any(0).sum()
    else:
        assert not (roi.positive & (alpha <= 0.5)).any()
    if form == "click":
        assert np.count_nonzero(roi.positive) == 1
    if form == "clicks":
        assert np.count_nonzero(roi.positive) == 5
    if form == "scribble":
        assert 5 < np.count_nonzero(roi.positive) < 0.6 * np.count_nonzero(alpha > 0.5)


def test_another_seed_is_another_hand() -> None:
    alpha = disc_alpha(90, 120)
    assert marked("click", alpha, 1).points != marked("click", alpha, 2).points  # type: ignore[union-attr]


def test_trap_27_nothing_to_mark_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing to mark"):
        marked("mask", np.full((8, 8), 0.4, np.float32), 0)


def test_a_thing_one_pixel_wide_can_be_clicked() -> None:
    thin = np.zeros((40, 40), np.float32)
    thin[:, 20] = 1
    assert [x for x, _ in marked("clicks", thin, 0).points] == [20] * 5  # type: ignore[union-attr]


# --- scores ------------------------------------------------------------------------------------------


def test_auroc_is_the_chance_to_be_above_and_ties_are_halves() -> None:
    assert auroc([0.9, 0.8], [0.1, 0.2]) == 1
    assert auroc([0.1], [0.9]) == 0
    assert auroc([0.5, 0.5], [0.5]) == 0.5
    assert auroc([0.9, 0.1], [0.5]) == 0.5
    assert np.isnan(auroc([], [0.5]))


def test_overlap_and_difference() -> None:
    truth = np.zeros((10, 10), np.float32)
    truth[:, :5] = 1
    half = np.zeros_like(truth)
    half[:5, :5] = 1
    assert iou(truth, truth) == 1
    assert iou(half, truth) == 0.5
    assert iou(truth * 0, truth * 0) == 1
    assert sad(half, truth) == pytest.approx(0.025)


# --- who answers -------------------------------------------------------------------------------------


def test_A8_a_network_in_training_answers_and_the_report_is_written(
    toys: pack.Pack, plan: Plan, tmp_path: Path
) -> None:
    loop.train(TINY, toys, tmp_path / "run", stop_at=5)
    method = methods.opened(str(tmp_path / "run" / "average.pt"), threads=1, side=64)
    studio = Studio(toys, plan)
    some = [q for q in plan.questions if q.row in ("kinds", "presence")][:2]
    scores = list(scoring.answered(method, studio, some, quick=False))
    assert {score.form for score in scores} >= {"mask", "click", "box"}
    assert all(0 <= score.iou <= 1 and 0 <= score.presence <= 1 for score in scores)
    report.write(tmp_path / "out", "tiny", method, studio, scores, {"model": "tiny"})
    saved = json.loads((tmp_path / "out" / "tiny.json").read_text())
    assert len(saved["answers"]) == len(scores)
    assert (tmp_path / "out" / "tiny-kinds.png").is_file()
    table = report.markdown({"tiny": scoring.summed(scores)})
    assert "unseen kinds" in table
    assert report.worst_table(scores).count("| toy/") or "toy/" in report.worst_table(scores)


def test_features_of_a_picture_are_looked_for_once() -> None:
    class Counting:
        looked = 0

        def features(self, images: np.ndarray, role: str) -> Any:
            self.looked += 1
            return images.sum()

    counting = Counting()
    model = methods.Remembering(counting)  # type: ignore[arg-type]
    first, second = (np.full((1, 3, 4, 4), value, np.float32) for value in (1, 2))
    for images in (first, second, first):
        assert model.features(images, "target") == images.sum()
    assert counting.looked == 2
    assert model.looked == 2
