"""Marks a person might have made, from a truth and a seed; each depends on its picture, not on order."""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np

from mattelike.prompts import Mask, Prompt
from mattelike.refinement.trimaps import widened
from mattelike.training.validation.marking import marked
from mattelike.values import Bool, Float32

Form = Literal["mask", "jittered", "click", "clicks", "scribble", "box"]
FORMS: tuple[Form, ...] = ("mask", "jittered", "click", "clicks", "scribble", "box")
# A mask drawn by hand is off by up to this share of the picture's longer side.
JITTER = 1 / 48
# Of a thing that an eraser went round, at least this much is left.
LEFT = 0.3


def by_chance(form: Form) -> bool:
    """Whether a mark of this form is another in every round."""
    return form != "mask"


def mark(form: Form, alpha: Float32, name: str, seed: int, turn: int) -> Prompt:
    """The mark on one picture.

    Args:
        form: Its form.
        alpha: float32 ``(h, w)`` in [0, 1]; above a half somewhere.
        name: Of the picture.
        seed: Of the evaluation.
        turn: Number of the round.

    Raises:
        ValueError: Nothing to mark.
    """
    number = _number(seed, turn, form, name)
    if form == "jittered":
        return Mask(jittered(alpha > 0.5, np.random.default_rng(number)))
    return marked(form, alpha, number)


def jittered(mask: Bool, draw: np.random.Generator) -> Bool:
    """A mask as people and tools draw it: too wide or too narrow all around."""
    radius = 1 + int(draw.integers(max(2, round(JITTER * max(mask.shape)))))
    if draw.random() < 0.6:
        return widened(mask, radius)
    narrow: Bool = ~widened(~mask, radius)
    return narrow if narrow.sum() > LEFT * mask.sum() else mask


def _number(*parts: object) -> int:
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:4], "big")
