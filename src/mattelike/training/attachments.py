"""Thin parts fixed to things: antennas, straps, cords, handles; alpha is exact.

What a mark on a thing means includes what is fixed to it, though it is of another stuff and thinner than a
cell of the network. Photos with masks teach that badly: their masks end where it gets thin. Lines are drawn
`OVERSAMPLED` times as large, hard, and averaged down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mattelike import resampling
from mattelike.training.augment import chance, integer, uniform
from mattelike.values import Float32

OVERSAMPLED = 3
STREWN = 4
"""Most lines that lie about in a background."""

Numbers = NDArray[np.float64]
Ink = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A line that begins on a thing. Lengths are shares of the longer side of the thing.

    Attributes:
        turn: Where it begins: direction from the middle of the thing, in radians, 0 to the right, clockwise.
        spread: Where it ends on the thing again, in radians from `turn`; 0 for an end that is free.
        length: Of a line with a free end; else how far it stands off.
        width: Its own.
        bend: How far a free line turns on its way, in radians.
        inks: Its colours at both ends, in [0, 1].
        knob: Radius of what sits on a free end, in widths; 0 for nothing.
        before: Whether it lies before the thing, not behind it.
    """

    turn: float
    spread: float
    length: float
    width: float
    bend: float
    inks: tuple[Ink, Ink]
    knob: float
    before: bool


# --- chance ------------------------------------------------------------------------------------------


def ink(generator: torch.Generator) -> Ink:
    """A colour: half of them grey, from black to white."""
    level = uniform(generator, 0.02, 0.95)
    if chance(generator, 0.5):
        return level, level, level
    red, green, blue = (uniform(generator, 0, 1) for _ in range(3))
    return red, green, blue


def designed(generator: torch.Generator) -> tuple[Attachment, ...]:
    """One to three parts of one thing, by chance; all of one make."""
    closed = chance(generator, 0.4)
    first = ink(generator)
    inks = first, first if chance(generator, 0.6) else ink(generator)
    width = math.exp(uniform(generator, math.log(0.012), math.log(0.06)))
    spread = uniform(generator, 0.35, 1.2) if closed else 0.0
    return tuple(
        Attachment(
            turn=uniform(generator, -math.pi, math.pi),
            spread=spread,
            length=uniform(generator, 0.15, 0.45) if closed else uniform(generator, 0.2, 0.8),
            width=width,
            bend=uniform(generator, -1, 1) * (0.2 if chance(generator, 0.5) else 1.8),
            inks=inks,
            knob=uniform(generator, 1.0, 2.0) if chance(generator, 0.3) else 0.0,
            before=chance(generator, 0.3),
        )
        for _ in range(1 + integer(generator, 3) * chance(generator, 0.4))
    )


# --- lines -------------------------------------------------------------------------------------------


