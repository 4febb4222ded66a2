"""The engine in this process: one photo is read and another written while the model looks at a third.

Photos in the air are bounded by their pixels, so that memory stays what it is however many photos come and
however unequal reading, model and writing are in speed.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from mattelike.batch import making
from mattelike.batch.jobs import Job, Outcome, Task
from mattelike.batch.memory import Steady
from mattelike.predictor import Predictor

Loader = Callable[[], Predictor]

# Pixels of all photos between the start of their reading and the end of their writing: five of 12 megapixels,
# or one of any size.
IN_THE_AIR = 64_000_000
# Photos read ahead of the model, and waiting to be written.
AHEAD = 2


class LocalEngine:
    """Does a job with threads of this process.

    Args:
        predictor: Of this process.
        in_the_air: Bound on the pixels of photos held at a time.
    """

    def __init__(self, predictor: Predictor, *, in_the_air: int = IN_THE_AIR) -> None:
        self._predictor = predictor
        self._budget = Budget(in_the_air)
        self._stopping = threading.Event()
        self._steady = Steady()

    def run(self, job: Job) -> Generator[Outcome, None, None]:
        """One outcome for each task begun, in the order of the tasks."""
        self._stopping.clear()
        self._budget.reset()
        tasks = iter(job.tasks)
        reading: deque[Future[tuple[int, making.Opened | Outcome]]] = deque()
        writing: deque[Future[Outcome]] = deque()
        with ThreadPoolExecutor(1, "reading") as reader, ThreadPoolExecutor(1, "writing") as writer:
            try:
                while True:
                    while len(reading) < AHEAD and (task := self._next(tasks)) is not None:
                        reading.append(reader.submit(self._open, task, job))
                    if not reading or self._stopping.is_set():
                        break
                    writing.append(self._through(reading, job, writer))
                    while len(writing) > AHEAD or (writing and writing[0].done()):
                        yield self._settled(writing.popleft().result())
                while writing:
                    yield self._settled(writing.popleft().result())
            finally:
                self.stop()
                self._budget.open()
                for read in reading:
                    read.cancel()
                for write in writing:
                    write.cancel()

    def stop(self) -> None:
        """Begin no further task."""
        self._stopping.set()

    def close(self) -> None:
        """Nothing to let go of: the predictor belongs to the caller."""

    def _next(self, tasks: Iterator[Task]) -> Task | None:
        return None if self._stopping.is_set() else next(tasks, None)

    def _open(self, task: Task, job: Job) -> tuple[int, making.Opened | Outcome]:
        pixels = making.pixels_of(task)
        self._budget.take(pixels)
        ready = making.opened(task, job)
        if isinstance(ready, Outcome):
            self._budget.give(pixels)
        return pixels, ready

    def _through(
        self,
        reading: deque[Future[tuple[int, making.Opened | Outcome]]],
        job: Job,
        writer: ThreadPoolExecutor,
    ) -> Future[Outcome]:
        """Takes the next photo that was read through the model and hands it on to be written."""
        pixels, ready = reading.popleft().result()
        if isinstance(ready, Outcome):
            return _at_once(ready)
        done = making.looked(ready, job, self._predictor)
        if isinstance(done, Outcome):
            self._budget.give(pixels)
            return _at_once(done)

        def write() -> Outcome:
            try:
                return making.written(done, job)
            finally:
                self._budget.give(pixels)

        return writer.submit(write)

    def _settled(self, outcome: Outcome) -> Outcome:
        if outcome.fatal:
            self.stop()
        self._steady.photo()
        return outcome


def _at_once(outcome: Outcome) -> Future[Outcome]:
    future: Future[Outcome] = Future()
    future.set_result(outcome)
    return future


class Budget:
    """An amount that many share; whoever asks for more than all of it gets all of it, alone.

    Args:
        total: The amount.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._taken = 0
        self._open = False
        self._changed = threading.Condition()

    def take(self, amount: int) -> None:
        """Waits until there is room for an amount."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._open or not self._taken or self._taken + amount <= self._total
            )
            self._taken += amount

    def give(self, amount: int) -> None:
        """Gives an amount back."""
        with self._changed:
            self._taken -= amount
            self._changed.notify_all()

    def open(self) -> None:
        """Lets everybody who waits go on, whatever is taken: nobody will give anything back any more."""
        with self._changed:
            self._open = True
            self._changed.notify_all()

    def reset(self) -> None:
        """As it was in the beginning."""
        with self._changed:
            self._taken, self._open = 0, False
