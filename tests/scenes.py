"""Pictures whose alpha and colours are known exactly, made from a seed: shared by the tests.

Every maker returns a `Scene`; ``scene.pixels`` obeys equation 1, ``I = alpha F + (1 - alpha) B``, up to the
rounding to 8 or 16 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mattelike.values import Float32, Pixels

Depth = type[np.uint8] | type[np.uint16]
Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One picture and its truth.

    Attributes:
        pixels: ``(h, w, 3)`` RGB, 8 or 16 bits.
        alpha: float32 ``(h, w)`` in [0, 1].
        front: float32 ``(h, w, 3)`` in [0, 1]: F of equation 1, everywhere.
        back: float32 ``(h, w, 3)`` in [0, 1]: B of equation 1, everywhere.
    """

    pixels: Pixels
    alpha: Float32
    front: Float32
    back: Float32

    @property
    def mixed(self) -> np.ndarray:
        """bool ``(h, w)``: pixels that are partly the thing."""
        return (self.alpha > 0.01) & (self.alpha < 0.99)


def pack(alpha: Float32, front: Float32, back: Float32, depth: Depth = np.uint8) -> Scene:
    """Equation 1, rounded to `depth`."""
    mixed = alpha[..., None] * front + (1 - alpha[..., None]) * back
    top = np.iinfo(depth).max
    return Scene(np.floor(mixed * top + 0.5).astype(depth), alpha, front, back)


def plain(height: int, width: int, colour: tuple[float, float, float]) -> Float32:
    """One colour everywhere."""
    return np.broadcast_to(np.float32(colour), (height, width, 3)).copy()


def texture(
    height: int,
    width: int,
    one: tuple[float, float, float],
    two: tuple[float, float, float],
    *,
    cell: int = 24,
    seed: int = 0,
) -> Float32:
    """Smooth random mixture of two colours, with features of about `cell` pixels."""
    draw = np.random.default_rng(seed)
    rows, columns = height // cell + 3, width // cell + 3
    knots = draw.random((rows, columns), dtype=np.float32)
    y = np.arange(height, dtype=np.float32)[:, None] / cell
    x = np.arange(width, dtype=np.float32)[None, :] / cell
    top, left = y.astype(int), x.astype(int)
    down, right = _ease(y - top), _ease(x - left)
    above = knots[top, left] * (1 - right) + knots[top, left + 1] * right
    below = knots[top + 1, left] * (1 - right) + knots[top + 1, left + 1] * right
    share = (above * (1 - down) + below * down)[..., None]
    return (share * np.float32(one) + (1 - share) * np.float32(two)).astype(np.float32)


def _ease(t: Float32) -> Float32:
    return t * t * (3 - 2 * t)


def _two_textures(height: int, width: int, seed: int) -> tuple[Float32, Float32]:
    front = texture(height, width, (0.85, 0.2, 0.15), (0.6, 0.35, 0.1), cell=19, seed=seed + 1)
    back = texture(height, width, (0.1, 0.5, 0.25), (0.25, 0.45, 0.75), cell=31, seed=seed + 2)
    return front, back


def disc_alpha(height: int, width: int, *, softness: float = 6.0, radius: float | None = None) -> Float32:
    """A centred disc whose alpha falls linearly from 1 to 0 over `softness` pixels."""
    y = np.arange(height, dtype=np.float32)[:, None] - (height - 1) / 2
    x = np.arange(width, dtype=np.float32)[None, :] - (width - 1) / 2
    reach = 0.3 * min(height, width) if radius is None else radius
    return np.clip((reach - np.hypot(x, y)) / max(softness, 1e-3) + 0.5, 0, 1).astype(np.float32)


def disc(
    height: int = 128, width: int = 160, *, softness: float = 6.0, seed: int = 0, depth: Depth = np.uint8
) -> Scene:
    """A textured disc with a soft edge on a textured ground."""
    return pack(disc_alpha(height, width, softness=softness), *_two_textures(height, width, seed), depth)


