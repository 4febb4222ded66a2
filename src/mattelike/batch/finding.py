"""From what was typed to the photos that are meant: files, patterns, folders with all they hold."""

from __future__ import annotations

import glob
import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mattelike.batch.names import SHEET, folded, is_own, natural_key
from mattelike.batch.storage import is_url, objects

READ = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".tif", ".tiff"),
        *(".webp", ".avif", ".gif", ".heic", ".heif", ".hif"),
    )
)
# Pictures that are not read: named one by one, so that nobody believes them done (trap 22).
FOREIGN = frozenset(
    (
        *(".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".dng", ".raf", ".orf", ".rw2"),
        *(".pef", ".srw", ".x3f", ".3fr", ".erf", ".iiq", ".rwl"),
        *(".svg", ".pdf", ".psd", ".psb", ".xcf", ".ai", ".eps", ".bmp", ".jxl", ".jp2", ".exr", ".hdr"),
        *(".ico", ".tga", ".pbm", ".pgm", ".ppm"),
    )
)


@dataclass(frozen=True, slots=True)
class Found:
    """One photo to be done.

    Attributes:
        source: Its path as it can be shown and opened, or ``"-"``.
        relative: Where it lies under its root, with ``/``: what the outputs mirror.
        frame: Page or frame of it, from 0; None for the first of whatever there is.
        ending: What its outputs are called beside the photo's name, to tell frames apart.
    """

    source: str
    relative: str
    frame: int | None = None
    ending: str = ""


@dataclass(slots=True)
class Findings:
    """Everything that was looked at, in natural order.

    Attributes:
        photos: To be done.
        missing: What was named and cannot be done, with the reason.
        skipped: Files left alone, one sentence each.
        hidden: How many files and folders were hidden.
        own: How many were outputs of ours.
        others: How many were no photos, by suffix.
    """

    photos: list[Found] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    hidden: int = 0
    own: int = 0
    others: Counter[str] = field(default_factory=Counter)

    def notes(self) -> tuple[str, ...]:
        """What was left out, one sentence each kind."""
        notes = list(self.skipped)
        if self.hidden:
            notes.append(f"{self.hidden} hidden left out")
        if self.own:
            notes.append(f"{self.own} outputs of earlier runs left out")
        if self.others:
            kinds = ", ".join(suffix or "no suffix" for suffix in sorted(self.others))
            notes.append(f"{self.others.total()} other files left out ({kinds})")
        return tuple(notes)


@dataclass(frozen=True, slots=True)
class Limits:
    """What is never an input.

    Attributes:
        out: The output folder, resolved.
        ours: Outputs of earlier runs, as `real` gives them.
        follow_links: Whether links inside folders are followed.
        store: URL the outputs go to; empty where `out` is their folder.
    """

    out: Path
    ours: frozenset[str] = frozenset()
    follow_links: bool = False
    store: str = ""


def find(inputs: Sequence[str], limits: Limits) -> Findings:
    """All photos among the inputs, each once, in natural order.

    Args:
        inputs: As typed: files, folders, patterns that no shell has expanded, ``-`` for standard input.
        limits: What is never an input.
    """
    findings = Findings()
    names = [name for text in inputs for name in _expanded(text, findings)]
    alone = len(names) == 1
    found: list[Found] = []
    files: list[str] = []
    for name in names:
        if name == "-":
            found.append(Found("-", "stdin"))
        elif is_url(name):
            found += _stored(name, alone, limits, findings)
        elif Path(name).is_dir():
            root = Path(name)
            prefix = "" if alone else f"{root.resolve().name}/"
            found += _walked(root, prefix, limits, findings)
        elif not alone and _is_output(Path(name), limits):
            findings.own += 1
        else:
            files.append(name)
    found += _placed(files)
    findings.photos = _once(sorted(found, key=lambda each: natural_key(each.relative)))
    return findings


def _expanded(text: str, findings: Findings) -> list[str]:
    """A pattern that is no file's name as the files it fits; everything else as it is."""
    if text == "-" or is_url(text) or os.path.lexists(text):
        return [text]
    if not glob.has_magic(text):
        findings.missing.append((text, "no such file or folder"))
        return []
    fitting = sorted(glob.glob(text, recursive=True), key=natural_key)  # noqa: PTH207 - typed as a whole
    if not fitting:
        findings.missing.append((text, "no file fits this pattern"))
    return fitting


def _placed(files: list[str]) -> list[Found]:
    """Files named one by one go side by side; with their folders as soon as two share a name."""
    unique = {os.path.realpath(name): name for name in reversed(files)}
    names = list(reversed(unique.values()))
    called = Counter(folded(Path(name).name) for name in names)
    if max(called.values(), default=0) < 2:
        return [Found(name, Path(name).name) for name in names]
    places = [Path(os.path.normpath(Path(name).absolute())) for name in names]
    root = os.path.commonpath([place.parent for place in places])
    return [
        Found(name, place.relative_to(root).as_posix()) for name, place in zip(names, places, strict=True)
    ]


def _walked(root: Path, prefix: str, limits: Limits, findings: Findings) -> Iterator[Found]:
    """Photos of a folder and all folders below; each folder once, however links lead round."""
    waiting: list[tuple[Path, str]] = [(root, prefix)]
    seen = {root.resolve()}
    while waiting:
        folder, at = waiting.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: natural_key(entry.name))
        except OSError as error:
            findings.missing.append((str(folder), f"cannot be looked into ({error.strerror or error})"))
            continue
        for entry in entries:
            path = Path(entry.path)
            if entry.name.startswith("."):
                findings.hidden += 1
            elif entry.is_symlink() and not limits.follow_links:
                findings.skipped.append(f"{path}: a link, not followed (--follow-links)")
            elif entry.is_dir():
                resolved = path.resolve()
                if resolved not in seen and resolved not in (limits.out, limits.out / SHEET):
                    seen.add(resolved)
                    waiting.append((path, f"{at}{entry.name}/"))
            elif _is_candidate(path, limits, findings):
                yield Found(entry.path, f"{at}{entry.name}")


