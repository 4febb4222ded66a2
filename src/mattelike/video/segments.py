"""A clip in pieces: each is whole on disk before the next is begun, so that a killed run goes on from there.

A piece is the coded pictures of some frames and a line of JSON about them, written last; beside it lies what
the next piece needs to go on as if nothing had happened. All of it is in one hidden folder next to the
result, which belongs to one clip, one context and one set of settings, and goes when the result is there.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mattelike.batch.locking import Lock
from mattelike.errors import OutputError

PREFIX, SUFFIX = ".mattelike-", ".parts"
_ABOUT = "clip.json"


@dataclass(frozen=True, slots=True)
class Done:
    """What became of the frames of one piece.

    Attributes:
        frames: How many.
        last: Timestamp of the last one.
        statuses: How many were present, unsure, absent.
        broken: Numbers of those that could not be read.
        cuts: Numbers of those that begin a new scene.
    """

    frames: int = 0
    last: int = 0
    statuses: Mapping[str, int] = field(default_factory=Counter)
    broken: tuple[int, ...] = ()
    cuts: tuple[int, ...] = ()


class Segments:
    """The pieces of one result. One process at a time.

    Args:
        target: The result.
        key: Hash of all it depends on; pieces of another one are thrown away.
        suffix: Of a piece's file.

    Raises:
        OutputError: Nothing can be written there, or another run is at work on it.
    """

    def __init__(self, target: Path, key: str, suffix: str) -> None:
        self.folder = target.parent / f"{PREFIX}{target.name}{SUFFIX}"
        self._suffix = suffix
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(self.folder.with_suffix(".lock"))
            self._begin(key)
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot write there ({error.strerror or error})") from error

    @property
    def done(self) -> list[Done]:
        """Pieces that are whole, from the first on."""
        found: list[Done] = []
        while (record := self._record(len(found))) is not None:
            found.append(record)
        return found

    def path(self, index: int) -> Path:
        """The file of a piece."""
        return self.folder / f"{index:06d}{self._suffix}"

    def state(self, index: int) -> Path:
        """The file of what the next piece goes on from."""
        return self.folder / f"{index:06d}.npz"

    def held(self, index: int) -> Path:
        """The file of the frames that the next piece goes on from."""
        return self.folder / f"{index:06d}.held.npz"

    def finish(self, index: int, done: Done) -> None:
        """Says that a piece is whole; its files are in their places."""
        record = self.folder / f"{index:06d}.json"
        partial = record.with_suffix(".part")
        partial.write_text(json.dumps(asdict(done)), encoding="utf-8")
        partial.replace(record)
        if index:
            self.state(index - 1).unlink(missing_ok=True)
            self.held(index - 1).unlink(missing_ok=True)

    def release(self) -> None:
        """Lets others go on with it."""
        self._lock.release()

    def remove(self) -> None:
        """The result is there: the pieces go."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _begin(self, key: str) -> None:
        about = self.folder / _ABOUT
        if about.is_file():
            try:
                if json.loads(about.read_text(encoding="utf-8"))["key"] == key:
                    return
            except (ValueError, KeyError, TypeError):
                pass  # cut short by a kill: whatever else is there is not known to be whole
        for path in self.folder.iterdir():
            path.unlink()
        about.write_text(json.dumps({"key": key}), encoding="utf-8")

    def _record(self, index: int) -> Done | None:
        try:
            record = json.loads((self.folder / f"{index:06d}.json").read_text(encoding="utf-8"))
            return Done(
                **{**record, "broken": tuple(record["broken"]), "cuts": tuple(record["cuts"])},
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            return None  # it is made again
