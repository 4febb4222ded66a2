"""A run: a plan is carried out by an engine, the journal is kept, and the page is written."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from types import FrameType
from typing import Literal

from mattelike.batch.jobs import Engine, Job, Outcome, Result, Task
from mattelike.batch.journal import Journal
from mattelike.batch.plan import Plan
from mattelike.batch.thumbnails import thumbnail_names
from mattelike.errors import OutputError

Existing = Literal["changed", "overwrite", "skip"]
"""What to do with a photo whose outputs are there: again if something has changed; again; leave it."""
Tell = Callable[[Outcome], None]


@dataclass(slots=True)
class Summary:
    """What a run came to.

    Attributes:
        results: How many photos ended how, unchanged ones included.
        unchanged: How many were left as they were.
        interrupted: Somebody stopped it.
        fatal: Why it could not go on, or empty.
        seconds: How long it took.
    """

    results: Counter[Result] = field(default_factory=Counter)
    unchanged: int = 0
    interrupted: bool = False
    fatal: str = ""
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """0 all done, 1 some failed, 130 interrupted."""
        if self.interrupted:
            return 130
        return 1 if self.results["failed"] or self.fatal else 0

    def count(self, outcome: Outcome) -> None:
        """Takes one photo into account."""
        self.results[outcome.result] += 1
        self.unchanged += outcome.unchanged
        if outcome.fatal:
            self.fatal = outcome.error


def carry_out(
    job: Job,
    plan: Plan,
    engine: Engine,
    journal: Journal | None = None,
    *,
    existing: Existing = "changed",
    tell: Tell,
    warn: Callable[[], None],
) -> Summary:
    """Does what is planned.

    Args:
        job: Context and settings; its tasks are replaced by those of the plan that are to be done.
        plan: What is planned.
        engine: Does it.
        journal: Of the output folder; None when outputs were named one by one.
        existing: What to do with a photo whose outputs are there.
        tell: Hears of each photo as it is done.
        warn: Called when somebody interrupts for the first time, and what is begun is still finished.

    Returns:
        What it came to. Stopped runs, by hand or by a full disk, can be started again and go on.

    Raises:
        MattelikeError: What stops everything before the first photo.
    """
    began = time.monotonic()
    summary = Summary()
    told = _Told(job, journal, summary, tell)
    for outcome in plan.failed:
        told.hear(outcome)
    tasks: list[Task] = []
    for task in plan.tasks:
        decided = task if journal is None else _decided(task, job, journal, existing)
        if isinstance(decided, Task):
            tasks.append(decided)
        else:
            told.hear(decided)
    try:
        if journal is not None:
            journal.promise(tasks)
        with _interruptible(engine, summary, warn):
            _through(replace(job, tasks=tuple(tasks)), engine, told)
    except OutputError as error:
        summary.fatal = str(error)
    finally:
        summary.seconds = time.monotonic() - began
        if journal is not None:
            journal.sweep()
    return summary


def _through(job: Job, engine: Engine, told: _Told) -> None:
    with closing(engine.run(job)) as outcomes:
        for outcome in outcomes:
            told.hear(outcome)


@dataclass(frozen=True, slots=True)
class _Told:
    """Passes outcomes on: to the journal, to the summary, to whoever wants to know."""

    job: Job
    journal: Journal | None
    summary: Summary
    tell: Tell

    def hear(self, outcome: Outcome) -> None:
        journal = self.journal
        if journal is not None:
            before = journal.find(outcome.source, outcome.frame)
            if outcome.unchanged and before is not None and before.key:
                outcome = replace(before, source=outcome.source, unchanged=True)
            elif before is not None and outcome.result != "failed":
                self._tidy(journal, before, outcome)
            if not outcome.unchanged:
                journal.record(outcome)
        self.summary.count(outcome)
        self.tell(outcome)

    def _tidy(self, journal: Journal, before: Outcome, outcome: Outcome) -> None:
        """Things that were numbered in an earlier run and are not found any more."""
        if not self.job.settings.instances or before.stem != outcome.stem:
            return
        numbered = re.compile(re.escape(before.stem) + r"\.\d+\.")
        for name in set(before.outputs) - set(outcome.outputs):
            if numbered.match(name):
                journal.discard(name)


def _decided(task: Task, job: Job, journal: Journal, existing: Existing) -> Task | Outcome:
    """The task with what is known of it, or what becomes of the photo without doing anything."""
    there = [name for _, name in task.outputs if journal.holds(name)]
    if existing == "overwrite":
        return task
    if existing == "skip" and len(there) == len(task.outputs):
        return Outcome(
            task.source, task.stem, "present", outputs=tuple(there), unchanged=True, frame=task.frame
        )
    before = journal.find(task.source, task.frame)
    if before is not None and _is_whole(before, task, job, journal):
        return replace(task, known=before.key)
    foreign = sorted(set(there) - journal.outputs())
    if foreign:
        error = (
            f"{job.where(foreign[0])} is there and not known as ours; --overwrite replaces it, "
            "--skip-existing leaves it"
        )
        return Outcome(task.source, task.stem, "failed", error=error, frame=task.frame)
    return task


def _is_whole(before: Outcome, task: Task, job: Job, journal: Journal) -> bool:
    """Whether everything an earlier run made of a photo is still there, under the names it has now."""
    planned = {name for _, name in task.outputs}
    if job.settings.instances:
        fitting = before.stem == task.stem
        fitting &= {PurePosixPath(n).suffix for n in before.outputs} == {
            PurePosixPath(n).suffix for n in planned
        }
    else:
        fitting = set(before.outputs) == planned
    names = before.outputs + (thumbnail_names(task.stem) if job.sheet else ())
    there = all(journal.holds(name) and not (job.out / name).is_dir() for name in names)
    return bool(before.key) and fitting and there


@contextmanager
def _interruptible(engine: Engine, summary: Summary, warn: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C lets what is begun be finished, the second stops at once."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals belong to the main thread; whoever runs us elsewhere has its own way to stop
        return

    def stop(number: int, frame: FrameType | None) -> None:
        if summary.interrupted:
            raise KeyboardInterrupt
        summary.interrupted = True
        engine.stop()
        warn()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        summary.interrupted = True
    finally:
        for number, handler in before.items():
            with suppress(ValueError, TypeError):
                signal.signal(number, handler)
