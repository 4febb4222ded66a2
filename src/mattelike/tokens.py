"""From marks on a photo to weights on the cells of a feature grid.

The paper shrinks the mark to the grid of the features and keeps the cells that are set (section 3.4); how it
shrinks decides whether a thin or tiny mark survives. Here one clicked pixel is one token on every grid.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mattelike import resampling
from mattelike.resampling import Extent, Size
from mattelike.values import Bool, Float32, RoI

Mode = Literal["auto", "min", "max", "average"]

_HALF = 0.5


def coverage(mask: Bool | Float32, grid: Size, extent: Extent | None = None) -> Float32:
    """How much of each cell is marked: the exact area average, also where sizes do not divide.

    Args:
        mask: ``(h, w)``, bool, or float32 in [0, 1] for a soft mask.
        grid: ``(rows, columns)`` of the feature grid.
        extent: Cells that the photo spans where the grid reaches into padding (`framing.Frame.extent`).

    Returns:
        float32 ``(rows, columns)`` in [0, 1]; 1.0 exactly for a cell that is covered.
    """
    return resampling.area(mask, grid, extent)


def pool(roi: RoI, grid: Size, mode: Mode = "auto", extent: Extent | None = None) -> tuple[Float32, Float32]:
    """Weights of the tokens that are the thing, and of those that are known not to be.

    Args:
        roi: What is marked, at the photo's own size, whatever that is.
        grid: ``(rows, columns)`` of the feature grid.
        mode: ``"min"`` keeps cells that are covered entirely (the authors' release); ``"max"`` cells with any
            marked pixel; ``"average"`` gives the share of the cell that is marked. ``"auto"`` is "max" for
            points and scribbles, which would not survive anything else, and "min" for masks and boxes; if no
            cell of the thing is covered entirely, those covered to at least a half, and if there are none
            either, the one cell covered most. The negatives of a mask go no further than the half: the cell
            with most background in it may still be nearly all thing.
        extent: Cells that the photo spans where the grid reaches into padding (`framing.Frame.extent`).
            Cells outside the photo get weight 0 in both.

    Returns:
        ``(positive, negative)``, float32 ``(rows, columns)`` each, in [0, 1]; 0 or 1 except for "average".
        A coarse cell may be both, when it holds marks of both.
    """
    if mode == "auto" and roi.kind in ("points", "scribbles"):
        mode = "max"
    positive = _pooled(roi.positive, grid, mode, extent)
    negative = _pooled(roi.negative, grid, mode, extent)
    if mode == "auto" and not positive.any():
        positive = _best(coverage(roi.positive, grid, extent))
    return positive, negative


def fringe(weights: Float32) -> Bool:
    """Cells that touch the thing and are not of it: half thing, half background, they speak for neither.

    What is compared with "this" and with "not this" is misled by them: they are most like the edge of the
    thing, and where a mark was made whole by a guess, some are parts of it that the guess missed.

    Args:
        weights: float32 ``(rows, columns)`` in [0, 1], how much each cell is the thing.

    Returns:
        bool ``(rows, columns)``; false everywhere where there is no thing.
    """
    thing: Bool = (weights >= min(_HALF, float(weights.max()))) & (weights > 0)
    rows, columns = thing.shape
    wide = np.pad(thing, 1)
    touched = np.zeros_like(thing)
    for row in range(3):
        for column in range(3):
            touched |= wide[row : row + rows, column : column + columns]
    return touched & ~thing


def _pooled(mask: Bool, grid: Size, mode: Mode, extent: Extent | None) -> Float32:
    if mode == "average":
        return coverage(mask, grid, extent)
    if mode == "max":
        return _weights(resampling.any_set(mask, grid, extent))
    covered = resampling.all_set(mask, grid, extent)
    if mode == "auto" and not covered.any():
        covered = coverage(mask, grid, extent) >= _HALF
    return _weights(covered)


def _best(share: Float32) -> Float32:
    """The single cell with the largest share (the first in raster order on a tie); none if all are 0."""
    best = np.zeros_like(share)
    winner = int(share.argmax())
    best.flat[winner] = float(share.flat[winner] > 0)
    return best


def _weights(cells: NDArray[np.bool_]) -> Float32:
    return cells.astype(np.float32)
