"""Prediction and truth, checked side by side before anything is measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mattelike.errors import MetricError
from mattelike.values import Bool

Raster = NDArray[Any]
Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One prediction and its truth.

    Attributes:
        pred: float64 ``(h, w)`` in [0, 1].
        true: float64 ``(h, w)`` in [0, 1].
        where: bool ``(h, w)``, the pixels that count; None for all of them.
    """

    pred: Float64
    true: Float64
    where: Bool | None = None

    @property
    def error(self) -> Float64:
        """``pred - true`` of the pixels that count, float64 ``(n,)``."""
        difference = self.pred - self.true
        return difference.ravel() if self.where is None else difference[self.where]


def pair(pred: Raster, true: Raster, where: Bool | None) -> Pair:
    """Two mattes of one picture, brought to float64 in [0, 1].

    Args:
        pred: ``(h, w)``; float in [0, 1], or uint8, uint16 or bool, read by the range their type declares.
        true: The same.
        where: bool ``(h, w)`` or None.

    Raises:
        MetricError: Sizes or channels differ, a value is not finite or outside [0, 1], or the type has no
            declared range.
    """
    _same_shape(pred, true, axes=2)
    if where is not None:
        _same_region(where, pred.shape)
    return Pair(_alpha(pred, "prediction"), _alpha(true, "truth"), where)


def frames(pred: Raster, true: Raster, where: Bool | None) -> Iterator[Pair]:
    """The frames of a clip, one pair at a time, so that a long clip is never held in float64.

    Args:
        pred: ``(t, h, w)``, types as in `pair`.
        true: The same.
        where: bool ``(h, w)`` for all frames alike, ``(t, h, w)`` for each its own, or None.

    Raises:
        MetricError: As in `pair`, or fewer than two frames.
    """
    _same_shape(pred, true, axes=3)
    if len(pred) < 2:
        raise MetricError("a clip of one frame has no change to measure: give at least two frames")
    if where is not None:
        _same_region(where, pred.shape if where.ndim == 3 else pred.shape[1:])
    return _frames(pred, true, where)


def _frames(pred: Raster, true: Raster, where: Bool | None) -> Iterator[Pair]:
    for t in range(len(pred)):
        region = where if where is None or where.ndim == 2 else where[t]
        yield Pair(
            _alpha(pred[t], f"frame {t} of the prediction"),
            _alpha(true[t], f"frame {t} of the truth"),
            region,
        )


def _same_shape(pred: Raster, true: Raster, *, axes: int) -> None:
    if pred.shape != true.shape:
        raise MetricError(
            f"prediction {pred.shape} and truth {true.shape} differ in shape: "
            "nothing is resized here, bring them to one size first"
        )
    if pred.ndim != axes:
        wanted = "(height, width)" if axes == 2 else "(frames, height, width)"
        raise MetricError(
            f"prediction {pred.shape} and truth {true.shape} must be {wanted}: give one channel"
        )
    if pred.size == 0:
        raise MetricError(f"prediction {pred.shape} and truth {true.shape} hold no pixels")


def _same_region(where: Bool, shape: tuple[int, ...]) -> None:
    if where.dtype != np.bool_:
        raise MetricError(f"the region must be bool, not {where.dtype}: write trimap == 128 or the like")
    if where.shape != shape:
        raise MetricError(f"region {where.shape} and mattes {shape} differ in shape")


def _alpha(values: Raster, role: str) -> Float64:
    if values.dtype == np.bool_:
        return values.astype(np.float64)
    if values.dtype in (np.uint8, np.uint16):
        return values / np.float64(np.iinfo(values.dtype).max)
    if values.dtype.kind != "f":
        raise MetricError(
            f"{role} of type {values.dtype} has no declared range: give floats in [0, 1] or uint8"
        )
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        bad = int(values.size - np.isfinite(values).sum())
        raise MetricError(f"{role} has {bad} pixels that are NaN or infinite")
    if low < 0 or high > 1:
        raise MetricError(f"{role} ranges from {low:g} to {high:g}: alpha is 0 to 1, clip or scale it first")
    return values.astype(np.float64, copy=False)
