"""A tiny benchmark and methods whose answers are known, for the tests of the evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mattelike import photos
from mattelike.baselines import Answer, Help, Reference
from mattelike.evaluation.mini.building import Edition, build
from mattelike.values import Photo

TINY = Edition(
    side=72, references=2, scenes=1, absent=1, renders=1, kinds=("fish", "mushroom"), cuts=("sloth",)
)


def tiny(folder: Path, examples: Path) -> Path:
    """Twelve targets in three groups."""
    return build(folder, examples, TINY)


class Knowing:
    """Answers with the truth of the tiny benchmark, or with something a known amount off it.

    Args:
        folder: Of the benchmark.
        off: Subtracted from the truth.
        help: What it is given.
        fails: Names of targets it fails on.
    """

    def __init__(
        self, folder: Path, off: float = 0.0, help: Help = "references", fails: Sequence[str] = ()
    ) -> None:
        self.folder = folder
        self.off = off
        self.help: Help = help
        self.fails = tuple(fails)
        self.asked: list[str] = []
        self.encoded: list[tuple[str, ...]] = []

    @property
    def about(self) -> Mapping[str, str]:
        return {"method": "knowing", "off": str(self.off)}

    def encode(self, references: Sequence[Reference]) -> tuple[str, ...]:
        names = tuple(photo.name for photo, _ in references)
        self.encoded.append(names)
        return names

    def matte(self, photo: Photo, context: tuple[str, ...]) -> Answer:
        from mattelike.errors import ModelError

        self.asked.append(photo.name)
        if photo.name in self.fails:
            raise ModelError(f"{photo.name}: no answer")
        truth = photos.read((self.folder / photo.name).with_suffix(".png")).pixels[..., 0] / np.float32(255)
        alpha = np.clip(truth - np.float32(self.off), 0, 1).astype(np.float32)
        return Answer(alpha, float(alpha.max()))
