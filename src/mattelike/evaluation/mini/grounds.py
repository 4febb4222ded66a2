"""Backgrounds: drawn ones, and parts of the example photos that show no thing."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np

from mattelike.evaluation.mini.canvas import noise
from mattelike.resampling import resize
from mattelike.values import Float32


def drawn(side: int, draw: np.random.Generator) -> Float32:
    """A ground nobody photographed: a horizon, planks, tiles or leaves; float32 ``(side, side, 3)``."""
    kind = int(draw.integers(4))
    one, two = _colour(draw), _colour(draw)
    if kind == 0:
        below = np.linspace(0, 1, side, dtype=np.float32)[:, None] > draw.uniform(0.35, 0.65)
        mixed = below * np.float32(0.85) + 0.15 * noise(side, side / 8, draw)
    elif kind == 1:
        rows = np.arange(side, dtype=np.float32)[:, None] / side * draw.integers(5, 9)
        mixed = 0.5 * (np.floor(rows) % 2) + 0.5 * resize(
            draw.random((side // 3 + 2, 4), dtype=np.float32), (side, side)
        )
    elif kind == 2:
        cells = np.indices((side, side)) * int(draw.integers(4, 8)) // side
        mixed = 0.6 * (cells.sum(axis=0) % 2) + 0.4 * noise(side, side / 12, draw)
    else:
        mixed = (noise(side, side / 18, draw) + noise(side, side / 40, draw) > 1) * 0.8 + 0.2 * noise(
            side, side / 5, draw
        )
    share = np.broadcast_to(mixed, (side, side)).astype(np.float32)[..., None]
    return _grained(share * one + (1 - share) * two, draw)


def tiled(part: Float32, side: int, draw: np.random.Generator) -> Float32:
    """A part of a photo, mirrored over a whole square, float32 ``(side, side, 3)``."""
    scale = side / max(256.0, draw.uniform(256, 400))
    height, width = (max(2, round(length * scale)) for length in part.shape[:2])
    small = resize(part, (height, width))
    if draw.random() < 0.5:
        small = small[:, ::-1]
    index = [_mirrored(side, length, int(draw.integers(length))) for length in (height, width)]
    whole: Float32 = small[index[0][:, None], index[1][None, :]]
    return _grained(whole, draw)


def some(parts: Sequence[Float32], side: int, draw: np.random.Generator) -> Float32:
    """A ground, by chance: a photographed one half of the time, where there are any."""
    if parts and draw.random() < 0.5:
        return tiled(parts[int(draw.integers(len(parts)))], side, draw)
    return drawn(side, draw)


def _mirrored(side: int, length: int, start: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    place = (np.arange(side, dtype=np.intp) + start) % (2 * length)
    return np.where(place < length, place, 2 * length - 1 - place)


def _colour(draw: np.random.Generator) -> Float32:
    colour = colorsys.hsv_to_rgb(draw.random(), draw.uniform(0.08, 0.4), draw.uniform(0.3, 0.85))
    return np.asarray(colour, np.float32)


def _grained(rgb: Float32, draw: np.random.Generator) -> Float32:
    noisy = rgb + draw.normal(0, 0.012, rgb.shape).astype(np.float32)
    clipped: Float32 = np.clip(noisy, 0, 1)
    return clipped
