"""The heads of ``sd21``: which shape a backbone and the settings call for, and their weights."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mattelike.errors import ModelDamagedError, ModelNotFoundError
from mattelike.models import pulled, sd21_unet
from mattelike.models.sd21_files import imported
from mattelike.models.sd21_settings import IconSettings
from mattelike.network import head_files
from mattelike.network.icon_768 import Guide, Icon768, Icon768Settings, Scale
from mattelike.network.icon_backbone import Declared, FlexOnBackbone
from mattelike.network.icon_vitmatte import VitMatteHead

# Weights of nobody: for tests, and where training starts.
UNTRAINED = "untrained"
# Settings that a head is trained for: loaded without a word about them, it is used with its own.
TRAINED_FOR = (
    "timestep", "add_noise", "other_backbones", "features", "inter_block", "query_reduction", "query_norm",
    "temperature", "attention_strides", "attention_places", "attention_axis", "s_align_corners",
    "ensemble_size", "latent_mode", "image_channels", "head", "norm", "side", "inter", "intra", "multi_scale",
    "absent_share",
)  # fmt: skip
# What may differ between the shape a head was trained in and that of the settings.
FREE = ("block_rows", "temperature")


def guide_of(settings: IconSettings) -> Guide:
    """What guidance is made of (table 5; table 7 has none)."""
    if settings.inter and settings.intra:
        return "both"
    if settings.inter:
        return "inter"
    return "intra" if settings.intra else "none"


def icon_768_shape(settings: IconSettings, unet: Any) -> Icon768Settings:
    """The shape of ``icon-768`` on this U-Net; with the defaults and SD 2.1, the release's."""
    scales = tuple(
        Scale(stride, sd21_unet.block_channels(unet, number), stride in settings.attention_strides)
        for number in settings.blocks
        for stride in (sd21_unet.block_stride(unet, number),)
    )
    return Icon768Settings(
        scales=scales,
        inter_channels=sd21_unet.block_channels(unet, settings.inter_block),
        side=settings.side,
        image_channels=settings.image_channels,
        guide=guide_of(settings),
        query_norm=settings.query_norm,
        query_reduction=settings.query_reduction,
        temperature=settings.temperature,
        attention_axis=settings.attention_axis,
        align_corners=settings.s_align_corners,
        block_rows=settings.block_rows,
    )


def declared(settings: IconSettings, unet: Any) -> Declared:
    """What this U-Net says of itself to the flex head."""
    numbers = tuple(sorted({*settings.blocks, settings.inter_block}))
    sites = sd21_unet.attention_sites(unet, settings.attention_strides, settings.attention_places)
    return Declared(
        channels=tuple(sd21_unet.block_channels(unet, number) for number in numbers),
        strides=tuple(sd21_unet.block_stride(unet, number) for number in numbers),
        inter=numbers.index(settings.inter_block),
        attention=tuple(
            (site.stride, site.module.heads, site.module.to_q.out_features // site.module.heads)
            for site in sites
        ),
    )


def untrained(settings: IconSettings, unet: Any) -> Icon768 | FlexOnBackbone:
    """A head before training; the same seed gives the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seeds[0])
        if settings.head == "icon-flex":
            return FlexOnBackbone(declared(settings, unet), norm=settings.norm)
        return Icon768(icon_768_shape(settings, unet))


def shape_of(head: nn.Module) -> dict[str, Any]:
    """The shape of a head, as its file's header carries it."""
    if isinstance(head, Icon768):
        return dataclasses.asdict(head.settings)
    assert isinstance(head, FlexOnBackbone)
    return dataclasses.asdict(head.declared)


def trained_for(weights: str) -> dict[str, Any]:
    """The settings that come with a head trained here; empty for all others."""
    if weights in ("", UNTRAINED):
        return {}
    table = dict(head_files.trained(Path(weights).expanduser()))
    if table:
        # Heads from before presence was learnt have the layer, but nothing in it.
        table.setdefault("absent_share", 0.0)
    return {name: table[name] for name in TRAINED_FOR if name in table}


def opened(weights: str, settings: IconSettings, unet: Any) -> nn.Module:
    """The head with its weights.

    Args:
        weights: A safetensors file of ours; a folder or hub id of a ViTMatte for the head ``vitmatte``;
            ``untrained`` for weights of nobody.
        settings: Effective settings.
        unet: The backbone's.

    Raises:
        ModelNotFoundError: No weights were named, or they are not there.
        ModelDamagedError: They belong to another head or another backbone.
    """
    if settings.head == "vitmatte":
        return _vitmatte(weights)
    head = untrained(settings, unet)
    if weights == UNTRAINED:
        return head
    if not weights:
        raise ModelNotFoundError(
            "sd21 brings no head; give weights=FILE.safetensors, from `mattelike models convert CHECKPOINT` "
            f"or from training (weights={UNTRAINED} gives one that knows nothing)"
        )
    path = Path(weights).expanduser()
    name, shape, tensors = head_files.read(path)
    if name != settings.head:
        raise ModelDamagedError(f"{path}: weights of the head {name!r}; set head={name}")
    wanted = {key: value.shape for key, value in head.state_dict().items()}
    head_files.check(tensors, wanted, str(path))
    check_shape(shape, head, path)
    head.load_state_dict(tensors)
    return head


def check_shape(trained: Mapping[str, Any], head: nn.Module, path: Path) -> None:
    """Refuses weights that would fit but mean something else, such as a mean where a sum was learnt.

    Raises:
        ModelDamagedError: Names the first choice in which the two differ.
    """
    own = json.loads(json.dumps(shape_of(head)))
    differ = next((n for n in own if n in trained and n not in FREE and trained[n] != own[n]), None)
    if differ is not None:
        raise ModelDamagedError(
            f"{path}: trained with {differ}={trained[differ]}, not {own[differ]}; use the settings it was "
            "trained with"
        )


def _vitmatte(weights: str) -> VitMatteHead:
    transformers = imported("transformers")
    if not weights:
        raise ModelNotFoundError(
            "the head 'vitmatte' needs weights=FOLDER or weights=HUB_ID, such as "
            "hustvl/vitmatte-small-composition-1k"
        )
    try:
        network = transformers.VitMatteForImageMatting.from_pretrained(
            weights, use_safetensors=True, local_files_only=Path(weights).is_dir() or bool(pulled.offline())
        )
    except (OSError, ValueError, RuntimeError) as error:
        line = (str(error).strip().splitlines() or ["unreadable"])[0]
        raise ModelNotFoundError(f"{weights}: no ViTMatte there ({line})") from error
    return VitMatteHead(network)
