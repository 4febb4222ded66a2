"""A room with photos, and ways to call the command line on it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mattelike import photos, predictor
from mattelike.cli import main
from tests.batch.rooms import picture, red_mask, write
from tests.toy_model import toy

ROOT = Path(__file__).parents[2]
Call = Callable[..., Result]


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: photos/0..3.png with red things, like.png and its mask.png."""
    for index in range(4):
        write(tmp_path / f"photos/{index}.png", index)
    write(tmp_path / "like.png", 99)
    mask = red_mask(picture(99)).astype("uint8") * 255
    (tmp_path / "mask.png").write_bytes(photos.encode(mask[..., None].repeat(3, 2), ".png"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Call:
    """Calls the command line in this process, with the toy model."""
    monkeypatch.setenv("MATTELIKE_WORKERS", "1")  # other processes would load the real model
    monkeypatch.setattr(predictor, "load", lambda model="toy", **options: toy())

    def invoke(*args: str, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(main, list(args), input=stdin)

    return invoke


def program(*args: str, toy_model: bool = True, seconds: str = "") -> tuple[list[str], dict[str, str]]:
    """Command and environment of the command line as a program of its own."""
    module = "tests.cli.toy_main" if toy_model else "mattelike"
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    return [sys.executable, "-m", module, *args], {
        **os.environ,
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": "1",
        "TOY_SECONDS": seconds,
        "MATTELIKE_WORKERS": "1",
    }


def run_program(*args: str, toy_model: bool = True, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Runs it to its end."""
    command, environment = program(*args, toy_model=toy_model)
    return subprocess.run(
        command, env=environment, input=stdin, capture_output=True, timeout=120, check=False
    )
