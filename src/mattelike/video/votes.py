"""Steady regions: what the frames around a frame say of the places it shows.

A piece of a thing that is lost in one frame, or a piece of the ground that is taken for it, is told from what
moves there: along the motion of the layer that a place belongs to, its colours stay. Frames whose colours at
a place agree, along either motion, have a say in its alpha; where most of them say otherwise than this frame,
they are believed. So nothing but answers is ever counted: that something moves with the ground makes it
no ground as long as every frame takes it for the thing.

It is done at half the frame's size or less: edges, which need more, are `mattelike.video.edges`'.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mattelike import resampling
from mattelike.refinement.windows import box
from mattelike.values import Float32
from mattelike.video.registration import Float64, Map, sampled, within

SIDE = 256
"""Longest side at which frames vote."""

LIKE = np.float32(0.1)
"""Mean difference of colours around a place, in [0, 1], at which a frame counts for little."""

AROUND = 1
"""Radius of that mean, in pixels of the smaller frame."""

IGNORED = 0.05
"""Differences of alpha up to this stay."""

FOLLOWED = 0.15
"""Differences from this on are followed."""


def reduced(pixels: NDArray[Any], alpha: Float32) -> Float32:
    """A frame at the size at which it votes.

    Args:
        pixels: uint8 or uint16 ``(h, w, 3)``.
        alpha: float32 ``(h, w)``.

    Returns:
        float32 ``(h', w', 4)`` in [0, 1]: colours and alpha.
    """
    share = min(0.5, SIDE / max(alpha.shape))
    size = max(1, round(share * alpha.shape[0])), max(1, round(share * alpha.shape[1]))
    rgb = resampling.area(pixels, size) / np.float32(np.iinfo(pixels.dtype).max)
    return np.dstack([rgb, resampling.area(alpha, size)]).astype(np.float32)


def with_alpha(frame: Float32, alpha: Float32) -> Float32:
    """A `reduced` frame with another alpha, ``(h, w)``; its colours are not looked at again."""
    small = resampling.area(alpha, (frame.shape[0], frame.shape[1]))
    return np.dstack([frame[..., :3], small]).astype(np.float32)


def change(
    frames: Sequence[Float32], number: int, layers: Sequence[Sequence[Map]], shape: tuple[int, ...]
) -> Float32:
    """What the frames around a frame would add to its alpha.

    Args:
        frames: `reduced`, all of one size.
        number: Which of them is asked about.
        layers: For every layer, how it moved from that frame to each: maps of pixels of the frames' own size.
        shape: That size.

    Returns:
        float32 ``(h', w')``; 0 where they agree.
    """
    now = frames[number]
    small = now.shape[0], now.shape[1]
    places = _places(small, shape)
    total, count = now[..., 3].reshape(-1).copy(), np.ones(small[0] * small[1], np.float32)
    for maps in layers:
        for at, (frame, way) in enumerate(zip(frames, maps, strict=True)):
            if at != number:
                there = _shrunk(way @ places, small, shape)
                seen = sampled(frame, there)
                trust = _alike(seen[:, :3].reshape(now[..., :3].shape), now[..., :3])
                trust = trust.reshape(-1) * within(there, small)
                total += trust * seen[:, 3]
                count += trust
    said = np.asarray(total / count, np.float32)
    off = _mean(said.reshape(small) - now[..., 3], 1)
    share = np.clip((np.abs(off) - IGNORED) / (FOLLOWED - IGNORED), 0, 1)
    return np.asarray(off * share, np.float32)


def _places(small: tuple[int, int], shape: tuple[int, ...]) -> Float64:
    """Middles of the smaller frame's pixels, in pixels of the frame, ``(3, n)``."""
    rows, columns = np.indices(small).reshape(2, -1)
    down, across = shape[0] / small[0], shape[1] / small[1]
    return np.stack([(rows + 0.5) * down - 0.5, (columns + 0.5) * across - 0.5, np.ones(rows.size)])


def _shrunk(places: Float64, small: tuple[int, int], shape: tuple[int, ...]) -> Float64:
    """Places in the frame as places in the smaller one."""
    down, across = small[0] / shape[0], small[1] / shape[1]
    return np.stack([(places[0] + 0.5) * down - 0.5, (places[1] + 0.5) * across - 0.5, places[2]])


def _alike(seen: Float32, now: Float32) -> Float32:
    """How much another frame, carried to this one, looks as this one does, in [0, 1]."""
    unlike = _mean(np.abs(seen - now).mean(axis=-1), AROUND) / LIKE
    return np.asarray(np.exp(-np.square(unlike)), np.float32)


def _mean(values: Float32, radius: int) -> Float32:
    """Of the pixels around each."""
    values = np.asarray(values, np.float32)
    return np.asarray(box(values, radius) / box(np.ones_like(values), radius), np.float32)
