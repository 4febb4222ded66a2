"""How a thing, and what is behind it, moved from one frame to the next: one affine motion for each.

Where two motions meet, at the edge of a thing, a dense flow is wrong, and there it matters. An affine motion
is fitted to all pixels of a layer at once, by Gauss and Newton's least squares from coarse to fine (Bergen,
Anandan, Hanna and Hingorani, "Hierarchical Model-Based Motion Estimation", ECCV 1992), each pixel weighted by
how surely it belongs to the layer in both frames. The thing's alpha is registered along with its colours:
stripes look alike one stripe further, outlines do not. Two equal frames have no motion, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mattelike import resampling
from mattelike.refinement.windows import box
from mattelike.values import Float32
from mattelike.video.motion import followed, halved

Float64 = NDArray[np.float64]
Map = Float64
"""``(3, 3)``: where in the frame before a pixel ``(row, column, 1)`` was."""

SIDE = 256
"""Longest side at which all pixels look for the motion; at the frame's own size, only some finish it."""

LEVELS = 4
STEPS = 8
LAST_STEPS = 4
SAMPLES = 10_000
"""Pixels of a layer that finish its motion."""

LIKE = 0.1, 0.05
"""Differences of colour at which a pixel of the thing, and of what is behind it, counts half."""

OUTLINE = 0.1, 0.3, 1.0, 2.0, 3.0
"""Weight of alpha beside the colours, from fine to coarse."""

CLEAR = 4
"""Pixels around the thing that tell nothing of the motion behind it."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A frame and where the thing is in it.

    Attributes:
        pixels: uint8 or uint16 ``(h, w, 3)``.
        alpha: float32 ``(h, w)``.
    """

    pixels: NDArray[Any]
    alpha: Float32


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """Two frames at one level of the pyramid, and how much each pixel belongs to the layer.

    Attributes:
        now: float32 ``(h, w, 3)`` in [0, 1].
        before: The same, one frame earlier.
        here: float32 ``(h, w)`` weights of `now`.
        there: Those of `before`.
    """

    now: Float32
    before: Float32
    here: Float32
    there: Float32

    def halved(self) -> Layer:
        """At half the size."""
        return Layer(*(halved(each) for each in (self.now, self.before, self.here, self.there)))


def motions(now: View, before: View, last: Map) -> tuple[Map, Map]:
    """How the thing moved, and what is behind it.

    Args:
        now: A frame.
        before: The frame before, of the same size.
        last: How what is behind moved in the frame before: what moves tends to go on.
    """
    shape = now.alpha.shape
    size = _size(shape)
    (here, alpha_here), (there, alpha_there) = (_reduced(each, size) for each in (now, before))
    growth = shape[0] / size[0]
    thing = _thing(Layer(here, there, alpha_here, alpha_there)) * growth
    start = _parameters(last, shape) / growth
    clear = _clear(alpha_here), _clear(alpha_there)
    ground = _ground(Layer(here, there, *clear), [np.zeros((2, 3)), start]) * growth
    return (
        _map(_finished(thing, now, before, (now.alpha, before.alpha), LIKE[0], OUTLINE[0]), shape),
        _map(_finished(ground, now, before, (_clear(now.alpha), _clear(before.alpha)), LIKE[1], 0.0), shape),
    )


def _size(shape: tuple[int, ...]) -> tuple[int, int]:
    scale = min(1.0, SIDE / max(shape))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _reduced(view: View, size: tuple[int, int]) -> tuple[Float32, Float32]:
    """Colours in [0, 1] and alpha."""
    colours = view.pixels.astype(np.float32) / np.float32(np.iinfo(view.pixels.dtype).max)
    return resampling.area(colours, size), resampling.area(view.alpha, size)


def _clear(alpha: Float32) -> Float32:
    """1 where there is nothing of the thing around, 0 where there is some."""
    taken = box((alpha > 0.05).astype(np.float32), CLEAR)
    clear: Float32 = np.clip(1 - 8 * taken / np.float32((2 * CLEAR + 1) ** 2), 0, 1)
    return clear


def _thing(layer: Layer) -> Float64:
    levels = _pyramid(layer)
    coarsest = levels[-1]
    motion = np.zeros((2, 3))
    motion[:, 0] = _middle(coarsest.there) - _middle(coarsest.here)
    for depth in range(len(levels) - 1, -1, -1):
        motion = motion * _growth(levels, depth)
        motion = _fitted(levels[depth], motion, affine=depth <= 2, outline=OUTLINE[depth + 1], like=LIKE[0])
    return motion


