"""Thin parts: fixed to the thing, exact, and of one make in both pictures of a pair."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mattelike.training import episodes
from mattelike.training.attachments import Attachment, attached, designed, strewn, stroke
from mattelike.training.episodes import EpisodeSettings
from tests.training.toys import toy_pack

RED = (1.0, 0.0, 0.0)
ANTENNA = Attachment(
    turn=-math.pi / 2, spread=0.0, length=0.5, width=0.05, bend=0.0, inks=(RED, RED), knob=0.0, before=False
)
HANDLE = replace(ANTENNA, turn=-0.4, spread=0.8)


def block() -> torch.Tensor:
    """A white square of 40 pixels, colours times alpha, with nothing around it."""
    return torch.ones(4, 40, 40)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return episodes.library(toy_pack(tmp_path_factory.mktemp("pack")), False)


def test_an_antenna_stands_on_its_thing_and_is_as_long_as_told():
    picture = attached(block(), [ANTENNA])
    alpha = picture[3]
    grown = (alpha.shape[0] - 40) // 2
    assert torch.equal(alpha[grown : grown + 40, grown : grown + 40], torch.ones(40, 40))
    above = alpha[:grown].amax(dim=1) > 0.5
    # 0.5 of 40 pixels, less what sits inside the thing.
    assert 17 <= int(above.sum()) <= 21
    assert bool(above[-1]), "no gap between the antenna and the thing"
    width = alpha[grown - 8].sum()
    assert 1.5 < float(width) < 3.0
    assert float(alpha[grown + 40 :].max()) == 0, "and nothing below"


def test_a_handle_comes_back_and_leaves_a_hole():
    alpha = attached(block(), [HANDLE])[3].numpy()
    grown = (alpha.shape[0] - 40) // 2
    beside = alpha[:, grown + 40 :]
    column = beside[:, 4] > 0.3
    runs = int(np.diff(column.astype(int), prepend=0, append=0).clip(0).sum())
    assert runs == 2, "two legs"
    assert beside[:, -1].max() == 0


def test_colours_are_multiplied_by_alpha_so_nothing_bleeds():
    picture = attached(block(), [ANTENNA])
    assert float((picture[:3] - picture[3:]).max()) <= 1e-5
    line = (picture[3] > 0) & (picture[1] < 0.01)
    assert float(picture[0][line].max()) > 0.6
    assert float(picture[2][line].max()) < 0.01


def test_what_lies_before_the_thing_covers_it_and_what_lies_behind_does_not():
    across = replace(ANTENNA, turn=0.0, length=0.3, bend=0.0)
    behind, before = (attached(block(), [replace(across, before=b)]) for b in (False, True))
    grown = (behind.shape[-1] - 40) // 2
    inner = slice(grown, grown + 40)
    assert float(behind[1, inner, inner].min()) == 1.0
    assert float(before[1, inner, inner].min()) < 0.2


def test_a_thing_with_nothing_opaque_carries_nothing():
    empty = torch.zeros(4, 20, 20)
    assert torch.equal(attached(empty, [ANTENNA]), empty)


def test_alpha_of_a_line_is_the_share_it_covers():
    path = np.array([[10.5, 0.0], [10.5, 40.0]])
    line = stroke((20, 41), path, np.full(2, 2.0), (RED, RED))
    assert abs(float(line[:, 20, 3].sum()) - 4.0) < 0.7
    assert float(line[:, 20, 3].max()) == 1.0


@pytest.mark.parametrize("seed", range(30))
def test_whatever_is_designed_can_be_drawn(seed):
    generator = torch.Generator().manual_seed(seed)
    picture = attached(block(), designed(generator))
    assert picture.isfinite().all()
    assert 0 <= float(picture.min()) <= float(picture.max()) <= 1 + 1e-6
    assert float(picture[3].sum()) >= 1600
    ground = strewn(torch.rand(3, 50, 50, generator=generator), generator)
    assert ground.shape == (3, 50, 50)
    assert 0 <= float(ground.min()) <= float(ground.max()) <= 1


def test_both_scenes_of_a_pair_mostly_carry_the_same_parts(library):
    """Of one make in most pairs; none where none are asked for."""
    settings = EpisodeSettings(scene_pairs=1, real_pairs=1, attached=1.0)
    chosen = episodes.Episodes(library, settings, 1)
    same = 0
    for seed in range(40):
        first, second = chosen.designs(["disc"], torch.Generator().manual_seed(seed))
        assert len(first["disc"]) >= 1
        same += second.get("disc") == first["disc"]
    assert 15 < same < 35
    assert episodes.Episodes(library, replace(settings, attached=0.0), 1).designs(
        ["disc"], torch.Generator().manual_seed(0)
    ) == ({}, {})


def test_drawn_things_come_up_as_often_as_asked_and_are_exact(library):
    chosen = episodes.Episodes(library, EpisodeSettings(fine=0.5), 1)
    drawn = 0
    for seed in range(12):
        pair = chosen.scene_pair(128, torch.Generator().manual_seed(seed))
        kinds = [{layer.kind for layer in picture.layers if "drawn/" in layer.kind} for picture in pair]
        drawn += bool(kinds[0])
        if kinds[0] and kinds[1]:
            assert kinds[0] == kinds[1], "each answers for the other"
    assert 2 <= drawn <= 10


def test_a_batch_with_fine_things_and_parts_depends_on_its_number_alone(library):
    settings = EpisodeSettings(sides=(96,), scene_pairs=2, real_pairs=1, attached=0.6, fine=0.4, questions=6)
    made = episodes.Episodes(library, settings, 4)
    first, again = made[3], episodes.Episodes(library, settings, 4)[3]
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.truth, again.truth)
    assert 0 <= float(first.images.min()) <= float(first.images.max()) <= 1
