"""Photos through several processes."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from mattelike.batch.jobs import Job, Outcome
from mattelike.batch.local import LocalEngine
from mattelike.batch.workers import WorkersEngine
from mattelike.errors import MissingExtraError, ModelError
from mattelike.predictor import Predictor
from tests.batch.rooms import contents, context_of, job_of, task_of, write
from tests.toy_model import toy


class Deadly(Predictor):
    """Its process dies at photos of one width, as a decoder with a fault would make it."""

    def matte(self, photo, context, *, refine=True):  # type: ignore[no-untyped-def,override]
        if photo.width == 97:
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().matte(photo, context, refine=refine)


def deadly() -> Predictor:
    return Deadly(toy().model)


def dead_at_once() -> Predictor:
    os._exit(3)


def lacking() -> Predictor:
    raise MissingExtraError("torch", "dino", "the model dino")


def job_for(tmp_path: Path, count: int, name: str = "out") -> Job:
    paths = [
        write(tmp_path / f"in/{index}.png", index, size=(64, 96 + (index == 2))) for index in range(count)
    ]
    return replace(job_of(context_of(toy()), tmp_path / name), tasks=tuple(map(task_of, paths)))


def test_workers_write_the_same_bytes(tmp_path: Path) -> None:
    job = job_for(tmp_path, 5)
    alone = list(LocalEngine(toy()).run(replace(job, out=tmp_path / "alone")))
    engine = WorkersEngine(toy, 2)
    try:
        outcomes = list(engine.run(job))
        assert len(list(engine.run(replace(job, tasks=job.tasks[:2])))) == 2  # they are kept for more
    finally:
        engine.close()
    assert {o.stem: o.key for o in outcomes} == {o.stem: o.key for o in alone}
    assert contents(tmp_path / "out") == contents(tmp_path / "alone")


def test_trap_77_a_worker_that_dies_is_replaced_and_its_photo_listed(tmp_path: Path) -> None:
    job = job_for(tmp_path, 6)
    engine = WorkersEngine(deadly, 2)
    try:
        outcomes = {outcome.stem: outcome for outcome in engine.run(job)}
    finally:
        engine.close()
    assert len(outcomes) == 6
    failed = [outcome for outcome in outcomes.values() if outcome.result == "failed"]
    assert [Path(each.source).name for each in failed] == ["2.png"]
    assert "SIGSEGV" in failed[0].error


@pytest.mark.parametrize(("loader", "says"), [(dead_at_once, "exit code 3"), (lacking, r"mattelike\[dino\]")])
def test_a_model_that_cannot_be_loaded_stops_everything(tmp_path: Path, loader, says: str) -> None:  # type: ignore[no-untyped-def]
    engine = WorkersEngine(partial(loader), 1)
    try:
        with pytest.raises(ModelError, match=says):
            list(engine.run(job_for(tmp_path, 2)))
    finally:
        engine.close()


def test_stopping_hands_out_nothing_more(tmp_path: Path) -> None:
    engine = WorkersEngine(toy, 1)
    outcomes: list[Outcome] = []
    try:
        for outcome in engine.run(job_for(tmp_path, 12)):
            outcomes.append(outcome)
            engine.stop()
    finally:
        engine.close()
    assert 1 <= len(outcomes) <= 3


def test_trap_69_workers_are_spawned_and_never_forked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads of onnxruntime, CUDA and libvips, all of them running here by now, do not survive a fork."""

    def refuse() -> int:
        raise AssertionError("forked")

    monkeypatch.setattr(os, "fork", refuse)
    engine = WorkersEngine(toy, 2)
    try:
        outcomes = list(engine.run(job_for(tmp_path, 2)))
    finally:
        engine.close()
    assert [outcome.result for outcome in outcomes] == ["present", "present"]
