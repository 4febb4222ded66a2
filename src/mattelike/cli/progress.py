"""What is said while a batch runs: a bar on a terminal, one line for each failure, one line at the end."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

if TYPE_CHECKING:
    from mattelike.batch.jobs import Outcome
    from mattelike.batch.run import Summary

MOST = 10
"""Lines of one kind that are shown before the rest is only counted."""


class Progress:
    """A bar on standard error; nothing where that is no terminal.

    Args:
        total: How many photos there are; 0 where nobody knows.
        stream: Standard error by default.
        quiet: Show no bar whatever the stream is.
    """

    def __init__(self, total: int, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._total = total
        self._stream = stream or sys.stderr
        self._shown = not quiet and self._stream.isatty()
        self._began = time.monotonic()
        self._drawn = 0.0
        self._done = 0
        self._counts: Counter[str] = Counter()

    def hear(self, outcome: Outcome) -> None:
        """One photo is done; a failure is told at once."""
        self._done += 1
        self._counts[outcome.result] += 1
        if outcome.result == "failed":
            self.say(f"failed: {failure(outcome)}")
        now = time.monotonic()
        if self._shown and (now - self._drawn > 0.1 or self._done == self._total):
            self._drawn = now
            self._draw(now)

    def say(self, line: str) -> None:
        """A line above the bar."""
        self.clear()
        self._stream.write(f"{line}\n")
        self._stream.flush()

    def clear(self) -> None:
        """Takes the bar away."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _draw(self, now: float) -> None:
        seconds = max(now - self._began, 1e-3)
        rate = self._done / seconds
        parts = [f"{self._done:,}"]
        if self._total:
            share = self._done / self._total
            filled = round(24 * share)
            left = duration((self._total - self._done) / rate)
            parts = [
                f"{'━' * filled}{'╌' * (24 - filled)}",
                f"{self._done:,}/{self._total:,}",
                f"{left} left",
            ]
        parts.append(f"{rate:.1f}/s")
        parts += [
            f"{self._counts[kind]} {kind}" for kind in ("failed", "absent", "unsure") if self._counts[kind]
        ]
        line = "  ".join(parts)[: shutil.get_terminal_size().columns - 1]
        self._stream.write(f"\r{line}\x1b[K")
        self._stream.flush()


def failure(outcome: Outcome) -> str:
    """A failure in one line, its file named once."""
    source = printable(outcome.source)
    error = printable(outcome.error)
    return error if error.startswith(source) else f"{source}: {error}"


def printable(text: str) -> str:
    """Text in one line that no terminal chokes on, whatever bytes a file name is made of (trap 14)."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def duration(seconds: float) -> str:
    """A time in words."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def summary_line(summary: Summary, where: Path | str | None) -> str:
    """The last line: how many, how they ended, how long it took, where they are."""
    count = summary.results.total()
    said = [
        f"{summary.results[kind]:,} {kind}"
        for kind in ("present", "unsure", "absent")
        if summary.results[kind]
    ]
    if summary.results["failed"]:
        said.append(click.style(f"{summary.results['failed']:,} failed", fg="red"))
    parts = [f"{count:,} photo{'' if count == 1 else 's'}: {', '.join(said) or 'nothing done'}"]
    if summary.unchanged:
        parts.append(f"{summary.unchanged:,} unchanged")
    parts.append(duration(summary.seconds))
    line = "; ".join(parts)
    return f"{line} -> {printable(str(where))}" if where is not None else line


def tell_notes(notes: tuple[str, ...]) -> None:
    """Notes on standard error, the first few of many."""
    for note in notes[:MOST]:
        click.echo(f"note: {printable(note)}", err=True)
    if len(notes) > MOST:
        click.echo(f"note: and {len(notes) - MOST} more like these", err=True)
