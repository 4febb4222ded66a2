"""Tokens of a photo, from any model of the package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mattelike import framing, models, predictor, resampling
from mattelike.framing import Frame
from mattelike.models import Model, Role
from mattelike.similarity import normalised
from mattelike.values import Float32, Photo


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a backbone sees in one photo.

    Attributes:
        tokens: float32 ``(h_l * w_l, c)``, of length one.
        grid: ``(h_l, w_l)``; it may reach over the photo's right and lower edge.
        frame: How the photo was shown.
    """

    tokens: Float32
    grid: tuple[int, int]
    frame: Frame

    def cell(self, row: int, column: int) -> int:
        """Number of the cell a pixel of the photo lies in."""
        down, across = self.frame.extent(self.grid)
        height, width = self.frame.source
        return int(row * down / height) * self.grid[1] + int(column * across / width)

    def middle(self, cell: int) -> tuple[int, int]:
        """The pixel ``[row, column]`` of the photo in the middle of a cell, kept inside the photo."""
        down, across = self.frame.extent(self.grid)
        height, width = self.frame.source
        row, column = divmod(cell, self.grid[1])
        at = (row + 0.5) * height / float(down), (column + 0.5) * width / float(across)
        return min(height - 1, int(at[0])), min(width - 1, int(at[1]))

    def enlarged(self, cells: Float32) -> Float32:
        """A map ``(h_l * w_l,)`` at the photo's own size, bilinearly."""
        whole = resampling.resize(cells.reshape(self.grid), self.frame.seen)
        return np.clip(framing.undo(whole, self.frame), 0, 1)


def look(model: Model, photo: Photo, role: Role) -> Seen:
    """Looks once at a photo."""
    frame, _, features = predictor.look(model, photo, role)
    channels, height, width = features.tokens.shape[1:]
    tokens = features.tokens[0].reshape(channels, height * width).T
    return Seen(np.ascontiguousarray(normalised(tokens), np.float32), (height, width), frame)


def opened(name: str, device: str, threads: int | None, source: str, revision: str) -> Model:
    """A model to look with.

    Args:
        name: A row of `mattelike.models.MODELS`.
        device: As for `mattelike.models.load`.
        threads: As for `mattelike.models.load`.
        source: Folder or hub id, for models that take one; else empty.
        revision: Of the hub id.

    Raises:
        ModelNotFoundError: No such model, or one that takes no source.
    """
    options: dict[str, Any] = {"source": source} if source else {}
    if revision:
        options["revision"] = revision
    return models.load(name, device=device, threads=threads, **options)
