"""``mattelike train``: from a recipe to averaged weights, stopped and gone on with; bad input is one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from mattelike.cli import main
from mattelike.network.efficientnet_lite import EfficientNetLite
from mattelike.training import starts
from tests.training.toys import toy_pack

RECIPE = """
name = "tiny"
steps = 4
warmup = 1
cooldown = 2
workers = 0
precision = "fp32"
head_width = 16
head_blocks = 1
decoder = [12, 10, 8]
[encoder]
width = 16
heads = 2
head_channels = 8
blocks = 1
[episodes]
sides = [64]
scene_pairs = 1
real_pairs = 1
questions = 4
"""


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with tiny.toml and a pack; the start is random, for ImageNet's is large."""
    toy_pack(tmp_path / "pack")
    (tmp_path / "tiny.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(starts, "imagenet_backbone", EfficientNetLite)
    return tmp_path


def train(*args: str) -> Result:
    return CliRunner().invoke(main, ["train", *args])


def test_a_run_that_was_stopped_goes_on_to_its_end(room):
    assert train("tiny.toml", "--pack", "pack", "--stop-at", "2").exit_code == 0
    assert torch.load(room / "runs/tiny/average.pt", weights_only=True)["step"] == 2
    ended = train("tiny.toml", "--pack", "pack")
    assert ended.exit_code == 0
    assert "average.pt" in ended.stderr
    assert ended.stdout == ""
    assert torch.load(room / "runs/tiny/average.pt", weights_only=True)["step"] == 4


def test_a_recipe_may_say_at_which_step_its_weights_are_taken(room):
    (room / "early.toml").write_text("taken = 2\n" + RECIPE)
    assert train("early.toml", "--pack", "pack").exit_code == 0
    assert torch.load(room / "runs/tiny/average.pt", weights_only=True)["step"] == 2
    assert train("early.toml", "--pack", "pack", "--stop-at", "3").exit_code == 0
    assert torch.load(room / "runs/tiny/average.pt", weights_only=True)["step"] == 3


@pytest.mark.parametrize(
    ("recipe", "pack", "says"),
    [
        ("missing.toml", "pack", "missing.toml: cannot read the recipe"),
        ("tiny.toml", "nowhere", "nowhere: no pack there; make one with"),
        ("unknown.toml", "pack", "unknown setting 'stpes'"),
        ("broken.toml", "pack", "broken.toml: "),
    ],
)
def test_what_cannot_be_trained_is_one_line_and_exit_2(room, recipe, pack, says):
    (room / "unknown.toml").write_text("stpes = 3")
    (room / "broken.toml").write_text("steps = = 3")
    result = train(recipe, "--pack", pack)
    assert result.exit_code == 2
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_stage_goes_on_from_the_one_it_follows_and_not_from_nothing(room):
    (room / "second.toml").write_text('extends = "tiny.toml"\nfollows = "tiny.toml"\nname = "second"')
    alone = train("second.toml", "--pack", "pack")
    assert alone.exit_code == 2
    assert "second.toml: goes on from what tiny.toml gives; name that with --start" in alone.stderr
    assert len(alone.stderr.strip().splitlines()) == 1
    assert train("tiny.toml", "--pack", "pack").exit_code == 0
    after = train("second.toml", "--pack", "pack", "--start", "runs/tiny/average.pt")
    assert after.exit_code == 0, after.stderr
