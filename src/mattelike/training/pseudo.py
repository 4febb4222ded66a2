"""Pseudo-labels: masks of photos nobody has marked, where a model's answers agree.

A model that is asked for the same thing by several references, and of a photo and its mirror image, errs in
different ways. What all of its answers have is labelled, what none has is background, and where they differ
nothing is learnt: such pixels are `UNSURE`, which `mattelike.training.synthesis.trust` leaves out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mattelike.contexts import Context
from mattelike.predictor import Predictor
from mattelike.values import Float32, Photo

# Of a label: no opinion has it, they differ, all have it.
BACKGROUND, UNSURE, FOREGROUND = 0, 127, 255
# Least share of what any answer has that all must have, for a label to be learnt from.
AGREED = 0.85


def opinions(predictor: Predictor, photo: Photo, contexts: Sequence[Context]) -> Iterator[Float32]:
    """Alpha of a photo by every context, as it is and mirrored; ``(h, w)`` in [0, 1], mirrored back.

    A photo in which the kind may be absent gives an alpha of zeros.
    """
    mirrored = Photo(photo.pixels[:, ::-1].copy(), name=photo.name)
    for context in contexts:
        for seen, step in ((photo, 1), (mirrored, -1)):
            matte = predictor.matte(seen, context)
            yield np.zeros_like(matte.alpha) if matte.status == "absent" else matte.alpha[:, ::step]


def label(alphas: Sequence[Float32]) -> NDArray[np.uint8]:
    """`BACKGROUND`, `UNSURE` or `FOREGROUND` of every pixel, uint8 ``(h, w)``."""
    having = np.stack([alpha > 0.5 for alpha in alphas])
    result = np.full(having.shape[1:], UNSURE, np.uint8)
    result[~having.any(axis=0)] = BACKGROUND
    result[having.all(axis=0)] = FOREGROUND
    return result


def agreement(found: NDArray[np.uint8]) -> float:
    """What all answers have, as a share of what any has: their joint IoU; 0 where none has anything."""
    return int(np.count_nonzero(found == FOREGROUND)) / max(1, int(np.count_nonzero(found)))
