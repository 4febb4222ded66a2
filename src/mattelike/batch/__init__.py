"""Many photos, so that nobody loses time or pictures over them.

A batch is a straight line from names to a page::

    inputs ── finding ─► files ── plan ─► tasks ── engine (making) ─► outcomes ── journal ─► report.jsonl
                                                                                    └─ sheet ─► index.html

``plan`` decides every output name before anything is read; an engine takes tasks and gives outcomes, one a
task, and may be replaced by another (`Engine`); the ``journal`` remembers outcomes so that a run that was
killed, or is repeated, does only what is missing or has changed.
"""

from __future__ import annotations

from mattelike.batch.jobs import Engine, Job, Outcome, Settings, Task

__all__ = ["Engine", "Job", "Outcome", "Settings", "Task"]
