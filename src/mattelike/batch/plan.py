"""Which photo goes where, all decided before the first is read.

No two photos share an output, not even on a disk that cannot tell ``X`` from ``x``; no output is an input;
no output is a folder that another needs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from mattelike import photos
from mattelike.batch.finding import Findings, Found, Limits, find, real
from mattelike.batch.jobs import Outcome, Settings, Task
from mattelike.batch.names import folded, output_names, writable
from mattelike.errors import MattelikeError
from mattelike.mattes import Emit

FRAMES = 1_000
"""Frames a file may have: to show one, all before it are decoded."""
_NUMBERED = re.compile(r"\.\d+$")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is going to do.

    Attributes:
        out: Folder of the outputs.
        tasks: In natural order.
        failed: What was named and cannot be done.
        notes: What was left out, one sentence each.
        store: URL the outputs go to; empty where `out` is their folder.
    """

    out: Path
    tasks: tuple[Task, ...]
    failed: tuple[Outcome, ...] = ()
    notes: tuple[str, ...] = ()
    store: str = ""

    def where(self, name: str) -> str:
        """Path or URL of an output."""
        return f"{self.store}/{name}" if self.store else str(self.out / name)


def plan_folder(
    inputs: Sequence[str],
    out: Path,
    settings: Settings,
    *,
    suffix: str = ".png",
    ours: Iterable[str] = (),
    follow_links: bool = False,
    all_frames: bool = False,
    store: str = "",
) -> Plan:
    """Plans the outputs of many photos into one folder.

    Args:
        inputs: As typed: files, patterns, folders, ``-``.
        out: Folder of the outputs; need not be there.
        settings: What is made of each photo.
        suffix: Format of the pictures in colour.
        ours: Outputs of earlier runs, relative to `out`: never inputs.
        follow_links: Whether links inside folders are followed.
        all_frames: Whether every page or frame of a file is a photo of its own.
        store: URL the outputs go to; empty where `out` is their folder.
    """
    own = frozenset(real(f"{store}/{name}" if store else str(out / name)) for name in ours)
    findings = find(inputs, Limits(out.resolve(), own, follow_links, store))
    if all_frames:
        findings.photos = [frame for each in findings.photos for frame in _frames(each, findings)]
    naming = _Naming(out, settings, suffix, findings.photos, store)
    tasks = naming.tasks()
    failed = tuple(
        Outcome(source=name, stem="", result="failed", error=why) for name, why in findings.missing
    )
    return Plan(out, tasks, failed, findings.notes(), store)


def _frames(each: Found, findings: Findings) -> list[Found]:
    """A photo as its pages or frames; one that cannot be read stays, for reading it says why."""
    try:
        count = 1 if each.source == "-" else photos.header(each.source).pages
    except MattelikeError:
        count = 1
    if count == 1:
        return [each]
    if count > FRAMES:
        findings.missing.append((each.source, f"{count} frames are more than {FRAMES}; try mattelike video"))
        return []
    digits = len(str(count))
    return [replace(each, frame=index, ending=f".frame-{index + 1:0{digits}}") for index in range(count)]


def plan_file(source: str, target: Path, settings: Settings) -> Plan:
    """Plans one photo into exactly the file that was named; further pictures go beside it.

    Args:
        source: The photo, or ``-``.
        target: File for the first of ``settings.emit``.
        settings: What is made of the photo.
    """
    names = list(output_names(target.stem, settings.emit, target.suffix.lower()))
    names[0] = (names[0][0], target.name)
    taken: set[str] = set()
    outputs = []
    for emit, name in names:
        free = name if name not in taken else f"{target.stem}.{emit}{Path(name).suffix}"
        taken.add(free)
        outputs.append((emit, free))
    return Plan(target.parent, (Task(source, target.stem, tuple(outputs)),))


@dataclass(slots=True)
class _Naming:
    """Gives each photo its outputs; remembers what is taken, in folded form."""

    out: Path
    settings: Settings
    suffix: str
    found: list[Found]
    store: str = ""
    root: Path = field(init=False)
    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    inputs: set[str] = field(default_factory=set)
    stems: set[str] = field(default_factory=set)
    bases: set[str] = field(default_factory=set)

    def tasks(self) -> tuple[Task, ...]:
        """One task a photo, in the order found. Those that share a stem all keep their old suffix."""
        self.root = self.out.resolve()
        self.inputs = {folded(real(each.source)) for each in self.found}
        short = [writable(_without_suffix(each.relative)) + each.ending for each in self.found]
        # All folders first: a file in the place of one would leave nowhere to put what is in it.
        self.folders = {folded(str(parent)) for stem in short for parent in PurePosixPath(stem).parents}
        wanted = Counter(folded(name) for stem in short for _, name in self._outputs(stem))
        chosen: dict[int, str] = {}
        for index, stem in enumerate(short):
            alone = all(wanted[folded(name)] == 1 for _, name in self._outputs(stem))
            if alone and self._free(stem):
                chosen[index] = self._claim(stem)
        for index, each in enumerate(self.found):
            if index not in chosen:
                chosen[index] = self._claim(self._other(writable(each.relative) + each.ending))
        return tuple(
            Task(each.source, chosen[index], self._outputs(chosen[index]), frame=each.frame)
            for index, each in enumerate(self.found)
        )

    def _outputs(self, stem: str) -> tuple[tuple[Emit, str], ...]:
        return output_names(stem, self.settings.emit, self.suffix)

    def _at(self, name: str) -> str:
        return f"{self.store}/{name}" if self.store else str(self.root / name)

    def _other(self, stem: str) -> str:
        """The stem, or the first numbered one that is free."""
        number, candidate = 1, stem
        while not self._free(candidate):
            number += 1
            candidate = f"{stem}-{number}"
        return candidate

    def _free(self, stem: str) -> bool:
        for _, name in self._outputs(stem):
            key = folded(name)
            if key in self.files or key in self.folders or folded(self._at(name)) in self.inputs:
                return False
        if not self.settings.instances:
            return True
        # x.1.png may be the first thing of x.jpg, so x.1.jpg has to be called otherwise.
        key = folded(stem)
        return key not in self.bases and _NUMBERED.sub("", key) not in self.stems

    def _claim(self, stem: str) -> str:
        for _, name in self._outputs(stem):
            self.files.add(folded(name))
        self.stems.add(folded(stem))
        base = _NUMBERED.sub("", folded(stem))
        if base != folded(stem):
            self.bases.add(base)
        return stem


def _without_suffix(relative: str) -> str:
    path = PurePosixPath(relative)
    return str(path.with_suffix("")) if path.suffix else relative
