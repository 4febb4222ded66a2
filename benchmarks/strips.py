"""Strips of real clips to be looked at: every frame over a checkerboard, alone above, steady below.

    python benchmarks/strips.py CLIP... -o FOLDER [--frames 24] [--height 120]

A CLIP is a folder of frames in order, ``00000.jpg``, with ``00000.png``, the mask of the thing, beside the
first of them, as DAVIS has them. Each gives one picture, kept out of the repository. Prints, as JSON lines,
which frames are taken for a new scene and how much the two answers differ.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from telling import say

import mattelike as ml
from mattelike import photos, resampling
from mattelike.video import edges
from mattelike.video.steady import Memory, steadied

Float32 = NDArray[np.float32]
SQUARE = 8


def over_squares(matte: ml.Matte, height: int) -> Float32:
    """A cut-out over a checkerboard, so many rows high."""
    width = round(height * matte.photo.width / matte.photo.height)
    rgb = photos.to_srgb(matte.photo, (height, width))
    alpha = resampling.area(matte.alpha, (height, width))[..., None]
    rows, columns = np.mgrid[:height, :width] // SQUARE
    squares = np.where((rows + columns) % 2, np.float32(0.45), np.float32(0.75))[..., None]
    mixed: Float32 = (alpha * rgb + (1 - alpha) * squares).astype(np.float32)
    return mixed


def strip(clip: Path, predictor: ml.Predictor, count: int, height: int) -> tuple[Float32, dict[str, Any]]:
    """Up to `count` frames of a clip, eight beside each other, and what there is to tell of them."""
    frames = sorted(clip.glob("*.jpg"))[:count]
    context = predictor.encode(frames[0], ml.Mask(photos.read(frames[0].with_suffix(".png")).pixels[..., 0]))
    memory, alone, mattes, alphas, cuts = Memory(), [], [], [], []
    window = edges.Window()
    for number, frame in enumerate(frames):
        glance = predictor.glance(frame, context)
        known = steadied(memory, glance)
        memory = known.memory
        matte = predictor.finish(known.glance)
        if known.cut:
            cuts.append(number)
        answers, window = edges.extended(window, matte.photo.pixels, matte.alpha, cut=known.cut)
        alphas += answers
        mattes.append(matte)
        alone.append(predictor.finish(glance))
    alphas += edges.ended(window)
    settled = [replace(matte, alpha=alpha) for matte, alpha in zip(mattes, alphas, strict=True)]
    apart = [float(np.abs(a.alpha - b.alpha).mean()) for a, b in zip(alone, settled, strict=True)]
    shown = [[over_squares(matte, height) for matte in each] for each in (alone, settled)]
    rows = [
        np.concatenate(row[first : first + 8], axis=1) for first in range(0, len(frames), 8) for row in shown
    ]
    widest = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 4), (0, widest - row.shape[1]), (0, 0)), constant_values=1) for row in rows]
    told = {"frames": len(frames), "new_scenes": cuts, "apart": round(float(np.mean(apart)), 4)}
    return np.concatenate(padded).astype(np.float32), told


def main() -> None:
    """One picture a clip."""
    parser = argparse.ArgumentParser(description="Strips of real clips to be looked at.")
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--height", type=int, default=120)
    parser.add_argument("--model", default="embedded")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    predictor = ml.load(given.model, device="cpu")
    for clip in given.clips:
        picture, told = strip(clip, predictor, given.frames, given.height)
        photos.write_rgb(given.out / f"{clip.name}.png", np.floor(picture * 255 + 0.5).astype(np.uint8))
        say(clip.name, **told)


if __name__ == "__main__":
    main()
