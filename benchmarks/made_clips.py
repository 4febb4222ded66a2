"""Short clips whose alpha is known exactly: things that move, turn and grow over backgrounds that move.

    python benchmarks/made_clips.py OUT [--clips vase net ...] [--frames 24] [--height 288]
    mattelike evaluate clips:OUT -m embedded -m imagenet -o report

Writes every clip as ``OUT/NAME/image/0000.png`` (RGB) and ``OUT/NAME/alpha/0000.png``. A frame is equation 1,
``I = alpha F + (1 - alpha) B``, plus the noise of a sensor, rounded to 8 bits: whatever F and B are, alpha is
its truth. Things are photos of the examples cut by their hand-drawn marks, which no training has seen, and
two that are drawn: a ball of hair and a net. Every clip has its own seed and happens the same way each time.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mattelike as ml
from mattelike import photos, resampling

EXAMPLES = Path(__file__).parent.parent / "examples"
HEIGHT, WIDTH, FRAMES = 288, 512, 24
SIDE = 320
"""Pixels of a thing's picture, before it is scaled."""

NOISE = 2.5
"""Standard deviation of a pixel, in levels of 8 bits."""

Float32 = NDArray[np.float32]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a thing is in one frame.

    Attributes:
        x: Of its middle, as a share of the frame's width.
        y: The same, of its height.
        turn: Radians.
        size: Its picture's side as a share of the frame's height.
    """

    x: float
    y: float
    turn: float = 0.0
    size: float = 0.8


@dataclass(frozen=True, slots=True)
class Made:
    """How a clip is made.

    Attributes:
        thing: What is looked for.
        behind: Photo of the examples behind it, or empty for a drawn texture.
        seed: Of everything drawn.
        pose: Where the thing is, for a time in [0, 1).
        pan: How far the background moves in the clip, in frame widths.
        bar: A pole passes in front of the thing.
        cut: From this time on, another background and the thing somewhere else; 1 for no cut.
    """

    thing: str
    behind: str
    seed: int
    pose: Callable[[float], Pose]
    pan: float = 0.3
    bar: bool = False
    cut: float = 1.0


def _across(t: float) -> Pose:
    return Pose(0.28 + 0.4 * t, 0.52 + 0.05 * np.sin(7 * t), 0.25 * np.sin(4 * t), 0.75 + 0.2 * t)


def _turning(t: float) -> Pose:
    return Pose(0.5 + 0.08 * np.sin(6 * t), 0.5, 1.3 * t - 0.6, 0.85)


def _growing(t: float) -> Pose:
    return Pose(0.45 + 0.1 * t, 0.5 + 0.04 * np.sin(9 * t), 0.1 * np.sin(5 * t), 0.5 + 0.5 * t)


def _returning(t: float) -> Pose:
    return Pose(0.75 + 0.8 * np.sin(np.pi * t), 0.52, 0.2 * t, 0.8)


def _resting(t: float) -> Pose:
    return Pose(0.5, 0.52, 0.0, 0.85)


CLIPS: dict[str, Made] = {
    "vase": Made("vase", "chow/02", 11, _across),
    "sloth": Made("sloth", "vase/02", 12, _turning),
    "chow": Made("chow", "", 13, _growing),
    "ball": Made("ball", "sloth/04", 14, _across, pan=0.5),
    "net": Made("net", "", 15, _turning),
    "returning": Made("vase", "", 16, _returning),
    "behind_a_pole": Made("sloth", "chow/05", 17, _resting, pan=0.1, bar=True),
    "cut": Made("chow", "vase/05", 18, _growing, cut=0.5),
}


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One frame and its truth: uint8 ``(h, w, 3)`` and float32 ``(h, w)``."""

    pixels: Pixels
    alpha: Float32


def frames(name: str, count: int = FRAMES, height: int = HEIGHT, width: int = WIDTH) -> Iterator[Shot]:
    """The frames of a clip, one after the other."""
    made = CLIPS[name]
    draw = np.random.default_rng(made.seed)
    picture = _thing(made.thing, draw)
    grounds = [_ground(made.behind, height, width, draw), _ground("", height, width, draw)]
    for number in range(count):
        t = number / count
        later = t >= made.cut
        pose = made.pose(t)
        if later:
            pose = Pose(1 - pose.x, pose.y, -pose.turn, pose.size * 0.8)
        thing = _placed(picture, pose, height, width)
        back = _panned(grounds[later], made.pan * t, height, width)
        alpha, mixed = thing[..., 3], thing[..., :3] + (1 - thing[..., 3:]) * back
        if made.bar:
            share = _bar(t, height, width)
            alpha = alpha * (1 - share)
            mixed = mixed * (1 - share[..., None]) + np.float32(0.35) * share[..., None]
        noisy = mixed * 255 + draw.normal(0, NOISE, mixed.shape).astype(np.float32)
        yield Shot(np.clip(np.floor(noisy + 0.5), 0, 255).astype(np.uint8), alpha.astype(np.float32))


