"""Drawing with exact coverage: layers over each other on a fine grid, averaged to pixels at the end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mattelike.resampling import area, resize
from mattelike.values import Bool, Float32

FINE = 3
"""Fine cells per pixel along each side."""

REACH = 1.5
"""How far from its middle a thing may reach, in its own size; its corners are at 1.42."""

Colour = tuple[float, float, float]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a thing is put.

    Attributes:
        row: Its middle, in pixels.
        column: The same across.
        reach: Half its size, in pixels: what is 1 in its own coordinates.
        angle: Turn, in radians.
        flip: Mirrored.
    """

    row: float
    column: float
    reach: float
    angle: float = 0.0
    flip: bool = False


class Canvas:
    """A square to draw one thing on; x to the right and y down, both about -1 to 1 over the thing.

    Only what lies around the thing is worked on, `REACH` times its size.

    Args:
        side: Pixels of the picture along each side.
        pose: Where the thing is.
    """

    def __init__(self, side: int, pose: Pose) -> None:
        self.side = side
        self._pose = pose
        spans = [_span(middle, pose.reach, side) for middle in (pose.row, pose.column)]
        (self._top, rows), (self._left, columns) = spans
        down = (_fine(self._top, rows) - pose.row)[:, None] / pose.reach
        across = (_fine(self._left, columns) - pose.column)[None, :] / pose.reach
        cosine, sine = math.cos(pose.angle), math.sin(pose.angle)
        self.x: Float32 = (across * cosine + down * sine).astype(np.float32) * (-1 if pose.flip else 1)
        self.y: Float32 = (down * cosine - across * sine).astype(np.float32)
        self._rgb: Float32 = np.zeros((*self.x.shape, 3), np.float32)
        self._alpha: Float32 = np.zeros(self.x.shape, np.float32)

    def paint(self, where: Bool, colour: Colour, opacity: int | float = 1.0) -> None:
        """Lays one colour over all that is there.

        Args:
            where: bool, on the fine grid.
            colour: In [0, 1].
            opacity: In [0, 1].
        """
        self._laid((slice(None), slice(None)), where, colour, opacity)

    def hair(
        self,
        start: Point,
        stop: Point,
        width: float,
        tip: float,
        colour: Colour,
        opacity: int | float = 1.0,
    ) -> None:
        """Paints a thin stroke, `tip` wide at its far end, looking only at its own surroundings."""
        ends = [self._place(*end) for end in (start, stop)]
        margin = max(width, tip) * self._pose.reach * FINE + 2
        at = tuple(
            slice(max(0, int(min(a, b) - margin)), max(0, int(max(a, b) + margin) + 1))
            for a, b in zip(*ends, strict=True)
        )
        near = _near(self.x[at], self.y[at], start, stop, width, tip)
        self._laid(at, near, colour, opacity)

    def _laid(self, at: tuple[slice, ...], where: Bool, colour: Colour, opacity: int | float) -> None:
        cover = where.astype(np.float32) * np.float32(opacity)
        left = 1 - cover
        self._rgb[at] *= left[..., None]
        self._rgb[at] += cover[..., None] * np.asarray(colour, np.float32)
        self._alpha[at] *= left
        self._alpha[at] += cover

    def _place(self, x: float, y: float) -> tuple[float, float]:
        """Fine row and column of a point of the thing."""
        pose, x = self._pose, -x if self._pose.flip else x
        cosine, sine = math.cos(pose.angle), math.sin(pose.angle)
        row = pose.row + pose.reach * (x * sine + y * cosine)
        column = pose.column + pose.reach * (x * cosine - y * sine)
        return (row - self._top) * FINE, (column - self._left) * FINE

    def shade(self, light: Float32) -> None:
        """Multiplies the colours painted so far: float32 on the fine grid, about 1."""
        self._rgb *= light[..., None]

    def drawn(self) -> Float32:
        """float32 ``(side, side, 4)`` in [0, 1], colours multiplied by alpha."""
        both = np.dstack([np.minimum(self._rgb, self._alpha[..., None]), self._alpha])
        rows, columns = self.x.shape[0] // FINE, self.x.shape[1] // FINE
        whole = np.zeros((self.side, self.side, 4), np.float32)
        inside = slice(self._top, self._top + rows), slice(self._left, self._left + columns)
        whole[inside] = area(both, (rows, columns))
        return whole

    # --- shapes, bool on the fine grid -------------------------------------------------------------

    def ellipse(self, x: float, y: float, wide: float, high: float, angle: float = 0.0) -> Bool:
        """Within an ellipse of half axes `wide` and `high`."""
        cosine, sine = math.cos(angle), math.sin(angle)
        along, across = self.x - x, self.y - y
        u, v = along * cosine + across * sine, across * cosine - along * sine
        inside: Bool = (u / wide) ** 2 + (v / high) ** 2 < 1
        return inside

    def polygon(self, corners: Sequence[Point]) -> Bool:
        """Within a polygon, by the even-odd rule."""
        inside = np.zeros(self.x.shape, np.bool_)
        for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
            if y0 == y1:
                continue
            crosses = (self.y < y0) != (self.y < y1)
            inside ^= crosses & (self.x < (x1 - x0) * (self.y - y0) / (y1 - y0) + x0)
        return inside

    def stroke(self, start: Point, stop: Point, width: float, tip: float | None = None) -> Bool:
        """Within half of `width` of a segment; `tip` is the width at its far end."""
        return _near(self.x, self.y, start, stop, width, width if tip is None else tip)


def _near(x: Float32, y: Float32, start: Point, stop: Point, width: float, tip: float) -> Bool:
    (x0, y0), (x1, y1) = start, stop
    dx, dy = x1 - x0, y1 - y0
    length = max(dx * dx + dy * dy, 1e-9)
    share = np.clip(((x - x0) * dx + (y - y0) * dy) / length, 0, 1)
    away = np.hypot(x - x0 - share * dx, y - y0 - share * dy)
    near: Bool = away < (width + share * (tip - width)) / 2
    return near


def _span(middle: float, reach: float, side: int) -> tuple[int, int]:
    """First pixel and number of pixels of what is worked on along one side, at least one."""
    first = min(side - 1, max(0, math.floor(middle - REACH * reach)))
    return first, max(1, min(side, math.ceil(middle + REACH * reach)) - first)


def _fine(first: int, pixels: int) -> Float32:
    """Middles of fine cells, in pixels of the picture."""
    return ((np.arange(pixels * FINE) + 0.5) / FINE + first).astype(np.float32)


def noise(side: int, cell: float, draw: np.random.Generator) -> Float32:
    """A smooth random field float32 ``(side, side)`` in [0, 1], with features of about `cell` pixels."""
    knots = max(2, round(side / cell) + 1)
    return resize(draw.random((knots, knots), dtype=np.float32), (side, side))


def over(front: Float32, back: Float32) -> Float32:
    """Equation 1: `front` ``(s, s, 4)``, colours multiplied by alpha, over an opaque `back` ``(s, s, 3)``."""
    laid: Float32 = front[..., :3] + (1 - front[..., 3:]) * back
    return laid
