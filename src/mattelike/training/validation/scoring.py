"""Asks a method every question of a plan, and scores what it says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mattelike.metrics import auroc, iou, sad
from mattelike.prompts import Prompt
from mattelike.training.validation.drawing import Drawn, Studio
from mattelike.training.validation.marking import marked
from mattelike.training.validation.methods import Method
from mattelike.training.validation.questions import FORMS, Form, Question, Row
from mattelike.values import Float32


@dataclass(frozen=True, slots=True)
class Score:
    """How one answer fared.

    Attributes:
        question: Which.
        form: How the reference was marked.
        iou: Overlap of alpha > 0.5 with the truth > 0.5; 1 where both are empty.
        sad: Sum of absolute differences of alpha, in thousands, at the size of the target.
        presence: What the method said.
        exact: Whether alpha is known exactly, so that `sad` says something.
    """

    question: Question
    form: Form
    iou: float
    sad: float
    presence: float
    exact: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """The table of one method.

    Attributes:
        scenes: Mean IoU, one of four things.
        kinds: Mean over kinds of the mean IoU of its photos.
        presence: AUROC over all kinds together.
        one: Mean IoU, one thing fills the picture.
        sad: Mean SAD of its composites, in thousands at 800 x 800 pixels.
        photo_to_render: Mean IoU, a photo asks for a render.
        render_to_photo: Mean IoU, a render asks for a photo.
        forms: Mean IoU by form of the mark, each over the questions that were asked with all forms.
        by_kind: Mean IoU by kind, of `kinds`.
        asked: Questions asked.
    """

    scenes: float
    kinds: float
    presence: float
    one: float
    sad: float
    photo_to_render: float
    render_to_photo: float
    forms: dict[str, float]
    by_kind: dict[str, float]
    asked: int


def answered(method: Method, studio: Studio, questions: Iterable[Question], quick: bool) -> Iterator[Score]:
    """Asks every question in every form it is to be asked in."""
    for question in questions:
        for form in question.asked(quick):
            yield judged(method, studio, question, form)[0]


def judged(method: Method, studio: Studio, question: Question, form: Form) -> tuple[Score, Float32]:
    """One answer, its score and its alpha."""
    target = studio.picture(question.target)
    context = method.encode(references(studio, question, form))
    answer = method.matte(target.rgb, context)
    truth = target.alpha(question.kind)
    overlap, error = iou(answer.alpha, truth), sad(answer.alpha, truth)
    score = Score(question, form, overlap, error, answer.presence, target.soft)
    return score, answer.alpha


def references(studio: Studio, question: Question, form: Form) -> list[tuple[NDArray[np.uint8], Prompt]]:
    """The marked photos of a question."""
    names = question.references if form == "four" else question.references[:1]
    shown: Sequence[Drawn] = [studio.picture(name) for name in names]
    return [(each.rgb, marked(form, each.alpha(question.kind), question.seed)) for each in shown]


def summed(scores: Sequence[Score]) -> Summary:
    """The table of all scores."""
    rows: dict[Row, list[Score]] = defaultdict(list)
    for score in scores:
        if score.form == "mask":
            rows[score.question.row].append(score)
    by_kind: dict[str, list[float]] = defaultdict(list)
    for score in rows["kinds"]:
        by_kind[score.question.kind].append(score.iou)
    means = {kind: mean(values) for kind, values in sorted(by_kind.items())}
    return Summary(
        scenes=mean(s.iou for s in rows["scenes"]),
        kinds=mean(means.values()),
        presence=auroc([s.presence for s in rows["kinds"]], [s.presence for s in rows["presence"]]),
        one=mean(s.iou for s in rows["one"]),
        sad=mean(s.sad for s in rows["one"] if s.exact),
        photo_to_render=mean(s.iou for s in rows["photo-to-render"]),
        render_to_photo=mean(s.iou for s in rows["render-to-photo"]),
        forms=by_form(scores),
        by_kind=means,
        asked=len(scores),
    )


def by_form(scores: Sequence[Score]) -> dict[str, float]:
    """Mean IoU of every form, over the same questions: those asked in all forms."""
    asked: dict[Question, dict[Form, float]] = defaultdict(dict)
    for score in scores:
        asked[score.question][score.form] = score.iou
    whole = [found for found in asked.values() if len(found) == len(FORMS)]
    return {form: mean(found[form] for found in whole) for form in FORMS}


def mean(values: Iterable[float]) -> float:
    """Arithmetic mean; NaN of nothing."""
    found = list(values)
    return float(np.mean(found)) if found else float("nan")
