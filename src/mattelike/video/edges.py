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

All that is held are a few frames before this one and a few after: a frame is answered when those were seen.
From both sides more of the ground is seen, and what wavers to one side and the other cancels. Frames that
equal each other are not changed by a bit, and nothing is taken from beyond a cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mattelike import resampling
from mattelike.refinement.windows import box
from mattelike.values import Float32
from mattelike.video import votes
from mattelike.video.registration import Float64, Map, View, motions, sampled, within

BEFORE = 5
"""Frames before a frame that are looked at with it."""

AHEAD = 5
"""Frames after it."""

HELD_PIXELS = 24_000_000
"""No more pixels than that are held, but always two frames."""

REACH = 4
"""Pixels around alphas between 0 and 1 that are looked at."""

SURE = 0.02
"""Alphas so near to 0 and 1 are those."""

LEAST = 64.0
"""Pixels of a thing whose motion can be told."""

LIKE = np.float32(0.1)
"""Difference of the thing's colours at which a frame counts for little."""

APART = np.float32(0.5)
"""Difference of alphas that does the same."""

AROUND = np.float32(0.3)
"""Mean difference of alphas around a pixel that does the same."""

NOISE = np.float32(0.02)
"""Standard deviation of a colour along the motion: of the sensor, and of all that is not affine."""

LOST = np.float32(0.15)
"""Pixels that the motion is off by: where colours change fast, they say less."""

GRAIN = np.float32(0.01)
"""Standard deviation of the ground's colours by noise alone, which must not pass for a change of ground."""

DOUBT = np.float32(0.15)
"""Expected error of a mean alpha of one half; less towards 0 and 1."""

LEAST_DOUBT = np.float32(0.01)
"""The same of alphas 0 and 1."""

CLOSED = np.float32(0.004)
"""Mean alphas so near to 0 and 1 are doubted so little that the grounds behind are not looked for: most
places around edges, and most of the work."""


