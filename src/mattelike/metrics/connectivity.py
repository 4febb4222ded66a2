"""How firmly each pixel hangs together with the largest part of a matte: what CONN compares.

A picture is cut once into runs of equal level, and contacts of neighbouring rows are listed once; a threshold
then works on those of them that reach it. Thresholds go from low to high. The sets ``B_i`` of pixels that
reach threshold ``t_i`` in both mattes are nested, so what fell out of the largest part never comes back;
where nothing is left, as soon in noise, there is no more to label.
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
Number = NDArray[np.int32]
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
        leading: Which runs are the first of their row.
        upper: One run of each contact of two rows.
        lower: The run below: they share an edge of a pixel, and both reach a threshold.
        contact: The highest level at which both are there.
    """

    lengths: Number
    levels: Level
    leading: Bool
    upper: Number
    lower: Number
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
    kept = np.full(len(runs.lengths), last, np.uint8)
    inside = np.ones(len(kept), np.bool_)
    for i in range(1, last + 1):
        part = largest(runs, i, variant)
        kept[inside & ~part] = i - 1
        inside &= part
        # Nothing comes back, and a background that is the largest part stays so.
        if not (inside & (runs.levels >= i)).any():
            break
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
    """Runs of equal level of every row, and which of neighbouring rows touch."""
    height, width = levels.shape
    begins = np.ones((height, width), np.bool_)
    np.not_equal(levels[:, 1:], levels[:, :-1], out=begins[:, 1:])
    starts = np.flatnonzero(begins)
    own, there = levels.reshape(-1)[starts], levels > 0
    leading = np.zeros((height, width), np.bool_)
    leading[:, 0] = True
    # Two runs of neighbouring rows share columns from where the later of them begins.
    at = np.flatnonzero((begins[1:] | begins[:-1]) & there[1:] & there[:-1])
    numbers = np.cumsum(begins, dtype=np.int32) - np.int32(1)
    upper, lower = numbers[at], numbers[at + width]
    contact = np.minimum(own[upper], own[lower])
    return Runs(
        np.diff(starts, append=levels.size).astype(np.int32),
        own,
        leading.reshape(-1)[starts],
        upper,
        lower,
        contact,
    )


def largest(runs: Runs, i: int, variant: Variant) -> Bool:
    """Which runs belong to the largest part of those that reach threshold `i`.

    Among equals it is the first in raster order. The release counts the background, all that does not reach
    the threshold, as a part, and as the first of them.

    Args:
        runs: The picture, ``n`` runs.
        i: Number of the threshold.
        variant: Whether the background may be the largest part.

    Returns:
        bool ``(n,)``; false everywhere where no pixel reaches the threshold, but for a background.
    """
    there = runs.levels >= i
    # Neighbours in a row hang together, whatever their levels: stretches of runs are labelled.
    begins = there.copy()
    begins[1:] &= ~there[:-1] | runs.leading[1:]
    stretches = np.cumsum(begins, dtype=np.int32) - np.int32(1)
    sizes = np.add.reduceat(runs.lengths * there, np.flatnonzero(begins))
    touching = np.flatnonzero(runs.contact >= i)
    parts = joined(len(sizes), stretches[runs.upper[touching]], stretches[runs.lower[touching]])
    areas = np.bincount(parts, weights=sizes, minlength=1)
    winner = int(areas.argmax())
    if variant == "release" and runs.lengths.sum() - areas.sum() >= areas[winner]:
        return ~there
    # Runs before the first stretch have the number -1; they are not there.
    won: Bool = there & np.append(parts == winner, False)[stretches]
    return won


def joined(count: int, first: Number, second: Number) -> Index:
    """The part of each stretch, named by its first stretch.

    Args:
        count: How many stretches there are.
        first: Stretches.
        second: Stretches that touch them; the same pair may follow itself.

    Returns:
        ``(count,)``: the smallest stretch of each one's part.
    """
    parts = np.arange(count)
    new = np.ones(len(first), np.bool_)
    new[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    one, other = first[new].astype(np.intp), second[new].astype(np.intp)
    while (apart := one != other).any():
        one, other = one[apart], other[apart]
        low, high = np.minimum(one, other), np.maximum(one, other)
        np.minimum.at(parts, high, low)
        # Every way to a root is shortened to one step.
        while not np.array_equal(parts, nearer := parts[parts]):
            parts = nearer
        one, other = parts[low], parts[high]
    return parts
