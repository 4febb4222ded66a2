"""Pictures at several sizes, regions of them, and values at positions between their pixels.

Pixel i is the interval ``[i, i + 1)``; its value sits in the middle. A half of an odd side is rounded up.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mattelike.values import Float32, Pixels

COARSEST = 1.5
"""The coarsest level has at most this many pixels per pixel of the coarse alpha, along each side..."""

LARGEST = 1_500_000
"""...and at most this many in all, since it is solved as a whole."""

STRIP = 64
"""Rows of a half that are made at a time."""

Region = tuple[int, int, int, int]
Positions = NDArray[np.float64]


def pyramid(pixels: Pixels, height: int, width: int) -> list[Pixels]:
    """The photo and its halves, down to about ``(height, width)``."""
    pictures = [pixels]
    while (
        pictures[-1].shape[0] > COARSEST * height
        or pictures[-1].shape[1] > COARSEST * width
        or pictures[-1].shape[0] * pictures[-1].shape[1] > LARGEST
    ):
        pictures.append(halved(pictures[-1]))
    return pictures


def halved(pixels: Pixels) -> Pixels:
    """Means of 2 x 2 pixels, in strips; an odd edge is repeated."""
    height, width = pixels.shape[:2]
    half: Pixels = np.empty(((height + 1) // 2, (width + 1) // 2, 3), pixels.dtype)
    for top in range(0, half.shape[0], STRIP):
        part = pixels[2 * top : 2 * (top + STRIP)]
        strip = np.pad(part, ((0, part.shape[0] % 2), (0, width % 2), (0, 0)), mode="edge")
        rows = np.add(strip[::2], strip[1::2], dtype=np.uint16 if pixels.dtype == np.uint8 else np.uint32)
        # Every pixel with the next one, in one run over all of them, and then every second of them as a
        # whole: twice the sums in half the time of runs of three channels.
        flat = rows.reshape(-1)
        flat[:-3] += flat[3:]
        flat += 2
        flat >>= 2
        whole = np.dtype((np.void, 3 * pixels.itemsize))
        means = rows.astype(pixels.dtype).view(whole)
        half[top : top + STRIP].view(whole)[:] = means[:, ::2]
    return half


def tiles(height: int, width: int, side: int) -> Iterator[Region]:
    """Regions ``(top, bottom, left, right)`` that cover a picture."""
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield top, min(top + side, height), left, min(left + side, width)


def with_margin(region: Region, margin: int, height: int, width: int) -> Region:
    """The region and `margin` pixels round it, as far as the picture goes."""
    top, left = max(region[0] - margin, 0), max(region[2] - margin, 0)
    return top, min(region[1] + margin, height), left, min(region[3] + margin, width)


def planes(picture: Pixels, region: Region) -> Float32:
    """A region of a picture as float32 ``(3, h, w)`` in [0, 1]."""
    part = picture[region[0] : region[1], region[2] : region[3]].transpose(2, 0, 1)
    planes = np.ascontiguousarray(part, np.float32)
    planes *= np.float32(1 / np.iinfo(picture.dtype).max)
    return planes


def sampled(values: Float32, rows: Positions, columns: Positions) -> Float32:
    """Bilinear values ``(..., len(rows), len(columns))`` at positions; beyond the edge, those of the edge."""
    for axis, positions in ((-2, rows), (-1, columns)):
        last = values.shape[axis] - 1
        inside = positions.clip(0, last)
        before = inside.astype(np.intp)
        share = (inside - before).astype(np.float32)
        share = share[:, None] if axis == -2 else share
        lower, upper = (np.take(values, index, axis) for index in (before, np.minimum(before + 1, last)))
        values = lower + share * (upper - lower)
    return values


def doubled(values: Float32, axis: int) -> Float32:
    """`sampled` at twice the size along the last axis but one (-2) or the last (-1), by slices."""
    source = values if axis == -1 else values.swapaxes(-1, -2)
    near, far = source * np.float32(0.75), source * np.float32(0.25)
    shape = list(values.shape)
    shape[axis] *= 2
    result = np.empty(shape, np.float32)
    sums = result if axis == -1 else result.swapaxes(-1, -2)
    np.add(near[..., 1:], far[..., :-1], out=sums[..., 2::2])
    np.add(near[..., :-1], far[..., 1:], out=sums[..., 1:-1:2])
    sums[..., 0], sums[..., -1] = source[..., 0], source[..., -1]
    return result


def places(start: int, stop: int, scale: float) -> Positions:
    """Where the middles of pixels ``start..stop - 1`` lie on a grid `scale` times as coarse."""
    return (np.arange(start, stop, dtype=np.float64) + 0.5) / scale - 0.5


def at(region: Region, inside: Region = (0, 0, 0, 0)) -> tuple[slice, slice]:
    """Rows and columns of a region; of the part of an array that begins where `inside` does."""
    top, left = inside[0], inside[2]
    return slice(region[0] - top, region[1] - top), slice(region[2] - left, region[3] - left)


def enlarged(coarse: Float32, height: int, width: int) -> Float32:
    """A coarse alpha at full size, bilinear, tile by tile."""
    alpha = np.empty((height, width), np.float32)
    down, across = height / coarse.shape[0], width / coarse.shape[1]
    for top, bottom, left, right in tiles(height, width, 256):
        where = places(top, bottom, down), places(left, right, across)
        alpha[top:bottom, left:right] = sampled(coarse, *where)
    return alpha.clip(0, 1, out=alpha)
