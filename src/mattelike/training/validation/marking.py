"""Marks a person might have made on a thing, from its alpha and a seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mattelike.components import bounds
from mattelike.prompts import Box, Mask, Points, Prompt, Scribbles
from mattelike.training.validation.questions import Form
from mattelike.values import Bool, Float32

CLICKS = 5
# People click well inside: where this share of the thing is left after eroding it.
INNER = 0.35
# A box is drawn this much too wide at most, as a share of the thing's sides.
SLACK = 0.05
STROKE = 0.012  # half the width of a scribble, as a share of the photo's longer side

Point = NDArray[np.int64]


def marked(form: Form, alpha: Float32, seed: int) -> Prompt:
    """The mark of one reference.

    Args:
        form: Its form; ``four`` is a mask.
        alpha: float32 ``(h, w)`` in [0, 1] of the thing; more than a half somewhere.
        seed: Of where the hand happens to go.

    Raises:
        ValueError: Nothing to mark.
    """
    mask = alpha > 0.5
    if not mask.any():
        raise ValueError("nothing to mark: alpha is nowhere above a half")
    draw = np.random.default_rng(seed)
    if form == "box":
        return box(mask, draw)
    if form == "click":
        return clicks(mask, 1, draw)
    if form == "clicks":
        return clicks(mask, CLICKS, draw)
    if form == "scribble":
        return Scribbles(scribble(mask, draw))
    return Mask(mask)


def clicks(mask: Bool, count: int, draw: np.random.Generator) -> Points:
    """Clicks well inside the thing, far from each other."""
    return Points([(int(column), int(row)) for row, column in spread(inner(mask), count, draw)])


def box(mask: Bool, draw: np.random.Generator) -> Box:
    """The bounding box, drawn a little too wide."""
    around = bounds(mask)
    assert around is not None, "a mask of nothing has no box"
    top, left, bottom, right = around
    slack = draw.uniform(0, SLACK, 4) * np.array([right - left, bottom - top, right - left, bottom - top])
    x0, y0, x1, y1 = np.array([left, top, right, bottom]) + slack * np.array([-1, -1, 1, 1])
    height, width = mask.shape
    return Box(max(0, int(x0)), max(0, int(y0)), min(width, int(np.ceil(x1))), min(height, int(np.ceil(y1))))


def scribble(mask: Bool, draw: np.random.Generator) -> Bool:
    """One stroke through four places of the thing; where it leaves the thing, the hand was lifted."""
    places = spread(inner(mask), 4, draw)
    route = [places[0]]
    left = list(places[1:])
    while left:
        nearest = min(range(len(left)), key=lambda i: float(np.square(left[i] - route[-1]).sum()))
        route.append(left.pop(nearest))
    stroke = np.zeros_like(mask)
    for start, stop in zip(route, route[1:] or route, strict=False):
        for share in np.linspace(0, 1, 2 + int(np.abs(stop - start).max())):
            row, column = np.round(start + share * (stop - start)).astype(int)
            stroke[row, column] = True
    return grown(stroke, max(1, round(STROKE * max(mask.shape)))) & mask


def inner(mask: Bool) -> Bool:
    """The inside of a thing: eroded until only `INNER` of it is left, and never to nothing."""
    kept, goal = mask, INNER * np.count_nonzero(mask)
    while True:
        smaller = ~grown(~kept, 1, edge=True)
        if np.count_nonzero(smaller) < goal:
            return kept
        kept = smaller


def grown(mask: Bool, radius: int, *, edge: bool = False) -> Bool:
    """Every pixel within `radius` rows and columns of a set one; `edge` is what lies outside the photo."""
    for axis in (0, 1):
        wide = np.pad(mask, [(radius, radius) if a == axis else (0, 0) for a in (0, 1)], constant_values=edge)
        length = mask.shape[axis]
        parts = [np.take(wide, range(start, start + length), axis=axis) for start in range(2 * radius + 1)]
        mask = np.logical_or.reduce(parts)
    return mask


def spread(allowed: Bool, count: int, draw: np.random.Generator) -> list[Point]:
    """Positions ``[row, column]``, the first by chance, each next one farthest from those before."""
    places = np.argwhere(allowed)
    chosen = [places[draw.integers(len(places))]]
    while len(chosen) < min(count, len(places)):
        away = np.min([np.square(places - one).sum(axis=1) for one in chosen], axis=0)
        # Not the farthest of all, which is always a tip: by chance among the farther half.
        far = np.argsort(away)[-max(1, len(places) // 6) :]
        chosen.append(places[draw.choice(far)])
    return chosen
