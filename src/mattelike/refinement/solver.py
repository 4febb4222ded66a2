"""Alpha between what is sure, by the closed-form matting Laplacian and conjugate gradients in numpy."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from mattelike.errors import SettingsError
from mattelike.refinement.windows import Windows, check
from mattelike.values import Bool, Float32

EPS = 1e-6
RADIUS = 1
SMALLEST = 0.01
"""`relax` damps what belongs to eigenvalues above this; the rest is left to coarser levels."""


def closed_form(
    image: Float32,
    trimap: Float32,
    *,
    start: Float32 | None = None,
    radius: int = RADIUS,
    eps: float = EPS,
    steps: int = 1000,
    tolerance: float = 1e-5,
) -> Float32:
    """Alpha of the unknown pixels: the least ``alpha^T L alpha`` that agrees with what is known.

    Levin, Lischinski and Weiss 2008, with L applied by window sums (He, Sun and Tang 2010). Few steps from a
    good start stay near it where the colours decide nothing, which is why `refine` takes few.

    Args:
        image: float32 ``(h, w, 3)`` in [0, 1].
        trimap: float32 ``(h, w)``: 0 background, 1 foreground, anything between unknown.
        start: First guess of alpha where it is unknown; the trimap's own value by default.
        radius: Windows have ``(2 radius + 1)^2`` pixels.
        eps: Colour variance below which a window counts as flat.
        steps: At most this many steps of conjugate gradients.
        tolerance: Stop once a step would change alpha by less than this, root mean square.

    Returns:
        float32 ``(h, w)`` in [0, 1]; exactly the trimap where it is 0 or 1.

    Raises:
        PhotoError: When sizes differ.
        SettingsError: When a number makes no sense.
    """
    check(image, trimap)
    if radius < 1 or eps <= 0 or steps < 0 or tolerance < 0:
        raise SettingsError("closed_form: need radius >= 1, eps > 0, steps >= 0 and tolerance >= 0")
    unknown = (trimap > 0) & (trimap < 1)
    guess = trimap if start is None else np.where(unknown, start, trimap)
    if not unknown.any():
        return guess.copy()
    windows = Windows.of(np.ascontiguousarray(np.moveaxis(image, -1, 0)), radius, eps)
    return descend(windows, guess, unknown, steps, tolerance)


@runtime_checkable
class Laplacian(Protocol):
    """What `descend` needs of the windows of a picture."""

    @property
    def share(self) -> Float32:
        """One over the number of pixels of each window, ``(h, w)``."""

    def laplacian(self, alpha: Float32) -> Float32:
        """``L alpha``."""


def descend(
    windows: Laplacian,
    start: Float32,
    unknown: Bool,
    steps: int,
    tolerance: float,
    *,
    hold: Float32 | None = None,
) -> Float32:
    """Conjugate gradients on the unknown pixels; the known ones stay as they are in `start`.

    The diagonal of L is nearly the number of windows that hold a pixel, which serves as preconditioner.

    Args:
        windows: Of the picture.
        start: float32 ``(h, w)``.
        unknown: bool ``(h, w)``.
        steps: At most this many.
        tolerance: Stop once a step would change alpha by less than this, root mean square.
        hold: float32 ``(h, w)``, adds ``hold (alpha - start)^2`` to what is made least; None adds nothing.
    """
    free = unknown.astype(np.float32)
    held = np.float32(0) if hold is None else hold
    weight = np.reciprocal(1 / windows.share + held)
    alpha = start.copy()
    residual = -free * windows.laplacian(alpha)
    scaled = residual * weight
    direction = scaled.copy()
    energy = float(np.vdot(residual, scaled))
    enough = tolerance**2 * float(np.vdot(free, 1 / weight))
    for _ in range(steps):
        if energy <= enough:
            break
        image = free * (windows.laplacian(direction) + held * direction)
        curvature = float(np.vdot(direction, image))
        if curvature <= 0:  # only rounding is left
            break
        step = np.float32(energy / curvature)
        alpha += step * direction
        residual -= step * image
        scaled = residual * weight
        previous, energy = energy, float(np.vdot(residual, scaled))
        direction = scaled + np.float32(energy / previous) * direction
    return alpha.clip(0, 1)


def relax(windows: Laplacian, start: Float32, unknown: Bool, steps: int) -> Float32:
    """Chebyshev iteration: like `descend`, but what a step does nowhere depends on the rest of the picture.

    A step carries a value two window radii far and no further, so that a tile with a margin of that many
    pixels a step gives the answer of the whole picture. L divided by the size of its windows has no
    eigenvalue above 1, since every window contributes identity less a projection.
    """
    free = unknown.astype(np.float32) * windows.share
    middle, half = (1 + SMALLEST) / 2, (1 - SMALLEST) / 2
    ratio = half / middle
    alpha = start.copy()
    change = np.zeros_like(alpha)
    for step in range(steps):
        again = 1 / (2 * middle / half - ratio) if step else ratio
        keep, gain = (again * ratio, 2 * again / half) if step else (0.0, 1 / middle)
        change = np.float32(keep) * change - np.float32(gain) * free * windows.laplacian(alpha)
        alpha += change
        ratio = again
    return alpha.clip(0, 1)
