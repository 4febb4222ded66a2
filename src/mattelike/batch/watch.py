"""Folders that photos keep coming into: which of them have arrived, whole."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from mattelike.batch.plan import Plan

Signature = tuple[int, int]

# Seconds a file must have been left alone: copies over slow lines write in bursts.
QUIET = 1.0


class Watcher:
    """Remembers what it has seen of each file. Ask it again and again."""

    def __init__(self) -> None:
        self._seen: dict[str, Signature] = {}
        self._done: dict[str, Signature] = {}

    def arrived(self, plan: Plan) -> Plan:
        """The part of a plan whose photos are new or changed, and whole: the same as when last asked.

        Args:
            plan: Of all that is in the folders now.
        """
        fresh = []
        for task in plan.tasks:
            now = _signature(task.source)
            if now is None or self._done.get(task.source) == now:
                continue
            if self._seen.get(task.source) == now and time.time() - now[1] / 1e9 >= QUIET:
                self._done[task.source] = now
                fresh.append(task)
            self._seen[task.source] = now
        return replace(plan, tasks=tuple(fresh), failed=(), notes=())


def _signature(source: str) -> Signature | None:
    try:
        status = Path(source).stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
