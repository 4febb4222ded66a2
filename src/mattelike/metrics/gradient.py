"""Length of the gradient of a matte, by derivatives of a Gaussian: what GRAD compares."""

from __future__ import annotations

import math

import numpy as np

from mattelike.metrics.pairs import Float64, Pair

SIGMA = 1.4
# The kernel ends where the Gaussian has fallen to 0.01.
REACH = math.ceil(SIGMA * math.sqrt(-2 * math.log(math.sqrt(2 * math.pi) * SIGMA * 0.01)))
# Rows worked on together: small enough for the processor's cache.
BLOCK = 32


def taps(sigma: float = SIGMA, reach: int = REACH) -> tuple[Float64, Float64]:
    """Gaussian and its derivative, each ``(2 reach + 1,)`` and of norm 1.

    Their outer product is the kernel; its Frobenius norm is then 1 too.
    """
    x = np.arange(-reach, reach + 1, dtype=np.float64)
    gauss = np.exp(-(x**2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))
    slope = -x * gauss / sigma**2
    return gauss / np.linalg.norm(gauss), slope / np.linalg.norm(slope)


def kernels() -> tuple[Float64, Float64]:
    """The two kernels, ``hx`` and ``hy = hx.T``: float64 ``(9, 9)``, Frobenius norm 1."""
    gauss, slope = taps()
    return np.outer(gauss, slope), np.outer(slope, gauss)


def squared_gap(pair: Pair) -> float:
    """Sum of ``(|grad pred| - |grad true|)**2`` over the pixels that count; borders are repeated.

    Only where prediction and truth differ within the reach of the kernel can a pixel add to the sum, so
    only those columns of each block of rows are looked at.
    """
    height, width = pair.pred.shape
    total = 0.0
    for top in range(0, height, BLOCK):
        bottom = min(top + BLOCK, height)
        rows = np.clip(np.arange(top - REACH, bottom + REACH), 0, height - 1)
        pred, true = pair.pred[rows], pair.true[rows]
        unlike = np.flatnonzero((pred != true).any(axis=0))
        if unlike.size == 0:
            continue
        left, right = max(0, int(unlike[0]) - REACH), min(width, int(unlike[-1]) + REACH + 1)
        columns = np.clip(np.arange(left - REACH, right + REACH), 0, width - 1)
        gap = _lengths(pred[:, columns]) - _lengths(true[:, columns])
        if pair.where is not None:
            gap = gap[pair.where[top:bottom, left:right]]
        total += float(np.square(gap).sum())
    return total


def _lengths(values: Float64) -> Float64:
    """Gradient lengths of a window that brings its own border of `REACH`: ``(h + 8, w + 8) -> (h, w)``."""
    gauss, slope = taps()
    across = _convolved(_convolved(values, slope, axis=1), gauss, axis=0)
    down = _convolved(_convolved(values, gauss, axis=1), slope, axis=0)
    lengths: Float64 = np.sqrt(across**2 + down**2)
    return lengths


def _convolved(values: Float64, weights: Float64, axis: int) -> Float64:
    """True convolution (the kernel is turned round) without borders."""
    length = values.shape[axis] - len(weights) + 1
    line = np.moveaxis(values, axis, 0)
    total: Float64 = weights[-1] * line[:length]
    for offset, weight in enumerate(weights[-2::-1], start=1):
        total += weight * line[offset : offset + length]
    return np.moveaxis(total, 0, axis)
