"""Photos that arrive while one watches."""

from __future__ import annotations

import os
import time
from pathlib import Path

from mattelike.batch.jobs import Settings
from mattelike.batch.plan import Plan, plan_folder
from mattelike.batch.watch import Watcher


def seen(watcher: Watcher, tmp_path: Path) -> list[str]:
    plan: Plan = plan_folder([str(tmp_path)], tmp_path / "out", Settings())
    return [Path(task.source).name for task in watcher.arrived(plan).tasks]


def aged(path: Path, data: bytes, seconds: float) -> None:
    path.write_bytes(data)
    at = time.time() - seconds
    os.utime(path, (at, at))


def test_trap_21_a_file_is_taken_when_it_is_whole(tmp_path: Path) -> None:
    watcher = Watcher()
    photo = tmp_path / "a.jpg"
    aged(photo, b"half", 5)
    assert seen(watcher, tmp_path) == []  # once seen is not enough
    aged(photo, b"half and more", 4)
    assert seen(watcher, tmp_path) == []  # it has grown
    assert seen(watcher, tmp_path) == ["a.jpg"]
    assert seen(watcher, tmp_path) == []  # once done, done


def test_trap_21_a_file_that_was_just_touched_is_waited_for(tmp_path: Path) -> None:
    watcher = Watcher()
    (tmp_path / "a.jpg").write_bytes(b"x")
    assert seen(watcher, tmp_path) == seen(watcher, tmp_path) == []
    aged(tmp_path / "a.jpg", b"x", 2)
    seen(watcher, tmp_path)
    assert seen(watcher, tmp_path) == ["a.jpg"]


def test_a_photo_that_changes_is_taken_again(tmp_path: Path) -> None:
    watcher = Watcher()
    aged(tmp_path / "a.jpg", b"x", 9)
    seen(watcher, tmp_path)
    assert seen(watcher, tmp_path) == ["a.jpg"]
    aged(tmp_path / "a.jpg", b"y", 5)
    seen(watcher, tmp_path)
    assert seen(watcher, tmp_path) == ["a.jpg"]
