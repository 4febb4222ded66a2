"""Look-alikes: which kinds they are, and scenes made of them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from mattelike.network.efficientnet_lite import EfficientNetLite
from mattelike.training import episodes, likeness, loop, synthesis
from tests.training.test_episodes import SETTINGS
from tests.training.test_loop import TINY
from tests.training.toys import SHAPES, toy_pack


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    return toy_pack(tmp_path_factory.mktemp("pack"))


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    return EfficientNetLite("lite0").eval()


def test_the_kind_that_looks_the_same_comes_first(pack, backbone):
    known = episodes.library(pack, False)
    twin = {**known.groups, "twin": known.groups["ring"]}
    found = likeness.neighbours(replace(known, groups=twin), backbone)
    assert found["twin"][0] == "ring" and found["ring"][0] == "twin"
    assert all(set(others) == {*SHAPES, "twin"} - {kind} for kind, others in found.items())


def test_what_has_no_name_or_is_nearly_the_same_is_no_look_alike(pack, backbone):
    known = episodes.library(pack, False)
    groups = {"airedale": known.groups["disc"], "boxer": known.groups["disc"], "bus": known.groups["ring"]}
    found = likeness.neighbours(
        replace(known, groups={**groups, "ecssd/0001": known.groups["disc"]}), backbone
    )
    assert found == {"airedale": ("bus",), "boxer": ("bus",), "bus": found["bus"]}
    assert set(found["bus"]) == {"airedale", "boxer"}


def test_a_scene_of_look_alikes_shows_a_kind_and_what_looks_like_it(pack):
    known = episodes.library(pack, False)
    alike = {"disc": ("ring", "bar"), "ring": ("disc", "bar")}
    made = episodes.Episodes(known, replace(SETTINGS, lookalikes=1.0), 1, alike)
    for seed in range(10):
        first, second = made.scene_pair(96, torch.Generator().manual_seed(seed))
        shown = {layer.kind for picture in (first, second) for layer in picture.layers}
        assert shown <= {"disc", "ring", "bar"}


def test_look_alikes_lie_in_a_heap():
    for seed in range(20):
        spots = synthesis.together(4, 100, torch.Generator().manual_seed(seed))
        for row, column, size in spots:
            gaps = [
                math.hypot(row - r, column - c) - (size + s) / 2
                for r, c, s in spots
                if (r, c) != (row, column)
            ]
            assert min(gaps) < 8, "squares of their sizes touch, or nearly"


def test_a_run_with_look_alikes_repeats_itself(pack, tmp_path):
    recipe = replace(TINY, steps=3, episodes=replace(TINY.episodes, lookalikes=0.5))
    one, other = (loop.train(recipe, pack, tmp_path / name) for name in ("one", "other"))
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
