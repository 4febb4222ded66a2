"""Alpha as a linear function of colour inside small windows: what all matting without training rests on.

In a window w_k the alpha of a natural picture is nearly ``a_k . I + b_k`` (Levin, Lischinski and Weiss 2008).
The least-squares a_k and b_k come from window sums alone. Averaged over all windows that hold a pixel they
are the guided filter (He, Sun and Tang 2010, "Guided Image Filtering"); what they leave unexplained is the
matting Laplacian L (the same authors, "Fast Matting Using Large Kernel Matting Laplacian Matrices")::

    (L p)_i = |w| p_i - (sum a_k) . I_i - sum b_k        over the windows k that hold pixel i

so that ``L p`` costs a few window sums, whatever their radius, and no matrix is ever stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mattelike.errors import PhotoError, SettingsError
from mattelike.values import Float32

Array = NDArray[Any]

GRAY = np.float32(0.5)
"""Taken from all colours, which keeps sums small. With the mean of a tile, tiles would round differently."""


def box(values: Array, radius: int) -> Array:
    """Sums over ``(2 radius + 1)^2`` windows, cut off at the borders, along the last two axes.

    Sums of doubling length are added up: log2 of the radius many additions, none of the cancellation of
    running sums. The dtype stays.
    """
    return _along(_along(values, radius, -1), radius, -2)


def _part(values: Array, axis: int, start: int, stop: int | None) -> Array:
    return values[..., start:stop] if axis == -1 else values[..., start:stop, :]


def _along(values: Array, radius: int, axis: int) -> Array:
    if radius == 0:
        return values
    if radius == 1:
        total = values.copy()
        _part(total, axis, 1, None)[...] += _part(values, axis, 0, -1)
        _part(total, axis, 0, -1)[...] += _part(values, axis, 1, None)
        return total
    length = values.shape[axis]
    shape = list(values.shape)
    shape[axis] = length + 2 * radius
    doubled = np.zeros(shape, values.dtype)
    _part(doubled, axis, radius, radius + length)[...] = values
    total, done, reach, rest = np.zeros_like(values), 0, 1, 2 * radius + 1
    while rest:
        if rest & 1:
            total += _part(doubled, axis, done, done + length)
            done += reach
        rest >>= 1
        if rest:
            doubled = _part(doubled, axis, 0, -reach) + _part(doubled, axis, reach, None)
            reach *= 2
    return total


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """The windows of one picture, ready to fit any number of alphas.

    Attributes:
        image: float32 ``(3, h, w)``, colours less `GRAY`.
        radius: Windows have ``(2 radius + 1)^2`` pixels.
        count: float32 ``(h, w)``, pixels of each window; smaller at the borders.
        share: ``1 / count``.
        mean: float32 ``(3, h, w)``, mean colour of each window.
        inverse: float32 ``(6, h, w)``, upper triangle of the inverse of its covariance plus eps.
    """

    image: Float32
    radius: int
    count: Float32
    share: Float32
    mean: Float32
    inverse: Float32

    @classmethod
    def of(cls, planes: Float32, radius: int, eps: float) -> Windows:
        """Windows of ``planes`` (float32 ``(3, h, w)`` in [0, 1]); eps is a variance, in the same units.

        The inverse of a nearly singular matrix is not to be had in float32, so this part is float64.
        """
        image = planes.astype(np.float64) - GRAY
        count = box(np.ones(planes.shape[1:]), radius)
        mean = box(image, radius) / count
        pairs = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
        moments = np.stack([image[i] * image[j] for i, j in pairs])
        covariance = box(moments, radius) / count
        for slot, (i, j) in zip(covariance, pairs, strict=True):
            slot -= mean[i] * mean[j]
            slot += eps * (i == j)
        count32 = count.astype(np.float32)
        return cls(
            image.astype(np.float32),
            radius,
            count32,
            np.reciprocal(count32),
            mean.astype(np.float32),
            _inverse(covariance),
        )

    def fit(self, alpha: Float32) -> tuple[Float32, Float32]:
        """The best ``a . I + b`` in each window for an alpha ``(h, w)``: a ``(3, h, w)`` and b ``(h, w)``."""
        weighted = np.empty((4, *alpha.shape), np.float32)
        np.multiply(self.image, alpha, out=weighted[:3])
        weighted[3] = alpha
        means = box(weighted, self.radius)
        means *= self.share
        level = means[3]
        red, green, blue = means[:3] - self.mean * level
        rr, rg, rb, gg, gb, bb = self.inverse
        slope = np.empty_like(self.image)
        slope[0] = rr * red + rg * green + rb * blue
        slope[1] = rg * red + gg * green + gb * blue
        slope[2] = rb * red + gb * green + bb * blue
        return slope, level - dot(slope, self.mean)

    def summed(self, alpha: Float32) -> tuple[Float32, Float32]:
        """The a and b of `fit`, summed over all windows that hold a pixel."""
        slope, offset = self.fit(alpha)
        return box(slope, self.radius), box(offset, self.radius)

    def smoothed(self, alpha: Float32) -> Float32:
        """The guided filter: the mean, over the windows that hold a pixel, of what they say of it."""
        slope, offset = self.summed(alpha)
        smooth: Float32 = (dot(slope, self.image) + offset) * self.share
        return smooth

    def laplacian(self, alpha: Float32) -> Float32:
        """``L alpha``, the part of alpha that the windows cannot explain by colour."""
        slope, offset = self.summed(alpha)
        left: Float32 = self.count * alpha - dot(slope, self.image) - offset
        return left


def dot(one: Float32, other: Float32) -> Float32:
    """Scalar products of two fields of colours ``(3, h, w)``."""
    product: Float32 = one[0] * other[0] + one[1] * other[1] + one[2] * other[2]
    return product


def _inverse(matrix: Array) -> Float32:
    """Inverse of symmetric 3 x 3 matrices, upper triangles ``(6, h, w)``, by their adjugates."""
    a, b, c, d, e, f = matrix
    adjugate = np.stack(
        [d * f - e * e, c * e - b * f, b * e - c * d, a * f - c * c, b * c - a * e, a * d - b * b]
    )
    determinant = a * adjugate[0] + b * adjugate[1] + c * adjugate[2]
    inverse: Float32 = (adjugate / determinant).astype(np.float32)
    return inverse


def guided(image: Float32, alpha: Float32, radius: int, eps: float = 1e-4) -> Float32:
    """Guided filter with a colour picture (He, Sun and Tang 2010): `alpha` with the edges of `image`.

    Args:
        image: float32 ``(h, w, 3)`` in [0, 1].
        alpha: float32 ``(h, w)``, any map.
        radius: Windows have ``(2 radius + 1)^2`` pixels.
        eps: Colour variance below which a window counts as flat.

    Returns:
        float32 ``(h, w)``; may leave the range of `alpha` a little.

    Raises:
        PhotoError: When sizes differ.
        SettingsError: When `radius` is negative or `eps` not positive.
    """
    check(image, alpha)
    if radius < 0 or eps <= 0:
        raise SettingsError(f"guided: need radius >= 0 and eps > 0, got {radius} and {eps}")
    return Windows.of(np.moveaxis(image, -1, 0), radius, eps).smoothed(alpha)


def check(image: Float32, alpha: Float32) -> None:
    """Raises PhotoError unless `image` is ``(h, w, 3)`` and `alpha` ``(h, w)``."""
    if image.ndim != 3 or image.shape[2] != 3 or alpha.shape != image.shape[:2]:
        raise PhotoError(
            f"a picture of {image.shape} and a map of {alpha.shape} do not fit: resize one of them"
        )
