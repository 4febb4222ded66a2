"""Weights of diffusers under the names of the checkpoints that Stable Diffusion was first published as."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

LAYERS = 2
UNET, VAE = "model.diffusion_model.", "first_stage_model."
_PLAIN = {
    "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
}  # fmt: skip
_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
_ATTENTION = {
    "group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out",
}  # fmt: skip


def unet(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of a `UNet2DConditionModel` of two layers a block."""
    return {UNET + _unet_name(name): value for name, value in state.items()}


def _unet_name(name: str) -> str:
    stem, _, kind = name.rpartition(".")
    if stem in _PLAIN:
        return f"{_PLAIN[stem]}.{kind}"
    if found := re.match(r"mid_block\.(resnets|attentions)\.(\d)\.(.*)", name):
        place = 1 if found[1] == "attentions" else 2 * int(found[2])
        return f"middle_block.{place}.{_inner(found[1], found[3])}"
    side, level, part, number, rest = re.match(r"(down|up)_blocks\.(\d)\.(\w+)\.(\d)\.(.*)", name).groups()  # type: ignore[union-attr]
    at = int(level)
    if part == "downsamplers":
        return f"input_blocks.{(LAYERS + 1) * (at + 1)}.0.{rest.replace('conv.', 'op.')}"
    if part == "upsamplers":
        return f"output_blocks.{(LAYERS + 1) * at + LAYERS}.{1 if at == 0 else 2}.{rest}"
    first = f"input_blocks.{(LAYERS + 1) * at + 1 + int(number)}"
    block = first if side == "down" else f"output_blocks.{(LAYERS + 1) * at + int(number)}"
    return f"{block}.{int(part == 'attentions')}.{_inner(part, rest)}"


def _inner(part: str, rest: str) -> str:
    stem, _, kind = rest.rpartition(".")
    return f"{_RESNET[stem]}.{kind}" if part == "resnets" else rest


def vae(state: Mapping[str, Tensor], levels: int = 4) -> dict[str, Tensor]:
    """Of an `AutoencoderKL`."""
    found = {}
    for name, value in state.items():
        inner = re.sub(r"down_blocks\.(\d)\.resnets\.(\d)", r"down.\1.block.\2", name)
        inner = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", inner)
        inner = re.sub(
            r"up_blocks\.(\d)\.resnets\.(\d)",
            lambda m: f"up.{levels - 1 - int(m[1])}.block.{m[2]}",
            inner,
        )
        inner = re.sub(
            r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{levels - 1 - int(m[1])}.upsample", inner
        )
        inner = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", inner)
        inner = inner.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
        if "mid_block.attentions.0." in inner:
            for ours, theirs in _ATTENTION.items():
                inner = inner.replace(f"mid_block.attentions.0.{ours}.", f"mid.attn_1.{theirs}.")
            value = value[..., None, None] if value.dim() == 2 else value
        found[VAE + inner] = value.contiguous()
    return found