def _ground(layer: Layer, starts: Sequence[Float64]) -> Float64:
    """From several starts, for a ground may repeat itself; the one that fits best."""
    levels = [
        Layer(each.now, each.before, each.here**4, each.there**4)  # what is mixed with the thing is out
        for each in _pyramid(layer)
    ]
    found = []
    for start in starts:
        motion = start * (levels[-1].here.shape[0] / levels[0].here.shape[0])
        for depth in range(len(levels) - 1, -1, -1):
            motion = motion * _growth(levels, depth)
            motion = _fitted(levels[depth], motion, affine=depth == 0, outline=0.0, like=LIKE[1])
        found.append((_misfit(levels[0], motion), motion))
    best: Float64 = min(found, key=lambda each: each[0])[1]
    return best


def _finished(
    motion: Float64, now: View, before: View, weights: tuple[Float32, Float32], like: float, outline: float
) -> Float64:
    """A motion at the frame's own size, improved by some of its pixels."""
    shape = now.alpha.shape
    rows, columns = np.nonzero(weights[0] > 0.02)
    some = slice(None, None, max(1, len(rows) // SAMPLES))
    rows, columns = rows[some], columns[some]
    places = np.stack([rows, columns, np.ones_like(rows)]).astype(np.float64)
    basis = np.stack([each[rows, columns] for each in _basis(shape)])
    colours = sampled(now.pixels, places)
    top = np.float32(np.iinfo(now.pixels.dtype).max)
    for _ in range(LAST_STEPS):
        at = _map(motion, shape) @ places
        off = (colours - sampled(before.pixels, at)) / top
        down, across = (_slopes(before.pixels, at, axis) / top for axis in (0, 1))
        weight = weights[0][rows, columns] * sampled(weights[1], at) * within(at, shape)
        weight /= 1 + np.square(np.abs(off).mean(axis=-1) / np.float32(like))
        slopes = np.concatenate([basis[..., None] * down, basis[..., None] * across]).reshape(6, -1)
        weighted = slopes * np.repeat(weight, 3)
        whole, right = weighted @ slopes.T, weighted @ off.reshape(-1)
        if outline:
            apart = weights[0][rows, columns] - sampled(weights[1], at)
            down, across = (_slopes(weights[1], at, axis) for axis in (0, 1))
            slopes = np.concatenate([basis * down, basis * across])
            weighted = slopes * (np.float32(outline) * within(at, shape))
            whole, right = whole + weighted @ slopes.T, right + weighted @ apart
        step = _solved(whole, right)
        motion = motion + step.reshape(2, 3)
        if np.abs(step).max() < 0.003:
            break
    return motion


def _slopes(pixels: NDArray[Any], places: Float64, axis: int) -> Float32:
    one = np.zeros((3, 1))
    one[axis] = 1.0
    slopes = (sampled(pixels, places + one) - sampled(pixels, places - one)) / 2
    return np.asarray(slopes, np.float32)


def within(places: NDArray[np.floating[Any]], shape: tuple[int, ...]) -> Float32:
    """1 where places, whose first two entries are rows and columns, are in a frame, 0 elsewhere."""
    rows, columns = places[0], places[1]
    inside = (rows >= 0) & (rows <= shape[0] - 1) & (columns >= 0) & (columns <= shape[1] - 1)
    return np.asarray(inside, np.float32)


def sampled(values: NDArray[Any], places: Float64) -> Float32:
    """Values at places ``(3, n)`` between pixels: bilinear, kept inside; at whole numbers the very ones."""
    return resampling.bilinear(values, places[0], places[1])


def _pyramid(layer: Layer) -> list[Layer]:
    levels = [layer]
    while len(levels) < LEVELS and min(levels[-1].here.shape) >= 16:
        levels.append(levels[-1].halved())
    return levels


def _growth(levels: Sequence[Layer], depth: int) -> float:
    """How much larger a level is than the one below it."""
    below = levels[min(depth + 1, len(levels) - 1)]
    return float(levels[depth].here.shape[0] / below.here.shape[0])


def _middle(weights: Float32) -> Float64:
    rows, columns = weights.sum(axis=1), weights.sum(axis=0)
    total = float(weights.sum()) + 1e-6
    at = [float(each @ np.arange(len(each), dtype=np.float32)) / total for each in (rows, columns)]
    return np.array(at, np.float64)


def _fitted(layer: Layer, motion: Float64, *, affine: bool, outline: float, like: float) -> Float64:
    """A motion, improved until it stays.

    Args:
        layer: One level.
        motion: ``(2, 3)``: rows and columns to add, of the middle, and a half height further down and across.
        affine: All six numbers; else only those of the middle.
        outline: Weight of the alphas beside the colours.
        like: Difference of colour at which a pixel counts half.
    """
    parts = 3 if affine else 1
    basis = np.stack(_basis(layer.here.shape)[:parts])
    motion = motion.copy()
    for _ in range(STEPS):
        step = _step(layer, motion, basis, outline, like)
        motion[0, :parts] += step[:parts]
        motion[1, :parts] += step[parts:]
        if np.abs(step).max() < 0.01:
            break
    return motion


def _step(layer: Layer, motion: Float64, basis: Float32, outline: float, like: float) -> Float64:
    field = _field(motion, layer.here.shape)
    inside = _inside(field)
    seen, there = followed(layer.before, field), followed(layer.there, field)
    off = layer.now - seen
    weight = layer.here * there * inside / (1 + np.square(np.abs(off).mean(axis=-1) / np.float32(like)))
    channels = [(seen[..., index], off[..., index], weight) for index in range(off.shape[-1])]
    if outline:
        channels.append((there, layer.here - there, np.float32(outline) * inside))
    size = 2 * len(basis)
    whole, right = np.zeros((size, size)), np.zeros(size)
    for picture, rest, counts in channels:
        down, across = np.gradient(picture)
        slopes = np.concatenate([basis * down, basis * across]).reshape(size, -1)
        weighted = slopes * counts.reshape(1, -1)
        whole += weighted @ slopes.T
        right += weighted @ rest.reshape(-1)
    return _solved(whole, right)


def _solved(whole: NDArray[Any], right: NDArray[Any]) -> Float64:
    size = len(right)
    held = whole + np.eye(size) * (1e-6 * np.trace(whole) / size + 1e-9)
    return np.asarray(np.linalg.solve(held, right), np.float64)


def _misfit(layer: Layer, motion: Float64) -> float:
    """Mean difference of colours that is left, of pixels that are seen in both frames."""
    field = _field(motion, layer.here.shape)
    off = np.abs(followed(layer.before, field) - layer.now).mean(axis=-1)
    weight = layer.here * followed(layer.there, field) * _inside(field)
    return float((weight * np.minimum(off, np.float32(0.1))).sum() / (weight.sum() + 1e-6))


def _basis(shape: tuple[int, ...]) -> tuple[Float32, Float32, Float32]:
    height, width = shape
    down = (np.arange(height, dtype=np.float32) - (height - 1) / 2) / (height / 2)
    across = (np.arange(width, dtype=np.float32) - (width - 1) / 2) / (height / 2)
    ones = np.ones((height, width), np.float32)
    return ones, ones * down[:, None].astype(np.float32), ones * across[None].astype(np.float32)


def _field(motion: Float64, shape: tuple[int, ...]) -> Float32:
    field: Float32 = np.tensordot(motion.astype(np.float32), np.stack(_basis(shape)), axes=1)
    return field


def _inside(field: Float32) -> Float32:
    """1 where a motion leads to a pixel of the frame."""
    _, height, width = field.shape
    return within(np.indices((height, width)) + field, (height, width))


def _map(motion: Float64, shape: tuple[int, ...]) -> Map:
    half, middle = shape[0] / 2, np.array([(shape[0] - 1) / 2, (shape[1] - 1) / 2])
    found = np.eye(3)
    found[:2, :2] += motion[:, 1:] / half
    found[:2, 2] = motion[:, 0] - motion[:, 1:] @ middle / half
    return found


def _parameters(found: Map, shape: tuple[int, ...]) -> Float64:
    """The inverse of `_map`."""
    half, middle = shape[0] / 2, np.array([(shape[0] - 1) / 2, (shape[1] - 1) / 2])
    linear = (found[:2, :2] - np.eye(2)) * half
    return np.column_stack([found[:2, 2] + linear @ middle / half, linear])
