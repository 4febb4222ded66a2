"""Photos through Ray from the command line: what a script reads on standard output, whatever happens."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.batch.rooms import contents
from tests.cli.conftest import program

LIKE = ("--like", "like.png", "--mask", "mask.png")


def test_standard_output_is_nothing_but_json_though_actors_die(room: Path) -> None:
    pytest.importorskip("ray")
    (room / "deaths").mkdir()
    for name in "ab":
        (room / "deaths" / name).touch()
    run = ("matte", "photos", *LIKE, "--json", "--no-sheet")
    command, environment = program(*run, "-o", "out", "--engine", "ray", "-j", "2", "--threads", "1")
    environment |= {"TOY_DEATHS": str(room / "deaths"), "RAY_worker_niceness": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250)
    assert not list((room / "deaths").iterdir()), done.stderr
    assert done.returncode == 0, done.stderr
    *photos, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted((Path(each["source"]).name, each["result"]) for each in photos) == [
        (f"{n}.png", "present") for n in range(4)
    ]
    assert last["summary"]["present"] == 4
    assert "(raylet)" in done.stderr  # what Ray says of its actors is not lost
    command, environment = program(*run, "-o", "alone")
    subprocess.run(command, env=environment, capture_output=True, check=True, timeout=120)
    assert contents(room / "out") == contents(room / "alone")
