"""Photos through actors of Ray: the same outcomes, the same bytes, and a killed actor costs nothing."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mattelike.batch.jobs import Engine, Job
from mattelike.batch.local import LocalEngine
from mattelike.batch.ray import Keeper, RayEngine, library
from mattelike.batch.workers import allowed
from mattelike.errors import MissingExtraError
from mattelike.predictor import Predictor
from tests.batch.rooms import contents, context_of, job_of, task_of, write
from tests.toy_model import toy


class Deadly(Predictor):
    """Its process is killed at photos of two widths: once at the first, always at the second."""

    def matte(self, photo, context, *, refine=True):  # type: ignore[no-untyped-def,override]
        marker = Path(os.environ["MATTELIKE_TEST_MARKER"])
        if photo.width == 97 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if photo.width == 98:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().matte(photo, context, refine=refine)


def deadly() -> Predictor:
    return Deadly(toy().model)


def job_for(tmp_path: Path, widths: list[int]) -> Job:
    paths = [write(tmp_path / f"in/{n}.png", n, size=(64, width)) for n, width in enumerate(widths)]
    return replace(job_of(context_of(toy()), tmp_path / "out"), tasks=tuple(map(task_of, paths)))


def actors_see_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """What actors load is in the tests: their processes must find it."""
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(root), str(root / "src")]))


def test_without_ray_one_line_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.data", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mattelike\[ray\]'"):
        RayEngine(toy, 2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_trap_77_every_photo_once_and_the_bytes_of_the_local_engine_though_an_actor_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("MATTELIKE_TEST_MARKER", str(tmp_path / "killed"))
    actors_see_tests(monkeypatch)
    job = job_for(tmp_path, [96 + (n == 20) + 2 * (n == 30) for n in range(40)])
    alone = {o.stem: o for o in LocalEngine(toy()).run(replace(job, out=tmp_path / "alone"))}
    engine = RayEngine(deadly, 2)
    assert isinstance(engine, Engine)
    try:
        outcomes = list(engine.run(job))
    finally:
        engine.close()
    assert (tmp_path / "killed").exists()
    assert sorted(o.stem for o in outcomes) == sorted(alone)
    failed = [o for o in outcomes if o.result == "failed"]
    assert [o.stem for o in failed] == ["30"]
    assert "every actor" in failed[0].error
    assert {o.stem: o.key for o in outcomes if o.stem != "30"} == {
        k: v.key for k, v in alone.items() if k != "30"
    }
    ours, theirs = contents(tmp_path / "out"), contents(tmp_path / "alone")
    assert all(theirs[name] == data for name, data in ours.items())
    assert len(ours) == len(theirs) - 4  # cut-out, matte and two thumbnails of the one that kills
    assert not library().is_initialized()


class Slow(Predictor):
    """Takes its time, so that a run can be stopped in its midst."""

    def matte(self, photo, context, *, refine=True):  # type: ignore[no-untyped-def,override]
        time.sleep(0.2)
        return super().matte(photo, context, refine=refine)


def slow() -> Predictor:
    return Slow(toy().model)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_stopped_run_reports_every_photo_it_has_begun_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    actors_see_tests(monkeypatch)
    job = job_for(tmp_path, [96] * 80)
    engine, outcomes = RayEngine(slow, 2), []
    try:
        for outcome in engine.run(job):
            outcomes.append(outcome)
            engine.stop()
    finally:
        engine.close()
    written = {name for name in contents(tmp_path / "out") if name.endswith(".matte.png")}
    assert written == {f"{outcome.stem}.matte.png" for outcome in outcomes}
    assert 0 < len(outcomes) < 80


class Hanging(Predictor):
    """Never comes back from a photo of one width."""

    def matte(self, photo, context, *, refine=True):  # type: ignore[no-untyped-def,override]
        while photo.width == 97:
            time.sleep(1)
        return super().matte(photo, context, refine=refine)


def hanging() -> Predictor:
    return Hanging(toy().model)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_trap_77_actors_that_hang_are_ended_and_their_photos_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where as many photos of a block hang as it is tried."""
    pytest.importorskip("ray")
    actors_see_tests(monkeypatch)
    job = job_for(tmp_path, [96 + (n % 4 == 1) for n in range(12)])
    # Long enough for a photo of a busy machine.
    engine = RayEngine(hanging, 1, timeout=6.0)
    try:
        outcomes = list(engine.run(job))
    finally:
        engine.close()
    assert sorted(o.stem for o in outcomes) == sorted(str(n) for n in range(12))
    failed = {o.stem: o.error for o in outcomes if o.result == "failed"}
    assert sorted(failed) == ["1", "5", "9"]
    assert all("not done after 6 s" in error and "--timeout" in error for error in failed.values())


def test_a_photo_takes_as_long_as_its_size_allows() -> None:
    keeper = Keeper()
    assert keeper.begins("one", None, 0) is None
    keeper.sized("one", 1_000_000)
    assert keeper._late(allowed(0) + 1.0) == []  # it has a megapixel
    assert [at.number for at in keeper._late(20.0)] == [0]
    assert keeper.begins("one, anew", None, 0) == allowed(1_000_000)


def test_a_photo_that_is_done_is_not_late_and_none_begins_once_stopped() -> None:
    keeper = Keeper(timeout=5.0)
    assert keeper.begins("one", None, 0) is None and keeper.begins("other", None, 1) is None
    keeper.done("one")
    assert [at.number for at in keeper._late(6.0)] == [1]
    keeper.stop()
    assert keeper.begins("one", None, 2) == "stopped"