Layers = tuple[list[Map], list[Map]]
"""How thing and ground moved from one frame to each of several."""


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A frame that is held.

    Attributes:
        pixels: uint8 or uint16 ``(h, w, 3)``.
        alpha: float32 ``(h, w)``, of this frame alone.
        settled: float32 ``(h, w)``, the answer; `alpha` until there is one.
        small: float32 ``(h', w', 4)``, colours and `settled` at the size at which frames vote.
        thing: Where each pixel of the thing was in the frame before.
        ground: The same for what is behind it.
    """

    pixels: NDArray[Any]
    alpha: Float32
    settled: Float32
    small: Float32
    thing: Map
    ground: Map

    @classmethod
    def of(cls, pixels: NDArray[Any], alpha: Float32, thing: Map, ground: Map) -> Shot:
        """A frame that has had no answer yet."""
        return cls(pixels, alpha, alpha, votes.reduced(pixels, alpha), thing, ground)

    def answered(self, alpha: Float32) -> Shot:
        """The frame with its answer."""
        return replace(self, settled=alpha, small=votes.with_alpha(self.small, alpha))


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """The frames of one scene that are held, the latest last.

    Attributes:
        shots: Those frames.
        waiting: How many of them, the last ones, have had no answer yet.
    """

    shots: tuple[Shot, ...] = ()
    waiting: int = 0

    @property
    def answered(self) -> Window:
        """What is left when the frames that wait are taken away: to go on from, once they are read again."""
        return Window(self.shots[: len(self.shots) - self.waiting])


def save(window: Window, path: Path) -> None:
    """Writes the answered frames for a run that goes on from here, whole or not at all."""
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        names, past = Shot.__slots__, window.answered.shots
        np.savez(
            file, **{f"{n}.{name}": getattr(shot, name) for n, shot in enumerate(past) for name in names}
        )
    partial.replace(path)


def load(path: Path) -> Window:
    """Reads what `save` wrote."""
    with np.load(path) as kept:
        count = len(kept.files) // len(Shot.__slots__)
        shots = (Shot(**{name: kept[f"{n}.{name}"] for name in Shot.__slots__}) for n in range(count))
        return Window(tuple(shots))


def extended(
    window: Window, pixels: NDArray[Any], alpha: Float32, *, cut: bool = False
) -> tuple[list[Float32], Window]:
    """Takes in the next frame.

    Args:
        window: Frames held; none at the beginning.
        pixels: uint8 or uint16 ``(h, w, 3)``.
        alpha: float32 ``(h, w)``, what this frame says for itself.
        cut: A new scene begins with it: the frames before it wait no longer.

    Returns:
        Answers of the frames that need not wait any longer, in their order, float32 ``(h, w)`` in [0, 1]; and
        the frames for the next one.
    """
    if cut or not window.shots or not _goes_on(window.shots[-1], pixels, alpha):
        begun = _settled(Window((Shot.of(pixels, alpha, np.eye(3), np.eye(3)),), 1))
        return ended(window) + begun[0], begun[1]
    last = window.shots[-1]
    thing, ground = motions(View(pixels, alpha), View(last.pixels, last.alpha), last.ground)
    longer = Window((*window.shots, Shot.of(pixels, alpha, thing, ground)), window.waiting + 1)
    return _settled(longer)


def ended(window: Window) -> list[Float32]:
    """Answers of all frames that wait: the scene, or the clip, is over."""
    return _settled(window, ahead=0)[0] if window.waiting else []


def _goes_on(last: Shot, pixels: NDArray[Any], alpha: Float32) -> bool:
    """Whether there is a thing in both frames whose motion can be told."""
    same = last.pixels.shape == pixels.shape and last.pixels.dtype == pixels.dtype
    return same and min(float(alpha.sum()), float(last.alpha.sum())) >= LEAST


def _settled(window: Window, ahead: int | None = None) -> tuple[list[Float32], Window]:
    """The answers that enough later frames were seen for, and what is still held.

    What is found for a frame is believed of it by the next ones.
    """
    before, usual = _reach(window.shots[-1].alpha.size)
    ahead = usual if ahead is None else ahead
    shots, waiting = list(window.shots), window.waiting
    answers = []
    while waiting > ahead:
        at = len(shots) - waiting
        shots[at] = shots[at].answered(_answered(shots, at))
        answers.append(shots[at].settled)
        waiting -= 1
    return answers, Window(tuple(shots[-(before + waiting) :]), waiting)


def _reach(pixels: int) -> tuple[int, int]:
    """How many frames of so many pixels are held before and after one."""
    most = max(2, HELD_PIXELS // pixels)
    ahead = min(AHEAD, (most - 1) // 2)
    return min(BEFORE, most - 1 - ahead), ahead


def _answered(shots: Sequence[Shot], number: int) -> Float32:
    """Alpha of one of the frames, with what those around it tell of its edges."""
    before, ahead = _reach(shots[number].alpha.size)
    first = max(0, number - before)
    shots, number = shots[first : number + ahead + 1], number - first
    if len(shots) == 1:
        return shots[0].settled
    things = _from(number, [shot.thing for shot in shots])
    grounds = _from(number, [shot.ground for shot in shots])
    voted = _voted(shots, number, (things, grounds))
    rows, columns = np.nonzero(_edge(voted))
    if not len(rows):
        return voted
    places = np.stack([rows, columns, np.ones_like(rows)]).astype(np.float64)
    alpha = voted[rows, columns]
    views = _views(shots, number, things, places, alpha)
    mean = alpha + _weighted(views.trust, views.alphas - alpha)
    open_ = (mean > CLOSED) & (mean < 1 - CLOSED)
    behind = _behind(shots, (things, grounds), places[:, open_])
    slope = _gradient(shots[number])[rows[open_], columns[open_]]
    mean[open_] += _told(views.at(open_), behind, number, mean[open_], slope)
    answer = voted.copy()
    answer[rows, columns] = np.clip(mean, 0, 1)
    return answer


def _voted(shots: Sequence[Shot], number: int, layers: Layers) -> Float32:
    """Alpha of one of the frames where those around it see a region otherwise."""
    now = shots[number].settled
    added = votes.change([shot.small for shot in shots], number, layers, now.shape)
    return np.clip(now + resampling.resize(added, now.shape), 0, 1) if added.any() else now


@dataclass(frozen=True, slots=True, eq=False)
class _Views:
    """What each of S frames shows at n places that move with the thing.

    Attributes:
        colours: float32 ``(S, n, 3)``.
        alphas: float32 ``(S, n)``.
        trust: float32 ``(S, n)`` in [0, 1].
    """

    colours: Float32
    alphas: Float32
    trust: Float32

    def at(self, chosen: NDArray[np.bool_]) -> _Views:
        """At some of the places, ``(n,)``."""
        return _Views(self.colours[:, chosen], self.alphas[:, chosen], self.trust[:, chosen])


@dataclass(frozen=True, slots=True, eq=False)
class _Behind:
    """The ground behind n places in each of S frames.

    Attributes:
        colours: float32 ``(S, n, 3)``.
        known: float32 ``(S, n)``: 1 where it was seen.
        spread: float32 ``(S, n)``, variance of what was seen.
    """

    colours: Float32
    known: Float32
    spread: Float32


@dataclass(frozen=True, slots=True, eq=False)
class _Patch:
    """A part of the frame in which places lie.

    Attributes:
        height: Its rows.
        width: Its columns.
        index: intp ``(n,)``, which of its pixels each place is.
    """

    height: int
    width: int
    index: NDArray[np.intp]

    @classmethod
    def of(cls, places: Float64) -> _Patch:
        """The smallest that holds places ``(3, n)``, all on pixels."""
        rows, columns = places[:2].astype(np.intp)
        rows, columns = rows - rows.min(), columns - columns.min()
        width = int(columns.max()) + 1
        return cls(int(rows.max()) + 1, width, rows * width + columns)

    def sums(self, values: Float32) -> Float32:
        """Sums of values ``(k, n)`` over the places within three pixels of each."""
        laid = np.zeros((len(values), self.height * self.width), np.float32)
        laid[:, self.index] = values
        boxed = box(laid.reshape(len(values), self.height, self.width), 3)
        return np.asarray(boxed.reshape(len(values), -1).take(self.index, axis=1), np.float32)


def _views(
    shots: Sequence[Shot], number: int, things: Sequence[Map], places: Float64, alpha: Float32
) -> _Views:
    present = _colours(shots[number], places)[0]
    patch = _Patch.of(places)
    count = patch.sums(np.ones((1, len(alpha)), np.float32))[0]
    parts = []
    for shot, thing in zip(shots, things, strict=True):
        there = thing @ places
        colours, inside = _colours(shot, there)
        alphas = sampled(shot.settled, there)
        off = np.abs(colours - present).mean(axis=-1)
        parts.append((colours, alphas, _alike(off, alphas, alpha, patch, count) * inside))
    return _Views(*(np.stack(part).astype(np.float32) for part in zip(*parts, strict=True)))


def _behind(shots: Sequence[Shot], layers: Layers, places: Float64) -> _Behind:
    things, grounds = layers
    bare = [_bare(shot) for shot in shots]
    parts = []
    for thing, ground in zip(things, grounds, strict=True):
        back = np.linalg.inv(ground) @ thing
        parts.append(_ground(bare, [other @ back @ places for other in grounds]))
    return _Behind(*(np.stack(part).astype(np.float32) for part in zip(*parts, strict=True)))


def _from(number: int, maps: list[Map]) -> list[Map]:
    """Maps from one of the frames to each, from those that lead to the frame before."""
    found = [np.eye(3) for _ in maps]
    for earlier in range(number, 0, -1):
        found[earlier - 1] = maps[earlier] @ found[earlier]
    for later in range(number + 1, len(maps)):
        found[later] = np.linalg.inv(maps[later]) @ found[later - 1]
    return found


def _bare(shot: Shot) -> NDArray[Any]:
    """Colours and, all or nothing, where there is nothing of the thing around: ``(h, w, 4)``."""
    clear = box((shot.settled > 0.05).astype(np.float32), 1) < 0.5
    laid = np.empty((*shot.alpha.shape, 4), shot.pixels.dtype)
    laid[..., :3] = shot.pixels
    laid[..., 3] = clear
    laid[..., 3] *= np.iinfo(shot.pixels.dtype).max
    return laid


def _ground(bare: Sequence[NDArray[Any]], paths: Sequence[Float64]) -> tuple[Float32, Float32, Float32]:
    """Mean, presence and variance of the ground at places that are looked up in all frames."""
    count = np.zeros(paths[0].shape[1], np.float32)
    total, squares = np.zeros((3, len(count)), np.float32), np.zeros(len(count), np.float32)
    for frame, path in zip(bare, paths, strict=True):
        *colours, free = sampled(frame, path).T / np.float32(np.iinfo(frame.dtype).max)
        seen = within(path, frame.shape) * (free > 0.99)
        count += seen
        total += np.stack(colours) * seen
        squares += sum(np.square(colour) for colour in colours) * seen
    often = np.maximum(count, 1)
    mean = total / often
    spread = np.maximum(squares / often - np.square(mean).sum(axis=0), 0) / 3
    return np.asarray(mean.T, np.float32), np.minimum(count, 1), np.asarray(spread, np.float32)


def _alike(off: Float32, alphas: Float32, alpha: Float32, patch: _Patch, count: Float32) -> Float32:
    """How much the thing at and around each place is as it is now, in [0, 1].

    A thing half hidden has colours of its own nowhere else, so its alphas must agree as well: at the place
    within what an edge may waver, and around it closely, for what hides a thing hides more than a pixel.
    """
    weight = np.square(np.minimum(alphas, alpha))
    apart = np.abs(alphas - alpha)
    colour, whole, change = patch.sums(np.stack([off * weight, weight, apart]))
    unlike = np.square(colour / (whole + np.float32(1e-3)) / LIKE)
    unlike += np.square(apart / APART) + np.square(change / count / AROUND)
    return np.asarray(np.exp(-unlike), np.float32)


def _told(views: _Views, ground: _Behind, number: int, mean: Float32, slope: Float32) -> Float32:
    """What the changes of the ground add to the mean alpha."""
    clear = 1 - mean
    variance = NOISE**2 + np.square(LOST * slope) + ground.spread * np.square(clear)
    trust = views.trust * ground.known
    weight = trust / variance
    colours, behind = (each - each[number] for each in (views.colours, ground.colours))
    colours, behind = colours - _weighted(weight, colours), behind - _weighted(weight, behind)
    seen = (weight[..., None] * behind * behind).sum(axis=(0, 2))
    follows = (weight[..., None] * behind * colours).sum(axis=(0, 2))
    prior = np.square(DOUBT) * 4 * mean * clear + LEAST_DOUBT**2
    line = (follows + clear / prior) / (seen + 1 / prior)
    misfit = _misfit(trust, weight, colours - line[:, None] * behind)
    changes = np.maximum(seen - 3 * GRAIN**2 * weight.sum(axis=0), 0) / misfit
    follows = follows / misfit
    return np.asarray((changes * clear - follows) / (changes + 1 / prior), np.float32)


def _misfit(trust: Float32, weight: Float32, off: Float32) -> Float32:
    """Squared errors ``(S, n, 3)`` that a line leaves, over those that are expected; at least 1."""
    left = np.square(off).mean(axis=-1)
    frames = trust.sum(axis=0)
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
