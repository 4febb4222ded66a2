"""Refinement by the edge network: where to look first, then alpha there, level by level, tile by tile.

1. On a small copy of the whole photo the network says where the coarse alpha is wrong. The unknown band is
   that, and what the coarse alpha leaves open.
2. At about the size of the coarse alpha the network answers in the band. What is still partial there is asked
   again at twice the size, from the enlarged answer, and so on up to the photo's own size.

A tile is as large as the unknown in it, on a grid of `STEP` pixels, with a margin that is thrown away: beyond
it the network hardly sees, so tiles agree. Tiles without anything unknown cost nothing, and nothing but the
alphas of two levels is ever held for the whole photo.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mattelike import resampling
from mattelike.components import bounds
from mattelike.errors import PhotoError, out_of_memory
from mattelike.refinement.grids import (
    Region,
    at,
    halved,
    places,
    planes,
    pyramid,
    sampled,
    tiles,
    with_margin,
)
from mattelike.refinement.trimaps import CEILING, FLOOR, widened
from mattelike.values import Bool, Float32, Pixels

EdgeNetwork = Callable[[Float32], tuple[Float32, Float32]]
"""Float32 ``(1, 5, h, w)`` (red, green, blue, guess, unknown; sides multiples of 16) to alpha ``(h, w)`` and
to how likely the guess is wrong, ``(h / 4, w / 4)`` in [0, 1]."""

STEP = 16
"""Sides and corners of what the network sees are multiples of this: its coarsest stride."""

TILE = 512

SMALLEST_TILE = 64
"""Where memory runs out tiles are halved, down to this: with its margins it takes an eighth of what one of
`TILE` takes; along the edge of a disc in 3 megapixels at 2.6 times the work, for the same alpha to 1e-6."""

MARGIN = 96
"""Pixels round a tile that the network sees and that are thrown away. With 64 a strand far from the thing it
belongs to differed by 0.08 from tile to tile, since the thing's colour was out of sight; with 96 by 2e-6."""

LOOK = 0.3
"""From this probability of being wrong a pixel of the coarse alpha is looked at."""

REACH = 2
"""What is asked again at twice the size is widened by this many pixels of the smaller."""

NEARLY = np.float32(0.02)
"""Within this of 0 or 1 an answer is 0 or 1."""

TRIMAP_START = 3
"""A trimap is first solved at half its size (`pyramid` stops within 1.5 of a third): wide bands become
narrow."""

SMALLEST_LOOK = 160
"""The small copy is half as large as the coarse alpha, unless that would make it smaller than this."""


def refined(
    network: EdgeNetwork,
    pixels: Pixels,
    coarse: Float32,
    *,
    band: int,
    doubtful: Bool | None = None,
    tile: int = TILE,
) -> Float32:
    """Alpha at the photo's size from a coarse alpha; `mattelike.refinement.refine` says what is what.

    Args:
        network: The edge network.
        pixels: uint8 or uint16 ``(h, w, 3)``.
        coarse: float32 ``(h0, w0)`` in [0, 1].
        band: What the coarse alpha leaves open is widened by this.
        doubtful: bool ``(h0, w0)``, further pixels to look at.
        tile: Side of the tiles, rounded up to a multiple of `STEP`.

    Returns:
        float32 ``(h, w)`` in [0, 1].
    """
    pictures = pyramid(pixels, coarse.shape[0], coarse.shape[1])
    unknown = _open(coarse, band)
    unknown |= wrong(network, pictures[-1], coarse) > LOOK
    if doubtful is not None:
        unknown |= doubtful
    return _solved(network, pictures, coarse, unknown, tile)


