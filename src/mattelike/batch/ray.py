"""The engine on Ray: actors that hold the model, on this machine or on a cluster that shares disks or store.

Paths go in, files come out, and only outcomes, a few hundred bytes each, travel back: `ray.data` streams
tasks to a pool of actors, starts an actor anew that has died, and gives its photos to another. A photo that
kills every actor it is given to is found by trying what is missing once more, each photo alone, and is listed
as failed. Journal, names and bytes are those of the other engines, for a photo is made by the same code.

A `Keeper` knows whether the run has been stopped, and which photo every actor is at. Actors ask it before
each photo: when the run is stopped, the one they are at is finished and reported, the rest of what they were
given comes back untouched. An actor that is at a photo for too long is ended; it starts anew, and when it
comes to that photo again, reports it as failed.
"""

from __future__ import annotations

import logging
import os
import pickle
import sys
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO, cast

import numpy as np

from mattelike import photos
from mattelike.batch import making
from mattelike.batch.jobs import Job, Outcome, Task
from mattelike.batch.workers import LOOK, allowed, lost, too_long
from mattelike.errors import ModelError
from mattelike.models.extras import imported
from mattelike.predictor import Predictor

Loader = Callable[[], Predictor]

BLOCK = 16
"""Photos handed out together: what is done again when an actor dies."""

BLOCKS = 10_000
"""At most so many blocks; beyond, they grow."""

RETRIES = 2


def library() -> Any:
    """The package ``ray``, its data part included.

    Raises:
        MissingExtraError: One of the two is not installed.
    """
    imported("ray.data", extra="ray", purpose="--engine ray")
    return imported("ray", extra="ray", purpose="--engine ray")


