"""The engine that works in several processes, for decoders that crash and cores that are idle.

Each worker loads the model once and does one photo after the other. A worker that dies takes one photo with
it: that photo is listed as failed, a new worker comes in its place, and the rest goes on. Processes are
spawned, never forked: onnxruntime, CUDA and libvips have threads that do not survive a fork.
"""

from __future__ import annotations

import multiprocessing
import signal
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


@dataclass(slots=True, eq=False)
class _Worker:
    """A process, the line to it, and the photos it was given, the one it is at first."""

    process: BaseProcess
    line: Connection
    given: deque[Task] = field(default_factory=deque)
    ready: bool = False


class WorkersEngine:
    """Does a job with several processes.

    Args:
        loader: Loads the predictor, in each worker; must be picklable.
        workers: How many.
    """

    def __init__(self, loader: Loader, workers: int) -> None:
        self._loader = loader
        self._count = workers
        self._workers: list[_Worker] = []
        self._stopping = False

    def run(self, job: Job) -> Generator[Outcome, None, None]:
        """One outcome for each task begun, as they come.

        Raises:
            MattelikeError: What a worker could not load its model for.
            ModelError: A worker died while it loaded its model.
        """
        self._stopping = False
        # The tasks stay here; a worker needs the rest of the job once, and tasks one by one.
        common = replace(job, tasks=())
        waiting = deque(job.tasks)
        for worker in self._workers:
            worker.line.send(common)
        while waiting or any(worker.given for worker in self._workers):
            if self._stopping:
                waiting.clear()
            self._hand_out(waiting, common)
            busy = [worker for worker in self._workers if worker.given]
            if not busy:
                break
            lines = {worker.line: worker for worker in busy}
            for line in wait(list(lines), timeout=1.0):
                outcome = self._heard(lines[line], waiting)  # type: ignore[index]
                if outcome is not None:
                    self._stopping |= outcome.fatal
                    yield outcome

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

    def _hand_out(self, waiting: deque[Task], common: Job) -> None:
        """Every worker gets its next photos; new workers come as long as there is work for them."""
        while len(self._workers) < min(self._count, len(waiting) + len(self._workers)) and waiting:
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
            return self._buried(worker, waiting)
        if isinstance(said, MattelikeError):
            raise said
        if said is None:
            worker.ready = True
            return None
        worker.given.popleft()
        outcome: Outcome = said
        return outcome

    def _buried(self, worker: _Worker, waiting: deque[Task]) -> Outcome | None:
        worker.process.join()
        self._workers.remove(worker)
        worker.line.close()
        how = _how(worker.process.exitcode)
        if not worker.ready:
            raise ModelError(f"a worker died while it loaded the model ({how}); try --workers 1")
        victim, *others = worker.given
        waiting.extendleft(reversed(others))
        error = f"{victim.source}: the worker died at this photo ({how}); the others went on"
        return Outcome(victim.source, victim.stem, "failed", error=error, frame=victim.frame)


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
                line.send(making.made(said, job, predictor))
                steady.photo()
    except MissingExtraError as error:
        line.send(ModelError(str(error)))  # it cannot be rebuilt from its message alone
    except MattelikeError as error:
        line.send(error)
    except (EOFError, OSError):
        pass  # whoever asked for it is gone
