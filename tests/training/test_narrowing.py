"""A narrower decoder starts from a trained one."""

from __future__ import annotations

from dataclasses import replace

import torch

from mattelike.training import loop, narrowing
from mattelike.training.episodes import Episodes, library
from tests.training.test_loop import TINY
from tests.training.toys import toy_pack


def answered(model, batch):
    with torch.no_grad():
        looked = model.look(batch.images)
        evidence = model.compare(
            [tokens[batch.targets] for tokens in looked.tokens],
            [tokens[batch.references[:, 0]] for tokens in looked.tokens],
            batch.marks.positive[:, 0],
            [tokens[batch.targets] for tokens in looked.things],
        )
        return model.answer(looked, batch.targets, evidence).alpha


def mean_error(one, other):
    return float((one - other).abs().mean())


def test_channels_that_say_the_same_are_told_by_one(tmp_path):
    torch.manual_seed(4)
    pack = toy_pack(tmp_path)
    wide = loop.build(TINY).eval()
    # Two of the finest channels say twice and half of what a third says: no one will miss them.
    with torch.no_grad():
        detail = wide.head.detail
        for channel, factor in ((6, 2.0), (7, 0.5)):
            detail.convolution.weight[channel] = detail.convolution.weight[1] * factor
            detail.norm.bias[channel] = detail.norm.bias[1] = 0
    episodes = Episodes(library(pack, False), TINY.episodes, 2)
    seen = narrowing.moments(wide, episodes)
    at, told = narrowing.kept(seen[-1], wide.head.last.weight, 6)
    assert len(set(at.tolist()) & {1, 6, 7}) == 1
    assert torch.allclose(told[at], torch.eye(6), atol=1e-3)


def test_a_narrower_decoder_answers_nearly_as_before(tmp_path):
    torch.manual_seed(5)
    pack = toy_pack(tmp_path)
    wide = loop.build(TINY).eval()
    episodes = Episodes(library(pack, False), TINY.episodes, 2)
    seen = narrowing.moments(wide, episodes)
    same = loop.build(TINY).eval()
    narrowing.narrowed(wide, same, seen)
    slim = loop.build(replace(TINY, decoder=(10, 8, 6))).eval()
    narrowing.narrowed(wide, slim, seen)
    other = loop.build(replace(TINY, decoder=(10, 8, 6), episodes=replace(TINY.episodes, seed=9))).eval()
    batch = episodes[1]
    before = answered(wide, batch)
    assert torch.allclose(answered(same, batch), before, atol=1e-4)
    assert mean_error(answered(slim, batch), before) < 0.5 * mean_error(answered(other, batch), before)
