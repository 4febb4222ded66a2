"""Refinement from the size a model saw to the photo's own, level by level, tile by tile.

With the edge network this is done by `mattelike.refinement.learned`; without it, by a solver:

1. The photo is halved until it is about half as large as the coarse alpha; as large as that, where it is
   small. There the unknown band is what the coarse alpha (and its uncertainty) leaves open, widened by `band`
   pixels of the coarse alpha.
2. In the band alpha is solved by the closed-form Laplacian, started from the coarse alpha and held to it a
   little. Where the coarse alpha is doubted and the colours leave more than an edge half open, it takes a
   side.
3. The solution is carried to the next finer level as a linear function of colour (Levin et al. 2008, section
   5; the fast guided filter, He and Sun 2015): edges already follow the finer picture. What is still partial
   there is solved again, by fewer steps, and so on up to the photo's own size.

The coarsest level is solved as a whole. Finer ones are solved tile by tile, with a margin wider than what the
few steps reach: neighbouring tiles agree bit for bit, and nothing but the alphas of two levels is ever held
for the whole photo.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mattelike.components import bounds
from mattelike.errors import PhotoError, SettingsError
from mattelike.refinement import learned
from mattelike.refinement.grids import (
    Region,
    at,
    doubled,
    enlarged,
    places,
    planes,
    pyramid,
    sampled,
    tiles,
    with_margin,
)
from mattelike.refinement.learned import EdgeNetwork
from mattelike.refinement.solver import EPS, RADIUS, descend, relax
from mattelike.refinement.trimaps import CEILING, FLOOR, sure, widened
from mattelike.refinement.windows import GRAY, Windows, box, dot
from mattelike.values import Bool, Float32, Pixels

BAND = 3
"""Half-width of the unknown band, in pixels of the coarse alpha."""

DOUBT = 0.2
"""Where the expected error of the coarse alpha is above this it is unknown."""

TILE = 192
"""Side of the working tiles: small, so that they follow the band and stay in the cache."""

HALVED_FROM = 256
"""A coarse alpha of at least this many rows and columns is first solved at half its size: a quarter of the
work, and values are carried twice as far. On a smaller one hairs would be lost."""

MARGIN = 10
"""Pixels round a tile that are solved with it and thrown away; `STEPS` steps reach less far."""

FIRST_STEPS = 40
"""At most; `TOLERANCE` mostly ends it sooner."""

STEPS = 4
TOLERANCE = 5e-4
NEARLY = 0.08
"""Within this of 0 or 1 a solved alpha is 0 or 1: what the solver leaves open is less than it knows."""

NO_FOREGROUND = "edges not refined: nothing in this photo is surely the thing"
NO_BACKGROUND = "edges not refined: nothing in this photo is surely background"

CARRY_EPS = 1e-5

HOLD = 0.1
"""How strongly alpha is held to the coarse one in the band. A network's answer knows more than the colours
of its surroundings: held a hundred times less, the error on the public validation is a fifth to a third
higher."""

LOOSE = 3e-4
"""The same where the coarse alpha is doubted: a tie-break where the colours decide nothing."""

EDGE_NEAR = 8
"""Within so many pixels of both the thing and the rest, a partial alpha may be an edge."""

EDGE_FROM = 0.8
"""Alphas above this are the thing, below one minus this the rest, for that purpose."""

VEIL, PARTIAL = 3, 0.05
"""What is partial, further than `PARTIAL` from 0 and 1, in a square of ``2 VEIL + 1`` pixels of the coarsest
level and more is no edge."""

Refine = bool | Literal["learned", "closed-form", "none"]
"""Ways to refine, by name; True is ``"closed-form"``, False is ``"none"``."""


def check_refine(way: Refine) -> None:
    """Refuses a way to refine that does not exist.

    Raises:
        SettingsError: As said.
    """
    if not isinstance(way, bool) and way not in ("learned", "closed-form", "none"):
        raise SettingsError(f"no way to refine is called {way!r}; there are: learned, closed-form, none")


@dataclass(frozen=True, slots=True, eq=False)
class Refined:
    """What became of a coarse alpha.

    Attributes:
        alpha: float32 ``(h, w)`` in [0, 1], at the photo's size.
        reason: Why the edges were not refined, one sentence; empty when they were.
    """

    alpha: Float32
    reason: str = ""


def refine(
    pixels: Pixels,
    coarse: Float32,
    *,
    band: int = BAND,
    uncertainty: Float32 | None = None,
    tile: int | None = None,
    network: EdgeNetwork | None = None,
) -> Refined:
    """Brings a coarse alpha to the photo's size, with edges that follow the photo.

    Outside the unknown band alpha is exactly 0 or 1. The network looks beyond the band too, for places where
    `coarse` is wrong. Beyond input and output about 5 bytes a pixel are
    needed, and some tens of megabytes whatever the size.

    Args:
        pixels: uint8 or uint16 ``(h, w, 3)``.
        coarse: float32 ``(h0, w0)`` in [0, 1]: alpha of all of the photo, at its size or smaller.
        band: Half-width of the unknown band, in pixels of `coarse`: how far off its edges may be.
        uncertainty: Expected absolute error of `coarse`, same shape; adds what it doubts to the band.
        tile: Side of the working tiles; changes memory and speed, never the answer (by the network, not by
            more than a thousandth). None is what is best for either way.
        network: The edge network; None solves the closed form instead.

    Returns:
        The alpha; or, when nothing is surely the thing or nothing surely background (trap 56), `coarse`
        enlarged, with the reason.

    Raises:
        PhotoError: When the arrays do not fit together.
        SettingsError: When `band` is negative or `tile` not positive.
    """
    _check(pixels, coarse, uncertainty)
    if uncertainty is not None:
        coarse = decided(coarse, uncertainty)
    if band < 0 or (tile is not None and tile < 1):
        raise SettingsError(f"refine: need band >= 0 and tile >= 1, got {band} and {tile}")
    known = _known(coarse, uncertainty, band)
    height, width = pixels.shape[:2]
    if isinstance(known, str):
        return Refined(enlarged(coarse, height, width), known)
    if network is not None:
        doubtful = None if uncertainty is None else uncertainty > DOUBT
        side = tile or learned.TILE
        return Refined(learned.refined(network, pixels, coarse, band=band, doubtful=doubtful, tile=side))
    tile = tile or TILE
    share = 2 if min(coarse.shape) >= HALVED_FROM else 1
    pictures = pyramid(pixels, coarse.shape[0] // share, coarse.shape[1] // share)
    first = _First(coarse, known, _held(coarse, uncertainty), 2 ** (len(pictures) - 1), (height, width))
    alpha = _unveiled(_solved_whole(pictures[-1], first, tile), first)
    for level in range(len(pictures) - 2, -1, -1):
        first = replace(first, step=2**level)
        alpha = _solved(pictures[level], _Finer(pictures[level], pictures[level + 1], alpha, first), tile)
    return Refined(alpha)


def decided(coarse: Float32, uncertainty: Float32) -> Float32:
    """A coarse alpha without the veils of a doubt that is about all or nothing.

    An alpha a that stands for "all of it with probability a, else nothing" is off by ``2 a (1 - a)`` on
    average; glass and hair, which are what their alpha says, are off by less. So the expected error tells
    one from the other: as far as it is that of a coin, alpha takes a side. Not along edges: those are for
    the colours to decide.

    Args:
        coarse: float32 ``(h, w)`` in [0, 1].
        uncertainty: Its expected absolute error, same shape.

    Returns:
        float32 ``(h, w)`` in [0, 1]; as it was at 0, at a half and at 1, and where nothing is doubted.
    """
    rest = 1 - coarse
    share = np.clip(uncertainty / np.maximum(2 * coarse * rest, np.float32(1e-3)), 0, 1)
    near_both = widened(coarse > EDGE_FROM, EDGE_NEAR) & widened(coarse < 1 - EDGE_FROM, EDGE_NEAR)
    share[near_both] = 0
    result: Float32 = coarse + share * (_sided(coarse) - coarse)
    return result


def _sided(alpha: Float32) -> Float32:
    """Alpha nearer to 0 or 1, whichever it is nearer to: the third power of its odds, 0.3 becomes 0.07."""
    rest = np.float32(1) - alpha
    odds, against = alpha * alpha * alpha, rest * rest * rest
    result: Float32 = np.divide(odds, odds + against, dtype=np.float32)
    return result


def _unveiled(alpha: Float32, start: _First) -> Float32:
    """The coarsest level's alpha without veils: what is doubted and is left half open, wider than an edge.

    There the network was let go and the colours did not decide either. What is sure of being half
    transparent, such as glass, is not doubted, and masks and trimaps from elsewhere are not.
    """
    partial = (alpha > PARTIAL) & (alpha < 1 - PARTIAL)
    wide = ~widened(~partial, VEIL)
    if not wide.any():
        return alpha
    whole = 0, alpha.shape[0], 0, alpha.shape[1]
    veiled = widened(wide, VEIL) & partial & (start.enlarged(start.held, whole) < HOLD / 2)
    return np.where(veiled, _sided(alpha), alpha)


def _check(pixels: Pixels, coarse: Float32, uncertainty: Float32 | None) -> None:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype not in (np.uint8, np.uint16):
        raise PhotoError(f"expected uint8 or uint16 (h, w, 3), got {pixels.dtype} {pixels.shape}")
    if coarse.ndim != 2 or coarse.size == 0 or not np.isfinite(coarse).all():
        raise PhotoError(f"a coarse alpha is a finite (h, w) map, got {coarse.shape}")
    if uncertainty is not None and uncertainty.shape != coarse.shape:
        raise PhotoError(f"uncertainty is {uncertainty.shape} but the coarse alpha {coarse.shape}")


def _known(coarse: Float32, uncertainty: Float32 | None, band: int) -> Float32 | str:
    """The trimap of the coarse alpha, or why there is none.

    Thin things have no pixel that is sure at the full width of the band: for them it is narrowed.
    """
    low, high = (coarse, coarse) if uncertainty is None else _doubted(coarse, uncertainty)
    for radius in range(band, -1, -1):
        background, foreground = ~widened(high > FLOOR, radius), ~widened(low < CEILING, radius)
        if background.any() and foreground.any():
            known = np.full(coarse.shape, 0.5, np.float32)
            known[background] = 0
            known[foreground] = 1
            return known
    return NO_BACKGROUND if foreground.any() else NO_FOREGROUND


def _doubted(coarse: Float32, uncertainty: Float32) -> tuple[Float32, Float32]:
    """The coarse alpha made neither low nor high enough to be sure where it is doubted."""
    doubtful = uncertainty > DOUBT
    return np.where(doubtful, np.float32(0), coarse), np.where(doubtful, np.float32(1), coarse)


def _held(coarse: Float32, uncertainty: Float32 | None) -> Float32:
    """How strongly alpha is held to every pixel of the coarse one: hardly, where that is doubted."""
    held = np.full(coarse.shape, HOLD, np.float32)
    if uncertainty is not None:
        held[uncertainty > DOUBT] = LOOSE
    return held


# --- where a level starts ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _First:
    """The coarsest level starts from the coarse alpha and its trimap.

    Called with a region of a level, it gives the first guess and the unknown; the known is 0 or 1.
    """

    coarse: Float32
    known: Float32
    held: Float32
    step: int
    size: tuple[int, int]

    def __call__(self, region: Region) -> tuple[Float32, Bool]:
        guess = self.enlarged(self.known, region)
        unknown = (guess > 0) & (guess < 1)
        np.copyto(guess, self.enlarged(self.coarse, region), where=unknown)
        return guess, unknown

    def enlarged(self, coarse: Float32, region: Region) -> Float32:
        """A coarse map where `region` of the level is."""
        top, bottom, left, right = region
        down = self.size[0] / self.coarse.shape[0] / self.step
        across = self.size[1] / self.coarse.shape[1] / self.step
        return sampled(coarse, places(top, bottom, down), places(left, right, across))


@dataclass(frozen=True, slots=True, eq=False)
class _Finer:
    """A finer level starts from the coarser one's alpha, carried over as a linear function of colour.

    Called with a region of a level, it gives the first guess and the unknown; the known is 0 or 1.
    """

    picture: Pixels
    coarser: Pixels
    alpha: Float32
    first: _First

    def __call__(self, region: Region) -> tuple[Float32, Bool]:
        half = _halved(region, *self._size)
        part = self.alpha[at(half)]
        shape = region[1] - region[0], region[3] - region[2]
        if part.min() == part.max() and part[0, 0] in (0, 1):
            return np.full(shape, part[0, 0], np.float32), np.zeros(shape, np.bool_)
        guess = self.first.enlarged(self.first.known, region)
        unknown = np.zeros(shape, np.bool_)
        varied = _varied(guess)
        if varied is not None:
            self._open(part, half, region, varied, guess, unknown)
        return guess, unknown

    def _open(
        self, part: Float32, half: Region, region: Region, varied: Region, guess: Float32, unknown: Bool
    ) -> None:
        """Carries alpha over into `varied`, a part of `region`; what is still partial there is unknown."""
        known = guess[at(varied)]
        top, left = region[0], region[2]
        there = top + varied[0], top + varied[1], left + varied[2], left + varied[3]
        carried = self._carried(part, half, there)
        found = np.where((known > 0) & (known < 1), carried.clip(0, 1), known)
        background, foreground = sure(found, 1, NEARLY, 1 - NEARLY)
        found[background] = 0
        found[foreground] = 1
        guess[at(varied)] = found
        unknown[at(varied)] = ~(background | foreground)

    @property
    def _size(self) -> tuple[int, int]:
        return self.alpha.shape[0], self.alpha.shape[1]

    def _carried(self, part: Float32, half: Region, region: Region) -> Float32:
        around = _halved(region, *self._size)
        windows = _windows(self.coarser, around, CARRY_EPS)
        lines = windows.summed(part[at(around, half)])
        lines *= windows.share
        fine = at(region, (2 * around[0], 0, 2 * around[2], 0))
        lines = doubled(doubled(lines, -1)[..., fine[1]], -2)[..., fine[0], :]
        carried = dot(lines, planes(self.picture, region) - GRAY)
        carried += lines[3]
        return carried


def _halved(region: Region, height: int, width: int) -> Region:
    """What of the next coarser level, of ``height x width``, decides a region of a level."""
    top, bottom, left, right = region
    return with_margin((top // 2, (bottom + 1) // 2, left // 2, (right + 1) // 2), 3, height, width)


def _varied(known: Float32) -> Region | None:
    """The rectangle, two pixels wider, round all that is neither 0 nor 1 or lies where 0 and 1 meet."""
    varied = (known > 0) & (known < 1)
    varied[1:] |= known[1:] != known[:-1]
    varied[:, 1:] |= known[:, 1:] != known[:, :-1]
    found = bounds(varied)
    if found is None:
        return None
    top, left, bottom, right = found
    return with_margin((top, bottom, left, right), 2, *known.shape)


def _windows(picture: Pixels, region: Region, eps: float) -> Windows:
    """The windows of a region of a picture."""
    return Windows.of(planes(picture, region), RADIUS, eps, np.iinfo(picture.dtype).max)


# --- one level ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Blocks:
    """The Laplacian of a whole level, kept only for the tiles that hold something unknown.

    A tile with two window radii round it gives exact rows of ``L p``: what conjugate gradients find with it
    is the solution of the level, not of tiles.
    """

    share: Float32
    parts: tuple[tuple[Region, Region, Windows], ...]

    @classmethod
    def of(cls, picture: Pixels, unknown: Bool, tile: int) -> _Blocks:
        height, width = unknown.shape
        parts = []
        for region in tiles(height, width, tile):
            inner = _unknown_part(region, unknown[at(region)])
            if inner is not None:
                outer = with_margin(inner, 2 * RADIUS, height, width)
                parts.append((inner, outer, _windows(picture, outer, EPS)))
        return cls(np.reciprocal(box(np.ones((height, width), np.float32), RADIUS)), tuple(parts))

    def laplacian(self, alpha: Float32) -> Float32:
        result = np.zeros_like(alpha)
        for region, outer, windows in self.parts:
            result[at(region)] = windows.laplacian(alpha[at(outer)])[at(region, outer)]
        return result


def _solved_whole(picture: Pixels, start: _First, tile: int) -> Float32:
    """Alpha of the coarsest level, by many steps."""
    whole = 0, picture.shape[0], 0, picture.shape[1]
    guess, unknown = start(whole)
    if unknown.any():
        blocks, hold = _Blocks.of(picture, unknown, tile), start.enlarged(start.held, whole)
        _settle(guess, descend(blocks, guess, unknown, FIRST_STEPS, TOLERANCE, hold=hold), unknown)
    return guess


def _solved(picture: Pixels, start: _Finer, tile: int) -> Float32:
    """Alpha of a finer level, tile by tile, by few steps."""
    height, width = picture.shape[:2]
    alpha = np.empty((height, width), np.float32)
    for region in tiles(height, width, tile):
        around = with_margin(region, MARGIN, height, width)
        guess, unknown = start(around)
        inner = _unknown_part(region, unknown[at(region, around)])
        if inner is not None:
            outer = with_margin(inner, MARGIN, height, width)
            part, open_ = guess[at(outer, around)], unknown[at(outer, around)]
            windows = _windows(picture, outer, EPS)
            _settle(part, relax(windows, part, open_, STEPS), open_)
        alpha[at(region)] = guess[at(region, around)]
    return alpha


def _unknown_part(region: Region, unknown: Bool) -> Region | None:
    """The rectangle around all that is unknown in a region; None where nothing is."""
    found = bounds(unknown)
    if found is None:
        return None
    top, left, bottom, right = found
    return region[0] + top, region[0] + bottom, region[2] + left, region[2] + right


def _settle(alpha: Float32, solved: Float32, unknown: Bool) -> None:
    """Puts what was solved into `alpha`, stretched so that what is nearly 0 or 1 is it."""
    stretched = (solved - np.float32(NEARLY)) / np.float32(1 - 2 * NEARLY)
    np.copyto(alpha, stretched.clip(0, 1), where=unknown)
