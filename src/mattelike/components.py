"""Connected parts of a mask, and what lies around each of them, in plain numpy.

Parts are runs of each row, joined where they touch the row above; surroundings are given out ring by ring.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mattelike.values import Bool

Labels = NDArray[np.int32]


def bounds(mask: NDArray[Any]) -> tuple[int, int, int, int] | None:
    """The rectangle around all that is not zero.

    Args:
        mask: ``(h, w)``, of any type.

    Returns:
        Top, left, bottom, right, half open; None where all is zero.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return None
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def label(mask: Bool) -> tuple[Labels, int]:
    """4-connected parts of a mask, numbered from 1 in raster order of their first pixel.

    Args:
        mask: bool ``(h, w)``.

    Returns:
        int32 ``(h, w)``, 0 outside; and how many parts there are.
    """
    height, width = mask.shape
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    stops = np.nonzero(edges == -1)[1]
    roots = _joined(rows, starts, stops, height)
    first, numbers = np.unique(roots, return_inverse=True)
    labels = np.zeros((height, width + 1), np.int32)
    # Each run is written as a step up at its start and down at its stop; the running sum fills it.
    names = (numbers + 1).astype(np.int32)
    labels[rows, starts] += names
    labels[rows, stops] -= names
    return np.cumsum(labels, axis=1, dtype=np.int32)[:, :width], len(first)


def _joined(
    rows: NDArray[np.intp], starts: NDArray[np.intp], stops: NDArray[np.intp], height: int
) -> NDArray[np.intp]:
    """For every run the smallest run it hangs together with."""
    parents = np.arange(len(rows))
    upper, lower = _touching(rows, starts, stops, height)
    while True:
        low, high = parents[upper], parents[lower]
        smaller = np.minimum(low, high)
        before = parents.copy()
        np.minimum.at(parents, low, smaller)
        np.minimum.at(parents, high, smaller)
        # Every run points at its root before the next round.
        while not np.array_equal(parents, parents[parents]):
            parents = parents[parents]
        if np.array_equal(before, parents):
            return parents


def _touching(
    rows: NDArray[np.intp], starts: NDArray[np.intp], stops: NDArray[np.intp], height: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of runs in neighbouring rows that share a column."""
    width = int(stops.max(initial=0)) + 1
    # Runs of all rows on one line; the row above is reached by adding a row's length.
    begin, end = rows * width + starts, rows * width + stops
    first = np.searchsorted(end, begin - width, side="right")
    last = np.searchsorted(begin, end - width, side="left")
    counts = np.maximum(last - first, 0)
    lower = np.repeat(np.arange(len(rows)), counts)
    offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(first, counts) + offsets, lower


def sizes(labels: Labels, count: int) -> NDArray[np.intp]:
    """Pixels of every part, ``(count,)``."""
    return np.bincount(labels.ravel(), minlength=count + 1)[1 : count + 1]


def holes(mask: Bool, most: int, known: Bool | None = None) -> Bool:
    """What a mask encloses: parts of the rest, of at most `most` pixels each, that touch no border.

    Args:
        mask: bool ``(h, w)``.
        most: Pixels of the largest hole that counts as one.
        known: bool ``(h, w)``; what holds any of these pixels is no hole either. None for none.

    Returns:
        bool ``(h, w)``.
    """
    labels, count = label(~mask)
    enclosed = np.concatenate([[False], sizes(labels, count) <= most])
    enclosed[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = False
    if known is not None:
        enclosed[labels[known]] = False
    found: Bool = enclosed[labels]
    return found


def spread(labels: Labels, open_to: Bool | None = None, *, rings: int | None = None) -> Labels:
    """Gives unnumbered pixels to the part that reaches them first, one ring of pixels at a time.

    Rings are diamonds and squares by turns, so that distances are those of an octagon, within 6 % of true
    ones. Each pixel is visited once, whatever the number of rings. Where two parts arrive together, the
    direction decides: the same for every call.

    Args:
        labels: int32 ``(h, w)``: 0 where unnumbered.
        open_to: bool ``(h, w)``, pixels that can be given out and passed through; None for all.
        rings: How many at most; None until nothing more can be reached.

    Returns:
        int32 ``(h, w)``: `labels` where they are numbered, else the part that got there first, or 0.
    """
    padded = np.pad(labels, 1, constant_values=-1)
    if open_to is not None:
        padded[1:-1, 1:-1][(labels == 0) & ~open_to] = -1
    width, flat = padded.shape[1], padded.reshape(-1)
    beside = (-width, -1, 1, width)
    around = (*beside, -width - 1, -width + 1, width - 1, width + 1)
    front, ring = _rim(padded), 0
    while front.size and ring != rings:
        grown = [_given(flat, front, step) for step in (around if ring % 2 else beside)]
        # What a diamond leaves out at its corners is for the square that follows.
        front = np.concatenate([front, *grown]) if ring % 2 == 0 else np.concatenate(grown)
        ring += 1
    reached: Labels = np.maximum(padded[1:-1, 1:-1], 0)
    return reached


def _rim(padded: Labels) -> NDArray[np.intp]:
    """Flat positions of numbered pixels that touch an unnumbered one, corners included."""
    free = padded == 0
    near = free.copy()
    near[1:] |= free[:-1]
    near[:-1] |= free[1:]
    wide = near.copy()
    wide[:, 1:] |= near[:, :-1]
    wide[:, :-1] |= near[:, 1:]
    return np.flatnonzero(wide & (padded > 0))


def _given(flat: Labels, front: NDArray[np.intp], step: int) -> NDArray[np.intp]:
    """Numbers the free pixels one step from the front; returns them."""
    ahead = front + step
    free = flat[ahead] == 0
    reached: NDArray[np.intp] = ahead[free]
    flat[reached] = flat[front[free]]
    return reached
