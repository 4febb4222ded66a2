"""A narrower decoder from a trained one, to go on training from.

Half of the head's time goes into its finest stages. Of every stage the channels are kept that the next one
hears most of; what the others said is told by the kept ones as well as least squares can.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mattelike.network.embedded import EmbeddedModel
from mattelike.network.layers import ConvNormAct
from mattelike.training.episodes import Episodes
from mattelike.training.questions import judged


def stages(model: EmbeddedModel) -> list[ConvNormAct]:
    """The stages of the decoder whose outputs are narrowed, coarsest first."""
    found = [*model.head.merges, model.head.detail]
    assert all(isinstance(stage, ConvNormAct) for stage in found)
    return found


def readers(model: EmbeddedModel) -> list[nn.Conv2d]:
    """For every stage, the convolution that reads its output, in its last input channels."""
    return [stage.convolution for stage in stages(model)[1:]] + [model.head.last]


def moments(model: EmbeddedModel, episodes: Episodes) -> list[Tensor]:
    """Second moments ``(c, c)`` of every stage's output, over the batches."""
    found = [torch.zeros(stage.norm.num_features, stage.norm.num_features) for stage in stages(model)]

    def counted(index: int) -> object:
        def seen(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            flat = output.float().transpose(0, 1).flatten(1)
            found[index] += flat @ flat.T / flat.shape[1]

        return stages(model)[index].register_forward_hook(seen)

    hooks = [counted(index) for index in range(len(found))]
    with torch.no_grad():
        for number in range(len(episodes)):
            judged(model, episodes[number], None)
    for hook in hooks:
        hook.remove()  # type: ignore[attr-defined]
    return found


def kept(moment: Tensor, weight: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Which channels stay, and what is told of all of them by these.

    Args:
        moment: ``(c, c)``, second moments of the channels.
        weight: ``(o, c, k, k)``, what reads them.
        count: How many stay.

    Returns:
        Indices ``(count,)`` and a matrix ``(c, count)``.
    """
    heard = weight.square().sum(dim=(0, 2, 3))
    chosen: list[int] = []
    for _ in range(count):
        # One at a time: the channel that, told by those chosen already, is missed most.
        if chosen:
            told = moment[:, chosen] @ torch.linalg.pinv(moment[chosen][:, chosen])
            missed = (moment.diagonal() - (told * moment[:, chosen]).sum(dim=1)).clamp(min=0)
        else:
            missed = moment.diagonal()
        score = missed * heard
        score[chosen] = -1
        chosen.append(int(score.argmax()))
    at = torch.tensor(sorted(chosen))
    return at, moment[:, at] @ torch.linalg.pinv(moment[at][:, at])


def narrowed(wide: EmbeddedModel, narrow: EmbeddedModel, seen: list[Tensor]) -> None:
    """Fills the narrow network from the wide one."""
    own = narrow.state_dict()
    shared = {name: value for name, value in wide.state_dict().items() if value.shape == own[name].shape}
    narrow.load_state_dict(own | shared)
    with torch.no_grad():
        told: Tensor | None = None
        pairs = zip(stages(wide), stages(narrow), readers(wide), seen, strict=True)
        for stage, small, reader, moment in pairs:
            at, matrix = kept(moment, reader.weight[:, -moment.shape[0] :], small.norm.num_features)
            small.convolution.weight.copy_(heard_through(stage.convolution.weight, told)[at])
            for name in ("weight", "bias", "running_mean", "running_var"):
                getattr(small.norm, name).copy_(getattr(stage.norm, name)[at])
            told = matrix
        narrow.head.last.weight.copy_(heard_through(wide.head.last.weight, told))
        assert narrow.head.last.bias is not None and wide.head.last.bias is not None
        narrow.head.last.bias.copy_(wide.head.last.bias)


def heard_through(weight: Tensor, told: Tensor | None) -> Tensor:
    """A convolution whose last inputs are told by fewer channels: ``(o, c, k, k)`` to ``(o, c', k, k)``."""
    if told is None:
        return weight
    first = weight.shape[1] - told.shape[0]
    return torch.cat([weight[:, :first], torch.einsum("ocyx,ck->okyx", weight[:, first:], told)], dim=1)