def red_on_green(height: int = 96, width: int = 96, *, softness: float = 8.0) -> Scene:
    """A red disc on green: any green left in its edge is a fringe (trap 49)."""
    front, back = plain(height, width, (0.9, 0.05, 0.05)), plain(height, width, (0.05, 0.8, 0.1))
    return pack(disc_alpha(height, width, softness=softness), front, back)


def hair(
    height: int = 160, width: int = 160, *, count: int = 60, seed: int = 0, depth: Depth = np.uint8
) -> Scene:
    """A solid disc with thin curved strokes, 1 to 2.5 pixels wide, growing out of it."""
    draw = np.random.default_rng(seed)
    middle = np.float32([(height - 1) / 2, (width - 1) / 2])
    reach = 0.22 * min(height, width)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    alpha = disc_alpha(height, width, softness=2.0, radius=reach)
    for _ in range(count):
        angle, bend = draw.uniform(0, 2 * np.pi), draw.uniform(-0.9, 0.9)
        length, half_width = draw.uniform(0.4, 1.0) * reach, draw.uniform(0.5, 1.25)
        for step in np.linspace(0, 1, int(length * 5)):
            turned = angle + bend * step * step
            at = middle + (reach - 2 + step * length) * np.float32([np.sin(turned), np.cos(turned)])
            top, left = (np.maximum(at - 4, 0)).astype(int)
            patch = (slice(top, int(at[0]) + 5), slice(left, int(at[1]) + 5))
            away = np.hypot(y[patch] - at[0], x[patch] - at[1])
            dot = np.clip(half_width * (1 - 0.6 * step) + 0.5 - away, 0, 1)
            alpha[patch] = np.maximum(alpha[patch], dot)
    return pack(alpha, *_two_textures(height, width, seed), depth)


def net(
    height: int = 128, width: int = 128, *, pitch: int = 16, seed: int = 0, depth: Depth = np.uint8
) -> Scene:
    """A framed net of thin strings with the ground showing through its holes."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    away = np.minimum(np.abs((y + x) % pitch - pitch / 2), np.abs((y - x) % pitch - pitch / 2)) / np.sqrt(2)
    strings = np.clip(1.6 - away, 0, 1)
    border = np.minimum(np.minimum(y, height - 1 - y) - height / 6, np.minimum(x, width - 1 - x) - width / 6)
    inside = np.clip(border + 0.5, 0, 1)
    frame = np.clip(inside - np.clip(border - 5.5, 0, 1), 0, 1)
    alpha = np.maximum(frame, np.minimum(strings, inside)).astype(np.float32)
    return pack(alpha, *_two_textures(height, width, seed), depth)


MAKERS: dict[str, Callable[..., Scene]] = {"disc": disc, "hair": hair, "net": net}


def shrink(values: Float32, factor: int) -> Float32:
    """Mean over ``factor x factor`` cells (sizes must divide): what a coarse model would say at best."""
    height, width = values.shape
    return values.reshape(height // factor, factor, width // factor, factor).mean(axis=(1, 3))


def moving_disc(
    frames: int,
    front: tuple[Colour, Colour],
    back: tuple[Colour, Colour],
    cell: int,
    size: tuple[int, int] = (96, 160),
) -> tuple[np.ndarray, np.ndarray]:
    """A textured disc that moves over a texture that moves the other way: frames and their truth.

    Args:
        frames: How many.
        front: Colours of the disc's texture.
        back: Colours of what is behind it.
        cell: Grain of the texture behind it.
        size: Of a frame.

    Returns:
        uint8 ``(frames, h, w, 3)`` and float32 ``(frames, h, w)``.
    """
    height, width = size
    over = texture(height, width, *front, cell=9, seed=1)
    below = texture(height, width + 40, *back, cell=cell, seed=2)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    pixels, truths = [], []
    for t in range(frames):
        alpha = np.clip(26 - np.hypot(x - 50 - 3 * t, y - 48 - t) + 0.5, 0, 1)[..., None]
        mixed = alpha * np.roll(over, (t, 3 * t), (0, 1)) + (1 - alpha) * below[:, t : t + width]
        pixels.append((mixed * 255).astype(np.uint8))
        truths.append(alpha[..., 0])
    return np.stack(pixels), np.stack(truths).astype(np.float32)
