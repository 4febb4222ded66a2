"""The journal of a folder in an object store, where nothing can be appended to and nobody can be locked out.

The same lines under the same name, ``report.jsonl``, beside the outputs. While a run lasts its lines go to
the store in pieces, one every few seconds, into ``.report.working/``; at its end the report is written whole
and the pieces are removed. A killed run leaves its pieces, the next one reads them, from whatever machine.
"""

from __future__ import annotations

import json
import posixpath
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from mattelike.batch import storage
from mattelike.batch.jobs import Outcome
from mattelike.batch.journal import REPORT, WORKING, Journal
from mattelike.batch.storage import SCHEME, is_url
from mattelike.errors import MattelikeError, OutputError

R = TypeVar("R")
PIECES = ".report.working"
EVERY = 10.0
"""Seconds of work that a killed run does again: as long a line may wait to be sent."""


class StoredJournal(Journal):
    """Remembers what became of every photo of a folder in a store. One run at a time, which nobody enforces.

    What is there is asked for once, at the beginning.

    Args:
        desk: An empty folder of this machine, for as long as the journal is in use.
        store: URL of the outputs' folder; need not be there, its bucket must.

    Raises:
        OutputError: The bucket is not there, or cannot be looked into or read.
        MissingExtraError: The package for it is not installed.
    """

    def __init__(self, desk: Path, store: str) -> None:
        self.store = store
        self._there = {url.removeprefix(f"{store}/") for url in _asked(lambda: storage.objects(store))}
        self._pieces = sorted(name for name in self._there if name.startswith(f"{PIECES}/"))
        self._run, self._sent, self._unsent = f"{time.time_ns():020d}", time.monotonic(), ""
        if REPORT in self._there:
            (desk / REPORT).write_bytes(self._content(REPORT))
        (desk / WORKING).write_bytes(b"\n".join(map(self._content, self._pieces)))
        super().__init__(desk)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with suppress(
                *([MattelikeError] if error is not None else [])
            ):  # the first error is the one to tell
                self._send()
        finally:
            super().__exit__(kind, error, trace)

    def address(self, source: str) -> str:
        """How a photo is written down: relative to the outputs' folder where it lies in the same bucket."""
        if source == "-":
            return source
        if not is_url(source):
            return str(Path(source).absolute())
        address = posixpath.relpath(source.removeprefix(SCHEME), self.store.removeprefix(SCHEME))
        same = source.startswith(f"{SCHEME}{self.store.removeprefix(SCHEME).partition('/')[0]}/")
        return address if same and self.source(address) == source else source

    def source(self, address: str) -> str:
        """The URL or path of a photo that was written down."""
        if address == "-" or is_url(address) or Path(address).is_absolute():
            return address
        return SCHEME + posixpath.normpath(posixpath.join(self.store.removeprefix(SCHEME), address))

    def holds(self, name: str) -> bool:
        """Whether an object was there under the name of an output."""
        return name in self._there

    def discard(self, name: str) -> None:
        """Removes an output that is none any more."""
        _asked(lambda: storage.remove([f"{self.store}/{name}"]))
        self._there.discard(name)

    def record(self, outcome: Outcome) -> None:
        """Writes down what became of a photo."""
        self._there.update(outcome.outputs)
        super().record(outcome)

    def finish(self) -> None:
        """Puts the report in its place.

        Raises:
            OutputError: It cannot be written; what was recorded stays in the pieces.
        """
        self._send()
        super().finish()
        _asked(lambda: storage.write(f"{self.store}/{REPORT}", (self.out / REPORT).read_bytes()))
        _asked(lambda: storage.remove(f"{self.store}/{name}" for name in self._pieces))
        self._pieces = []

    def sweep(self) -> None:
        """Nothing to do: objects are whole or not there."""

    def _append(self, entry: str | Mapping[str, object]) -> None:
        promise = not isinstance(entry, str)
        self._unsent += f"{json.dumps(entry) if promise else entry}\n"
        if promise or time.monotonic() - self._sent >= EVERY:  # what is promised is known before it is made
            self._send()

    def _send(self) -> None:
        if not self._unsent:
            return
        name = f"{PIECES}/{self._run}-{len(self._pieces):06d}.jsonl"
        # Once only: a run whose lines do not arrive stops, and what it has done is in the report it tries.
        data, self._unsent, self._sent = self._unsent.encode(), "", time.monotonic()
        _asked(lambda: storage.write(f"{self.store}/{name}", data))
        self._pieces.append(name)

    def _content(self, name: str) -> bytes:
        return _asked(lambda: storage.read(f"{self.store}/{name}"))


def _asked(call: Callable[[], R]) -> R:
    """What a store answers; where it does not, the run cannot go on."""
    try:
        return call()
    except OSError as error:
        if isinstance(error, MattelikeError):
            raise
        raise OutputError(str(error)) from error
