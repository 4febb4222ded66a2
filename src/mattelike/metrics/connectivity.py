"""How firmly each pixel hangs together with the largest part of a matte: what CONN compares.

The sets ``B_i`` of pixels that reach threshold ``t_i`` in both mattes are nested, so they need not be
labelled ten times. Each row is cut once into runs of equal level; runs that touch are joined from the highest
threshold down, and every contact is looked at once, at the threshold where it comes into being.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mattelike.metrics.pairs import Float64, Pair
from mattelike.values import Bool

Variant = Literal["standard", "release"]
Index = NDArray[np.intp]
Level = NDArray[np.uint8]

# As a range of floats makes them: t_3 is 0.30000000000000004, so the 8-bit value 153 (0.6) fails t_6.
THRESHOLDS = tuple(i * 0.1 for i in range(11))
STEPS = np.array(THRESHOLDS)
THETA = 0.15
# Pixels worked on together: small enough for the processor's cache.
BLOCK = 1 << 15
# A pixel of the last threshold is 1 in both mattes and has no error of its own. Only where the background may
# be the largest part does it matter to others.
LAST: dict[Variant, int] = {"standard": 9, "release": 10}


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """A picture cut into runs of equal level; no run goes on into the next row.

    Attributes:
        lengths: Pixels of each run, in raster order.
        levels: How many thresholds the pixels of each run reach.
        first: One run of each contact.
        second: The other: they share an edge of a pixel, and both reach a threshold.
        contact: The highest level at which both are there.
    """

    lengths: Index
    levels: Level
    first: Index
    second: Index
    contact: Level


def gap(pair: Pair, variant: Variant) -> float:
    """Sum of ``|phi(pred) - phi(true)|`` over the pixels that count."""
    kept = held(pair.pred, pair.true, variant).reshape(-1)
    flat_pred, flat_true = pair.pred.reshape(-1), pair.true.reshape(-1)
    where = None if pair.where is None else pair.where.reshape(-1)
    total = 0.0
    for start in range(0, kept.size, BLOCK):
        block = slice(start, start + BLOCK)
        pred, true, steps = flat_pred[block], flat_true[block], STEPS.take(kept[block])
        # Where the higher one is forgiven, both are.
        counts = (np.maximum(pred, true) - steps >= THETA) & (pred != true)
        if where is not None:
            counts &= where[block]
        at = np.flatnonzero(counts)
        # phi is 1 less the excess, and the 1 falls out of the difference.
        total += float(np.abs(_excess(pred[at], steps[at]) - _excess(true[at], steps[at])).sum())
    return total


def _excess(values: Float64, steps: Float64) -> Float64:
    """What values stand above their last connected step; less than `THETA` is forgiven."""
    above = values - steps
    above *= above >= THETA
    return above


def held(pred: Float64, true: Float64, variant: Variant) -> Level:
    """The last threshold up to which each pixel stays in the largest part, at most ``LAST[variant]``.

    Args:
        pred: float64 ``(h, w)`` in [0, 1].
        true: float64 ``(h, w)`` in [0, 1].
        variant: Whether the background may be the largest part.

    Returns:
        uint8 ``(h, w)``: ``l = THRESHOLDS[held]``.
    """
    last = LAST[variant]
    runs = cut(reached(pred, true, last))
    parents = np.arange(len(runs.lengths))
    kept = np.full(len(runs.lengths), last, np.uint8)
    for i in range(last, 0, -1):
        present, new = np.flatnonzero(runs.levels >= i), np.flatnonzero(runs.contact == i)
        join(parents, runs.first[new], runs.second[new])
        roots = _roots(parents, present)
        # Thresholds come from high to low: what falls out here fell out before all that was written so far.
        kept[~_largest(runs.lengths, present, roots, variant)] = i - 1
    return np.repeat(kept, runs.lengths).reshape(pred.shape)


def reached(pred: Float64, true: Float64, last: int) -> Level:
    """How many of the thresholds 1 to `last` each pixel reaches in both mattes: uint8 ``(h, w)``."""
    levels = np.zeros(pred.size, np.uint8)
    flat_pred, flat_true = pred.reshape(-1), true.reshape(-1)
    for start in range(0, pred.size, BLOCK):
        block = slice(start, start + BLOCK)
        least = np.minimum(flat_pred[block], flat_true[block])
        for threshold in THRESHOLDS[1 : last + 1]:
            levels[block] += least >= threshold
    return levels.reshape(pred.shape)


def cut(levels: Level) -> Runs:
    """Runs of equal level of every row, and which of them touch."""
    height, width = levels.shape
    begins = np.ones((height, width), np.bool_)
    np.not_equal(levels[:, 1:], levels[:, :-1], out=begins[:, 1:])
    starts = np.flatnonzero(begins)
    lengths = np.diff(starts, append=height * width)
    own, there = levels.reshape(-1)[starts], levels > 0
    right = 1 + np.flatnonzero((own[1:] > 0) & (own[:-1] > 0) & (starts[1:] % width != 0))
    # Two runs of neighbouring rows share columns from where the later of them begins.
    lower = width + np.flatnonzero((begins[1:] | begins[:-1]) & there[1:] & there[:-1])
    numbers = np.repeat(np.arange(len(starts), dtype=np.int32), lengths)
    first = np.concatenate([right - 1, numbers[lower - width]])
    second = np.concatenate([right, numbers[lower]])
    return Runs(lengths, own, first, second, np.minimum(own[first], own[second]))


def join(parents: Index, first: Index, second: Index) -> None:
    """Joins each first with its second, in place; a part's root becomes the smallest of its roots.

    Args:
        parents: For every run a run of the same part, itself for a root.
        first: Runs.
        second: Runs that touch them.
    """
    first, second = _roots(parents, first), _roots(parents, second)
    while (apart := first != second).any():
        first, second = first[apart], second[apart]
        low, high = np.minimum(first, second), np.maximum(first, second)
        np.minimum.at(parents, high, low)
        first, second = _roots(parents, low), _roots(parents, high)


def _roots(parents: Index, runs: Index) -> Index:
    """The root of each run, by jumping twice as far each time; shortens the ways of all it passes."""
    here = parents[runs]
    while not np.array_equal(here, there := parents[here]):
        parents[runs] = there
        here = there
    return here


def _largest(lengths: Index, present: Index, roots: Index, variant: Variant) -> Bool:
    """Which runs belong to the largest part; among equals, the first in raster order.

    The release counts the background, all that is not present, as a part, and as the first of them.
    """
    areas = np.bincount(roots, weights=lengths[present], minlength=1)
    winner = int(areas.argmax())
    inside = np.zeros(len(lengths), np.bool_)
    if variant == "release" and lengths.sum() - areas.sum() >= areas[winner]:
        inside[:] = True
        inside[present] = False
    else:
        inside[present] = roots == winner
    return inside
