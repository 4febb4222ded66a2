"""The commands that score and print table 7, run as typed on small random weights of the real classes."""

from __future__ import annotations

import json
import math
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from mattelike.training import icon_recipe, recipes
from tests.models import tiny_sd
from tests.training import icon_data

RECIPES = Path(__file__).parents[2] / "recipes"
SMALL: dict[str, Any] = {
    "side": 64, "crop_size": 64, "ensemble_size": 1, "batch_size": 2, "max_steps": 1, "warmup_steps": 1,
    "sd_path": "sd",
}  # fmt: skip


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data where the recipes look for it, a small diffusion model, and both arms trained for a step."""
    folder = tmp_path_factory.mktemp("table7")
    tiny_sd.save(folder / "sd")
    icon_data.published(folder / "data" / "RM-1K", "image", "alpha", 10, "trimap")
    adobe = folder / "data" / "Composition-1k"
    icon_data.published(adobe, "Training_set/merged", "Training_set/alpha", 3)
    icon_data.published(adobe, "Test_set/merged", "Test_set/alpha", 2, "Test_set/trimaps", first=20)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for arm in ("table7-real", "table7-composited"):
            table = recipes.table(RECIPES / f"{arm}.toml") | {"workers": 0}
            icon_recipe.train(icon_recipe.recipe_of(table, SMALL), folder / "runs" / arm)
    return folder


def call(script: str, *args: object) -> None:
    """A script as typed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [script, *map(str, args)])
        runpy.run_path(str(RECIPES / script), run_name="__main__")


def scored(arm: str, *more: object) -> None:
    small = [part for name, value in SMALL.items() for part in ("--set", f"{name}={value}")]
    call("table7.py", RECIPES / f"{arm}.toml", f"runs/{arm}/head.safetensors", *small, *more)


@pytest.mark.parametrize("arm", ["table7-real", "table7-composited"])
def test_an_arm_of_table_7_is_scored_on_what_it_did_not_learn_from(
    room: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arm: str
) -> None:
    monkeypatch.chdir(room)
    scored(arm, "--device", "cpu")
    told = json.loads(capsys.readouterr().out)
    assert (told["recipe"], told["pictures"]) == (arm, 2)
    assert all(math.isfinite(told[name]) and told[name] > 0 for name in ("MSE", "SAD", "GRAD", "CONN"))
    # What a trimap leaves open is a narrow band of a picture of 150 x 170.
    assert told["SAD"] < 5


@pytest.mark.slow
def test_table_7_is_printed_beside_the_papers_numbers(
    room: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(room)
    for arm in ("real", "composited"):
        scored(f"table7-{arm}", "--list", f"{arm}.csv")
        assert len((room / f"{arm}.csv").read_text().splitlines()) == 1 + 2
    capsys.readouterr()
    data = ["--data", "RM-1K=real.csv", "--data", "Composition-1k=composited.csv"]
    call("tables/print.py", 7, *data, "--set", "source=sd", "--device", "cpu", "-o", "printed")
    text = capsys.readouterr().out
    assert "## Table 7" in text and "Not run here" not in text, text
    assert "(0.0227)" in text and "(0.0029)" in text
    assert (room / "printed" / "table.md").read_text() == text