def _stored(url: str, alone: bool, limits: Limits, findings: Findings) -> Iterator[Found]:
    """Photos below a URL, or the one it names."""
    try:
        names = objects(url)
    except OSError as error:
        findings.missing.append((url, str(error)))
        return
    if names == [url]:
        yield Found(url, PurePosixPath(url).name)
        return
    if not names:
        findings.missing.append((url, "no such object, and nothing below it"))
    inside = f"{limits.store}/" if limits.store.startswith(f"{url}/") else None
    for name in names:
        if inside is not None and name.startswith(inside):
            continue
        below = PurePosixPath(name.removeprefix(f"{url}/"))
        suffix = below.suffix.lower()
        if any(part.startswith(".") for part in below.parts):  # "..", too, which would lead out of a folder
            findings.hidden += 1
        elif suffix not in READ and suffix not in FOREIGN:
            findings.others[suffix] += 1
        elif is_own(below.name) or name in limits.ours:
            findings.own += 1
        else:
            yield Found(name, str(below if alone else PurePosixPath(url).name / below))


def _is_candidate(path: Path, limits: Limits, findings: Findings) -> bool:
    suffix = path.suffix.lower()
    if suffix not in READ and suffix not in FOREIGN:
        findings.others[suffix] += 1
        return False
    if _is_output(path, limits):
        findings.own += 1
        return False
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True  # a dangling link, or one that leads round: reading it says so
    if not regular:
        findings.skipped.append(f"{path}: no regular file, left alone")
    return regular


def _is_output(path: Path, limits: Limits) -> bool:
    return is_own(path.name) or os.path.realpath(path) in limits.ours


def real(source: str) -> str:
    """Where a photo really is: one text for one file, whatever it is called by."""
    return source if source == "-" or is_url(source) else os.path.realpath(source)


def _once(found: list[Found]) -> list[Found]:
    """Each file once, by where it really is; the first name stays."""
    unique: dict[str, Found] = {}
    for each in found:
        unique.setdefault(real(each.source), each)
    return list(unique.values())
