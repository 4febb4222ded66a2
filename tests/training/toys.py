"""A pack of coloured shapes, small enough to train on within a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mattelike.training import pack
from mattelike.training.groups import Item

SHAPES = ("disc", "bar", "ring", "cross", "wedge")


def drawn(shape: str, seed: int, side: int = 72) -> np.ndarray:
    """uint8 ``(side, side, 4)``: one shape in its own colour on noise."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:side, :side] / side - 0.5
    radius = np.hypot(row, column)
    masks = {
        "disc": radius < 0.32,
        "bar": (np.abs(row) < 0.12) & (np.abs(column) < 0.4),
        "ring": (radius < 0.4) & (radius > 0.25),
        "cross": (np.abs(row) < 0.1) | (np.abs(column) < 0.1),
        "wedge": (row > -0.35) & (np.abs(column) < (row + 0.35) / 2),
    }
    colour = np.random.default_rng(SHAPES.index(shape)).integers(60, 255, 3)
    rgb = rng.integers(0, 90, (side, side, 3))
    rgb[masks[shape]] = colour
    return np.dstack([rgb, 255 * masks[shape]]).astype(np.uint8)


def items() -> Iterator[tuple[Item, np.ndarray]]:
    for index, shape in enumerate(SHAPES):
        for copy in range(3):
            name = f"toy/{shape}/{copy}"
            yield Item(name, "toy", shape, "alpha", "photo", name, True), drawn(shape, 10 * index + copy)
    for copy in range(3):
        noise = np.random.default_rng(copy).integers(0, 120, (80, 80, 4)).astype(np.uint8)
        noise[..., 3] = 0
        yield Item(f"toy/back/{copy}", "toy", f"toy/{copy}", "none", "photo", f"b{copy}", True), noise


def toy_pack(folder: Path) -> pack.Pack:
    """The pack, written and opened."""
    pack.write(folder, items())
    return pack.load(folder)
