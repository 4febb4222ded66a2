"""The whole benchmark: pictures, alphas, and the table that says what is whose reference.

Every kind is one group. Its references show one thing each. Its targets are of three splits: ``scenes``
(the thing and distractors), ``absent`` (distractors alone, alpha 0 everywhere) and, of drawn kinds,
``photo-to-render`` (the same kind in the other style). Things from the example photos are the same thing in
every picture: their groups have the relation ``instance``, drawn kinds have ``category``. Cut-outs of a
folder of one's own are kinds as well.
"""

from __future__ import annotations

import csv
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from mattelike import photos
from mattelike.evaluation.mini import cuttings, grounds
from mattelike.evaluation.mini.canvas import Pose, over
from mattelike.evaluation.mini.more_things import MORE
from mattelike.evaluation.mini.things import KINDS, Style, thing
from mattelike.figures import levels
from mattelike.values import Float32

Split = Literal["scenes", "absent", "photo-to-render"]
COLUMNS = ("group", "image", "alpha", "trimap", "kind", "is_reference", "relation", "split")
# Middles of the cells things are put in, as shares of the side, so that they hardly touch.
CELLS = ((0.27, 0.27), (0.27, 0.73), (0.73, 0.27), (0.73, 0.73))
QUALITY = 92


@dataclass(frozen=True, slots=True)
class Edition:
    """How large a benchmark is.

    Attributes:
        side: Pixels of its pictures along each side.
        references: References of each group.
        scenes: Targets with the thing among distractors.
        absent: Targets without it.
        renders: Targets in the other style.
        kinds: Drawn kinds.
        cuts: Kinds from the example photos.
    """

    side: int = 256
    references: int = 2
    scenes: int = 3
    absent: int = 1
    renders: int = 1
    kinds: tuple[str, ...] = tuple(KINDS)
    cuts: tuple[str, ...] = tuple(cuttings.THINGS)


