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


PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
"""Rows and columns of the upper triangle of a 3 x 3 matrix."""

WHOLE = 2**24
"""float32 holds every whole number up to this."""


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
    if radius == 1 and values.shape[axis] > 2:
        return _threes(values, axis)
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


def _threes(values: Array, axis: int) -> Array:
    """Sums of each value and its two neighbours along an axis of at least three."""
    total = np.empty_like(values, order="C")
    if axis == -1:
        # All rows as one: a third of the time of row by row. Where two rows meet is mended below.
        source, sums = values.reshape(-1), total.reshape(-1)
        np.add(source[:-2], source[2:], out=sums[1:-1])
        total[..., 0], total[..., -1] = values[..., 1], values[..., -2]
    else:
        np.add(values[..., :-2, :], values[..., 2:, :], out=total[..., 1:-1, :])
        total[..., 0, :], total[..., -1, :] = values[..., 1, :], values[..., -2, :]
    total += values
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
        inverse: float32 ``(6, h, w)``, upper triangle of the inverse of its covariance plus eps, times
            `share`.
    """

    image: Float32
    radius: int
    count: Float32
    share: Float32
    mean: Float32
    inverse: Float32

    @classmethod
    def of(cls, planes: Float32, radius: int, eps: float, top: int | None = None) -> Windows:
        """Windows of a picture.

        Args:
            planes: float32 ``(3, h, w)`` in [0, 1].
            radius: Windows have ``(2 radius + 1)^2`` pixels.
            eps: Variance below which a window counts as flat, in the units of `planes`.
            top: Where ``planes * top`` are whole numbers, which may make sums exact and the work half.
        """
        if top is not None and ((2 * radius + 1) ** 2 * top) ** 2 <= WHOLE:
            count, mean, covariance = _exact(planes, radius, top)
        else:
            count, mean, covariance = _moments(planes, radius)
        for slot in (0, 3, 5):
            covariance[slot] += eps
        share = np.reciprocal(count)
        return cls(planes - GRAY, radius, count, share, mean, _inverse(covariance) * share)

    def fit(self, alpha: Float32) -> Float32:
        """The best ``a . I + b`` in each window for an alpha ``(h, w)``: a and b as ``(4, h, w)``."""
        weighted = np.empty((4, *alpha.shape), np.float32)
        np.multiply(self.image, alpha, out=weighted[:3])
        weighted[3] = alpha
        sums = box(weighted, self.radius)
        colours, level = sums[:3], sums[3]
        colours -= self.mean * level
        red, green, blue = colours
        rr, rg, rb, gg, gb, bb = self.inverse
        lines = np.empty_like(weighted)
        for row, (x, y, z) in zip(lines[:3], ((rr, rg, rb), (rg, gg, gb), (rb, gb, bb)), strict=True):
            np.multiply(x, red, out=row)
            row += y * green
            row += z * blue
        np.multiply(level, self.share, out=lines[3])
        lines[3] -= dot(lines, self.mean)
        return lines

    def summed(self, alpha: Float32) -> Float32:
        """The a and b of `fit`, summed over all windows that hold a pixel: ``(4, h, w)``."""
        return box(self.fit(alpha), self.radius)

    def smoothed(self, alpha: Float32) -> Float32:
        """The guided filter: the mean, over the windows that hold a pixel, of what they say of it."""
        lines = self.summed(alpha)
        smooth: Float32 = (dot(lines, self.image) + lines[3]) * self.share
        return smooth

    def laplacian(self, alpha: Float32) -> Float32:
        """``L alpha``, the part of alpha that the windows cannot explain by colour."""
        lines = self.summed(alpha)
        left: Float32 = self.count * alpha
        left -= dot(lines, self.image)
        left -= lines[3]
        return left


def dot(one: Float32, other: Float32) -> Float32:
    """Scalar products of two fields of colours ``(3, h, w)``."""
    product: Float32 = one[0] * other[0]
    product += one[1] * other[1]
    product += one[2] * other[2]
    return product


def _moments(planes: Float32, radius: int) -> tuple[Float32, Float32, Array]:
    """Pixels, mean and covariance of every window.

    The inverse of a nearly singular matrix is not to be had in float32, so the covariance is float64.
    """
    image = planes.astype(np.float64) - GRAY
    count = box(np.ones(planes.shape[1:]), radius)
    mean = box(image, radius) / count
    covariance = box(np.stack([image[i] * image[j] for i, j in PAIRS]), radius) / count
    for slot, (i, j) in zip(covariance, PAIRS, strict=True):
        slot -= mean[i] * mean[j]
    return count.astype(np.float32), mean.astype(np.float32), covariance


def _exact(planes: Float32, radius: int, top: int) -> tuple[Float32, Float32, Array]:
    """`_moments` of whole numbers small enough that float32 adds and multiplies them without any rounding."""
    whole = np.rint(planes * np.float32(top))
    count = box(np.ones(planes.shape[1:], np.float32), radius)
    sums = box(whole, radius)
    covariance = np.empty((6, *count.shape), np.float32)
    for slot, (i, j) in zip(covariance, PAIRS, strict=True):
        np.multiply(whole[i], whole[j], out=slot)
    covariance = box(covariance, radius)
    covariance *= count
    for slot, (i, j) in zip(covariance, PAIRS, strict=True):
        slot -= sums[i] * sums[j]
    per_window = np.reciprocal(count * np.float32(top))
    covariance *= np.square(per_window)
    return count, sums * per_window - GRAY, covariance


def _inverse(matrix: Array) -> Float32:
    """Inverse of symmetric 3 x 3 matrices, upper triangles ``(6, h, w)``.

    By the factors ``L D L^T``: what is left of a pivot keeps its digits where an adjugate loses them.
    """
    a, b, c, d, e, f = matrix
    one = np.reciprocal(a)
    l21, l31 = b * one, c * one
    two = np.reciprocal(d - l21 * b)
    rest = e - l21 * c
    l32 = rest * two
    three = np.reciprocal(f - l31 * c - l32 * rest)
    # Rows of the inverse of L: (1, 0, 0), (-l21, 1, 0), (up, -l32, 1).
    up = l21 * l32 - l31
    inverse = np.empty(matrix.shape, np.float32)
    inverse[2] = up * three
    inverse[4] = -l32 * three
    inverse[5] = three
    inverse[1] = -l21 * two - l32 * inverse[2]
    inverse[3] = two - l32 * inverse[4]
    inverse[0] = one + l21 * l21 * two + up * inverse[2]
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
