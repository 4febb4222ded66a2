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
        self._seen: dict[tuple[str, int | None], Signature] = {}
        self._done: dict[tuple[str, int | None], Signature] = {}

    def arrived(self, plan: Plan) -> Plan:
        """The part of a plan whose photos are new or changed, and whole: the same as when last asked.

        Args:
            plan: Of all that is in the folders now.
        """
        fresh = []
        for task in plan.tasks:
            now, key = _signature(task.source), (task.source, task.frame)
            if now is None or self._done.get(key) == now:
                continue
            if self._seen.get(key) == now and time.time() - now[1] / 1e9 >= QUIET:
                self._done[key] = now
                fresh.append(task)
            self._seen[key] = now
        return replace(plan, tasks=tuple(fresh), failed=(), notes=())


def _signature(source: str) -> Signature | None:
    try:
        status = Path(source).stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
