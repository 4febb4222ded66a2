"""Steady edges: a thing that moves is seen over several grounds, and that tells its alpha.

Along the motion of the thing a pixel of its edge keeps its colour and its alpha, while what is behind it
changes::

    I_s = P + (1 - alpha) B_s        P = alpha F, the same in all frames s; B_s what was behind it

B_s is known where the ground, moving by itself, was seen in one of the frames held. So ``1 - alpha`` is the
slope of a line through few points in each channel: triangulation matting (Smith and Blinn, "Blue Screen
Matting", SIGGRAPH 1996) with the motion in place of the second screen. The prior of that least squares is the
mean of the frames' own alphas along the thing's motion, and it is all that is left where the ground is plain,
moves with the thing or was never seen. A frame counts as far as it looks like this one along that motion: a
thing that bends, or is hidden for a while, is this frame's alone.

All that is held are a few frames before this one. The first, one after a cut, and one that equals the frames
before it are not changed by a bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mattelike.refinement.windows import box
from mattelike.values import Float32
from mattelike.video.registration import Float64, Map, View, motions, sampled, within

HELD = 7
"""Frames looked at together, this one included."""

HELD_PIXELS = 30_000_000
"""No more pixels than that are held, but always two frames."""

REACH = 4
"""Pixels around alphas between 0 and 1 that are looked at."""

SURE = 0.02
"""Alphas so near to 0 and 1 are those."""

LEAST = 64.0
"""Pixels of a thing whose motion can be told."""

LIKE = np.float32(0.08)
"""Difference of the thing's colours at which a frame counts for little."""

APART = np.float32(0.5)
"""Difference of alphas that does the same."""

AROUND = np.float32(0.2)
"""Mean difference of alphas around a pixel that does the same."""

NOISE = np.float32(0.03)
"""Standard deviation of a colour along the motion: of the sensor, and of all that is not affine."""

LOST = np.float32(0.15)
"""Pixels that the motion is off by: where colours change fast, they say less."""

GRAIN = np.float32(0.01)
"""Standard deviation of the ground's colours by noise alone, which must not pass for a change of ground."""

DOUBT = np.float32(0.15)
"""Expected error of a mean alpha of one half; less towards 0 and 1."""

LEAST_DOUBT = np.float32(0.01)
"""The same of alphas 0 and 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A frame that is held.

    Attributes:
        pixels: uint8 or uint16 ``(h, w, 3)``.
        alpha: float32 ``(h, w)``, of this frame alone.
        thing: Where each pixel of the thing was in the frame before.
        ground: The same for what is behind it.
    """

    pixels: NDArray[Any]
    alpha: Float32
    thing: Map
    ground: Map


Past = tuple[Shot, ...]


def save(past: Past, path: Path) -> None:
    """Writes the frames held for a run that goes on from here, whole or not at all."""
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        names = Shot.__slots__
        np.savez(
            file, **{f"{n}.{name}": getattr(shot, name) for n, shot in enumerate(past) for name in names}
        )
    partial.replace(path)


def load(path: Path) -> Past:
    """Reads what `save` wrote."""
    with np.load(path) as kept:
        count = len(kept.files) // len(Shot.__slots__)
        return tuple(Shot(**{name: kept[f"{n}.{name}"] for name in Shot.__slots__}) for n in range(count))


