"""From a sample's pixels to the square that IconMatting learns from (D17): paper and release."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mattelike.training.sample_pixels import Loaded

Geometry = Literal["random_crop", "release"]

# How the release brings a picture or an alpha to its square; one is drawn for each.
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")
# Lobes of the Lanczos kernel, as OpenCV has it.
LOBES = 4
# A crop of a reference is drawn anew until this share of it is the thing, at most so many times.
LEAST, TRIES = 0.01, 10


@dataclass(frozen=True, slots=True, eq=False)
class Square:
    """One picture with its truth, as a square.

    Attributes:
        image: ``(3, s, s)`` in [-1, 1].
        alpha: ``(s, s)`` in [0, 1].
        trimap: ``(s, s)`` in {0, 0.5, 1}, or None.
    """

    image: Tensor
    alpha: Tensor
    trimap: Tensor | None


def squared(
    sample: Loaded, side: int, geometry: Geometry, generator: torch.Generator, *, reference: bool = False
) -> Square:
    """A square of a sample.

    Args:
        sample: Pixels and truth.
        side: Of the square, in pixels.
        geometry: ``random_crop`` cuts a square out of the picture at its own scale, enlarged only where it
            is smaller (paper); ``release`` takes the centre at any scale.
        generator: Of all chance.
        reference: Cut where the thing is: a reference without it says nothing.
    """
    image = torch.from_numpy(sample.image).permute(2, 0, 1)
    alpha = torch.from_numpy(sample.alpha)
    trimap = None if sample.trimap is None else torch.from_numpy(sample.trimap)
    if geometry == "release":
        return _centred(Square(image, alpha, trimap), side, generator)
    return _cropped(_enlarged(Square(image, alpha, trimap), side), side, generator, reference)


def _enlarged(square: Square, side: int) -> Square:
    """No side shorter than `side`."""
    height, width = square.alpha.shape
    scale = side / min(height, width)
    if scale <= 1:
        return square
    size = max(side, round(height * scale)), max(side, round(width * scale))
    return _resized(square, size, "bilinear", "bilinear")


def _cropped(square: Square, side: int, generator: torch.Generator, reference: bool) -> Square:
    """A square cut out by chance."""
    height, width = square.alpha.shape
    places = (_place(height - side, width - side, generator) for _ in range(TRIES if reference else 1))
    shown = (at for at in places if not reference or float(_cut(square.alpha, at, side).mean()) >= LEAST)
    at = next(shown, None) or _around(square.alpha, side)
    trimap = None if square.trimap is None else _cut(square.trimap, at, side)
    return Square(_cut(square.image, at, side), _cut(square.alpha, at, side), trimap)


def _place(free_rows: int, free_columns: int, generator: torch.Generator) -> tuple[int, int]:
    top, left = (int(torch.randint(free + 1, (), generator=generator)) for free in (free_rows, free_columns))
    return top, left


def _around(alpha: Tensor, side: int) -> tuple[int, int]:
    """The crop around the pixel where the thing is most solid, the first of them in raster order."""
    height, width = alpha.shape
    row, column = divmod(int(alpha.argmax()), width)
    return min(max(0, row - side // 2), height - side), min(max(0, column - side // 2), width - side)


def _cut(x: Tensor, at: tuple[int, int], side: int) -> Tensor:
    return x[..., at[0] : at[0] + side, at[1] : at[1] + side].contiguous()


def _centred(square: Square, side: int, generator: torch.Generator) -> Square:
    """The release's: centre of the picture, each map with an interpolation of its own."""
    height, width = square.alpha.shape
    short = min(height, width)
    at = ((height - short) // 2, (width - short) // 2)
    chosen = [INTERPOLATIONS[int(torch.randint(4, (), generator=generator))] for _ in range(2)]
    trimap = None if square.trimap is None else _cut(square.trimap, at, short)
    whole = Square(_cut(square.image, at, short), _cut(square.alpha, at, short), trimap)
    return _resized(whole, (side, side), chosen[0], chosen[1])


def _resized(square: Square, size: tuple[int, int], image: str, alpha: str) -> Square:
    trimap = square.trimap
    return Square(
        resized(square.image, size, image).clamp(-1, 1),
        resized(square.alpha[None], size, alpha)[0].clamp(0, 1),
        None if trimap is None else resized(trimap[None], size, "nearest")[0],
    )


def resized(x: Tensor, size: tuple[int, int], how: str) -> Tensor:
    """A map ``(c, h, w)`` at another size, without any smoothing where it shrinks, as the release has it."""
    if (x.shape[-2], x.shape[-1]) == size:
        return x
    if how == "lanczos":
        down, across = (_lanczos(old, new) for old, new in zip(x.shape[-2:], size, strict=True))
        return down @ x @ across.T
    if how == "nearest":
        return F.interpolate(x[None], size=size, mode="nearest")[0]
    return F.interpolate(x[None], size=size, mode=how, align_corners=False)[0]


@cache
def _lanczos(old: int, new: int) -> Tensor:
    """Weights ``(new, old)``; a sample beyond the border counts as the one at it."""
    place = (torch.arange(new, dtype=torch.float64) + 0.5) * old / new - 0.5
    first = place.floor().long() - LOBES + 1
    taken = first[:, None] + torch.arange(2 * LOBES)
    away = place[:, None] - taken
    weights = torch.sinc(away) * torch.sinc(away / LOBES) * (away.abs() < LOBES)
    weights = weights / weights.sum(dim=1, keepdim=True)
    matrix = torch.zeros(new, old, dtype=torch.float64)
    return matrix.scatter_add_(1, taken.clamp(0, old - 1), weights).float()
