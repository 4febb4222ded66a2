"""What a reference is allowed to say while a network learns: what it may say in use."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mattelike import tokens
from mattelike.network.icon_flex import Window
from mattelike.training import loop
from mattelike.training.episodes import Episodes, library
from mattelike.training.questions import clear_of_edges, judged, shown
from tests.training.test_loop import TINY
from tests.training.toys import toy_pack


@pytest.mark.parametrize("top", [1.0, 0.3, 0.0])
def test_references_lose_the_cells_in_training_that_contexts_lose_in_use(top):
    """`tokens.fringe` is what `Predictor.encode` leaves out; a thing smaller than a cell has one, too."""
    draw = np.random.default_rng(4)
    weights = (draw.random((2, 1, 6, 8)) ** 3 * top).astype(np.float32)
    found = clear_of_edges(torch.tensor(weights).flatten(2), (6, 8))
    for one, kept in zip(weights[:, 0], found[:, 0], strict=True):
        assert np.array_equal(kept.numpy().reshape(6, 8), ~tokens.fringe(one))


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    episodes = replace(TINY.episodes, sides=(128,))
    return Episodes(library(toy_pack(tmp_path_factory.mktemp("pack")), False), episodes, 1)[0]


def test_from_afar_targets_are_seen_smaller_and_the_answer_is_that_of_the_whole_picture(batch):
    far = shown(replace(batch, afar=True))
    assert shown(batch) is batch
    assert far.window == Window(0, 0, 4)
    # 9 / 16 of 128 pixels, in whole blocks of 32.
    assert far.images.shape[-2:] == far.truth.shape[-2:] == far.trusted.shape[-2:] == (64, 64)
    assert torch.allclose(far.truth.mean(dim=(1, 2)), batch.truth.mean(dim=(1, 2)), atol=1e-5)
    unsure = batch.trusted.unfold(1, 2, 2).unfold(2, 2, 2).amin(dim=(-1, -2))
    assert torch.equal(far.trusted, unsure), "what is not trusted up close is not from afar"


def test_a_network_learns_from_what_it_sees_from_afar(batch):
    model = loop.build(TINY).train()
    found = judged(model, replace(batch, afar=True), None)
    sum(found.values()).backward()
    assert all(bool(torch.isfinite(value)) for value in found.values())
    assert float(model.head.coarse.weight.grad.abs().max()) > 0