def steadied(past: Past, pixels: NDArray[Any], alpha: Float32) -> tuple[Float32, Past]:
    """A frame's alpha, with what the frames before tell of its edges.

    Args:
        past: Frames held, the latest last; none at the beginning and after a cut.
        pixels: uint8 or uint16 ``(h, w, 3)``.
        alpha: float32 ``(h, w)``, what this frame says for itself.

    Returns:
        float32 ``(h, w)`` in [0, 1], and the frames for the next one.
    """
    alone = Shot(pixels, alpha, np.eye(3), np.eye(3))
    if not past or past[-1].pixels.shape != pixels.shape or past[-1].pixels.dtype != pixels.dtype:
        return alpha, (alone,)
    last = past[-1]
    if min(float(alpha.sum()), float(last.alpha.sum())) < LEAST:
        return alpha, (alone,)
    thing, ground = motions(View(pixels, alpha), View(last.pixels, last.alpha), last.ground)
    shots = (*past, Shot(pixels, alpha, thing, ground))
    shots = shots[-max(2, min(HELD, HELD_PIXELS // alpha.size)) :]
    return _answered(shots), shots


def _answered(shots: Past) -> Float32:
    now = shots[-1]
    rows, columns = np.nonzero(_edge(now.alpha))
    if not len(rows):
        return now.alpha
    places = np.stack([rows, columns, np.ones_like(rows)]).astype(np.float64)
    alpha = now.alpha[rows, columns]
    views = _views(shots, places, alpha)
    mean = alpha + _weighted(views.trust, views.alphas - alpha)
    slope = _gradient(now)[rows, columns]
    answer = now.alpha.copy()
    answer[rows, columns] = np.clip(mean + _told(views, mean, slope), 0, 1)
    return answer


@dataclass(frozen=True, slots=True, eq=False)
class _Views:
    """What each of S frames shows at n places that move with the thing.

    Attributes:
        colours: float32 ``(S, n, 3)``.
        alphas: float32 ``(S, n)``.
        trust: float32 ``(S, n)`` in [0, 1].
        behind: float32 ``(S, n, 3)``, the ground behind.
        known: float32 ``(S, n)``: 1 where that was seen.
        spread: float32 ``(S, n)``, variance of what was seen.
    """

    colours: Float32
    alphas: Float32
    trust: Float32
    behind: Float32
    known: Float32
    spread: Float32


def _views(shots: Past, places: Float64, alpha: Float32) -> _Views:
    things, grounds = (_back([getattr(shot, layer) for shot in shots]) for layer in ("thing", "ground"))
    clear = [box((shot.alpha > 0.05).astype(np.float32), 1) < 0.5 for shot in shots]
    present = _colours(shots[-1], places)[0]
    parts = []
    for shot, thing, ground in zip(shots, things, grounds, strict=True):
        there = thing @ places
        colours, inside = _colours(shot, there)
        alphas = sampled(shot.alpha, there)
        off = np.abs(colours - present).mean(axis=-1)
        trust = _alike(off, alphas, alpha, places) * inside
        paths = [other @ np.linalg.inv(ground) @ there for other in grounds]
        parts.append((colours, alphas, trust, *_ground(shots, clear, paths)))
    return _Views(*(np.stack(part).astype(np.float32) for part in zip(*parts, strict=True)))


def _back(maps: list[Map]) -> list[Map]:
    """Maps from the last frame to each, from those that lead to the frame before."""
    found = [np.eye(3)]
    for each in reversed(maps[1:]):
        found.append(each @ found[-1])
    return found[::-1]


def _ground(
    shots: Past, clear: list[NDArray[np.bool_]], paths: list[Float64]
) -> tuple[Float32, Float32, Float32]:
    """Mean, presence and variance of the ground at places that are looked up in all frames."""
    count = np.zeros(paths[0].shape[1], np.float32)
    total, squares = np.zeros((len(count), 3), np.float32), np.zeros(len(count), np.float32)
    for shot, free, path in zip(shots, clear, paths, strict=True):
        colours, inside = _colours(shot, path)
        seen = inside * (sampled(free.astype(np.float32), path) > 0.99)
        count += seen
        total += colours * seen[:, None]
        squares += np.square(colours).sum(axis=-1) * seen
    often = np.maximum(count, 1)
    mean = total / often[:, None]
    spread = np.maximum(squares / often - np.square(mean).sum(axis=-1), 0) / 3
    return np.asarray(mean, np.float32), np.minimum(count, 1), np.asarray(spread, np.float32)


def _alike(off: Float32, alphas: Float32, alpha: Float32, places: Float64) -> Float32:
    """How much the thing at and around each place is as it is now, in [0, 1].

    A thing half hidden has colours of its own nowhere else, so its alphas must agree as well: at the place
    within what an edge may waver, and around it closely, for what hides a thing hides more than a pixel.
    """
    rows, columns = places[:2].astype(np.intp)
    top, left = rows.min(), columns.min()
    weight = np.square(np.minimum(alphas, alpha))
    apart = np.abs(alphas - alpha)
    sums = np.zeros((4, rows.max() - top + 1, columns.max() - left + 1), np.float32)
    sums[:, rows - top, columns - left] = off * weight, weight, apart, np.ones_like(apart)
    colour, whole, change, count = box(sums, 3)[:, rows - top, columns - left]
    unlike = np.square(colour / (whole + np.float32(1e-3)) / LIKE)
    unlike += np.square(apart / APART) + np.square(change / count / AROUND)
    return np.asarray(np.exp(-unlike), np.float32)


def _told(views: _Views, mean: Float32, slope: Float32) -> Float32:
    """What the changes of the ground add to the mean alpha."""
    clear = 1 - mean
    variance = NOISE**2 + np.square(LOST * slope) + views.spread * np.square(clear)
    weight = views.trust * views.known / variance
    colours, behind = (each - each[-1] for each in (views.colours, views.behind))
    colours, behind = colours - _weighted(weight, colours), behind - _weighted(weight, behind)
    seen = (weight[..., None] * behind * behind).sum(axis=(0, 2))
    follows = (weight[..., None] * behind * colours).sum(axis=(0, 2))
    prior = np.square(DOUBT) * 4 * mean * clear + LEAST_DOUBT**2
    line = (follows + clear / prior) / (seen + 1 / prior)
    misfit = _misfit(views, weight, colours - line[:, None] * behind)
    changes = np.maximum(seen - 3 * GRAIN**2 * weight.sum(axis=0), 0) / misfit
    follows = follows / misfit
    return np.asarray((changes * clear - follows) / (changes + 1 / prior), np.float32)


def _misfit(views: _Views, weight: Float32, off: Float32) -> Float32:
    """Squared errors ``(S, n, 3)`` that a line leaves, over those that are expected; at least 1."""
    left = np.square(off).mean(axis=-1)
    frames = (views.trust * views.known).sum(axis=0)
    spare = np.maximum(frames - np.float32(1.3), np.float32(0.2))
    return np.asarray(np.maximum((weight * left).sum(axis=0) / spare, 1), np.float32)


def _weighted(weight: Float32, values: Float32) -> Float32:
    """Mean over the frames of values that are 0 in this one."""
    whole = weight.sum(axis=0) + np.float32(1e-6)
    if values.ndim == 3:
        weight, whole = weight[..., None], whole[..., None]
    return np.asarray((weight * values).sum(axis=0) / whole, np.float32)


def _edge(alpha: Float32) -> NDArray[np.bool_]:
    """Where alpha is neither 0 nor 1, or changes from one to the other, and around."""
    open_ = (alpha > SURE) & (alpha < 1 - SURE)
    near = box((alpha >= 0.5).astype(np.float32), 1)
    open_ |= (near > 0) & (near < box(np.ones_like(alpha), 1))
    found: NDArray[np.bool_] = box(open_.astype(np.float32), REACH) > 0
    return found


def _gradient(shot: Shot) -> Float32:
    gray = shot.pixels.mean(axis=-1, dtype=np.float32) / np.float32(np.iinfo(shot.pixels.dtype).max)
    return np.asarray(np.hypot(*np.gradient(gray)), np.float32)


def _colours(shot: Shot, places: Float64) -> tuple[Float32, Float32]:
    """Colours in [0, 1] at places between pixels, and 1 where those are in the frame, 0 elsewhere."""
    values = sampled(shot.pixels, places) / np.float32(np.iinfo(shot.pixels.dtype).max)
    return values, within(places, shot.alpha.shape)
