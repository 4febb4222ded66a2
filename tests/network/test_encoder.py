"""Tokens of the embedded model: heads that are learned, heads that are not, and what makes one thing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mattelike.network.embedded import EmbeddedModel
from mattelike.network.encoder import Encoder, EncoderSettings, Grouping, placed
from mattelike.network.layers import unshuffled
from mattelike.training.losses import things_together

SMALL = EncoderSettings(width=16, heads=0, blocks=1, kinds_head=True, grouping=8)


def test_without_learned_heads_all_matching_is_the_backbone_s_own():
    model = EmbeddedModel(SMALL, head_width=16, head_blocks=1, decoder=(8, 8, 8)).eval()
    assert model.encoder.whole_channels == (112, 320)
    assert not hasattr(model.encoder, "tokens")
    with torch.no_grad():
        looked = model.look(torch.rand(2, 3, 96, 64))
    assert [tuple(tokens.shape) for tokens in looked.tokens] == [(2, 1, 24, 112), (2, 1, 24, 320)]
    assert looked.grouping is not None and looked.grouping.shape == (2, 1, 24, 8 + 4)
    assert [things.shape for things in looked.things] == [tokens.shape for tokens in looked.tokens]


def test_products_of_places_fall_with_distance_whatever_the_size():
    for height, width in ((8, 8), (8, 16), (32, 32)):
        place = placed(torch.zeros(1, 1, height, width))[0].flatten(1).T
        near = place @ place.T
        assert torch.allclose(near.diagonal(), torch.tensor(2.0))
        row = near[0].reshape(height, width)
        assert (row.diff(dim=0) < 0).all() and (row.diff(dim=1) < 0).all()
    # A quarter of the longer side is a quarter, on coarse and fine grids alike.
    coarse, fine = (placed(torch.zeros(1, 1, side, side))[0].flatten(1).T for side in (8, 32))
    assert float(coarse[0] @ coarse[2]) == pytest.approx(float(fine[0] @ fine[8]), abs=1e-5)


def test_a_grouping_token_is_looks_and_place_each_with_its_own_say():
    torch.manual_seed(0)
    tokens = Grouping(16, 8)(torch.randn(1, 16, 4, 6))[0].flatten(1).T
    looks, place = tokens[:, :8], tokens[:, 8:]
    assert torch.allclose(looks.square().sum(dim=1), torch.full((24,), float(np.exp(2.7))), rtol=1e-4)
    assert torch.allclose(place.square().sum(dim=1), torch.full((24,), 2 * float(np.exp(0.7))), rtol=1e-4)


def test_an_encoder_with_grouping_has_its_channels_last():
    encoder = Encoder(SMALL).eval()
    with torch.no_grad():
        tokens, _ = encoder(torch.randn(1, 3, 64, 64))
    assert tokens.shape[1] == sum(encoder.whole_channels) + encoder.grouping_channels


# --- what grouping learns from -----------------------------------------------------------------------

# Six cells: two of one thing, two of another, two of none.
THINGS = torch.tensor([0, 0])
COVERED = torch.tensor([[1.0, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0]])


def grouped(groups: list[int], sharpness: float = 8.0) -> torch.Tensor:
    return sharpness * torch.eye(3)[torch.tensor(groups)][None]


def test_attention_spread_evenly_over_each_thing_costs_nothing():
    assert float(things_together(grouped([0, 0, 1, 1, 2, 2]), THINGS, COVERED)) < 1e-4


@pytest.mark.parametrize(
    "groups", [[0, 0, 0, 0, 2, 2], [0, 1, 1, 1, 2, 2], [0, 0, 2, 2, 2, 2]], ids=["joined", "torn", "lost"]
)
def test_things_joined_torn_or_lost_cost(groups):
    assert float(things_together(grouped(groups), THINGS, COVERED)) > 0.3


def test_a_cell_that_sees_only_itself_has_not_found_its_thing():
    alone = 8 * torch.eye(6)[None]
    assert float(things_together(alone, THINGS, COVERED)) > 1


def test_a_picture_without_things_costs_nothing_and_is_finite():
    nothing = things_together(torch.randn(1, 6, 3), torch.zeros(1, dtype=torch.long), torch.zeros(1, 6))
    assert float(nothing) == pytest.approx(0, abs=1e-5)


def test_pixels_become_channels_as_torch_has_them_bit_for_bit():
    images = torch.randn(2, 3, 6, 10)
    assert torch.equal(unshuffled(images), torch.nn.functional.pixel_unshuffle(images, 2))
