"""A network whose head thinks for more rounds starts from one with fewer."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mattelike.errors import ModelDamagedError, SettingsError
from mattelike.training import deepening, loop, starts
from mattelike.training.episodes import Episodes, library
from mattelike.training.questions import judged
from tests.training.test_loop import TINY
from tests.training.test_narrowing import answered, mean_error
from tests.training.toys import toy_pack


def test_it_answers_as_before_until_it_is_trained_and_then_its_new_rounds_learn(tmp_path):
    before = loop.build(TINY).eval()
    more = deepening.deeper(TINY, TINY.head_blocks + 1)
    deep = deepening.deepened(before, loop.build(more))
    batch = Episodes(library(toy_pack(tmp_path), False), TINY.episodes, 1)[0]
    assert mean_error(answered(before, batch), answered(deep, batch)) < 1e-6
    sum(judged(deep.train(), batch, None).values()).backward()
    assert float(deep.head.rounds[-1].narrow.weight.grad.abs().max()) > 0


def test_rounds_are_only_added():
    with pytest.raises(SettingsError, match="has 1 rounds"):
        deepening.deeper(TINY, TINY.head_blocks)


def test_a_start_is_made_wide_and_deep_as_the_recipe_that_goes_on_from_it_wants_it(tmp_path):
    first = replace(TINY, encoder=replace(TINY.encoder, kinds_head=True))
    then = replace(first, head_blocks=2, encoder=replace(first.encoder, kinds_stages=(4, 5, 6)))
    before = loop.build(first)
    starts.write(tmp_path / "first.safetensors", first, before.state_dict(), 3)
    fitted = starts.fitted(tmp_path / "first.safetensors", then)
    wanted = {name: value.shape for name, value in loop.build(then).state_dict().items()}
    assert {name: value.shape for name, value in fitted.state_dict().items()} == wanted
    batch = Episodes(library(toy_pack(tmp_path), False), TINY.episodes, 1)[0]
    _, kept, _ = starts.read(tmp_path / "first.safetensors")
    assert mean_error(answered(kept, batch), answered(fitted, batch)) < 1e-6
    with pytest.raises(ModelDamagedError, match=r"head\.merges.*, not "):
        starts.fitted(tmp_path / "first.safetensors", replace(first, decoder=(11, 10, 8)))
    with pytest.raises(SettingsError, match="must stay"):
        starts.fitted(
            tmp_path / "first.safetensors", replace(first, encoder=replace(first.encoder, kinds_stages=(6,)))
        )


def test_only_the_head_learns_where_a_recipe_says_so(tmp_path):
    recipe = replace(TINY, trained="head", steps=2, workers=0)
    pack = toy_pack(tmp_path)
    start = loop.build(recipe).state_dict()
    trained = loop.train(recipe, pack, tmp_path / "run", start=start).state_dict()
    moved = {name for name, value in trained.items() if not torch.equal(value, start[name])}
    assert moved
    assert all(name.startswith("head.") for name in moved)
    with pytest.raises(SettingsError, match="'feet'"):
        loop.train(replace(recipe, trained="feet"), pack, tmp_path / "other", start=start)
