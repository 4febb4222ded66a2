"""Connected parts of a mask, in plain numpy: runs of each row, joined where they touch the row above."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mattelike.values import Bool

Labels = NDArray[np.int32]


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


def _joined(rows: NDArray[np.intp], starts: NDArray[np.intp], stops: NDArray[np.intp], height: int) -> NDArray[np.intp]:
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
