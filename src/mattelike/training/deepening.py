"""A network whose head thinks for more rounds, from a trained one, to go on training from.

A further round adds nothing at first: what it would write is zero, so the start answers as the network it
came from does, and only what pays is learnt.
"""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from mattelike.errors import SettingsError
from mattelike.network.embedded import EmbeddedModel
from mattelike.network.layers import Mixer, SelfAttention
from mattelike.training.loop import Recipe


def deeper(recipe: Recipe, blocks: int) -> Recipe:
    """The recipe with so many rounds in the head.

    Raises:
        SettingsError: Not more rounds than there are.
    """
    if blocks <= recipe.head_blocks:
        raise SettingsError(
            f"head_blocks is {blocks}: the head it starts from has {recipe.head_blocks} rounds"
        )
    return replace(recipe, head_blocks=blocks)


def deepened(model: EmbeddedModel, deep: EmbeddedModel) -> EmbeddedModel:
    """Fills and returns the network with more rounds from the one with fewer.

    The new ones come last and write nothing.

    Args:
        model: Trained.
        deep: Of the same recipe but for `Recipe.head_blocks`.
    """
    for layer in list(deep.head.rounds)[len(model.head.rounds) :]:
        nn.init.zeros_(_last(layer).weight)
        bias = _last(layer).bias
        assert bias is not None
        nn.init.zeros_(bias)
    deep.load_state_dict({**deep.state_dict(), **model.state_dict()})
    return deep.eval()


def _last(layer: nn.Module) -> nn.Conv2d:
    """The convolution through which a layer adds to what passes by it."""
    if isinstance(layer, Mixer):
        return layer.narrow
    assert isinstance(layer, SelfAttention)
    return layer.write
