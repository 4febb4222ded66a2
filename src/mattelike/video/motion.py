"""Where each pixel was one frame ago: a small dense flow, and how far it can be trusted.

Lucas and Kanade's least squares in a window, from coarse to fine ("An Iterative Image Registration
Technique", IJCAI 1981; Bouguet's pyramid, 2000), at every pixel at once. It is exact where nothing moves: two
equal pictures give a flow of zero, and following it gives back the very same numbers.
"""

from __future__ import annotations

import numpy as np

from mattelike import resampling
from mattelike.refinement.windows import box
from mattelike.values import Float32

LEVELS = 4
STEPS = 3
REACH = 3
"""Window radius, in pixels of a level."""

STIFF = 1e-3
"""Added to the squared slopes: where there is no slope to hold on to, nothing moves."""

SMALLEST = 12
LONGEST_STEP = 1.5


def flow(now: Float32, before: Float32) -> Float32:
    """Where in `before` each pixel of `now` was.

    Args:
        now: float32 ``(h, w)`` in [0, 1].
        before: The same, one frame earlier.

    Returns:
        float32 ``(2, h, w)``: rows and columns to add; ``before[p + flow[p]]`` looks like ``now[p]``.
    """
    pyramid = [(now, before)]
    while len(pyramid) < LEVELS and min(pyramid[-1][0].shape) >= 2 * SMALLEST:
        pyramid.append((halved(pyramid[-1][0]), halved(pyramid[-1][1])))
    found = np.zeros((2, *pyramid[-1][0].shape), np.float32)
    for here, there in reversed(pyramid):
        if found.shape[1:] != here.shape:
            scale = np.array([a / b for a, b in zip(here.shape, found.shape[1:], strict=True)], np.float32)
            found = scale[:, None, None] * enlarged(found, here.shape)
        for _ in range(STEPS):
            found += _step(here, there, found)
    return found


def followed(values: Float32, motion: Float32) -> Float32:
    """Values of the frame before, each where it is now; bilinear, kept inside.

    Args:
        values: float32 ``(h, w)`` or ``(h, w, c)``.
        motion: float32 ``(2, h, w)``, from `flow`.
    """
    height, width = motion.shape[1:]
    rows = np.arange(height, dtype=np.float32)[:, None] + motion[0]
    columns = np.arange(width, dtype=np.float32)[None] + motion[1]
    return resampling.bilinear(values, rows, columns)


def halved(image: Float32) -> Float32:
    """Means of two by two pixels."""
    return resampling.area(image, (-(-image.shape[0] // 2), -(-image.shape[1] // 2)))


def enlarged(maps: Float32, size: tuple[int, ...]) -> Float32:
    """Maps ``(n, h, w)`` at another size, bilinear."""
    last = np.ascontiguousarray(np.moveaxis(maps, 0, -1))
    return np.ascontiguousarray(np.moveaxis(resampling.resize(last, (size[0], size[1])), -1, 0))


def _step(now: Float32, before: Float32, motion: Float32) -> Float32:
    """One Gauss-Newton step at every pixel."""
    seen = followed(before, motion)
    down, across = np.gradient(seen)
    off = now - seen
    sums = box(np.stack([down * down, across * across, down * across, down * off, across * off]), REACH)
    a, b, c, u, v = sums / np.float32((2 * REACH + 1) ** 2)
    a, b = a + np.float32(STIFF), b + np.float32(STIFF)
    whole = a * b - c * c
    step = np.stack([(b * u - c * v) / whole, (a * v - c * u) / whole])
    limited: Float32 = np.clip(step, -LONGEST_STEP, LONGEST_STEP).astype(np.float32)
    return limited
