"""The memory of an output folder: one outcome a photo, safe against being killed at any moment.

While a run lasts, outcomes are appended to a working file; at its end everything is written to
``report.jsonl`` under a temporary name and renamed. A killed run leaves its working file, the next one reads
it. Both hold one JSON object a line; a line cut short by a kill is dropped.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from mattelike.batch.jobs import RESULTS, Outcome, Task
from mattelike.batch.locking import Lock
from mattelike.batch.names import SHEET, natural_key
from mattelike.batch.storage import is_url
from mattelike.errors import OutputError
from mattelike.photos import TEMPORARY_PREFIX, TEMPORARY_SUFFIX

REPORT = "report.jsonl"
WORKING = ".report.working.jsonl"
_UNSAVED = frozenset({"unchanged", "fatal", "crowded"})
# A line as most are: what it shares with them, a line in memory need not hold.
_USUAL = (
    b'{"source": "../photos/", "stem": "", "result": "present", "outputs": [".png", ".matte.png"], '
    b'"presence": 0.9, "doubt": 0.0, "size": [4000, 3000], "seconds": 0.1, "error": "", "notes": [], "key": "'
)


class Journal:
    """Remembers what became of every photo of an output folder. One process at a time.

    Args:
        out: The output folder; is made if it is not there.

    Raises:
        OutputError: It cannot be written there, or another run is at work in it.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self._lines: dict[str, bytes] = {}
        self._promised: set[str] = set()
        self._working: IO[str] | None = None
        self._made = not out.exists()
        try:
            out.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(out / ".report.lock")
        except OSError as error:
            raise OutputError(f"{out}: cannot write there ({error.strerror or error})") from error
        for name in (REPORT, WORKING):
            self._read(out / name)
        self._lines = {
            address: kept for address, kept in self._lines.items() if self._matters(_line_of(kept))
        }

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._working is not None:
            self._working.close()
        self._lock.release()
        if self._made:
            with suppress(OSError):
                self.out.rmdir()  # of a run that came to nothing; one that made something cannot be removed

    # --- what is known ---------------------------------------------------------------------------------

    def outcomes(self) -> Iterator[Outcome]:
        """Everything that is known, what needs a look first, then in natural order."""
        known = [_outcome(json.loads(_line_of(kept))) for kept in self._lines.values()]
        order = {result: rank for rank, result in enumerate(RESULTS)}
        yield from sorted(known, key=lambda each: (order[each.result], natural_key(each.stem or each.source)))

    def find(self, source: str, frame: int | None = None) -> Outcome | None:
        """What became of a photo, or of a frame of it; or None."""
        kept = self._lines.get(_known_as(self.address(source), frame))
        return None if kept is None else _outcome(json.loads(_line_of(kept)))

    def outputs(self) -> set[str]:
        """All files known as outputs, relative to the output folder, those of a killed run included."""
        known = (json.loads(_line_of(kept)) for kept in self._lines.values())
        return self._promised.union(name for record in known for name in record["outputs"])

    def address(self, source: str) -> str:
        """How a photo is written down: relative to the output folder, so that both can be moved together."""
        if source == "-" or is_url(source):
            return source
        try:
            return Path(os.path.relpath(source, self.out)).as_posix()
        except ValueError:  # another drive
            return str(Path(source).absolute())

    def source(self, address: str) -> str:
        """The path of a photo that was written down."""
        return address if address == "-" or is_url(address) else os.path.normpath(self.out / address)

    def _matters(self, line: str) -> bool:
        """Whether anything is left of a photo: the photo itself, or what was made of it."""
        known = _outcome(json.loads(line))
        source = self.source(known.source)
        # A store is not asked for each photo: that would take longer than the photos.
        there = source == "-" or is_url(source) or os.path.lexists(source)
        return there or any(map(self.holds, known.outputs))

    def holds(self, name: str) -> bool:
        """Whether something is there under the name of an output."""
        return (self.out / name).exists()

    def discard(self, name: str) -> None:
        """Removes an output that is none any more."""
        (self.out / name).unlink(missing_ok=True)

    # --- what happens ----------------------------------------------------------------------------------

    def promise(self, tasks: Iterable[Task]) -> None:
        """Writes down which files a run is going to make, so that they are known as ours if it is killed."""
        names = sorted(name for task in tasks for _, name in task.outputs)
        self._promised.update(names)
        self._append({"promised": names})

    def record(self, outcome: Outcome) -> None:
        """Writes down what became of a photo."""
        address = self.address(outcome.source)
        line = _line(outcome, address)
        self._lines[_known_as(address, outcome.frame)] = _kept(line)
        self._append(line)

    def finish(self) -> None:
        """Puts the report in its place.

        Raises:
            OutputError: It cannot be written; what was recorded stays in the working file.
        """
        temporary = self.out / f"{TEMPORARY_PREFIX}report{TEMPORARY_SUFFIX}"
        ordered = sorted(self._lines.items(), key=lambda item: natural_key(item[0]))
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.writelines(f"{_line_of(kept)}\n" for _, kept in ordered)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.out / REPORT)
            if self._working is not None:
                self._working.close()
                self._working = None
            (self.out / WORKING).unlink(missing_ok=True)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise OutputError(
                f"{self.out / REPORT}: cannot be written ({error.strerror or error})"
            ) from error

    def sweep(self) -> None:
        """Removes unfinished files of killed runs. Nobody else is at work in the folder: it is locked."""
        # Only where outputs are: the folder may be somebody's home, with other runs deep inside it.
        folders = {self.out, self.out / SHEET, *((self.out / name).parent for name in self.outputs())}
        for folder in folders:
            for path in folder.glob(f"{TEMPORARY_PREFIX}*{TEMPORARY_SUFFIX}"):
                path.unlink(missing_ok=True)

    # --- lines -----------------------------------------------------------------------------------------

    def _append(self, entry: str | Mapping[str, object]) -> None:
        line = entry if isinstance(entry, str) else json.dumps(entry)
        try:
            if self._working is None:
                self._working = (self.out / WORKING).open("a", encoding="utf-8")
            # A run that was killed may have left half a line: an empty one is between it and ours.
            self._working.write(f"\n{line}\n")
            self._working.flush()
        except OSError as error:
            raise OutputError(
                f"{self.out / WORKING}: cannot be written ({error.strerror or error})"
            ) from error

    def _read(self, path: Path) -> None:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return
        except OSError as error:
            raise OutputError(f"{path}: cannot be read ({error.strerror or error})") from error
        for line in text.split("\n"):
            record = _record(line)
            if record is None:
                continue
            if "promised" in record:
                self._promised.update(record["promised"])
            else:
                self._lines[_known_as(record["source"], record.get("frame"))] = _kept(line)


