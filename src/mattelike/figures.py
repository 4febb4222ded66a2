"""Pieces of figures: heat maps, rows of labelled pictures, a photo under a grid of its own coordinates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mattelike import photos, resampling
from mattelike.lettering import HEIGHT, write_text
from mattelike.values import Float32, Photo

Picture = NDArray[np.uint8]

_SCALE = 2
_STRIP = HEIGHT * _SCALE + 14
_GAP = 12
_GROUND, _INK = (250, 249, 247), (40, 38, 35)
# Dark to light in even steps of lightness: more is always lighter, also in print and to the colour-blind.
_WARM = np.array(
    [
        [9, 6, 28],
        [52, 14, 84],
        [112, 28, 108],
        [168, 50, 96],
        [215, 86, 66],
        [244, 140, 40],
        [252, 200, 90],
        [252, 250, 190],
    ],
    np.float32,
)


def heat(values: Float32, seen: Picture, top: int | float | None = None) -> Picture:
    """A map in colours over a pale photo; black is 0.

    Args:
        values: float32 ``(h, w)``, 0 or more.
        seen: uint8 ``(H, W, 3)``, the photo.
        top: Value of the lightest colour; the map's largest for None.
    """
    top = float(values.max()) if top is None else top
    level = np.clip(
        resampling.resize(values, (seen.shape[0], seen.shape[1])) / (top if top > 0 else 1.0), 0, 1
    )
    place = level * np.float32(len(_WARM) - 1)
    below = np.minimum(place.astype(np.intp), len(_WARM) - 2)
    part = (place - below)[..., None]
    colours = _WARM[below] * (1 - part) + _WARM[below + 1] * part
    gray = seen.astype(np.float32).mean(axis=2, keepdims=True)
    return levels((0.78 * colours + 0.22 * gray) / 255)


def with_grid(photo: Photo, *, side: int = 1600) -> Picture:
    """A photo under a grid of lines that are labelled with the photo's own coordinates, x across, y down.

    Args:
        photo: The photo.
        side: Longest side of the result; coordinates are those of the photo whatever it is.

    Returns:
        uint8 ``(h, w, 3)``.
    """
    # Small photos are enlarged, so that lines can be close and still be labelled.
    scale = min(2.0, side / max(photo.height, photo.width))
    size = max(1, round(photo.height * scale)), max(1, round(photo.width * scale))
    canvas = levels(photos.to_srgb(photo, size))
    letters = 2 if max(size) >= 600 else 1
    step = _step(max(photo.height, photo.width), max(size))
    for place in range(step, photo.width, step):
        _line(canvas[:, round(place * scale) : round(place * scale) + 1])
    for place in range(step, photo.height, step):
        _line(canvas[round(place * scale) : round(place * scale) + 1])
    ink = {"ink": (255, 255, 255), "outline": (0, 0, 0), "scale": letters}
    for place in range(step, photo.width, step):
        write_text(canvas, str(place), 3, round(place * scale) + 3, **ink)  # type: ignore[arg-type]
    for place in range(step, photo.height, step):
        write_text(canvas, str(place), round(place * scale) + 3, 3, **ink)  # type: ignore[arg-type]
    return canvas


def _step(length: int, shown: int) -> int:
    """Pixels between lines: a round number, about 80 pixels of the picture apart."""
    wanted = max(1.0, 80 * length / shown)
    power = 10 ** math.floor(math.log10(wanted))
    return int(next(power * factor for factor in (1, 2, 5, 10) if power * factor >= wanted))


def _line(pixels: Picture) -> None:
    """Half light, half dark, so that a line is seen on everything."""
    light = pixels.mean(axis=2, keepdims=True) > 127
    pixels[:] = np.where(light, pixels * 0.45, pixels * 0.45 + 140).astype(np.uint8)


def shown(photo: Photo, height: int) -> Picture:
    """A photo at a height, in sRGB: uint8 ``(height, w, 3)``."""
    return levels(photos.to_srgb(photo, (height, max(1, round(photo.width * height / photo.height)))))


def levels(values: Any) -> Picture:
    """float32 in [0, 1] as uint8, rounded half up."""
    rounded: Picture = np.floor(values * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    return rounded


def over_squares(seen: Picture, alpha: Float32) -> Picture:
    """A picture uint8 ``(h, w, 3)`` cut out by alpha ``(h, w)``, over a checkerboard."""
    rows, columns = np.indices(alpha.shape) // 10
    squares = np.where((rows + columns) % 2, np.float32(0.91), np.float32(1.0))[..., None]
    part = alpha[..., None]
    return levels(part * (seen / np.float32(255)) + (1 - part) * squares)


def row(panels: Sequence[tuple[str, Picture]]) -> Picture:
    """Pictures of one height side by side, each with its name below."""
    height = panels[0][1].shape[0]
    widths = [picture.shape[1] for _, picture in panels]
    canvas = np.empty((height + _STRIP + 2 * _GAP, sum(widths) + _GAP * (len(panels) + 1), 3), np.uint8)
    canvas[:] = _GROUND
    left = _GAP
    for (name, picture), width in zip(panels, widths, strict=True):
        canvas[_GAP : _GAP + height, left : left + width] = picture
        fitting = name[: max(1, (width // _SCALE + 1) // 6)]
        write_text(canvas, fitting, height + _GAP + 10, left, scale=_SCALE, ink=_INK)
        left += width + _GAP
    return canvas
