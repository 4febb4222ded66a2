"""Photos through several processes."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from mattelike.batch import making
from mattelike.batch.jobs import Job, Outcome
from mattelike.batch.local import LocalEngine
from mattelike.batch.workers import WorkersEngine, allowed
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


class Large(Predictor):
    """Its process is ended by the system at photos of one width, so many times, as where memory runs out."""

    def __init__(self, tries: Path, times: int) -> None:
        super().__init__(toy().model)
        self._tries, self._times = tries, times

    def matte(self, photo, context, *, refine=True):  # type: ignore[no-untyped-def,override]
        if photo.width == 97:
            with self._tries.open("a") as file:
                file.write(f"{os.getpid()}\n")
            if len(self._tries.read_text().split()) <= self._times:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().matte(photo, context, refine=refine)


def loaded_while_memory_lasts(loads: Path, room: int) -> Predictor:
    """The first processes load; later ones are ended by the system as they do."""
    with loads.open("a") as file:
        file.write(f"{os.getpid()}\n")
    if len(loads.read_text().split()) > room:
        os.kill(os.getpid(), signal.SIGKILL)
    return toy()


class Stuck(Predictor):
    """Never comes back from photos of one width, as a device with a fault would make it."""

    def matte(self, photo, context, *, refine=True):  # type: ignore[no-untyped-def,override]
        if photo.width == 97:
            _hang()
        return super().matte(photo, context, refine=refine)


def _hang() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)


def stuck_at_the_model() -> Predictor:
    return Stuck(toy().model)


def stuck_at_reading() -> Predictor:
    """Its process never comes back from the header of photos of one name, as from a share that is gone."""
    header = making.photos.header

    def hanging(source, frame=None):  # type: ignore[no-untyped-def]
        if Path(source).name == "2.png":
            _hang()
        return header(source, frame)

    making.photos.header = hanging  # the worker's own, which dies with it
    return toy()


def slow_to_load() -> Predictor:
    time.sleep(3)
    return toy()


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


@pytest.mark.parametrize("loader", [stuck_at_the_model, stuck_at_reading])
def test_trap_77_a_worker_that_hangs_is_ended_and_its_photo_listed(tmp_path: Path, loader) -> None:  # type: ignore[no-untyped-def]
    engine = WorkersEngine(loader, 1, timeout=1.5)
    try:
        outcomes = {outcome.stem: outcome for outcome in engine.run(job_for(tmp_path, 5))}
        (worker,) = engine._workers
        assert worker.process.is_alive()
    finally:
        engine.close()
    assert len(outcomes) == 5
    failed = [outcome for outcome in outcomes.values() if outcome.result == "failed"]
    assert [Path(each.source).name for each in failed] == ["2.png"]
    assert "not done after 1.5 s" in failed[0].error and "--timeout" in failed[0].error
    assert "\n" not in failed[0].error and not failed[0].fatal
    assert failed[0].seconds == pytest.approx(1.5, abs=3)


def test_trap_77_the_clock_of_a_photo_starts_when_its_worker_is_at_it(tmp_path: Path) -> None:
    """Neither loading the model, nor photos before it, nor whoever is slow to take outcomes count."""
    engine = WorkersEngine(slow_to_load, 1, timeout=2.0)
    outcomes: list[Outcome] = []
    try:
        for outcome in engine.run(job_for(tmp_path, 3)):
            outcomes.append(outcome)
            time.sleep(2.5 if len(outcomes) == 1 else 0)
    finally:
        engine.close()
    assert [outcome.result for outcome in outcomes] == ["present"] * 3


def test_trap_77_a_photo_may_take_minutes_and_more_the_larger_it_is() -> None:
    assert 300 <= allowed(0) < allowed(12_000_000) < allowed(200_000_000) < 3600
    assert allowed(0, 5.0) == allowed(200_000_000, 5.0) == 5
    assert allowed(200_000_000, 0.0) == float("inf")


@pytest.mark.parametrize("times", [1, 2])
def test_trap_67_a_photo_the_system_ended_a_worker_for_is_tried_once_more_alone(
    tmp_path: Path, times: int
) -> None:
    job, tries = job_for(tmp_path, 6), tmp_path / "tries"
    engine = WorkersEngine(partial(Large, tries, times), 2)
    outcomes: list[Outcome] = []
    try:
        for outcome in engine.run(job):
            outcomes.append(outcome)
            alone = len(engine._workers) <= 1
    finally:
        engine.close()
    assert sorted(outcome.stem for outcome in outcomes) == [str(number) for number in range(6)]
    assert len(tries.read_text().split()) == 2
    last = outcomes.pop()
    assert last.stem == "2" and alone
    assert all(outcome.result == "present" for outcome in outcomes)
    if times == 1:
        assert last.result == "present" and (job.out / "2.png").is_file()
    else:
        assert last.result == "failed" and "SIGKILL" in last.error and "memory" in last.error


def test_trap_67_what_is_to_be_tried_again_is_reported_when_the_run_is_stopped(tmp_path: Path) -> None:
    engine = WorkersEngine(partial(Large, tmp_path / "tries", 9), 1)
    outcomes: list[Outcome] = []
    try:
        for outcome in engine.run(job_for(tmp_path, 4)):
            outcomes.append(outcome)
            if outcome.stem == "3":
                engine.stop()
    finally:
        engine.close()
    assert sorted(outcome.stem for outcome in outcomes) == ["0", "1", "2", "3"]
    assert [outcome.stem for outcome in outcomes if outcome.result == "failed"] == ["2"]


def test_trap_67_where_memory_lasts_for_fewer_workers_fewer_do_it(tmp_path: Path) -> None:
    engine = WorkersEngine(partial(loaded_while_memory_lasts, tmp_path / "loads", 1), 2)
    try:
        outcomes = list(engine.run(job_for(tmp_path, 5)))
    finally:
        engine.close()
    assert [outcome.result for outcome in outcomes] == ["present"] * 5
    assert len((tmp_path / "loads").read_text().split()) == 2


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
