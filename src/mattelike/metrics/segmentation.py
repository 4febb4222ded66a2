"""Agreement of hard masks: intersection over union, of the whole and of the boundary."""

from __future__ import annotations

import math

import numpy as np

from mattelike.metrics.pairs import Raster, pair
from mattelike.values import Bool

# Width of the boundary as a share of the picture's diagonal (Cheng et al., CVPR 2021).
BOUNDARY = 0.02


def iou(pred: Raster, true: Raster, *, where: Bool | None = None) -> float:
    """Intersection over union of the pixels above one half.

    Args:
        pred: ``(h, w)``; float in [0, 1], or uint8, uint16 or bool, read by the range their type declares
            (a mask of 0 and 1 must be bool).
        true: The same.
        where: bool ``(h, w)``, the pixels that count; None for the whole picture.

    Returns:
        In [0, 1], more is better; 1 where neither holds anything.

    Raises:
        MetricError: Prediction and truth differ in shape, or a value is NaN, infinite or outside [0, 1].
    """
    both = pair(pred, true, where)
    return _overlap(both.pred > 0.5, both.true > 0.5, where)


def boundary_iou(pred: Raster, true: Raster, *, where: Bool | None = None) -> float:
    """Intersection over union of the inner boundaries (Cheng et al., CVPR 2021).

    The inner boundary of a mask are its pixels nearer to the outside than 2% of the picture's diagonal, in
    steps of a king; beyond the edges of the picture is outside. The region restricts the counts only.

    Arguments, result and errors as in `iou`.
    """
    both = pair(pred, true, where)
    distance = max(1, round(BOUNDARY * math.hypot(*pred.shape)))
    return _overlap(_boundary(both.pred > 0.5, distance), _boundary(both.true > 0.5, distance), where)


def _overlap(pred: Bool, true: Bool, where: Bool | None) -> float:
    region = np.True_ if where is None else where
    union = np.count_nonzero((pred | true) & region)
    return np.count_nonzero(pred & true & region) / union if union else 1.0


def _boundary(mask: Bool, distance: int) -> Bool:
    return mask & ~_eroded(_eroded(mask, distance, axis=0), distance, axis=1)


def _eroded(mask: Bool, distance: int, axis: int) -> Bool:
    """Pixels with no outside within a distance along one axis, by counting in a sliding window."""
    line = np.moveaxis(mask, axis, 0)
    size = 2 * distance + 1
    # One row more at the start makes each window the difference of two running sums.
    counts = np.cumsum(np.pad(line, ((distance + 1, distance), (0, 0))), axis=0, dtype=np.int32)
    inside: Bool = counts[size:] - counts[:-size] == size
    return np.moveaxis(inside, 0, axis)
