"""AIM-500 as a benchmark: its pictures by kind, some of their alphas edited to show one thing alone.

The data set is published without groups, and the groups and edited alphas of the paper are not published
(specification 5.3): both are given here, and what was made of them is a table that says what was used.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mattelike.errors import OutputError, UsageError
from mattelike.evaluation.layouts import edited, group_table
from mattelike.training.sources import LAYOUTS, MASKS, Sample, from_layout

COLUMNS = ("group", "image", "alpha", "trimap", "kind", "is_reference", "relation")
# Of pictures without a group: no name of a group, as it is no name of a file.
NONE = "/"


@dataclass(frozen=True, slots=True)
class Regrouped:
    """What became of a data set.

    Attributes:
        table: The benchmark.
        pictures: In it.
        edited: Those with an edited alpha.
        alone: Groups of one picture, left out: nothing can be its reference.
    """

    table: Path
    pictures: int
    edited: int
    alone: tuple[str, ...]


def template(root: Path, table: Path) -> int:
    """Writes every name of the data set beside an empty group, to be filled in; how many there are.

    Raises:
        UsageError: No such data set, or a table that is there already.
        OutputError: The table cannot be written.
    """
    folder = root / LAYOUTS["aim-500"].image
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; AIM-500 has original/, mask/, trimap/")
    if table.exists():
        raise UsageError(f"{table}: is there already; give it with --groups, or take it away")
    names = sorted(path.stem for path in folder.iterdir() if path.is_file())
    _written(table, [("name", "group"), *((name, "") for name in names)])
    return len(names)


def regrouped(root: Path, groups: Path, table: Path, alphas: Path | None = None) -> Regrouped:
    """Writes the benchmark; paths in it are relative to it.

    Args:
        root: Of AIM-500.
        groups: Table ``name,group``; pictures without a group are left out.
        table: To be written.
        alphas: Folder of edited alphas, named like their pictures.

    Raises:
        UsageError: A file that is missing, an edited alpha without its picture, or no group of two.
        OutputError: The table cannot be written.
    """
    samples = _grouped(root, groups, alphas)
    edits = set() if alphas is None else {path.stem for path in alphas.iterdir() if path.suffix in MASKS}
    strangers = sorted(edits - {sample.image.stem for sample in samples})
    if strangers:
        raise UsageError(f"{alphas}: {strangers[0]} is an edited alpha of no picture that has a group")
    sizes = Counter(sample.group for sample in samples)
    kept = [sample for sample in samples if sizes[sample.group] > 1]
    if not kept:
        raise UsageError(f"{groups}: no group has two pictures, so none can be the reference of another")
    rows: list[Sequence[str]] = [COLUMNS]
    for sample in kept:
        files = (_relative(path, table) for path in (sample.image, sample.alpha, sample.trimap))
        rows.append((sample.group, *files, "matting", "", "category"))
    _written(table, rows)
    count = sum(sample.image.stem in edits for sample in kept)
    return Regrouped(table, len(kept), count, tuple(sorted(g for g, size in sizes.items() if size == 1)))


def _grouped(root: Path, groups: Path, alphas: Path | None) -> list[Sample]:
    """Pictures that have a group, in order of group and name."""
    known = group_table(groups)
    folder = root / LAYOUTS["aim-500"].image
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; AIM-500 has original/, mask/, trimap/")
    names = {path.stem for path in folder.iterdir()}
    lost = sorted(set(known) - names)
    if lost:
        raise UsageError(f"{groups}: {lost[0]} is no picture of {folder}")
    found = from_layout(root, "aim-500", {name: known.get(name, NONE) for name in names})
    kept = [edited(sample, alphas) for sample in found if sample.group != NONE]
    return sorted(kept, key=lambda sample: (sample.group, sample.name))


def _relative(path: Path | None, table: Path) -> str:
    return "" if path is None else Path(os.path.relpath(path.resolve(), table.parent.resolve())).as_posix()


def _written(table: Path, rows: Sequence[Sequence[str]]) -> None:
    try:
        table.parent.mkdir(parents=True, exist_ok=True)
        with table.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
    except OSError as error:
        raise OutputError(f"{table}: cannot be written ({error.strerror or error})") from error