# --- things ------------------------------------------------------------------------------------------


def _thing(name: str, draw: np.random.Generator) -> Float32:
    """float32 ``(SIDE, SIDE, 4)``, premultiplied, empty at its border."""
    if name == "ball":
        return _ball(draw)
    if name == "net":
        return _net(draw)
    photo = {"vase": "03", "sloth": "00", "chow": "01"}[name]
    pixels = ml.read_image(EXAMPLES / "photos" / name / f"{photo}.jpg").pixels.astype(np.float32) / 255
    mark = ml.read_image(EXAMPLES / "marks" / f"{name}.png").pixels[..., 0].astype(np.float32) / 255
    rows, columns = np.flatnonzero(mark.max(1) > 0), np.flatnonzero(mark.max(0) > 0)
    # A little off the drawn edge, so that what is cut out is the thing alone.
    alpha = np.clip(1.6 * _blurred(mark, 3) - 0.6, 0, 1)
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return _squared(np.dstack([pixels * alpha[..., None], alpha])[window])


def _squared(cut: Float32) -> Float32:
    """A picture of any shape in the middle of an empty square of `SIDE`."""
    height, width = cut.shape[:2]
    scale = (SIDE - 8) / max(height, width)
    small = resampling.resize(
        np.ascontiguousarray(cut), (max(1, round(height * scale)), max(1, round(width * scale)))
    )
    result = np.zeros((SIDE, SIDE, 4), np.float32)
    top, left = (SIDE - small.shape[0]) // 2, (SIDE - small.shape[1]) // 2
    result[top : top + small.shape[0], left : left + small.shape[1]] = np.clip(small, 0, 1)
    return result


def _ball(draw: np.random.Generator) -> Float32:
    """A striped ball with hair."""
    y, x = (np.mgrid[:SIDE, :SIDE].astype(np.float32) - SIDE / 2) / SIDE
    reach = 0.3
    alpha = np.clip((reach - np.hypot(x, y)) * SIDE + 0.5, 0, 1)
    for _ in range(140):
        angle, bend, length = draw.uniform(0, 2 * np.pi), draw.uniform(-0.6, 0.6), draw.uniform(0.05, 0.15)
        for step in np.linspace(0, 1, 40):
            at = (reach - 0.01 + step * length) * np.array(
                [np.sin(angle + bend * step**2), np.cos(angle + bend * step**2)]
            )
            row, column = (at * SIDE + SIDE / 2).astype(int)
            patch = (slice(row - 3, row + 4), slice(column - 3, column + 4))
            away = np.hypot(y[patch] - at[0], x[patch] - at[1]) * SIDE
            alpha[patch] = np.maximum(alpha[patch], np.clip(1.6 - step - away, 0, 1))
    stripes = (np.sin(40 * x + 9 * np.sin(14 * y)) > 0).astype(np.float32)[..., None]
    colour = stripes * np.float32([0.85, 0.3, 0.55]) + (1 - stripes) * np.float32([0.95, 0.85, 0.3])
    return np.dstack([colour * alpha[..., None], alpha]).astype(np.float32)


