"""AIM-500 by kind, with edited alphas."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mattelike import photos
from mattelike.errors import UsageError
from mattelike.evaluation.benchmarks import opened
from mattelike.evaluation.reading import read_truth
from mattelike.evaluation.regrouping import regrouped, template

RECIPE = Path(__file__).parents[2] / "recipes" / "aim500.py"
GROUPS = "name,group\no_1,cat\no_2.jpg,cat\no_3,dog\no_4,\n"


@pytest.fixture
def aim(tmp_path: Path) -> Path:
    root = tmp_path / "AIM-500"
    for number in range(1, 5):
        for part, suffix in (("original", "jpg"), ("mask", "png"), ("trimap", "png")):
            (root / part).mkdir(parents=True, exist_ok=True)
            photos.write_rgb(root / part / f"o_{number}.{suffix}", np.full((12, 10, 3), 200, np.uint8))
    (tmp_path / "groups.csv").write_text(GROUPS)
    (tmp_path / "edited").mkdir()
    photos.write_rgb(tmp_path / "edited" / "o_2.png", np.zeros((12, 10, 3), np.uint8))
    return root


def test_the_script_writes_names_then_the_benchmark(aim: Path, tmp_path: Path) -> None:
    def run(*words: str) -> str:
        done = subprocess.run([sys.executable, str(RECIPE), *words], capture_output=True, text=True)
        return done.stdout + done.stderr

    assert "4 names" in run(str(aim), str(tmp_path / "out"))
    assert (tmp_path / "out" / "groups.csv").read_text() == "name,group\no_1,\no_2,\no_3,\no_4,\n"
    told = run(
        *(str(aim), str(tmp_path / "out"), "--groups", str(tmp_path / "groups.csv")),
        *("--alphas", str(tmp_path / "edited")),
    )
    assert "2 pictures, 1 of them with an edited alpha" in told
    assert "alone in their groups: dog" in told
    assert run(str(aim), str(tmp_path / "out")).startswith("aim500: "), "one line, no traceback"


def test_what_is_evaluated_is_the_edited_alpha_without_the_old_trimap(aim: Path, tmp_path: Path) -> None:
    found = regrouped(aim, tmp_path / "groups.csv", tmp_path / "b" / "aim.csv", tmp_path / "edited")
    assert (
        "/AIM-500/original/o_1.jpg" in found.table.read_text()
        and str(tmp_path) not in found.table.read_text()
    )
    one, two = opened(str(found.table)).entries
    assert read_truth(one).min() > 0.7 and read_truth(two).max() == 0
    assert one.sample.trimap is not None and two.sample.trimap is None
    assert {entry.sample.group for entry in (one, two)} == {"cat"}


def test_what_cannot_be_is_named(aim: Path, tmp_path: Path) -> None:
    photos.write_rgb(tmp_path / "edited" / "o_4.png", np.zeros((12, 10, 3), np.uint8))
    with pytest.raises(UsageError, match="o_4 is an edited alpha of no picture that has a group"):
        regrouped(aim, tmp_path / "groups.csv", tmp_path / "aim.csv", tmp_path / "edited")
    (tmp_path / "groups.csv").write_text("name,group\no_1,cat\no_2,dog\n")
    with pytest.raises(UsageError, match="no group has two pictures"):
        regrouped(aim, tmp_path / "groups.csv", tmp_path / "aim.csv")
    with pytest.raises(UsageError, match="AIM-500 has original/"):
        template(tmp_path, tmp_path / "names.csv")