class RayEngine:
    """Does a job with actors.

    A cluster is joined where the environment names one (``RAY_ADDRESS``); otherwise one is started on this
    machine, for this run. Photos and output folder must lie where every machine of the cluster sees them
    under the same name: on shared disks, or in an object store (`mattelike.batch.storage`).

    Args:
        loader: Loads the predictor, in each actor; must be picklable.
        workers: Actors.
        threads: Cores each of them uses.
        gpus: GPUs each of them holds; may be a part of one.
        timeout: Seconds a photo may take, see `mattelike.batch.workers.allowed`.

    Raises:
        MissingExtraError: Ray is not installed.
    """

    def __init__(
        self,
        loader: Loader,
        workers: int,
        *,
        threads: int = 1,
        gpus: float = 0,
        timeout: float | None = None,
    ) -> None:
        self._ray = library()
        self._loader, self._workers, self._threads, self._gpus = loader, workers, threads, gpus
        self._timeout = timeout
        self._stop = threading.Event()
        self._begun = ExitStack()

    def run(self, job: Job) -> Generator[Outcome, None, None]:
        """One outcome for each task begun, as they come.

        Raises:
            ModelError: The actors cannot be started, or cannot load the model.
        """
        self._stop.clear()
        self._begin()
        common = pickle.dumps(replace(job, tasks=(), out=Path(os.path.abspath(job.out))))  # noqa: PTH100
        missing = dict(enumerate(job.tasks))
        with self._keeper() as keeper:
            for size in (max(BLOCK, -(-len(missing) // BLOCKS)), 1):
                for number, outcome in self._through(missing, common, keeper, size):
                    if missing.pop(number, None) is None:
                        continue  # a photo whose actor died after it was done and before it said so
                    if outcome.fatal:
                        self.stop()
                    yield outcome
                if not missing or self._stop.is_set():
                    return
        for task in missing.values():
            yield lost(task, "every actor that was given this photo died; the others went on")

    def stop(self) -> None:
        """Begin no further photo; those that actors are at are finished and reported."""
        self._stop.set()

    def close(self) -> None:
        """Leaves the cluster, or ends it if it was started for this run."""
        self._begun.close()

    def _begin(self) -> None:
        if self._ray.is_initialized():
            return
        before = set(threading.enumerate())
        try:
            self._ray.init(
                include_dashboard=False, log_to_driver=False, logging_level="ERROR", **self._where()
            )
        except Exception as error:  # Ray raises plain ones where a cluster does not come up
            raise ModelError(f"Ray cannot be started: {' '.join(str(error).split())}") from error
        self._begun.enter_context(_standard_output_without(set(threading.enumerate()) - before))
        self._begun.callback(self._leave)

    def _where(self) -> dict[str, Any]:
        """Which cluster, as Ray's settings: the one that is named, or a new one, whatever else runs here."""
        if os.environ.get("RAY_ADDRESS"):
            return {}
        # Actors need their cores all at once; one more is for Ray's own work.
        return {"address": "local", "num_cpus": self._workers * self._threads + 1}

    def _leave(self) -> None:
        with redirect_stdout(sys.stderr):  # what Ray has held back so far, it says now, in this thread
            self._ray.shutdown()

    @contextmanager
    def _keeper(self) -> Iterator[Any]:
        """A keeper, whom a thread tells when the run is stopped: signal handlers must not call Ray."""
        keeper = self._ray.remote(num_cpus=0, max_restarts=-1)(Keeper).remote(self._timeout)
        over = False

        def tell() -> None:
            self._stop.wait()
            if not over:
                keeper.stop.remote()

        teller = threading.Thread(target=tell, name="teller", daemon=True)
        teller.start()
        try:
            yield keeper
        finally:
            over = True
            stopped = self._stop.is_set()
            self._stop.set()
            teller.join()
            if not stopped:
                self._stop.clear()
            self._ray.kill(keeper)

    def _through(
        self, tasks: Mapping[int, Task], common: bytes, keeper: Any, size: int
    ) -> Generator[tuple[int, Outcome], None, None]:
        """Outcomes by number; tasks whose actors died again and again have none, nor those not begun."""
        data = self._ray.data
        settings = data.DataContext.get_current()
        settings.enable_progress_bars = False
        settings.max_errored_blocks = -1
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        items = [{"number": number, "task": pickle.dumps(task)} for number, task in tasks.items()]
        blocks = -(-len(items) // size)
        actors = min(self._workers, blocks)
        idle: set[str] = set()
        made = data.from_items(items, override_num_blocks=blocks).map_batches(
            Actor,
            fn_constructor_args=(self._loader, common, str(Path.cwd()), self._workers, keeper),
            batch_size=1,
            batch_format="numpy",
            # Photos tried alone do not wait behind one that kills: they would lose their retries with it.
            compute=data.ActorPoolStrategy(
                size=actors, max_tasks_in_flight_per_actor=1 if size == 1 else None
            ),
            num_cpus=self._threads,
            num_gpus=self._gpus,
            ray_remote_args_fn=lambda: {"max_restarts": -1, "max_task_retries": RETRIES},
        )
        try:
            for row in made.iter_rows():
                outcome = pickle.loads(row["outcome"])
                if outcome is not None:
                    yield int(row["number"]), outcome
                    continue
                idle.add(str(row["actor"]))
                if len(idle) >= actors:
                    return  # all have heard of it, and told what they had done before
        except self._ray.exceptions.RayError as error:
            reason = " ".join(str(error).split())
            raise ModelError(f"the actors of Ray could not go on: {reason[:300]}") from error


class _Sorting:
    """A stream; for some threads, standard error.

    Args:
        stream: What it is for all others.
        threads: Those.
    """

    def __init__(self, stream: TextIO, threads: set[threading.Thread]) -> None:
        self._stream, self._threads = stream, threads

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr if threading.current_thread() in self._threads else self._stream, name)


@contextmanager
def _standard_output_without(threads: set[threading.Thread]) -> Iterator[None]:
    """Standard output is for results: what these threads print goes to standard error.

    Ray tells of actors that died from a thread of its own, on standard output, and no setting changes that.
    """
    before = sys.stdout
    sys.stdout = cast(TextIO, _Sorting(before, threads))
    try:
        yield
    finally:
        sys.stdout = before


@dataclass(slots=True)
class _At:
    """The photo an actor is at, its size (0 until it is known), and how long it has taken."""

    actor: Any
    number: int
    pixels: int = 0
    seconds: float = 0.0


class Keeper:
    """Says whether the run has been stopped, and ends actors that are at one photo for too long.

    Args:
        timeout: See `RayEngine`.
    """

    def __init__(self, timeout: float | None = None) -> None:
        self._timeout = timeout
        self._stopped = False
        self._at: dict[str, _At] = {}
        self._given_up: dict[int, float] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def stop(self) -> None:
        """The run is stopped."""
        self._stopped = True

    def begins(self, name: str, actor: Any, number: int) -> str | float | None:
        """An actor comes to a photo.

        Args:
            name: Of the actor, another one when it has started anew.
            actor: Its handle.
            number: Of the photo.

        Returns:
            None: it may begin. ``"stopped"``: nothing is begun any more. A number: the photo was given up
            after so many seconds.
        """
        with self._lock:
            self._at.pop(name, None)
            if self._stopped:
                return "stopped"
            if number not in self._given_up:
                self._at[name] = _At(actor, number)
            return self._given_up.get(number)

    def sized(self, name: str, pixels: int) -> None:
        """How many pixels the photo has that an actor is at."""
        with self._lock:
            if name in self._at:
                self._at[name].pixels = pixels

    def done(self, name: str) -> None:
        """An actor is at no photo."""
        with self._lock:
            self._at.pop(name, None)

    def _watch(self) -> None:
        looked = time.monotonic()
        while True:
            time.sleep(LOOK)
            before, looked = looked, time.monotonic()
            # More than that, and this process did not run, and the actors perhaps neither.
            for late in self._late(min(looked - before, 2 * LOOK)):
                library().kill(late.actor, no_restart=False)

    def _late(self, passed: float) -> list[_At]:
        """Who is at a photo for too long, now that some more seconds have passed; they are forgotten."""
        late = []
        with self._lock:
            for name, at in list(self._at.items()):
                at.seconds += passed
                limit = allowed(at.pixels, self._timeout)
                if at.seconds > limit:
                    self._given_up[at.number] = limit
                    late.append(self._at.pop(name))
        return late


class Actor:
    """Holds a model, and makes one photo after the other.

    Args:
        loader: Loads it.
        common: The job without its tasks, pickled.
        folder: What relative paths are relative to.
        workers: How many share the machine.
        keeper: Handle of a `Keeper`.
    """

    def __init__(self, loader: Loader, common: bytes, folder: str, workers: int, keeper: Any) -> None:
        with suppress(OSError):  # another machine; then paths must be absolute, and photos say so
            os.chdir(folder)
        if workers > 1:
            photos.set_threads(1)
        self._job: Job = pickle.loads(common)
        self._predictor = loader()
        self._ray, self._keeper = library(), keeper
        self._name = uuid.uuid4().hex

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
        """Outcomes of a batch of tasks; None for those not begun because the run was stopped."""
        both = zip(batch["number"], batch["task"], strict=True)
        outcomes = [self._made(int(number), pickle.loads(task)) for number, task in both]
        return {
            "number": np.asarray(batch["number"]),
            "actor": np.array([self._name] * len(outcomes), dtype=object),
            "outcome": np.array([pickle.dumps(outcome) for outcome in outcomes], dtype=object),
        }

    def _made(self, number: int, task: Task) -> Outcome | None:
        myself = self._ray.get_runtime_context().current_actor
        answer = self._ray.get(self._keeper.begins.remote(self._name, myself, number))
        if answer == "stopped":
            return None
        if answer is not None:
            return lost(task, too_long(answer), answer)
        self._keeper.sized.remote(self._name, making.pixels_of(task))
        try:
            return making.made(task, self._job, self._predictor)
        finally:
            self._keeper.done.remote(self._name)
