"""The engine that works in several processes, for decoders that crash and cores that are idle.

Each worker loads the model once and does one photo after the other. A worker that dies takes one photo with
it: that photo is listed as failed, a new worker comes in its place, and the rest goes on. So does one that
hangs, and is ended for it. Where memory ran out, for a worker or for the system, which then kills one, the
photo waits until all others are done and is tried once more, alone (trap 67). Processes are spawned, never
forked: onnxruntime, CUDA and libvips have threads that do not survive a fork.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from mattelike import photos
from mattelike.batch import making
from mattelike.batch.jobs import Job, Outcome, Task
from mattelike.batch.memory import Steady
from mattelike.errors import MattelikeError, MissingExtraError, ModelError
from mattelike.predictor import Predictor

Loader = Callable[[], Predictor]

# Photos given to a worker beyond the one it is at, so that it never waits for the next.
AHEAD = 1
# Seconds a worker has to end by itself when all is done.
PATIENCE = 5.0
# Seconds between two looks at the workers where none of them says anything.
LOOK = 1.0
# Seconds a photo may take where nobody said how many, and those added for each of its megapixels: many times
# what the slowest model takes on a slow machine, for a photo given up in vain is worse than a long wait.
LIMIT = 600.0
LIMIT_PER_MEGAPIXEL = 10.0


def allowed(pixels: int, timeout: float | None = None) -> float:
    """Seconds a photo may take before its worker counts as hanging.

    Args:
        pixels: How many the photo has.
        timeout: A limit for photos of any size; 0 is none; None is ten minutes and 10 s a megapixel.
    """
    if timeout is None:
        return LIMIT + LIMIT_PER_MEGAPIXEL * pixels / 1e6
    return timeout or float("inf")


def too_long(limit: float) -> str:
    """Why a photo was given up, after so many seconds."""
    return f"not done after {limit:g} s, so its worker was ended; the others went on; --timeout allows more"


def lost(task: Task, why: str, seconds: float = 0.0) -> Outcome:
    """The outcome of a photo whose worker did not live to give one."""
    error = f"{task.source}: {why}"
    return Outcome(task.source, task.stem, "failed", seconds=seconds, error=error, frame=task.frame)


@dataclass(slots=True, eq=False)
class _Worker:
    """A process, the line to it, and the photos it was given, the one it is at first.

    Of that one, `pixels` is the size, 0 until it is known, and `seconds` how long it has taken so far.
    """

    process: BaseProcess
    line: Connection
    given: deque[Task] = field(default_factory=deque)
    ready: bool = False
    pixels: int = 0
    seconds: float = 0.0


class WorkersEngine:
    """Does a job with several processes.

    Args:
        loader: Loads the predictor, in each worker; must be picklable.
        workers: How many.
        timeout: Seconds a photo may take, see `allowed`. Time that this process did not run in, as in a
            computer that slept, does not count.
    """

    def __init__(self, loader: Loader, workers: int, *, timeout: float | None = None) -> None:
        self._loader = loader
        self._count = workers
        self._timeout = timeout
        self._workers: list[_Worker] = []
        self._stopping = False
        self._crowded: deque[Outcome] = deque()
        self._alone = False

    def run(self, job: Job) -> Generator[Outcome, None, None]:
        """One outcome for each task begun, as they come.

        Raises:
            MattelikeError: What a worker could not load its model for.
            ModelError: A worker died while it loaded its model.
        """
        self._stopping = self._alone = False
        self._crowded.clear()
        # The tasks stay here; a worker needs the rest of the job once, and tasks one by one.
        common = replace(job, tasks=())
        tasks = {task.stem: task for task in job.tasks}
        for worker in self._workers:
            worker.line.send(common)
        yield from self._done(deque(job.tasks), common, self._count)
        if self._crowded:
            self.close()  # models that are not needed now take memory too
            self._alone = True
        while self._crowded:
            failed = self._crowded.popleft()
            if self._stopping:
                yield failed
            else:
                yield from self._done(deque([tasks[failed.stem]]), common, 1)

    def _done(self, waiting: deque[Task], common: Job, most: int) -> Generator[Outcome, None, None]:
        """Outcomes of what waits, by so many workers at most."""
        looked = time.monotonic()
        while waiting or any(worker.given for worker in self._workers):
            if self._stopping:
                waiting.clear()
            self._hand_out(waiting, common, min(most, self._count))
            busy = [worker for worker in self._workers if worker.given]
            if not busy:
                break
            lines = {worker.line: worker for worker in busy}
            for line in wait(list(lines), timeout=LOOK):
                outcome = self._heard(lines[line], waiting)  # type: ignore[index]
                if outcome is not None and not self._put_off(outcome):
                    self._stopping |= outcome.fatal
                    yield outcome
            before, looked = looked, time.monotonic()
            for worker in self._late(looked - before):
                yield self._given_up(worker, waiting)

    def stop(self) -> None:
        """Hand out no further task."""
        self._stopping = True

    def close(self) -> None:
        """Ends all workers: those that are done by asking, others at once."""
        for worker in self._workers:
            with suppress(OSError):
                if worker.given:
                    worker.process.terminate()
                else:
                    worker.line.send(None)
        for worker in self._workers:
            worker.process.join(PATIENCE)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.line.close()
        self._workers.clear()

    def _put_off(self, outcome: Outcome) -> bool:
        """Whether a photo failed for lack of memory and is kept, to be tried again when it is alone."""
        if self._alone or not outcome.crowded:
            return False
        self._crowded.append(outcome)
        return True

    def _hand_out(self, waiting: deque[Task], common: Job, most: int) -> None:
        """Every worker gets its next photos; new workers come as long as there is work for them."""
        while len(self._workers) < most and waiting:
            self._workers.append(self._hired(common))
            self._give(self._workers[-1], waiting)
        for depth in range(1, AHEAD + 2):
            for worker in self._workers:
                if len(worker.given) < depth:
                    self._give(worker, waiting)

    @staticmethod
    def _give(worker: _Worker, waiting: deque[Task]) -> None:
        if waiting:
            task = waiting.popleft()
            worker.given.append(task)
            with suppress(OSError):  # it has died; whoever listens to it finds out
                worker.line.send(task)

    def _hired(self, common: Job) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._loader, self._count), daemon=True)
        process.start()
        theirs.close()
        with suppress(OSError):
            ours.send(common)
        return _Worker(process, ours)

    def _heard(self, worker: _Worker, waiting: deque[Task]) -> Outcome | None:
        """What a worker says, or the photo it died of."""
        try:
            said = worker.line.recv()
        except (EOFError, OSError):
            return self._died(worker, waiting)
        if isinstance(said, MattelikeError):
            raise said
        worker.seconds = 0.0
        if said is None:
            worker.ready = True
            return None
        if isinstance(said, int):
            worker.pixels = said
            return None
        worker.pixels = 0
        worker.given.popleft()
        outcome: Outcome = said
        return outcome

    def _died(self, worker: _Worker, waiting: deque[Task]) -> Outcome | None:
        worker.process.join()
        how = _how(worker.process.exitcode)
        if not worker.ready:
            if how == "SIGKILL" and len(self._workers) > 1:
                self._dismissed(worker, waiting)
                self._count -= 1  # memory does not suffice for so many
                return None
            raise ModelError(f"a worker died while it loaded the model ({how}); try --workers 1")
        outcome = self._buried(worker, waiting, f"the worker died at this photo ({how}); the others went on")
        if how != "SIGKILL":
            return outcome
        # What a system that has no memory left does to the process that takes most of it.
        return replace(outcome, error=f"{outcome.error}; if memory ran out try --no-refine", crowded=True)

    def _late(self, passed: float) -> list[_Worker]:
        """Workers that have been at one photo for too long, now that some more seconds have passed."""
        passed = min(passed, 2 * LOOK)  # more: this process did not run, and the workers perhaps neither
        late = []
        for worker in self._workers:
            if worker.ready and worker.given:
                worker.seconds += passed
                # What waits to be heard may be that the photo is done.
                if worker.seconds > allowed(worker.pixels, self._timeout) and not worker.line.poll():
                    late.append(worker)
        return late

    def _given_up(self, worker: _Worker, waiting: deque[Task]) -> Outcome:
        worker.process.kill()  # not terminate, which can be ignored
        worker.process.join(PATIENCE)  # who waits for a dead disk cannot even be killed
        return self._buried(worker, waiting, too_long(allowed(worker.pixels, self._timeout)))

    def _buried(self, worker: _Worker, waiting: deque[Task], why: str) -> Outcome:
        """The outcome of the photo a worker was at."""
        victim = worker.given.popleft()
        self._dismissed(worker, waiting)
        return lost(victim, why, worker.seconds)

    def _dismissed(self, worker: _Worker, waiting: deque[Task]) -> None:
        """A worker that has ended is forgotten; its photos go back to those that wait."""
        self._workers.remove(worker)
        worker.line.close()
        waiting.extendleft(reversed(worker.given))


def _how(code: int | None) -> str:
    """How a process ended, in words."""
    if code is None or code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


def _serve(line: Connection, loader: Loader, workers: int) -> None:
    """The life of a worker."""
    # Ctrl-C reaches every process of a terminal; it is the first one's to say what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    job: Job | None = None
    steady = Steady()
    try:
        if workers > 1:
            photos.set_threads(1)
        predictor = loader()
        line.send(None)
        while (said := line.recv()) is not None:
            if isinstance(said, Job):
                job = said
            elif job is not None:
                line.send(making.pixels_of(said))
                line.send(making.made(said, job, predictor))
                steady.photo()
    except MissingExtraError as error:
        line.send(ModelError(str(error)))  # it cannot be rebuilt from its message alone
    except MattelikeError as error:
        line.send(error)
    except (EOFError, OSError):
        pass  # whoever asked for it is gone
