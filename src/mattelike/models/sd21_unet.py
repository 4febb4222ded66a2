"""The frozen U-Net as a feature extractor: only as far as needed, seen through public hooks.

Decoder outputs are numbered from 0 as the LDM code numbers them: three blocks to every up block of
`diffusers`, the last of which is taken after the upsampler where there is one. Queries and keys are taken
behind the linear layers of self-attention, so that any attention backend may run. When everything wanted has
been seen the run is ended by an exception of our own: what comes later never starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

# Pixels of a cell of the latent.
LATENT_STRIDE = 8
# Decoder outputs of an up block.
PER_BLOCK = 3


class _Enough(Exception):  # noqa: N818 - not an error
    """Everything wanted has been seen."""


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """A self-attention layer of the U-Net.

    Attributes:
        module: The attention module, with `to_q` and `to_k`.
        place: ``"down"``, ``"mid"`` or ``"up"``.
        stride: Pixels of a cell of its grid.
    """

    module: Any
    place: str
    stride: int


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What one run of the U-Net showed.

    Attributes:
        features: By block number, ``(b, c, h, w)``.
        queries: By position in the sites asked for, ``(b, n, c)``, before the split into heads.
        keys: Likewise.
    """

    features: dict[int, Tensor] = field(default_factory=dict)
    queries: dict[int, Tensor] = field(default_factory=dict)
    keys: dict[int, Tensor] = field(default_factory=dict)


def block_module(unet: Any, number: int) -> nn.Module:
    """The module whose output is decoder output `number`.

    Raises:
        IndexError: The U-Net has no such block.
    """
    up = unet.up_blocks[number // PER_BLOCK]
    position = number % PER_BLOCK
    upsamplers = getattr(up, "upsamplers", None)
    attentions = getattr(up, "attentions", None)
    found: nn.Module
    if position == PER_BLOCK - 1 and upsamplers:
        found = upsamplers[0]
    else:
        found = attentions[position] if attentions else up.resnets[position]
    return found


def block_stride(unet: Any, number: int) -> int:
    """Pixels of a cell of decoder output `number`."""
    levels = len(unet.up_blocks)
    level = levels - 1 - number // PER_BLOCK
    up = unet.up_blocks[number // PER_BLOCK]
    doubled = number % PER_BLOCK == PER_BLOCK - 1 and getattr(up, "upsamplers", None)
    return LATENT_STRIDE << (level - 1 if doubled else level)


def block_channels(unet: Any, number: int) -> int:
    """Channels of decoder output `number`."""
    return int(list(reversed(unet.config.block_out_channels))[number // PER_BLOCK])


def attention_sites(unet: Any, strides: Sequence[int], places: Sequence[str]) -> tuple[Site, ...]:
    """The self-attention layers on grids of these strides, in the order they run."""
    return tuple(site for site in _all_sites(unet) if site.stride in strides and site.place in places)


def _all_sites(unet: Any) -> Iterator[Site]:
    levels = len(unet.down_blocks)
    parts = [("down", level, block) for level, block in enumerate(unet.down_blocks)]
    parts.append(("mid", levels - 1, unet.mid_block))
    parts += [("up", levels - 1 - index, block) for index, block in enumerate(unet.up_blocks)]
    for place, level, block in parts:
        for attention in getattr(block, "attentions", None) or ():
            for layer in attention.transformer_blocks:
                yield Site(layer.attn1, place, LATENT_STRIDE * 2**level)


def look(
    unet: Any,
    latents: Tensor,
    timestep: int,
    prompt: Tensor,
    blocks: Sequence[int],
    sites: Sequence[Site] = (),
) -> Seen:
    """Runs the U-Net until all that is wanted has been seen.

    Args:
        unet: A `UNet2DConditionModel` of `diffusers`.
        latents: ``(b, 4, h, w)``, in the dtype of the U-Net.
        timestep: Diffusion step.
        prompt: ``(1, tokens, channels)``, embedding of the empty prompt.
        blocks: Decoder outputs wanted.
        sites: Self-attention layers whose queries and keys are wanted.
    """
    seen = Seen()
    wanted = len(set(blocks)) + 2 * len(sites)

    def note(table: dict[int, Tensor], number: int) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, given: Any, result: Any) -> None:
            table[number] = result[0] if isinstance(result, tuple) else result
            if len(seen.features) + len(seen.queries) + len(seen.keys) == wanted:
                raise _Enough

        return hook

    with ExitStack() as hooks:
        for number in set(blocks):
            handle = block_module(unet, number).register_forward_hook(note(seen.features, number))
            hooks.callback(handle.remove)
        for index, site in enumerate(sites):
            for table, module in ((seen.queries, site.module.to_q), (seen.keys, site.module.to_k)):
                hooks.callback(module.register_forward_hook(note(table, index)).remove)
        with suppress(_Enough):
            unet(latents, timestep, prompt.expand(latents.shape[0], -1, -1), return_dict=False)
    return seen
