"""Kinds of things, drawn in their own coordinates: every one of a kind is another, and none is another kind.

In the style ``photo`` colours are natural, lit from one side and grained; in the style ``render`` they are
plain and bright with a gloss from above. Shapes belong to the kind, colours mostly do not.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np

from mattelike.evaluation.mini.canvas import FINE, Canvas, Colour, Pose, noise
from mattelike.values import Float32

Style = Literal["photo", "render"]
Draw = np.random.Generator
Kind = Callable[[Canvas, Draw, Style], None]


def thing(draws: Kind, style: Style, side: int, pose: Pose, draw: Draw) -> Float32:
    """One thing of a kind on an empty square.

    Args:
        draws: A row of `KINDS` or the like.
        style: How it looks.
        side: Pixels of the square.
        pose: Where it is.
        draw: Source of all that differs within the kind.

    Returns:
        float32 ``(side, side, 4)`` in [0, 1], colours multiplied by alpha.
    """
    canvas = Canvas(side, pose)
    draws(canvas, draw, style)
    canvas.shade(_light(canvas, draw, style))
    return canvas.drawn()


def _light(canvas: Canvas, draw: Draw, style: Style) -> Float32:
    if style == "render":
        gloss: Float32 = (1.12 - 0.3 * np.clip(canvas.y + 0.4, -0.4, 1.4)).astype(np.float32)
        return gloss
    toward = draw.uniform(0, 2 * math.pi)
    slope = 1 + 0.22 * np.clip(canvas.x * math.cos(toward) + canvas.y * math.sin(toward), -1, 1)
    shape = canvas.x.shape
    side = max(shape)
    grain = 0.8 + 0.3 * noise(side, side / 24, draw) + 0.1 * noise(side, FINE, draw)
    lit: Float32 = (slope * grain[: shape[0], : shape[1]]).astype(np.float32)
    return lit


def colour_of(draw: Draw, style: Style, hue: tuple[float, float], strong: float = 0.6) -> Colour:
    """A colour of a range of hues; brighter and purer in renders."""
    saturation = min(1.0, strong * draw.uniform(0.8, 1.15) * (1.5 if style == "render" else 1.0))
    value = draw.uniform(0.85, 1.0) if style == "render" else draw.uniform(0.5, 0.8)
    return colorsys.hsv_to_rgb(draw.uniform(*hue) % 1.0, saturation, value)


def _mushroom(canvas: Canvas, draw: Draw, style: Style) -> None:
    lean, wide = draw.uniform(-0.1, 0.1), draw.uniform(0.75, 0.95)
    pale = colour_of(draw, style, (0.08, 0.14), 0.2)
    canvas.paint(canvas.stroke((lean, 0.95), (0, -0.1), draw.uniform(0.42, 0.6), 0.34), pale)
    cap = canvas.ellipse(0, -0.05, wide, draw.uniform(0.75, 0.95)) & (canvas.y < 0)
    canvas.paint(cap, colour_of(draw, style, (-0.04, 0.08), 0.75))
    for _ in range(7):
        at = draw.uniform(-0.65, 0.65), draw.uniform(-0.75, -0.1)
        size = draw.uniform(0.06, 0.13)
        canvas.paint(cap & canvas.ellipse(*at, size, size * 0.8), (0.95, 0.93, 0.88))
    canvas.paint(canvas.ellipse(0, 0, wide, 0.09), colour_of(draw, style, (0.06, 0.1), 0.35))


def _fish(canvas: Canvas, draw: Draw, style: Style) -> None:
    high = draw.uniform(0.36, 0.52)
    fin = colour_of(draw, style, (0.0, 1.0), 0.5)
    body = colour_of(draw, style, (0.0, 1.0), 0.55)
    canvas.paint(canvas.polygon([(0.45, 0), (1, -0.48), (0.84, 0), (1, 0.48)]), fin)
    canvas.paint(canvas.polygon([(-0.3, -high * 0.8), (0.1, -high - 0.25), (0.4, -high * 0.5)]), fin)
    whole = canvas.ellipse(-0.15, 0, 0.78, high)
    canvas.paint(whole, body)
    canvas.paint(whole & (canvas.y > high * 0.25), (0.9, 0.9, 0.85), 0.5)
    for x in np.arange(-0.35, 0.5, 0.2):
        ring = canvas.ellipse(x, 0, 0.16, high * 0.9) & ~canvas.ellipse(x - 0.05, 0, 0.16, high * 0.9)
        canvas.paint(whole & ring, (0.2, 0.2, 0.25), 0.35)
    canvas.paint(canvas.polygon([(-0.15, 0.05), (0.15, 0.2), (-0.05, 0.3)]), fin)
    canvas.paint(canvas.ellipse(-0.65, -0.08, 0.09, 0.09), (0.96, 0.96, 0.96))
    canvas.paint(canvas.ellipse(-0.67, -0.08, 0.045, 0.045), (0.05, 0.05, 0.05))


def _flower(canvas: Canvas, draw: Draw, style: Style) -> None:
    petals, length = int(draw.integers(6, 10)), draw.uniform(0.36, 0.46)
    green = colour_of(draw, style, (0.25, 0.36), 0.65)
    canvas.paint(canvas.stroke((draw.uniform(-0.15, 0.15), 1), (0, -0.2), 0.08), green)
    canvas.paint(canvas.ellipse(0.26, 0.55, 0.28, 0.1, -0.6), green)
    canvas.paint(canvas.ellipse(-0.26, 0.7, 0.26, 0.09, 0.6), green)
    colour, start = colour_of(draw, style, (0.75, 1.15), 0.55), draw.uniform(0, 1)
    for number in range(petals):
        angle = 2 * math.pi * (number + start) / petals
        x, y = 0.36 * math.cos(angle), -0.35 + 0.36 * math.sin(angle)
        canvas.paint(canvas.ellipse(x, y, length * 0.75, 0.16, angle), colour)
    canvas.paint(canvas.ellipse(0, -0.35, 0.2, 0.2), colour_of(draw, style, (0.1, 0.16), 0.8))


def _cactus(canvas: Canvas, draw: Draw, style: Style) -> None:
    green = colour_of(draw, style, (0.28, 0.42), 0.55)
    trunk = [((0.0, 0.5), (0.0, -0.7), 0.5)]
    for side in (-1, 1):
        bend = draw.uniform(-0.1, 0.3)
        elbow = 0.6 * side, bend
        trunk += [((0.0, bend), elbow, 0.24), (elbow, (elbow[0], bend - 0.45), 0.24)]
    for start, stop, width in trunk:
        for share in np.linspace(0, 1, 14):
            x, y = (a + share * (b - a) for a, b in zip(start, stop, strict=True))
            for _ in range(2):
                angle = draw.uniform(0, 2 * math.pi)
                reach = width / 2 + draw.uniform(0.08, 0.14)
                tip = x + reach * math.cos(angle), y + reach * math.sin(angle)
                canvas.hair((x, y), tip, 0.016, 0.006, (0.9, 0.87, 0.72))
    for start, stop, width in trunk:
        canvas.paint(canvas.stroke(start, stop, width), green)
    for x in (-0.12, 0.0, 0.12):
        canvas.paint(canvas.stroke((x, 0.5), (x, -0.75), 0.03), (0.1, 0.2, 0.1), 0.4)
    pot = canvas.polygon([(-0.42, 0.5), (0.42, 0.5), (0.32, 1.0), (-0.32, 1.0)])
    canvas.paint(pot, colour_of(draw, style, (0.02, 0.07), 0.6))


def _dandelion(canvas: Canvas, draw: Draw, style: Style) -> None:
    canvas.paint(canvas.stroke((draw.uniform(-0.2, 0.2), 1), (0, -0.3), 0.05), (0.4, 0.5, 0.25))
    white = (0.97, 0.97, 0.99) if style == "render" else (0.88, 0.87, 0.84)
    for _ in range(110):
        angle, reach = draw.uniform(0, 2 * math.pi), draw.uniform(0.36, 0.64)
        tip = reach * math.cos(angle), -0.3 + reach * math.sin(angle)
        canvas.hair((0, -0.3), tip, 0.014, 0.009, white, 0.75)
        for turn in (-0.5, 0.0, 0.5):
            end = tip[0] + 0.09 * math.cos(angle + turn), tip[1] + 0.09 * math.sin(angle + turn)
            canvas.hair(tip, end, 0.011, 0.005, white, 0.6)
    canvas.paint(canvas.ellipse(0, -0.3, 0.09, 0.09), (0.45, 0.36, 0.25))


def _goblet(canvas: Canvas, draw: Draw, style: Style) -> None:
    wide = draw.uniform(0.42, 0.55)
    glass = (0.86, 0.93, 0.95)
    bowl = canvas.ellipse(0, -0.45, wide, 0.55) & (canvas.y > -0.8)
    canvas.paint(bowl, glass, 0.3)
    wine = bowl & (canvas.y > draw.uniform(-0.55, -0.3)) & canvas.ellipse(0, -0.45, wide - 0.05, 0.5)
    canvas.paint(wine, colour_of(draw, style, (0.92, 1.12), 0.8), 0.8)
    canvas.paint(bowl & ~canvas.ellipse(0, -0.45, wide - 0.03, 0.53), glass, 0.6)
    canvas.paint(canvas.stroke((0, 0.08), (0, 0.85), 0.08), glass, 0.75)
    canvas.paint(canvas.ellipse(0, 0.88, wide * 0.8, 0.1), glass, 0.7)
    canvas.paint(canvas.stroke((-wide * 0.6, -0.7), (-wide * 0.55, -0.25), 0.05, 0.02), (1, 1, 1), 0.7)


def _racket(canvas: Canvas, draw: Draw, style: Style) -> None:
    frame = colour_of(draw, style, (0.0, 1.0), 0.65)
    inside = canvas.ellipse(0, -0.38, 0.46, 0.54)
    for at in np.arange(-0.42, 0.43, draw.uniform(0.1, 0.14)):
        canvas.paint(inside & canvas.stroke((at, -1), (at, 0.3), 0.018), (0.93, 0.92, 0.85))
        canvas.paint(inside & canvas.stroke((-0.6, at - 0.38), (0.6, at - 0.38), 0.018), (0.93, 0.92, 0.85))
    canvas.paint(canvas.ellipse(0, -0.38, 0.54, 0.62) & ~inside, frame)
    for side in (-1, 1):
        canvas.paint(canvas.stroke((0.28 * side, 0.12), (0, 0.48), 0.07), frame)
    canvas.paint(canvas.stroke((0, 0.4), (0, 0.95), 0.15), colour_of(draw, style, (0.04, 0.1), 0.5))


def _butterfly(canvas: Canvas, draw: Draw, style: Style) -> None:
    wing, spot = colour_of(draw, style, (0.0, 1.0), 0.7), colour_of(draw, style, (0.0, 1.0), 0.5)
    reach, turn = draw.uniform(0.5, 0.6), draw.uniform(0.4, 0.7)
    for side in (-1, 1):
        upper = canvas.ellipse(0.5 * side, -0.35, reach, 0.36, -turn * side)
        lower = canvas.ellipse(0.38 * side, 0.4, 0.4, 0.3, turn * side)
        for part in (lower, upper):
            canvas.paint(part, (0.12, 0.1, 0.1))
        canvas.paint(canvas.ellipse(0.5 * side, -0.35, reach - 0.08, 0.28, -turn * side), wing)
        canvas.paint(canvas.ellipse(0.38 * side, 0.4, 0.32, 0.22, turn * side), wing)
        canvas.paint(canvas.ellipse(0.62 * side, -0.45, 0.12, 0.12), spot)
        canvas.paint(canvas.ellipse(0.42 * side, 0.42, 0.09, 0.09), spot)
        canvas.paint(canvas.stroke((0, -0.5), (0.2 * side, -0.95), 0.025, 0.012), (0.12, 0.1, 0.1))
    canvas.paint(canvas.stroke((0, -0.5), (0, 0.6), 0.12, 0.06), (0.15, 0.12, 0.1))


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "butterfly": _butterfly,
        "cactus": _cactus,
        "dandelion": _dandelion,
        "fish": _fish,
        "flower": _flower,
        "goblet": _goblet,
        "mushroom": _mushroom,
        "racket": _racket,
    }
)
