"""The model ``sd21+dino``: tokens of the diffusion model and of DINO side by side, for matching.

What the two see complements each other (Zhang et al. 2023, "A Tale of Two Features"): diffusion features hold
places and surfaces, DINO's hold kinds. Both are brought to length one and put side by side, so that the
cosine of two fused tokens is the mean of their two cosines. Matching is contrastive, the head training-free.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mattelike import resampling
from mattelike.models import Coarse, Role, extras
from mattelike.models.contrastive import Contrastive
from mattelike.models.dino import DinoModel, dino
from mattelike.models.sd21 import changed
from mattelike.models.sd21_settings import IconSettings, settings_of
from mattelike.values import Features, Float32, Guidance, ModelCard

if TYPE_CHECKING:
    from mattelike.models.sd21_extractor import Extractor

# Where DINO's weights come from unless that is said.
DINO = "facebook/dinov2-base"
# Sides of what the U-Net sees.
MULTIPLE = 64


class FusedModel(Contrastive):
    """Two backbones behind the contract of `mattelike.models.Model`.

    Args:
        extractor: Of the diffusion model.
        other: DINO.
        settings: Effective settings of the diffusion model.
    """

    def __init__(self, extractor: Extractor, other: DinoModel, settings: IconSettings) -> None:
        self.extractor, self.other, self.settings = extractor, other, settings
        super().__init__(card_of(extractor, other.card, settings))

    @property
    def device(self) -> str:
        """The device the diffusion model lies on."""
        return str(self.extractor.device.type)

    @property
    def multiple(self) -> int:
        """Whole cells of the U-Net's coarsest grid."""
        return MULTIPLE

    def features(self, images: Float32, role: Role) -> Features:
        """Tokens of ``(1, 3, h, w)`` in [-1, 1]: float32 ``(1, c, h / 16, w / 16)``, each half of length 1.

        Raises:
            UsageError: Values that are not finite, or outside [-1, 1].
        """
        diffused = self.extractor.tokens(images, role, self.settings.inter_block)
        grid = (diffused.shape[-2], diffused.shape[-1])
        halves = [_unit(diffused), _unit(self.other.features(self._for_dino(images, grid), role).tokens)]
        return Features(np.concatenate(halves, axis=1))

    def _for_dino(self, images: Float32, grid: tuple[int, int]) -> Float32:
        """The same picture with one patch of DINO for every cell, normalised its way."""
        card = self.other.card
        size = (grid[0] * card.stride, grid[1] * card.stride)
        rgb = resampling.resize(np.ascontiguousarray(images[0].transpose(1, 2, 0)), size) / 2 + np.float32(
            0.5
        )
        normal = (rgb - np.asarray(card.mean, np.float32)) / np.asarray(card.std, np.float32)
        return np.ascontiguousarray(normal.transpose(2, 0, 1)[None], np.float32)

    def alpha(self, images: Float32, features: Features, guidance: Guidance) -> Coarse:
        """The training-free head's."""
        return self.free(images, guidance)


def fused(
    *,
    device: str = "auto",
    threads: int | None = None,
    source: str | Path = "",
    revision: str = "",
    dino_source: str | Path = DINO,
    settings: IconSettings | Mapping[str, Any] | None = None,
    **changes: Any,
) -> FusedModel:
    """Diffusion and DINO tokens, matched together.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        threads: Threads of torch, for the whole process.
        source: Of the diffusion model, as for ``sd21``.
        revision: Of the diffusion model, on the hub.
        dino_source: Folder or hub id of a DINOv2 or DINOv3.
        settings: Of the diffusion model, as for ``sd21``.
        changes: Settings one by one.

    Raises:
        MissingExtraError: torch, diffusers or transformers is not installed.
        SettingsError: An unknown setting, or a value it cannot take.
        ModelNotFoundError: One of the two models is not there.
        ModelDamagedError: Its files do not fit each other.
        DeviceError: The device is not there.
    """
    chosen = settings_of(changed(settings, changes))
    extras.imported("diffusers", extra="sd", purpose="the model 'sd21+dino'")
    from mattelike.models import sd21_source
    from mattelike.models.sd21_extractor import Extractor

    other = dino(device=device, threads=threads, source=dino_source)
    backbone = sd21_source.opened(str(source), revision, chosen, other.device)
    return FusedModel(Extractor(backbone, chosen), other, chosen)


def card_of(extractor: Extractor, other: ModelCard, settings: IconSettings) -> ModelCard:
    """The card; its hash covers all that tokens depend on."""
    from mattelike.models import sd21_cache, sd21_unet

    backbone = extractor.backbone
    identity = f"{backbone.identity}/{sd21_cache.seen_by(settings)}/{other.sha256}"
    channels = sd21_unet.block_channels(backbone.unet, settings.inter_block)
    return ModelCard(
        name="sd21+dino",
        stride=sd21_unet.block_stride(backbone.unet, settings.inter_block),
        channels=channels + other.channels,
        reference_side=settings.side,
        target_side=settings.side,
        head="free",
        licence=f"CreativeML Open RAIL++-M; {other.licence}",
        source=f"{backbone.source}; {other.source}",
        sha256=hashlib.sha256(identity.encode()).hexdigest(),
        settings=settings.as_json(places=False),
    )


def _unit(tokens: Float32) -> Float32:
    """Tokens ``(1, c, h, w)`` of length one."""
    length = np.sqrt(np.square(tokens).sum(axis=1, keepdims=True))
    found: Float32 = tokens / np.maximum(length, np.float32(1e-12))
    return found
