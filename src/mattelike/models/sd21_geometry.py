"""Between a picture and the square the released head needs, and back (D23); levels of a PNG (D32)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mattelike.models.sd21_settings import Geometry


def to_square(images: Tensor, side: int, geometry: Geometry) -> Tensor:
    """The square a head sees.

    Args:
        images: float32 ``(b, c, h, w)``.
        side: Of the square, in pixels.
        geometry: ``resize`` stretches to it; ``pad`` keeps the proportions and fills the rest, right and
            below, by reflection; ``release`` keeps the centre alone.

    Returns:
        ``(b, c, side, side)``; the same tensor if it is that already.
    """
    height, width = images.shape[-2:]
    if (height, width) == (side, side):
        return images
    if geometry == "release":
        top, left, short = centre(height, width)
        images = images[..., top : top + short, left : left + short]
    if geometry == "pad":
        content = padded_content(height, width, side)
        return reflected(_resized(images, content), side)
    return _resized(images, (side, side))


def from_square(square: Tensor, size: tuple[int, int], geometry: Geometry) -> Tensor:
    """A map of the square brought back to the picture, bilinearly.

    ``release`` stretches the map of the centre over the whole picture, as the authors' evaluation does.

    Args:
        square: ``(b, c, side, side)``.
        size: Of the picture.
        geometry: As for `to_square`.
    """
    if geometry == "pad":
        height, width = padded_content(*size, square.shape[-1])
        square = square[..., :height, :width]
    if (square.shape[-2], square.shape[-1]) == size:
        return square
    return F.interpolate(square, size=size, mode="bilinear", align_corners=False)


def centre(height: int, width: int) -> tuple[int, int, int]:
    """First row, first column and side of the centred square."""
    short = min(height, width)
    return (height - short) // 2, (width - short) // 2, short


def padded_content(height: int, width: int, side: int) -> tuple[int, int]:
    """Size of a picture whose longer side is brought to `side`."""
    scale = side / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def reflected(images: Tensor, side: int) -> Tensor:
    """Filled up to a square by reflection, as often as it takes."""
    for axis in (-2, -1):
        length = images.shape[axis]
        index = torch.arange(side, device=images.device) % max(1, 2 * length - 2)
        index = torch.where(index < length, index, 2 * length - 2 - index)
        images = images.index_select(axis, index)
    return images


def _resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)


def levels(alpha: NDArray[Any], rounding: Literal["round", "floor"]) -> NDArray[np.uint8]:
    """8-bit levels of alpha, any shape, clamped to 0 to 255.

    Args:
        alpha: In [0, 1].
        rounding: ``round`` half up, or the release's ``floor``, which is darker by half a level on average.
    """
    scaled = alpha * 255.0
    whole = np.floor(scaled + 0.5) if rounding == "round" else np.floor(scaled)
    return np.clip(whole, 0, 255).astype(np.uint8)