def stroke(shape: tuple[int, int], path: Numbers, radii: Numbers, inks: tuple[Ink, Ink]) -> Float32:
    """A round line, lighter along its middle.

    Args:
        shape: Rows and columns of the picture.
        path: ``(n, 2)``, rows and columns, in pixels.
        radii: ``(n,)``, in pixels.
        inks: Colours at both ends.

    Returns:
        float32 ``(h, w, 4)``, colours times alpha, and alpha.
    """
    height, width = (size * OVERSAMPLED for size in shape)
    dense = resampled(path * OVERSAMPLED)
    along = np.linspace(0, 1, len(dense))
    thick = np.interp(along, np.linspace(0, 1, len(radii)), radii * OVERSAMPLED)
    reach = math.ceil(float(thick.max()))
    down, across = (part.ravel() for part in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    away = np.hypot(down, across)
    outer_first = np.argsort(-away, kind="stable")
    down, across, away = down[outer_first], across[outer_first], away[outer_first]
    # Written offset by offset, the middle last: it lies on top.
    rows = np.floor(dense[None, :, 0] + down[:, None]).astype(np.intp)
    columns = np.floor(dense[None, :, 1] + across[:, None]).astype(np.intp)
    shown = (away[:, None] <= thick) & (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    colours = np.asarray(inks[0]) + along[:, None] * (np.asarray(inks[1]) - np.asarray(inks[0]))
    light = 1.1 - 0.4 * (away[:, None] / np.maximum(thick, 1e-6)) ** 2
    tones = np.clip(light[..., None] * colours, 0, 1)[shown]
    large = np.zeros((height, width, 4), np.float32)
    large[rows[shown], columns[shown]] = np.concatenate([tones, np.ones((len(tones), 1))], axis=1)
    return resampling.area(large, shape)


def resampled(path: Numbers) -> Numbers:
    """The same path, a point every pixel or closer."""
    steps = np.hypot(*np.diff(path, axis=0).T)
    at = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.linspace(0, at[-1], max(2, math.ceil(1.3 * at[-1])))
    return np.stack([np.interp(wanted, at, path[:, axis]) for axis in range(2)], axis=1)


def wandering(start: Numbers, turn: float, length: float, bend: float) -> Numbers:
    """A path ``(48, 2)`` that sets out in the direction `turn` and bends evenly."""
    along = np.linspace(0, 1, 48)
    heading = turn + bend * along
    step = length / (len(along) - 1)
    return start + step * np.cumsum(np.stack([np.sin(heading), np.cos(heading)], axis=1), axis=0)


def arched(start: Numbers, end: Numbers, out: Numbers, back: Numbers) -> Numbers:
    """A path ``(48, 2)`` from `start` to `end`: a cubic that leaves along `out` and returns along `back`."""
    t = np.linspace(0, 1, 48)[:, None]
    first, second = start + out, end + back
    return (1 - t) ** 3 * start + 3 * (1 - t) ** 2 * t * first + 3 * (1 - t) * t**2 * second + t**3 * end


# --- things ------------------------------------------------------------------------------------------


def rim(cells: Numbers, turn: float, side: float) -> Numbers | None:
    """The outermost of positions ``(n, 2)`` in a direction from their middle; None where there is none."""
    middle = cells.mean(axis=0)
    out = np.array([math.sin(turn), math.cos(turn)])
    away = cells - middle
    near = (np.abs(away @ np.array([out[1], -out[0]])) < 0.02 * side + 1) & (away @ out > 0)
    if not near.any():
        return None
    found: Numbers = cells[near][int(np.argmax(away[near] @ out))]
    return found


def path_of(part: Attachment, cells: Numbers, side: float) -> Numbers | None:
    """Where a part runs on a thing whose opaque pixels are at `cells`; None where it cannot be fixed."""
    out = np.array([math.sin(part.turn), math.cos(part.turn)])
    start = rim(cells, part.turn, side)
    if start is None:
        return None
    if not part.spread:
        return wandering(start - 0.03 * side * out, part.turn, part.length * side, part.bend)
    end = rim(cells, part.turn + part.spread, side)
    if end is None:
        return None
    back = np.array([math.sin(part.turn + part.spread), math.cos(part.turn + part.spread)])
    reach = 1.3 * part.length * side
    return arched(start - 0.02 * side * out, end - 0.02 * side * back, reach * out, reach * back)


def attached(thing: Tensor, parts: Sequence[Attachment]) -> Tensor:
    """A thing with parts fixed to it.

    Args:
        thing: float32 ``(4, h, w)``: colours times alpha, and alpha.
        parts: What is fixed to it; a part that finds no place is left out.

    Returns:
        The same, larger by what the parts need.
    """
    side = max(thing.shape[-2:])
    gap = math.ceil(side * max((part.length + part.width * max(1, part.knob) for part in parts), default=0))
    picture = np.pad(thing.permute(1, 2, 0).numpy(), ((gap, gap), (gap, gap), (0, 0)))
    cells = np.argwhere(picture[..., 3] > 0.5).astype(np.float64)
    if len(cells) == 0:
        return thing
    for part in parts:
        path = path_of(part, cells, side)
        if path is None:
            continue
        radii = np.full(len(path), part.width * side / 2)
        if part.knob and not part.spread:
            radii[-5:] *= part.knob
        line = stroke(picture.shape[:2], path, radii, part.inks)
        above, below = (line, picture) if part.before else (picture, line)
        picture = above + (1 - above[..., 3:]) * below
    return torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)


def strewn(rgb: Tensor, generator: torch.Generator) -> Tensor:
    """A background ``(3, s, s)`` with lines that belong to nothing: wires, twigs, cracks."""
    side = rgb.shape[-1]
    picture = rgb.permute(1, 2, 0).numpy()
    for _ in range(integer(generator, STREWN + 1)):
        start = np.array([uniform(generator, 0, side) for _ in range(2)])
        length, bend = side * uniform(generator, 0.2, 1.2), uniform(generator, -1.8, 1.8)
        path = wandering(start, uniform(generator, -math.pi, math.pi), length, bend)
        radius = side * math.exp(uniform(generator, math.log(0.003), math.log(0.012)))
        line = stroke((side, side), path, np.full(len(path), radius), (ink(generator), ink(generator)))
        picture = line[..., :3] + (1 - line[..., 3:]) * picture
    return torch.from_numpy(np.ascontiguousarray(picture, np.float32)).permute(2, 0, 1)
