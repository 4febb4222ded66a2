"""Kinds that only the larger benchmark has: spokes, barbs, leaves and a body one sees through."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType

import numpy as np

from mattelike.evaluation.mini.canvas import Canvas
from mattelike.evaluation.mini.things import Draw, Kind, Style, colour_of


def _feather(canvas: Canvas, draw: Draw, style: Style) -> None:
    barb, bend = colour_of(draw, style, (0.0, 1.0), 0.5), draw.uniform(-0.2, 0.2)
    for share in np.linspace(0, 1, 90):
        y = 0.6 - 1.5 * share
        x = bend * math.sin(math.pi * share)
        reach = 0.34 * math.sin(math.pi * min(1.0, 0.12 + 0.9 * share)) * draw.uniform(0.85, 1.0)
        for side in (-1, 1):
            canvas.hair((x, y), (x + side * reach, y - 0.22), 0.022, 0.006, barb, 0.85)
    steps = [(bend * math.sin(math.pi * s), 0.6 - 1.5 * s) for s in np.linspace(0, 1, 8)]
    for start, stop in pairwise(steps):
        canvas.paint(canvas.stroke(start, stop, 0.03), (0.93, 0.9, 0.82))
    canvas.paint(canvas.stroke((0, 0.98), (0, 0.6), 0.045, 0.03), (0.93, 0.9, 0.82))


def _wheel(canvas: Canvas, draw: Draw, style: Style) -> None:
    spokes, turn = int(draw.integers(9, 15)), draw.uniform(0, math.pi)
    metal = (0.78, 0.8, 0.84)
    for number in range(spokes):
        angle = turn + 2 * math.pi * number / spokes
        tip = 0.84 * math.cos(angle), 0.84 * math.sin(angle)
        canvas.paint(canvas.stroke((0, 0), tip, 0.025), metal)
    tyre = canvas.ellipse(0, 0, 0.96, 0.96) & ~canvas.ellipse(0, 0, 0.84, 0.84)
    canvas.paint(tyre, colour_of(draw, style, (0.0, 1.0), 0.35))
    canvas.paint(canvas.ellipse(0, 0, 0.86, 0.86) & ~canvas.ellipse(0, 0, 0.8, 0.8), metal)
    canvas.paint(canvas.ellipse(0, 0, 0.13, 0.13), colour_of(draw, style, (0.0, 0.1), 0.7))


def _jellyfish(canvas: Canvas, draw: Draw, style: Style) -> None:
    body, high = colour_of(draw, style, (0.5, 1.0), 0.45), draw.uniform(0.6, 0.75)
    bell = canvas.ellipse(0, -0.2, 0.66, high) & (canvas.y < -0.1)
    for x in np.linspace(-0.5, 0.5, int(draw.integers(7, 11))):
        at = x, -0.12
        for step in range(6):
            there = x + 0.08 * math.sin(4 * x + 1.4 * step + draw.uniform(-0.3, 0.3)), at[1] + 0.18
            canvas.hair(at, there, 0.05 - 0.006 * step, 0.044 - 0.006 * step, body, 0.6)
            at = there
    canvas.paint(bell, body, 0.55)
    canvas.paint(bell & ~canvas.ellipse(0, -0.2, 0.58, high - 0.08), body, 0.6)
    canvas.paint(canvas.ellipse(0, -0.4, 0.24, 0.2), colour_of(draw, style, (0.9, 1.1), 0.6), 0.5)


def _fern(canvas: Canvas, draw: Draw, style: Style) -> None:
    green, bend = colour_of(draw, style, (0.24, 0.38), 0.65), draw.uniform(-0.25, 0.25)
    stem = [(bend * s * s, 0.95 - 1.85 * s) for s in np.linspace(0, 1, 16)]
    for number, (x, y) in enumerate(stem[1:]):
        reach = 0.62 * (1 - number / len(stem)) + 0.06
        for side in (-1, 1):
            tip = x + side * reach, y - 0.28 * reach - 0.04
            canvas.hair((x, y), tip, 0.02, 0.008, green)
            for share in np.linspace(0.15, 1, 9):
                at = x + share * (tip[0] - x), y + share * (tip[1] - y)
                leaf = 0.13 * reach / 0.6 * (1.15 - 0.6 * share)
                for turn in (-1, 1):
                    end = at[0] + side * leaf * 0.5, at[1] + turn * leaf
                    canvas.hair(at, end, 0.035, 0.008, green)
    for start, stop in pairwise(stem):
        canvas.paint(canvas.stroke(start, stop, 0.03), (0.3, 0.34, 0.12))


MORE: Mapping[str, Kind] = MappingProxyType(
    {"feather": _feather, "fern": _fern, "jellyfish": _jellyfish, "wheel": _wheel}
)
