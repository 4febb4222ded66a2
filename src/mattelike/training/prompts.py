"""Simulated prompts: what a person would have marked, cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mattelike.training.augment import chance, integer, uniform

MASK, SEEDS, BOX = 0, 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """Marks of p questions with r references of n cells each.

    Attributes:
        positive: ``(p, r, n)`` in [0, 1], how much of a cell is marked as the thing.
        negative: ``(p, r, n)`` in [0, 1], how much of it is known not to be.
        form: int ``(p, r)``: `MASK`, `SEEDS` (points, scribbles) or `BOX`.
    """

    positive: Tensor
    negative: Tensor
    form: Tensor

    @staticmethod
    def stacked(rows: Sequence[Sequence[tuple[Tensor, Tensor, int]]]) -> Marks:
        """Marks of all questions from one ``(positive, negative, form)`` a reference."""
        return Marks(
            torch.stack([torch.stack([mark[0] for mark in row]) for row in rows]),
            torch.stack([torch.stack([mark[1] for mark in row]) for row in rows]),
            torch.tensor([[mark[2] for mark in row] for row in rows]),
        )


def marks(
    alpha: Tensor, stride: int, generator: torch.Generator, *, sparse: bool, negative: bool = False
) -> tuple[Tensor, Tensor, int]:
    """What a person might mark of a thing.

    Args:
        alpha: ``(h, w)`` in [0, 1].
        stride: Pixels per cell.
        generator: Source of chance.
        sparse: Points, a scribble or a box instead of a mask.
        negative: The whole photo is an example of what is not meant.

    Returns:
        Positive and negative share ``(n,)`` of every cell, and the form.
    """
    cells = F.avg_pool2d(alpha[None, None], stride)[0, 0]
    nothing = torch.zeros_like(cells).flatten()
    if negative:
        return nothing, nothing + 1, MASK
    if not sparse:
        loose = F.avg_pool2d(jittered(alpha, generator)[None, None], stride)[0, 0].flatten()
        # A thing thinner than a cell covers no cell by half: its best cells stand for it all the same.
        scale = 1.0 if float(loose.max()) >= 0.5 else 0.5 / max(1e-3, float(loose.max()))
        return (loose * scale).clamp(max=1), 1 - loose, MASK
    if chance(generator, 0.25):
        inside = box(cells, generator).flatten()
        return inside, 1 - inside, BOX
    inner = torch.nonzero(cells.flatten() >= min(0.6, 0.9 * float(cells.max())))[:, 0]
    outer = torch.nonzero(cells.flatten() < 0.05)[:, 0]
    count = 1 + integer(generator, 5) if chance(generator, 0.6) else 8 + integer(generator, 20)
    positive = nothing.index_fill(0, some(inner, count, generator), 1.0)
    against = nothing
    if chance(generator, 0.3) and len(outer):
        against = nothing.index_fill(0, some(outer, 1 + integer(generator, 3), generator), 1.0)
    return positive, against, SEEDS


def some(positions: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """At most `count` of the positions, by chance."""
    return positions[torch.randperm(len(positions), generator=generator)[:count]]


def jittered(alpha: Tensor, generator: torch.Generator) -> Tensor:
    """A mask as people and tools draw it: now and then too wide or too narrow."""
    if chance(generator, 0.5):
        return alpha
    radius = 1 + integer(generator, max(2, alpha.shape[-1] // 48))
    kernel = 2 * radius + 1
    x = alpha[None, None]
    wide = (
        F.max_pool2d(x, kernel, 1, radius) if chance(generator, 0.6) else -F.max_pool2d(-x, kernel, 1, radius)
    )
    # A thin thing must not vanish under the eraser.
    return wide[0, 0] if float(wide.sum()) > 0.3 * float(alpha.sum()) else alpha


def box(cells: Tensor, generator: torch.Generator) -> Tensor:
    """The bounding box of the thing, drawn a little loosely: ``(h, w)`` in {0, 1}."""
    shown = cells > 0.3 * float(cells.max())
    rows, columns = torch.nonzero(shown.any(dim=1))[:, 0], torch.nonzero(shown.any(dim=0))[:, 0]
    slack = uniform(generator, 0, 0.08)
    height, width = cells.shape
    top, bottom = int(rows[0] - slack * height), int(rows[-1] + 1 + slack * height)
    left, right = int(columns[0] - slack * width), int(columns[-1] + 1 + slack * width)
    inside = torch.zeros_like(cells)
    inside[max(0, top) : bottom, max(0, left) : right] = 1
    return inside