def from_trimap(pixels: Pixels, trimap: Float32, network: EdgeNetwork, *, tile: int = TILE) -> Float32:
    """Alpha of the unknown pixels of a trimap.

    Args:
        pixels: uint8 or uint16 ``(h, w, 3)``.
        trimap: float32 ``(h, w)``: 0 background, 1 foreground, anything between unknown.
        network: The edge network.
        tile: Side of the tiles, rounded up to a multiple of `STEP`.

    Returns:
        float32 ``(h, w)`` in [0, 1]; exactly the trimap where it is 0 or 1.

    Raises:
        PhotoError: When sizes differ.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or trimap.shape != pixels.shape[:2]:
        raise PhotoError(
            f"a photo of {pixels.shape} and a trimap of {trimap.shape} do not fit: resize one of them"
        )
    height, width = trimap.shape
    pictures = pyramid(pixels, height // TRIMAP_START, width // TRIMAP_START)
    coarse = resampling.resize(trimap, pictures[-1].shape[:2])
    unknown = (coarse > 0) & (coarse < 1)
    guess = np.where(unknown, np.float32(0.5), coarse)
    alpha = _solved(network, pictures, guess, unknown, tile, rounds=2)
    np.copyto(alpha, trimap, where=(trimap == 0) | (trimap == 1))
    return alpha


def _open(alpha: Float32, radius: int) -> Bool:
    """What is within `radius` of being open: of a partial pixel, or of both sides of a hard edge."""
    return widened(alpha > FLOOR, radius) & widened(alpha < CEILING, radius)


def wrong(network: EdgeNetwork, picture: Pixels, coarse: Float32) -> Float32:
    """How likely the coarse alpha is wrong, ``(h, w)`` in [0, 1], at its own size.

    Args:
        network: The edge network.
        picture: The photo at about the size of `coarse`.
        coarse: float32 ``(h, w)``.
    """
    if min(picture.shape[:2]) >= 2 * SMALLEST_LOOK:
        picture = halved(picture)
    size = picture.shape[0], picture.shape[1]
    seen = np.ones((5, *size), np.float32)
    seen[:3] = planes(picture, (0, size[0], 0, size[1]))
    seen[3] = resampling.resize(coarse, size)
    cells = network(_filled(seen)[None])[1]
    rows = places(0, coarse.shape[0], 4 * coarse.shape[0] / size[0])
    columns = places(0, coarse.shape[1], 4 * coarse.shape[1] / size[1])
    return sampled(cells, rows, columns)


def _solved(
    network: EdgeNetwork,
    pictures: Sequence[Pixels],
    coarse: Float32,
    unknown: Bool,
    tile: int,
    *,
    rounds: int = 1,
) -> Float32:
    """Level by level, in tiles as large as memory allows (trap 67)."""
    while True:
        try:
            return _climbed(network, pictures, coarse, unknown, -(-tile // STEP) * STEP, rounds)
        except Exception as error:
            if tile <= SMALLEST_TILE or not out_of_memory(error):
                raise
        tile = max(tile // 2, SMALLEST_TILE)


def _climbed(
    network: EdgeNetwork, pictures: Sequence[Pixels], coarse: Float32, unknown: Bool, tile: int, rounds: int
) -> Float32:
    """The coarsest level first and `rounds` times: a guess that says nothing is improved twice."""
    alpha = np.where(unknown, coarse, np.floor(coarse + np.float32(0.5))).astype(np.float32)
    first = pictures[-1]
    for _ in range(rounds):
        alpha = _level(network, first, _Enlarged(alpha, unknown, first.shape[:2]), tile)
    for picture in pictures[-2::-1]:
        alpha = _level(network, picture, _Enlarged(alpha, None, picture.shape[:2]), tile)
    return _settled(alpha)


@dataclass(frozen=True, slots=True, eq=False)
class _Enlarged:
    """A coarser answer on the grid of a level, region by region.

    Attributes:
        alpha: float32, the coarser answer.
        unknown: What of it is open; None where that is what is partial.
        size: Of the level.
    """

    alpha: Float32
    unknown: Bool | None
    size: tuple[int, ...]

    def __call__(self, region: Region) -> tuple[Float32, Bool]:
        """The guess and the unknown of a region of the level; the known is 0 or 1."""
        down, across = self.size[0] / self.alpha.shape[0], self.size[1] / self.alpha.shape[1]
        rows, columns = places(region[0], region[1], down), places(region[2], region[3], across)
        around = REACH + 1
        last = self.alpha.shape[0] - 1, self.alpha.shape[1] - 1
        part = (
            max(int(rows[0]) - around, 0),
            min(int(rows[-1]) + around + 1, last[0]) + 1,
            max(int(columns[0]) - around, 0),
            min(int(columns[-1]) + around + 1, last[1]) + 1,
        )
        values = self.alpha[at(part)]
        open_ = _open(values, REACH) if self.unknown is None else self.unknown[at(part)]
        shape = region[1] - region[0], region[3] - region[2]
        if not open_.any() and values.min() == values.max():
            return np.full(shape, values[0, 0] >= 0.5, np.float32), np.zeros(shape, np.bool_)
        rows, columns = rows - part[0], columns - part[2]
        guess = sampled(values, rows, columns)
        unknown = sampled(open_.astype(np.float32), rows, columns) > 0
        np.copyto(guess, np.floor(guess + np.float32(0.5)), where=~unknown)
        return guess, unknown


def _level(network: EdgeNetwork, picture: Pixels, start: _Enlarged, tile: int) -> Float32:
    """Alpha of one level: the guess where it is known, the network's answer where it is not."""
    height, width = picture.shape[:2]
    alpha = np.empty((height, width), np.float32)
    for region in tiles(height, width, tile):
        guess, unknown = start(region)
        alpha[at(region)] = guess
        around = bounds(unknown)
        if around is not None:
            inner = _tight(region, around)
            answer = _asked(network, picture, start, with_margin(inner, MARGIN, height, width), inner)
            np.copyto(alpha[at(inner)], answer, where=unknown[at(inner, region)])
    return alpha


def _tight(region: Region, around: tuple[int, int, int, int]) -> Region:
    """The part of a region that holds a rectangle in it, on the grid of `STEP` pixels."""
    top, left = (first // STEP * STEP for first in around[:2])
    bottom, right = (-(-last // STEP) * STEP for last in around[2:])
    return (
        region[0] + top,
        min(region[0] + bottom, region[1]),
        region[2] + left,
        min(region[2] + right, region[3]),
    )


def _asked(network: EdgeNetwork, picture: Pixels, start: _Enlarged, outer: Region, inner: Region) -> Float32:
    """The network's answer for `inner`, from what lies in `outer`."""
    seen = np.empty((5, outer[1] - outer[0], outer[3] - outer[2]), np.float32)
    seen[:3] = planes(picture, outer)
    seen[3], seen[4] = start(outer)
    answer = network(_filled(seen)[None])[0]
    part: Float32 = answer[at(inner, outer)].clip(0, 1)
    return part


def _filled(seen: Float32) -> Float32:
    """Filled up to multiples of `STEP` by repeating the last row and column."""
    missing = [-size % STEP for size in seen.shape[1:]]
    if not any(missing):
        return seen
    return np.pad(seen, ((0, 0), (0, missing[0]), (0, missing[1])), mode="edge")


def _settled(alpha: Float32) -> Float32:
    """What is nearly 0 or 1 is it; in place, what lies between is stretched."""
    alpha -= NEARLY
    alpha *= 1 / (1 - 2 * NEARLY)
    return alpha.clip(0, 1, out=alpha)
