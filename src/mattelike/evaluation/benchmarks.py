"""Benchmarks: pictures with their truth, in groups, as they are laid out on disk. Nothing is downloaded.

A benchmark is named by a path, or by a layout and a path::

    mini/benchmark.csv                  a table (columns in `mattelike.training.sources.from_csv`)
    photos/                             a folder a group, each with image/ and alpha/
    icm-57:/data/ICM57                  image/, alpha/ and one JSON index
    aim-500:/data/AIM-500               original/, mask/; groups and edited alphas are given beside it
    perseg:/data/PerSeg                 Images/<thing>/, Annotations/<thing>/
    fss-1000:/data/FSS-1000             <class>/<number>.jpg and .png
    davis:/data/DAVIS                   JPEGImages/480p/<clip>/, Annotations/480p/<clip>/
    clips:takes/                        a folder a clip, each with image/ and alpha/, a file a frame

Tables may have more columns, ``relation`` (``instance`` or ``category``), ``split`` (any name) and ``frame``
(its groups are clips, and this is the number of the frame); for the other layouts a ``groups.csv`` in the
root, with the columns ``group,relation,split``, says the first two. Frames of ``davis`` and ``clips`` follow
each other by the numbers in their names. What is of the split ``references`` is a reference only, never a
target.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from mattelike.errors import UsageError
from mattelike.training import sources
from mattelike.training.sources import IMAGES, MASKS, Sample

Relation = Literal["instance", "category"]
REFERENCES = "references"


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
class Benchmark:
    """Pictures in groups.

    Attributes:
        name: For reports.
        entries: In order of group, frame and name; names are unique.
    """

    name: str
    entries: tuple[Entry, ...]

    @property
    def clips(self) -> bool:
        """Whether groups are clips, their pictures in order of time."""
        return all(entry.frame is not None for entry in self.entries)

    def groups(self) -> Mapping[str, tuple[Entry, ...]]:
        """Entries by group."""
        found: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            found[entry.sample.group].append(entry)
        return {name: tuple(members) for name, members in found.items()}

    def fingerprint(self) -> str:
        """SHA-256 over names, groups and the content of every file."""
        digest = hashlib.sha256()
        for entry in self.entries:
            sample = entry.sample
            order = () if entry.frame is None else (entry.frame,)
            digest.update(repr((sample.name, sample.group, entry.relation, entry.split, *order)).encode())
            for path in (sample.image, sample.alpha, sample.trimap):
                if path is not None:
                    with path.open("rb") as file:
                        digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()


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


def opened(text: str, extra: Extra | None = None) -> Benchmark:
    """A benchmark from what a user types.

    Args:
        text: A path, or ``layout:path``.
        extra: What is given beside it.

    Raises:
        UsageError: Nothing there, an unknown layout, or a file that is missing; says which.
    """
    layout, _, rest = text.partition(":")
    if layout in READERS and rest:
        path = Path(rest).expanduser()
    else:
        path = Path(text).expanduser()
        layout = _guessed(path, text)
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder; nothing is downloaded, fetch the data set first")
    entries = READERS[layout](path, extra or Extra())
    _check(entries, path)
    if layout in IN_TIME:
        entries = _numbered(entries)
    ordered = sorted(entries, key=lambda entry: (entry.sample.group, entry.frame or 0, entry.sample.name))
    return Benchmark(_name(layout, path), tuple(ordered))


def _name(layout: str, path: Path) -> str:
    """A published data set's own name, or that of the folder."""
    if layout not in ("csv", "folders", "json", "clips"):
        return layout
    folder = path.resolve().parent if path.is_file() else path.resolve()
    return folder.name or layout


def _guessed(path: Path, text: str) -> str:
    if path.suffix == ".csv":
        return "csv"
    if path.suffix == ".json":
        return "json"
    if (path / "benchmark.csv").is_file():
        return "csv"
    if path.is_dir():
        return "folders"
    hint = "; build it with: python recipes/mini_benchmark.py mini" if text == "mini" else ""
    raise UsageError(
        f"{text}: no such file or folder{hint}; a benchmark is a path, or one of "
        f"{', '.join(READERS)} with a path, such as perseg:/data/PerSeg"
    )


def _check(entries: Sequence[Entry], path: Path) -> None:
    seen: set[str] = set()
    for entry in entries:
        if entry.sample.name in seen:
            raise UsageError(f"{path}: {entry.sample.name} is there twice; names must be unique")
        seen.add(entry.sample.name)
    if not seen:
        raise UsageError(f"{path}: holds no pictures of this layout")
    frames = Counter((entry.sample.group, entry.frame) for entry in entries)
    if {frame is None for _, frame in frames} == {True, False}:
        raise UsageError(
            f"{path}: some rows have a frame and some have none; clips and photos are two tables"
        )
    twice = next((key for key, count in frames.items() if key[1] is not None and count > 1), None)
    if twice:
        raise UsageError(f"{path}: the clip {twice[0]!r} has two frames {twice[1]}")


# --- layouts -----------------------------------------------------------------------------------------


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


# --- parts -------------------------------------------------------------------------------------------


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


def _numbered(entries: Iterable[Entry]) -> list[Entry]:
    """Frames in order of the numbers in their names, so that ``frame10`` comes after ``frame9``."""
    clips: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        clips[entry.sample.group].append(entry)
    found = []
    for members in clips.values():
        ordered = sorted(members, key=lambda entry: by_number(entry.sample.name))
        found += [replace(entry, frame=number) for number, entry in enumerate(ordered)]
    return found


def by_number(name: str) -> tuple[tuple[str, int], ...]:
    """A name as words and numbers, to be sorted by."""
    parts = re.split(r"(\d+)", name)
    numbers = [int(digits) for digits in parts[1::2]] + [-1]
    return tuple(zip(parts[::2], numbers, strict=True))


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