def _net(draw: np.random.Generator) -> Float32:
    """A round net of strings in a ring."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) - SIDE / 2
    away = np.hypot(x, y)
    ring = np.clip(14 - np.abs(away - 0.4 * SIDE), 0, 1)
    pitch = 26.0
    strings = np.minimum(np.abs((y + x) % pitch - pitch / 2), np.abs((y - x) % pitch - pitch / 2)) / np.sqrt(
        2
    )
    alpha = np.maximum(ring, np.clip(3.2 - strings, 0, 1) * (away < 0.4 * SIDE))
    shade = np.float32(0.75) + np.float32(0.25) * _texture(SIDE, SIDE, 22, draw)
    colour = shade[..., None] * np.float32([0.2, 0.55, 0.9])
    return np.dstack([colour * alpha[..., None], alpha]).astype(np.float32)


# --- what is around them -----------------------------------------------------------------------------


def _ground(name: str, height: int, width: int, draw: np.random.Generator) -> Float32:
    """A background wider than the frame, to be panned over."""
    size = round(height * 1.1), round(width * 1.8)
    if name:
        photo = ml.read_image(EXAMPLES / "photos" / f"{name}.jpg").pixels.astype(np.float32) / 255
        rows, columns = (np.arange(n) * m // n for n, m in zip(size, photo.shape, strict=False))
        return _blurred(photo[rows][:, columns], 1)
    shares = (_texture(*size, cell, draw) for cell in (90, 40, 14))
    colours = draw.uniform(0.1, 0.9, (4, 3)).astype(np.float32)
    result = np.broadcast_to(colours[0], (*size, 3)).copy()
    for share, colour in zip(shares, colours[1:], strict=True):
        result += share[..., None] * (colour - result)
    return result


def _texture(height: int, width: int, cell: int, draw: np.random.Generator) -> Float32:
    knots = draw.random((height // cell + 3, width // cell + 3, 1), dtype=np.float32)
    grown = resampling.resize(knots, (knots.shape[0] * cell, knots.shape[1] * cell))[..., 0]
    return np.ascontiguousarray(grown[cell : cell + height, cell : cell + width])


def _panned(ground: Float32, by: float, height: int, width: int) -> Float32:
    """The part of a background that is seen, between pixels where it has moved so."""
    left = min(by * width, ground.shape[1] - width - 1.001)
    whole, part = int(left), np.float32(left - int(left))
    top = (ground.shape[0] - height) // 2
    seen = ground[top : top + height]
    return seen[:, whole : whole + width] * (1 - part) + seen[:, whole + 1 : whole + width + 1] * part


def _placed(picture: Float32, pose: Pose, height: int, width: int) -> Float32:
    """A thing's picture where its pose says, mean of four samples a pixel."""
    scale = SIDE / (pose.size * height)
    cosine, sine = scale * np.cos(pose.turn), scale * np.sin(pose.turn)
    total = np.zeros((height, width, 4), np.float32)
    for down in (-0.25, 0.25):
        for across in (-0.25, 0.25):
            y = np.arange(height, dtype=np.float32)[:, None] + np.float32(down + 0.5 - pose.y * height)
            x = np.arange(width, dtype=np.float32)[None] + np.float32(across + 0.5 - pose.x * width)
            total += _sampled(
                picture, cosine * y - sine * x + SIDE / 2 - 0.5, sine * y + cosine * x + SIDE / 2 - 0.5
            )
    return total / 4


def _sampled(picture: Float32, rows: Any, columns: Any) -> Float32:
    """Bilinear; empty outside, as the border of the picture is."""
    rows = np.clip(rows, 0, SIDE - 1.001)
    columns = np.clip(columns, 0, SIDE - 1.001)
    top, left = rows.astype(np.intp), columns.astype(np.intp)
    down, right = (rows - top)[..., None].astype(np.float32), (columns - left)[..., None].astype(np.float32)
    above = picture[top, left] * (1 - right) + picture[top, left + 1] * right
    below = picture[top + 1, left] * (1 - right) + picture[top + 1, left + 1] * right
    mixed: Float32 = above * (1 - down) + below * down
    return mixed


def _bar(t: float, height: int, width: int) -> Float32:
    """How much of each pixel a pole covers."""
    x = np.arange(width, dtype=np.float32)
    share = np.clip(0.06 * width - np.abs(x - (0.1 + 0.9 * t) * width) + 0.5, 0, 1)
    return np.broadcast_to(share, (height, width)).astype(np.float32)


def _blurred(image: Float32, times: int) -> Float32:
    """Means of three by three pixels, several times."""
    for _ in range(times):
        for axis in (0, 1):
            padded = np.pad(image, [(1, 1) if a == axis else (0, 0) for a in range(image.ndim)], mode="edge")
            parts = [np.take(padded, np.arange(k, k + image.shape[axis]), axis) for k in range(3)]
            image = ((parts[0] + parts[1] + parts[2]) / 3).astype(np.float32)
    return image


def main() -> None:
    """Writes the clips."""
    parser = argparse.ArgumentParser(description="Makes clips whose alpha is known.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--clips", nargs="*", default=list(CLIPS), choices=list(CLIPS))
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--height", type=int, default=HEIGHT, help="of a frame, 9/16 of its width")
    given = parser.parse_args()
    for name in given.clips:
        write(given.out / name, name, given.frames, given.height)


def write(folder: Path, name: str, count: int = FRAMES, height: int = HEIGHT) -> None:
    """Writes one clip, its frames in ``image/`` and their alphas in ``alpha/``."""
    for part in ("image", "alpha"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number, shot in enumerate(frames(name, count, height, round(height * WIDTH / HEIGHT))):
        photos.write_rgb(folder / "image" / f"{number:04d}.png", shot.pixels)
        photos.write_alpha(folder / "alpha" / f"{number:04d}.png", shot.alpha)


if __name__ == "__main__":
    main()
