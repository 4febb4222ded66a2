"""Layouts: how data sets are laid out on disk as they are published, and one reader for each.

A reader finds pictures, their truth and their groups, and says which file is missing; pixels are read later.
`mattelike.evaluation.benchmarks` lists the layouts, and opens them by name.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from mattelike.errors import UsageError
from mattelike.training import sources
from mattelike.training.sources import IMAGES, MASKS, Sample

Relation = Literal["instance", "category"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture of a benchmark.

    Attributes:
        sample: Where it is, and its group.
        relation: Whether its group shows one thing or things of one category.
        split: Name of the part of the benchmark it counts in; may be empty.
        labels: Its truth is a label map: every level but 0 is the thing.
        frame: Number of the frame, where its group is a clip; None for a photo.
    """

    sample: Sample
    relation: Relation = "category"
    split: str = ""
    labels: bool = False
    frame: int | None = None


@dataclass(frozen=True, slots=True)
class Extra:
    """What is given beside a data set that is published without it.

    Attributes:
        groups: Table ``name,group`` (names without suffix), or None.
        alphas: Folder of edited alphas that replace those of the same name, or None.
    """

    groups: Path | None = None
    alphas: Path | None = None


Reader = Callable[[Path, Extra], list[Entry]]


def _from_table(path: Path, extra: Extra) -> list[Entry]:
    table = path / "benchmark.csv" if path.is_dir() else path
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = zip(sources.from_csv(table), rows, strict=True)
    return [
        Entry(
            sample,
            _relation(row.get("relation"), table),
            str(row.get("split") or ""),
            frame=_frame(row.get("frame"), table),
        )
        for sample, row in found
    ]


def _from_folders(path: Path, extra: Extra) -> list[Entry]:
    return _related(path, sources.from_folders(path))


def _from_clips(path: Path, extra: Extra) -> list[Entry]:
    return _related(path, sources.from_folders(path), relation="instance")


def _from_index(path: Path, extra: Extra) -> list[Entry]:
    if path.is_file():
        return _related(path.parent, sources.from_index(path, path.parent))
    indexes = sorted(path.glob("*.json"))
    if len(indexes) != 1:
        raise UsageError(f"{path}: one JSON index was expected beside image/ and alpha/, not {len(indexes)}")
    return _related(path, sources.from_index(indexes[0], path))


def _from_aim(path: Path, extra: Extra) -> list[Entry]:
    groups = None if extra.groups is None else group_table(extra.groups)
    found = sources.from_layout(path, "aim-500", groups)
    return _related(path, [edited(sample, extra.alphas) for sample in found])


def _from_trees(images: str, masks: str) -> Reader:
    def read(path: Path, extra: Extra) -> list[Entry]:
        if not (path / images).is_dir():
            raise UsageError(f"{path / images}: no such folder; is this another layout?")
        found = []
        for folder in sorted(p for p in (path / images).iterdir() if p.is_dir()):
            for image in _pictures(folder):
                alpha = _mask(path / masks / folder.name, image.stem)
                found.append(_sample(folder.name, image, alpha))
        return _related(path, found, relation="instance", labels=True)

    return read


def _from_classes(path: Path, extra: Extra) -> list[Entry]:
    """``<class>/<name>.jpg`` with its mask beside it, ``<name>.png``."""
    found = []
    for folder in sorted(p for p in path.iterdir() if p.is_dir()):
        for image in _pictures(folder):
            if image.suffix.lower() != ".png":
                found.append(_sample(folder.name, image, _mask(folder, image.stem)))
    return _related(path, found)


READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "csv": _from_table,
        "folders": _from_folders,
        "json": _from_index,
        "icm-57": _from_index,
        "aim-500": _from_aim,
        "perseg": _from_trees("Images", "Annotations"),
        "fss-1000": _from_classes,
        "davis": _from_trees("JPEGImages/480p", "Annotations/480p"),
        "clips": _from_clips,
    }
)
# Layouts whose groups are clips.
IN_TIME = ("davis", "clips")


def _sample(group: str, image: Path, alpha: Path) -> Sample:
    return Sample(f"{group}/{image.name}", group, image, alpha, kind="segmentation")


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGES)


def _mask(folder: Path, stem: str) -> Path:
    found = next((path for suffix in MASKS if (path := folder / f"{stem}{suffix}").is_file()), None)
    if found is None:
        raise UsageError(f"{folder / stem}: no mask there, with one of {', '.join(MASKS)}")
    return found


def _related(
    root: Path, samples: Iterable[Sample], *, relation: Relation = "category", labels: bool = False
) -> list[Entry]:
    """Entries with what ``groups.csv`` says of their groups."""
    table = root / "groups.csv"
    stated: dict[str, tuple[Relation, str]] = {}
    if table.is_file():
        with table.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                named = _relation(row.get("relation") or relation, table)
                stated[str(row.get("group"))] = named, str(row.get("split") or "")
    default = relation, ""
    return [Entry(sample, *stated.get(sample.group, default), labels) for sample in samples]


def _relation(text: str | None, table: Path) -> Relation:
    if text in (None, "", "category"):
        return "category"
    if text == "instance":
        return "instance"
    raise UsageError(f"{table}: relation is {text!r}, it must be instance or category")


def _frame(text: str | None, table: Path) -> int | None:
    if not text:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise UsageError(f"{table}: frame is {text!r}, it must be a whole number") from error


def group_table(path: Path) -> dict[str, str]:
    """Groups by name without suffix; those whose group is empty are left out.

    Raises:
        UsageError: No such table, or other columns.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such table of groups (columns name,group)")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"name", "group"} <= set(rows[0]):
        raise UsageError(f"{path}: a table of groups has the columns name,group")
    return {Path(str(row["name"])).stem: str(row["group"]) for row in rows if row["group"]}


def edited(sample: Sample, alphas: Path | None) -> Sample:
    """The sample with its edited alpha, where there is one.

    Raises:
        UsageError: No such folder.
    """
    if alphas is None:
        return sample
    if not alphas.is_dir():
        raise UsageError(f"{alphas}: no such folder of edited alphas")
    found = next((p for s in MASKS if (p := alphas / f"{sample.alpha.stem}{s}").is_file()), None)
    # A trimap of the whole picture is no longer that of what was left of it.
    return sample if found is None else replace(sample, alpha=found, trimap=None)