def known_outputs(out: Path) -> set[str]:
    """Outputs of earlier runs, relative to a folder that need not be there; for planning, without a lock."""
    names: set[str] = set()
    for path in (out / REPORT, out / WORKING):
        if not path.is_file():
            continue
        for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
            record = _record(line)
            if record is not None:
                names.update(record["promised"] if "promised" in record else record["outputs"])
    return names


def _known_as(address: str, frame: int | None) -> str:
    """What a photo or a frame is held under; no address holds a zero byte."""
    return address if frame is None else f"{address}\0{frame}"


def _kept(line: str) -> bytes:
    """A line as it is held in memory, a fifth of its size: there may be a hundred thousand."""
    packer = zlib.compressobj(zdict=_USUAL)
    return packer.compress(line.encode("utf-8", "surrogatepass")) + packer.flush()


def _line_of(kept: bytes) -> str:
    return zlib.decompressobj(zdict=_USUAL).decompress(kept).decode("utf-8", "surrogatepass")


def _record(line: str) -> dict[str, Any] | None:
    """A line as a record; None for an empty or damaged one, whose photo is then done again."""
    try:
        record = json.loads(line)
        if "promised" not in record:
            _outcome(record)
        elif not isinstance(record["promised"], list):
            return None
    except (ValueError, TypeError, KeyError):
        return None
    return dict(record)


def _line(outcome: Outcome, address: str) -> str:
    record = {
        field.name: getattr(outcome, field.name) for field in fields(outcome) if field.name not in _UNSAVED
    }
    # Part of the line, not a text in it; models without settings say nothing.
    own = record.pop("settings")
    said = {"settings": json.loads(own)} if own else {}
    if outcome.frame is None:
        del record["frame"]
    return json.dumps({**record, "source": address, "seconds": round(outcome.seconds, 3), **said})


def _outcome(record: Mapping[str, Any]) -> Outcome:
    """A record as the value it was written from; its source is an address.

    Raises:
        ValueError: A result nobody knows.
        TypeError: A field that is missing, unknown, or of another kind.
    """
    size = record["size"]
    outcome = Outcome(
        **{
            **record,
            "outputs": tuple(record["outputs"]),
            "notes": tuple(record["notes"]),
            "settings": json.dumps(record["settings"], sort_keys=True) if record.get("settings") else "",
            "size": None if size is None else (int(size[0]), int(size[1])),
        }
    )
    if outcome.result not in RESULTS:
        raise ValueError(outcome.result)
    return outcome
