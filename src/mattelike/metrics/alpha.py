"""Errors of one matte against its truth: SAD, MSE, MAD, GRAD, CONN."""

from __future__ import annotations

import numpy as np

from mattelike.errors import SettingsError
from mattelike.metrics import connectivity, gradient
from mattelike.metrics.pairs import Raster, pair
from mattelike.values import Bool


def sad(pred: Raster, true: Raster, *, where: Bool | None = None) -> float:
    """Sum of absolute differences, in thousands of pixels.

    Args:
        pred: ``(h, w)``; float in [0, 1], or uint8, uint16 or bool, read by the range their type declares
            (a mask of 0 and 1 must be bool).
        true: The same.
        where: bool ``(h, w)``, the pixels that count, such as ``trimap == 128``; None for the whole picture.

    Returns:
        ``sum |pred - true| / 1000``; 0 for an empty region.

    Raises:
        MetricError: Prediction and truth differ in shape, or a value is NaN, infinite or outside [0, 1].
    """
    return float(np.abs(pair(pred, true, where).error).sum()) / 1000


def mse(pred: Raster, true: Raster, *, where: Bool | None = None) -> float:
    """Mean squared error, plain: many papers print it times 1000.

    Arguments and errors as in `sad`.

    Returns:
        ``mean (pred - true)**2``; 0 for an empty region.
    """
    error = pair(pred, true, where).error
    return float(np.square(error).mean()) if error.size else 0.0


def mad(pred: Raster, true: Raster, *, where: Bool | None = None) -> float:
    """Mean absolute difference.

    Arguments and errors as in `sad`.

    Returns:
        ``mean |pred - true|``; 0 for an empty region.
    """
    error = pair(pred, true, where).error
    return float(np.abs(error).mean()) if error.size else 0.0


def grad(pred: Raster, true: Raster, *, where: Bool | None = None) -> float:
    """Squared difference of gradient lengths, in thousands (Rhemann et al., CVPR 2009).

    Gradients are derivatives of a Gaussian with sigma 1.4, kernels of 9 x 9 pixels and norm 1, borders
    repeated; both are taken over the whole picture, the region restricts the sum only.

    Arguments and errors as in `sad`.

    Returns:
        ``sum (|grad pred| - |grad true|)**2 / 1000``; 0 for an empty region.
    """
    return gradient.squared_gap(pair(pred, true, where)) / 1000


def conn(
    pred: Raster, true: Raster, *, where: Bool | None = None, variant: connectivity.Variant = "standard"
) -> float:
    """Connectivity error, in thousands (Rhemann et al., CVPR 2009).

    For each threshold 0.1 to 1.0 the largest 4-connected part of the pixels that reach it in both mattes is
    found; ``l`` is the last threshold up to which a pixel stays in that part, and ``phi(v) = 1 - d`` with
    ``d = v - l``, or 1 where d is below 0.15. Parts are those of the whole picture, the region restricts the
    sum only. Thresholds are compared in float64 as a range of floats makes them, so the 8-bit level 153 (0.6)
    fails 0.6000000000000001 where a float32 0.6 passes: to agree with others, measure saved 8-bit levels.

    Arguments and errors as in `sad`, and:

    Args:
        pred: As in `sad`.
        true: As in `sad`.
        where: As in `sad`.
        variant: ``"standard"``: the largest part of the foreground. ``"release"``: as the code published with
            In-Context Matting, where the background counts as a part too; errors far from a small object then
            cost nothing.

    Returns:
        ``sum |phi(pred) - phi(true)| / 1000``; 0 for an empty region.

    Raises:
        SettingsError: No such variant.
    """
    if variant not in ("standard", "release"):
        raise SettingsError(f"no connectivity is called {variant!r}; there are: standard, release")
    return connectivity.gap(pair(pred, true, where), variant) / 1000
