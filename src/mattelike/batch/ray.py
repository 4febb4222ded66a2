"""The engine on Ray: actors that hold the model, on this machine or on a cluster that shares its disks.

Paths go in, files come out, and only outcomes, a few hundred bytes each, travel back: `ray.data` streams
tasks to a pool of actors, starts an actor anew that has died, and gives its photos to another. A photo that
kills every actor it is given to is found by trying what is missing once more, each photo alone, and is listed
as failed. Journal, names and bytes are those of the other engines, for a photo is made by the same code.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mattelike import photos
from mattelike.batch import making
from mattelike.batch.jobs import Job, Outcome, Task
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
    under the same name.

    Args:
        loader: Loads the predictor, in each actor; must be picklable.
        workers: Actors.
        threads: Cores each of them uses.
        gpus: GPUs each of them holds; may be a part of one.

    Raises:
        MissingExtraError: Ray is not installed.
    """

    def __init__(self, loader: Loader, workers: int, *, threads: int = 1, gpus: float = 0) -> None:
        self._ray = library()
        self._loader, self._workers, self._threads, self._gpus = loader, workers, threads, gpus
        self._stopping = False
        self._ours = False

    def run(self, job: Job) -> Generator[Outcome, None, None]:
        """One outcome for each task begun, as they come.

        Raises:
            ModelError: The actors cannot be started, or cannot load the model.
        """
        self._stopping = False
        self._begin()
        common = pickle.dumps(replace(job, tasks=(), out=Path(os.path.abspath(job.out))))  # noqa: PTH100
        missing = dict(enumerate(job.tasks))
        for size in (max(BLOCK, -(-len(missing) // BLOCKS)), 1):
            for number, outcome in self._through(missing, common, size):
                if missing.pop(number, None) is None:
                    continue  # a photo whose actor died after it was done and before it said so
                self._stopping |= outcome.fatal
                yield outcome
                if self._stopping:
                    return
            if not missing:
                return
        for task in missing.values():
            error = f"{task.source}: every actor that was given this photo died; the others went on"
            yield Outcome(task.source, task.stem, "failed", error=error)

    def stop(self) -> None:
        """Take no further outcome: what actors are at is given up, and done again by the next run."""
        self._stopping = True

    def close(self) -> None:
        """Ends the cluster if it was started for this run."""
        if self._ours:
            self._ray.shutdown()
            self._ours = False

    def _begin(self) -> None:
        if self._ray.is_initialized():
            return
        local = not os.environ.get("RAY_ADDRESS")
        # Actors need their cores all at once; one more is for Ray's own work.
        cores = {"num_cpus": self._workers * self._threads + 1} if local else {}
        try:
            self._ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR", **cores)
        except Exception as error:  # Ray raises plain ones where a cluster does not come up
            raise ModelError(f"Ray cannot be started: {' '.join(str(error).split())}") from error
        self._ours = local

    def _through(
        self, tasks: Mapping[int, Task], common: bytes, size: int
    ) -> Generator[tuple[int, Outcome], None, None]:
        """Outcomes by number; tasks whose actors died again and again have none."""
        data = self._ray.data
        settings = data.DataContext.get_current()
        settings.enable_progress_bars = False
        settings.max_errored_blocks = -1
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        items = [{"number": number, "task": pickle.dumps(task)} for number, task in tasks.items()]
        blocks = -(-len(items) // size)
        made = data.from_items(items, override_num_blocks=blocks).map_batches(
            Actor,
            fn_constructor_args=(self._loader, common, str(Path.cwd()), self._workers),
            batch_size=1,
            batch_format="numpy",
            compute=data.ActorPoolStrategy(size=min(self._workers, blocks)),
            num_cpus=self._threads,
            num_gpus=self._gpus,
            ray_remote_args_fn=lambda: {"max_restarts": -1, "max_task_retries": RETRIES},
        )
        try:
            for row in made.iter_rows():
                yield int(row["number"]), pickle.loads(row["outcome"])
        except self._ray.exceptions.RayError as error:
            reason = " ".join(str(error).split())
            raise ModelError(f"the actors of Ray could not go on: {reason[:300]}") from error


class Actor:
    """Holds a model, and makes one photo after the other.

    Args:
        loader: Loads it.
        common: The job without its tasks, pickled.
        folder: What relative paths are relative to.
        workers: How many share the machine.
    """

    def __init__(self, loader: Loader, common: bytes, folder: str, workers: int) -> None:
        with suppress(OSError):  # another machine; then paths must be absolute, and photos say so
            os.chdir(folder)
        if workers > 1:
            photos.set_threads(1)
        self._job: Job = pickle.loads(common)
        self._predictor = loader()

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
        """Outcomes of a batch of tasks."""
        outcomes = [making.made(pickle.loads(task), self._job, self._predictor) for task in batch["task"]]
        return {
            "number": np.asarray(batch["number"]),
            "outcome": np.array([pickle.dumps(outcome) for outcome in outcomes], dtype=object),
        }
