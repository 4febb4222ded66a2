"""The worst answers, as strips: reference and its mark, target, answer, truth, error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mattelike import figures, photos, prompts, resampling
from mattelike.errors import PhotoError
from mattelike.evaluation.benchmarks import Benchmark
from mattelike.evaluation.layouts import Entry
from mattelike.evaluation.marks import mark
from mattelike.evaluation.protocols import Protocol
from mattelike.evaluation.reading import Shelf, Shown
from mattelike.evaluation.rows import Row
from mattelike.evaluation.run import matte_path
from mattelike.figures import Picture
from mattelike.predictor import thumbnail
from mattelike.training.sample_pixels import one_channel
from mattelike.values import Float32

HEIGHT = 200
WORST = 6
FOLDER = "pictures"


def worst(rows: Sequence[Row], count: int = WORST) -> list[Row]:
    """The worst answers of a method: those farthest off per pixel, at most half of them without the thing."""
    scored = [row for row in rows if "mad" in row.values and row.choice == 0 and row.turn == 0]
    ordered = sorted(scored, key=lambda row: (-row.values["mad"], row.target))
    gone = [row for row in ordered if not row.present][: count // 2]
    there = [row for row in ordered if row.present][: count - len(gone)]
    return sorted(there + gone, key=lambda row: (-row.values["mad"], row.target))


class Artist:
    """Draws strips of an evaluation from the mattes it saved.

    Args:
        benchmark: Whose pictures.
        protocol: How they were shown.
        folder: Of the evaluation.
    """

    def __init__(self, benchmark: Benchmark, protocol: Protocol, folder: Path) -> None:
        self._entries = {entry.sample.name: entry for entry in benchmark.entries}
        self._protocol = protocol
        self._folder = folder
        self._shelf = Shelf(protocol)

    def draw(self, row: Row, name: str) -> str:
        """Writes the strip of an answer; its path below the folder.

        Raises:
            PhotoError: Its matte is no longer there.
        """
        picture = f"{FOLDER}/{name}.jpg"
        (self._folder / FOLDER).mkdir(parents=True, exist_ok=True)
        photos.write_rgb(self._folder / picture, self.strip(row), quality=85)
        return picture

    def strip(self, row: Row) -> Picture:
        """The strip of an answer, uint8 ``(h, w, 3)``."""
        shown = self._shelf.shown(self._entries[row.target])
        saved = matte_path(self._folder, row.method, row.key)
        if not saved.is_file():
            raise PhotoError(f"{saved}: the matte is gone; evaluate again with --overwrite")
        alpha = one_channel(photos.read(saved))
        target = figures.shown(shown.photo, HEIGHT)
        panels = [("target", target)]
        panels += [("answer", _over(shown, alpha)), ("truth", _over(shown, shown.truth))]
        error = np.abs(alpha - shown.truth).astype(np.float32)
        # One scale for all, so that a strip that glows is one to worry about.
        panels.append(("error", figures.heat(error, target, top=1.0)))
        marked = self._marked(row)
        return figures.row(([("mark", marked)] if marked is not None else []) + panels)

    def _marked(self, row: Row) -> Picture | None:
        """The first reference, or the picture itself, with its mark; None where nothing was marked."""
        if not row.form:
            return None
        entry: Entry = self._entries[row.references[0] if row.references else row.target]
        shown, protocol = self._shelf.shown(entry), self._protocol
        prompt = mark(protocol.form, shown.truth, entry.sample.name, protocol.seed, row.turn)
        roi = prompts.resolve(prompt, shown.photo, photos.read)
        return figures.shown(photos.read(thumbnail(shown.photo, roi)), HEIGHT)


def _over(shown: Shown, alpha: Float32) -> Picture:
    height, width = HEIGHT, max(1, round(shown.photo.width * HEIGHT / shown.photo.height))
    small = np.clip(resampling.resize(alpha, (height, width)), 0, 1)
    return figures.over_squares(figures.shown(shown.photo, HEIGHT), small)