SMALL = Edition()
LARGE = Edition(side=640, references=4, scenes=6, absent=2, renders=2, kinds=(*KINDS, *MORE))
ALL = {**KINDS, **MORE}


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One picture to be made."""

    group: str
    split: Split | Literal["reference"]
    number: int

    @property
    def name(self) -> str:
        return f"{self.group}/{self.split}-{self.number:02}"


def build(
    folder: Path, examples: Path, edition: Edition = SMALL, seed: int = 1, own: Path | None = None
) -> Path:
    """Builds the benchmark; the same on every machine.

    Args:
        folder: Made if need be; what has the names of its files is replaced.
        examples: The folder ``examples`` of a checkout.
        edition: How large.
        seed: Of all chance.
        own: Folder of cut-outs with transparency, a folder a kind, that become groups beside the others;
            those of a kind with several have other ones in targets than in references.

    Returns:
        The table ``benchmark.csv`` in the folder, which `mattelike evaluate` takes.

    Raises:
        UsageError: The example photos are not there, or a file of `own` is no cut-out.
        OutputError: The folder cannot be written to.
    """
    given = cuttings.read_own(own, (*ALL, *cuttings.THINGS), edition.side) if own else {}
    edition = replace(edition, cuts=(*edition.cuts, *given))
    studio = _Studio(examples, edition, seed, given)
    rows = []
    for wanted in _wanted(edition):
        rgb, alpha = studio.picture(wanted)
        place = folder / wanted.name
        place.parent.mkdir(parents=True, exist_ok=True)
        photos.write_rgb(place.with_suffix(".jpg"), levels(rgb), quality=QUALITY)
        photos.write_alpha(place.with_suffix(".png"), alpha)
        rows.append(_row(wanted, studio.alike(wanted.group)))
    table = folder / "benchmark.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([COLUMNS, *rows])
    return table


def _wanted(edition: Edition) -> Iterator[_Wanted]:
    for group in (*edition.kinds, *edition.cuts):
        yield from (_Wanted(group, "reference", number) for number in range(edition.references))
        yield from (_Wanted(group, "scenes", number) for number in range(edition.scenes))
        yield from (_Wanted(group, "absent", number) for number in range(edition.absent))
        if group in edition.kinds:
            yield from (_Wanted(group, "photo-to-render", number) for number in range(edition.renders))


def _row(wanted: _Wanted, relation: str) -> Sequence[str]:
    reference = wanted.split == "reference"
    split = "references" if reference else wanted.split
    image, alpha = f"{wanted.name}.jpg", f"{wanted.name}.png"
    return wanted.group, image, alpha, "", "matting", "1" if reference else "", relation, split


class _Studio:
    """Makes pictures; each depends on the seed and its own name alone."""

    def __init__(
        self, examples: Path, edition: Edition, seed: int, own: Mapping[str, Sequence[Float32]]
    ) -> None:
        self.edition = edition
        self.seed = seed
        self.parts = cuttings.read_parts(examples)
        self.cuts: dict[str, Sequence[Float32]] = {
            name: own[name] if name in own else [cuttings.read_thing(examples, name)] for name in edition.cuts
        }

    @property
    def _all(self) -> tuple[str, ...]:
        return (*dict.fromkeys((*KINDS, *self.edition.kinds)), *self.edition.cuts)

    def alike(self, group: str) -> Literal["instance", "category"]:
        """Whether a group shows one thing or several of a kind."""
        return "instance" if len(self.cuts.get(group, ())) == 1 else "category"

    def picture(self, wanted: _Wanted) -> tuple[Float32, Float32]:
        """Colours ``(s, s, 3)`` and alpha ``(s, s)`` of one picture."""
        draw = np.random.default_rng([self.seed, zlib.crc32(wanted.name.encode())])
        side = self.edition.side
        style: Style = "render" if wanted.split == "photo-to-render" else "photo"
        rgb = grounds.some(self.parts, side, draw)
        alpha = np.zeros((side, side), np.float32)
        if wanted.split == "reference":
            shown = [(wanted.group, self._pose(draw, 0.5, 0.5, draw.uniform(0.3, 0.38)))]
        else:
            shown = list(self._among(wanted, draw))
        for name, pose in shown:
            front = self._thing(name, wanted, style, pose, draw)
            rgb = over(front, rgb)
            alpha = front[..., 3] if name == wanted.group else alpha * (1 - front[..., 3])
        return np.clip(rgb, 0, 1), np.clip(alpha, 0, 1)

    def _among(self, wanted: _Wanted, draw: np.random.Generator) -> Iterator[tuple[str, Pose]]:
        """Two or three distractors, and the thing, each in a cell of its own, in the order they are laid."""
        style_has = self.edition.kinds if wanted.split == "photo-to-render" else self._all
        others = [name for name in style_has if name != wanted.group]
        count = min(len(others), 2 + int(draw.integers(2)))
        names = [others[i] for i in draw.permutation(len(others))[:count]]
        if wanted.split != "absent":
            names.insert(int(draw.integers(count + 1)), wanted.group)
        for name, cell in zip(names, draw.permutation(len(CELLS)), strict=False):
            row, column = CELLS[cell]
            yield name, self._pose(draw, row, column, draw.uniform(0.17, 0.24))

    def _pose(self, draw: np.random.Generator, row: float, column: float, reach: float) -> Pose:
        side = self.edition.side
        at = (row + draw.uniform(-0.03, 0.03)) * side, (column + draw.uniform(-0.03, 0.03)) * side
        angle = draw.uniform(-0.35, 0.35) if draw.random() < 0.8 else draw.uniform(-math.pi / 2, math.pi / 2)
        return Pose(*at, reach * side, angle, bool(draw.random() < 0.5))

    def _thing(
        self, name: str, wanted: _Wanted, style: Style, pose: Pose, draw: np.random.Generator
    ) -> Float32:
        side = self.edition.side
        if name in self.cuts:
            placed = cuttings.placed(self._cut(name, wanted), side, pose)
            placed[..., :3] *= np.float32(draw.uniform(0.8, 1.1))
            placed[..., :3] = np.minimum(placed[..., :3], placed[..., 3:])
            return placed
        return thing(ALL[name], style, side, pose, draw)

    def _cut(self, name: str, wanted: _Wanted) -> Float32:
        """One of a kind's cut-outs: references have the first half of them, all else the others."""
        cuts = self.cuts[name]
        half = len(cuts) // 2
        if half == 0:
            return cuts[0]
        if wanted.split == "reference":
            return cuts[wanted.number % half]
        return cuts[half + zlib.crc32(f"{wanted.name}/{name}".encode()) % (len(cuts) - half)]
