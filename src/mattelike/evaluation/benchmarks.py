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

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mattelike.errors import UsageError
from mattelike.evaluation.layouts import IN_TIME, READERS, Entry, Extra

REFERENCES = "references"


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
