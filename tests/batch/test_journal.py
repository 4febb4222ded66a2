"""The memory of an output folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mattelike.batch.jobs import Outcome
from mattelike.batch.journal import REPORT, WORKING, Journal, known_outputs
from mattelike.errors import OutputError
from tests.batch.rooms import task_of, write


def outcome(path: Path, **more: object) -> Outcome:
    done = Outcome(
        str(path), path.stem, "present", (f"{path.stem}.png",), 0.9, 0.1, (8, 6), 0.5, notes=("odd",), key="k"
    )
    return replace(done, **more)  # type: ignore[arg-type]


def test_a_finished_run_leaves_one_line_a_photo_in_natural_order(tmp_path: Path) -> None:
    paths = [write(tmp_path / "in" / name) for name in ("x10.png", "x2.png")]
    with Journal(tmp_path / "out") as journal:
        for path in paths:
            journal.record(outcome(path))
        journal.finish()
    lines = (tmp_path / "out" / REPORT).read_text().splitlines()
    assert [json.loads(line)["source"] for line in lines] == ["../in/x2.png", "../in/x10.png"]
    assert not (tmp_path / "out" / WORKING).exists()
    with Journal(tmp_path / "out") as journal:
        assert journal.find(str(paths[0])) == outcome(paths[0], source="../in/x10.png")


def test_trap_74_a_killed_run_is_remembered_up_to_its_last_whole_line(tmp_path: Path) -> None:
    first, second = (write(tmp_path / name) for name in ("a.png", "b.png"))
    out = tmp_path / "out"
    with Journal(out) as journal:
        journal.promise([task_of(first), task_of(second)])
        journal.record(outcome(first))
        journal.record(outcome(second))
    working = out / WORKING
    working.write_bytes(working.read_bytes()[:-40])
    assert known_outputs(out) == {"a.png", "a.matte.png", "b.png", "b.matte.png"}
    with Journal(out) as journal:
        assert journal.find(str(first)) is not None
        assert journal.find(str(second)) is None
        journal.record(outcome(second))
    with Journal(out) as journal:
        assert journal.find(str(second)) is not None


@pytest.mark.parametrize(
    "damage", ["{}", "[1]", "null", '{"source": 3}', '"', "\x00", '{"promised": 1}', "9e999"]
)
def test_damaged_lines_are_dropped(tmp_path: Path, damage: str) -> None:
    photo = write(tmp_path / "a.png")
    with Journal(tmp_path / "out") as journal:
        journal.record(outcome(photo))
        journal.finish()
    with (tmp_path / "out" / REPORT).open("a") as file:
        file.write(damage + "\n")
    with Journal(tmp_path / "out") as journal:
        assert [each.stem for each in journal.outcomes()] == ["a"]
    assert known_outputs(tmp_path / "out") == {"a.png"}


def test_photos_and_outputs_can_be_moved_together(tmp_path: Path) -> None:
    photo = write(tmp_path / "one/in/a.png")
    with Journal(tmp_path / "one/out") as journal:
        journal.record(outcome(photo))
        journal.finish()
    (tmp_path / "one").rename(tmp_path / "two")
    with Journal(tmp_path / "two/out") as journal:
        assert journal.find(str(tmp_path / "two/in/a.png")) is not None


def test_what_is_left_of_nothing_is_forgotten(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.record(Outcome(str(tmp_path / "typo.jpg"), "", "failed", error="no such file"))
        journal.finish()
    with Journal(tmp_path) as journal:
        assert not list(journal.outcomes())


def test_what_needs_a_look_comes_first(tmp_path: Path) -> None:
    results = ("present", "unsure", "absent", "failed")
    with Journal(tmp_path / "out") as journal:
        for index, result in enumerate(results):
            journal.record(outcome(write(tmp_path / f"{index}.png"), result=result))
        assert [each.result for each in journal.outcomes()] == ["failed", "absent", "unsure", "present"]


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with Journal(tmp_path), pytest.raises(OutputError, match="another mattelike is at work"):
        Journal(tmp_path)
    with Journal(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_trap_18_a_place_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write there"):
        Journal(tmp_path / "file" / "out")


def test_trap_84_unfinished_files_of_killed_runs_are_swept(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "other").mkdir()
    for name in (
        ".mattelike-0123.part",
        "deep/.mattelike-4567.part",
        "deep/mine.part",
        "other/.mattelike-1.part",
    ):
        (tmp_path / name).write_bytes(b"half")
    with Journal(tmp_path) as journal:
        journal.promise([task_of(tmp_path / "a.jpg", "deep/a")])
        journal.sweep()
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.part"))
    assert left == ["deep/mine.part", "other/.mattelike-1.part"]  # another run may be at work elsewhere


def test_a_models_settings_are_part_of_the_line_and_come_back(tmp_path: Path) -> None:
    paths = [write(tmp_path / "in" / name) for name in ("a.png", "b.png")]
    settings = json.dumps({"side": 768, "timestep": 200})
    with Journal(tmp_path / "out") as journal:
        journal.record(outcome(paths[0], settings=settings))
        journal.record(outcome(paths[1]))
        journal.finish()
    first, second = (json.loads(line) for line in (tmp_path / "out" / REPORT).read_text().splitlines())
    assert first["settings"] == {"side": 768, "timestep": 200}
    assert "settings" not in second
    with Journal(tmp_path / "out") as journal:
        found = [journal.find(str(path)) for path in paths]
    assert [each.settings for each in found if each] == [settings, ""]
