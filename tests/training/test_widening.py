"""A network that hears a further stage of its backbone starts from one that did not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mattelike.errors import SettingsError
from mattelike.training import loop, widening
from mattelike.training.episodes import Episodes, library
from mattelike.training.questions import judged
from tests.training.test_loop import TINY
from tests.training.test_narrowing import answered, mean_error
from tests.training.toys import toy_pack

HEARS_TWO = replace(TINY, encoder=replace(TINY.encoder, kinds_head=True))


def both(stages: tuple[int, ...]):
    torch.manual_seed(6)
    before = loop.build(HEARS_TWO).eval()
    with torch.no_grad():
        before.encoder.log_temperatures.copy_(torch.arange(len(before.encoder.log_temperatures)) / 8 + 1)
    wide = loop.build(widening.wider(HEARS_TWO, stages)).eval()
    widening.widened(before, wide)
    return before, wide


@pytest.mark.parametrize("stages", [(4, 5, 6), (4, 6, 5), (3, 4, 5, 6)])
def test_it_answers_as_before_until_it_is_trained_and_then_listens(tmp_path, stages):
    before, wide = both(stages)
    batch = Episodes(library(toy_pack(tmp_path), False), TINY.episodes, 1)[0]
    # As near as sums of other lengths are.
    assert mean_error(answered(before, batch), answered(wide, batch)) < 1e-6
    sum(judged(wide.train(), batch, None).values()).backward()
    heads = len(wide.encoder.log_temperatures)
    heard = wide.head.read_guidance[0].weight.grad.unflatten(1, (-1, heads)).abs().amax(dim=(0, 1, 3, 4))
    assert (heard > 0).all()


def test_a_new_head_is_as_sharp_as_the_last_before_it_and_the_others_keep_theirs():
    before, wide = both((4, 5, 6))
    *learned, fine, deep = before.encoder.log_temperatures.tolist()
    assert wide.encoder.log_temperatures.tolist() == pytest.approx([*learned, fine, deep, deep])


def test_stages_it_listens_to_cannot_be_dropped_and_some_do_not_exist():
    with pytest.raises(SettingsError, match="stage 6"):
        widening.wider(HEARS_TWO, (4, 5))
    with pytest.raises(SettingsError, match="kinds_head"):
        widening.wider(TINY, (4, 5, 6))
    with pytest.raises(SettingsError, match="kinds_stages"):
        loop.build(widening.wider(HEARS_TWO, (2, 4, 6)))
