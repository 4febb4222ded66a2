"""A network that hears more of its backbone, from a trained one, to go on training from.

Further wide heads bring further evidence to the head. What it says of them at first is nothing, so the start
answers as the network it came from does; what is worth hearing is learnt.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from mattelike import similarity
from mattelike.errors import SettingsError
from mattelike.network.embedded import EmbeddedModel
from mattelike.training.loop import Recipe

# The head's layer that reads evidence, and the numbers there is one of for every head of the tokens.
READS_EVIDENCE = "head.read_guidance.0.weight"
PER_HEAD = ("encoder.log_temperatures", "encoder.log_affinities")


def wider(recipe: Recipe, stages: tuple[int, ...]) -> Recipe:
    """The recipe with wide heads of these stages.

    Raises:
        SettingsError: A stage that the network listens to is not among them, or it has no wide heads.
    """
    before = recipe.encoder
    if not before.kinds_head:
        raise SettingsError("encoder.kinds_head is off: there are no wide heads to add to")
    lost = sorted(set(before.kinds_stages) - set(stages))
    if lost:
        raise SettingsError(f"stage {lost[0]} is listened to already and must stay among --stages")
    return replace(recipe, encoder=replace(before, kinds_stages=stages))


def widened(model: EmbeddedModel, wide: EmbeddedModel) -> EmbeddedModel:
    """Fills and returns the network with more wide heads from the one with fewer.

    Args:
        model: Trained.
        wide: Of the same recipe but for `EncoderSettings.kinds_stages`.
    """
    before, own = model.state_dict(), wide.state_dict()
    found = {name: value for name, value in before.items() if value.shape == own[name].shape}
    at = _places(model, wide)
    for name in PER_HEAD:
        # A new head begins as sharp as the last of those before.
        found[name] = torch.full_like(own[name], float(before[name][-1])).index_copy(0, at, before[name])
    found[READS_EVIDENCE] = _spread(before[READS_EVIDENCE], at, own[READS_EVIDENCE].shape[1])
    wide.load_state_dict(found)
    return wide.eval()


def _places(model: EmbeddedModel, wide: EmbeddedModel) -> Tensor:
    """Where the heads of the one are among those of the other, ``(m,)``."""
    learned = model.encoder.settings.heads
    stages = wide.encoder.settings.kinds_stages
    whole = [learned + stages.index(stage) for stage in model.encoder.settings.kinds_stages]
    return torch.tensor([*range(learned), *whole])


def _spread(weight: Tensor, at: Tensor, count: int) -> Tensor:
    """Columns ``(o, 9 m, 1, 1)`` laid out among `count` columns, with nothing for the new heads."""
    kinds = len(similarity.EVIDENCE)
    laid = weight.new_zeros(weight.shape[0], kinds, count // kinds)
    laid[:, :, at] = weight.reshape(weight.shape[0], kinds, -1)
    return laid.reshape(-1, count, 1, 1)
