"""The embedded model in one piece: encoder, similarity, head. This is what is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mattelike import similarity
from mattelike.network.efficientnet_lite import EfficientNetLite
from mattelike.network.encoder import STRIDE, Encoder, EncoderSettings
from mattelike.network.icon_flex import Answer, IconFlex, IconFlexSettings, Window
from mattelike.values import ModelCard

# What the published EfficientNet-Lite weights expect of pixels in [0, 1].
MEAN = (127 / 255,) * 3
STD = (128 / 255,) * 3


class Looked(NamedTuple):
    """What the encoder saw in a batch of images.

    Attributes:
        images: ``(b, 3, h, w)``, normalised.
        tokens: One ``(b, m, n, d)`` a family of heads, length one along d, float32.
        things: The same shapes: the tokens of the things that the cells are part of.
        grouping: ``(b, 1, n, g)``, or None: which cells make one thing.
        skips: Features for the head, coarsest first.
    """

    images: Tensor
    tokens: tuple[Tensor, ...]
    things: tuple[Tensor, ...]
    grouping: Tensor | None
    skips: tuple[Tensor, ...]


class EmbeddedModel(nn.Module):
    """Encoder and head, with `mattelike.similarity` between them."""

    def __init__(
        self,
        encoder: EncoderSettings,
        *,
        head_width: int = 160,
        head_blocks: int = 2,
        decoder: tuple[int, ...] = (64, 40, 24),
        backbone: EfficientNetLite | None = None,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(encoder, backbone)
        channels = len(similarity.EVIDENCE) * len(self.encoder.log_temperatures)
        self.head = IconFlex(
            IconFlexSettings(self.encoder.skip_channels, channels, head_width, head_blocks, decoder)
        )

    def described(self, card: ModelCard) -> ModelCard:
        """The card with what can be read off the network: shape, sharpness, how pictures are normalised."""
        settings, whole = self.encoder.settings, self.encoder.whole_channels
        grouping = self.encoder.grouping_channels
        return replace(
            card,
            stride=STRIDE,
            channels=settings.heads * settings.head_channels + sum(whole) + grouping,
            whole_channels=whole,
            grouping_channels=grouping,
            heads=settings.heads,
            temperatures=tuple(round(float(t), 4) for t in self.encoder.temperatures().detach()),
            affinities=tuple(round(float(t), 4) for t in self.encoder.affinities().detach()),
            mean=MEAN,
            std=STD,
            head="icon-flex",
        )

    def look(self, images: Tensor) -> Looked:
        """Encodes images ``(b, 3, h, w)`` in [0, 1]."""
        mean = torch.tensor(MEAN, device=images.device)[:, None, None]
        std = torch.tensor(STD, device=images.device)[:, None, None]
        seen = ((images - mean) / std).contiguous(memory_format=torch.channels_last)
        tokens, skips = self.encoder(seen)
        encoder = self.encoder
        families, grouping = similarity.split_grouping(
            tokens.float(), encoder.settings.heads, encoder.whole_channels, encoder.grouping_channels
        )
        # Means over many cells: in full precision.
        with torch.autocast(images.device.type, enabled=False):
            things = similarity.pooled(families, self.encoder.affinities(), grouping)
        return Looked(seen, families, things, grouping, skips)

    def compare(
        self,
        targets: Sequence[Tensor],
        references: Sequence[Tensor],
        weights: Tensor,
        things: Sequence[Tensor],
        kept: Tensor | None = None,
    ) -> similarity.Evidence:
        """What references say of targets; see `mattelike.similarity.compare_families`."""
        return similarity.compare_families(
            targets,
            references,
            weights,
            self.encoder.temperatures(),
            self.encoder.affinities(),
            things,
            kept=kept,
        )

    def answer(
        self, looked: Looked, targets: Tensor, evidence: similarity.Evidence, window: Window | None = None
    ) -> Answer:
        """Reads the evidence for each question.

        Args:
            looked: What was seen of b images.
            targets: int ``(p,)``, which of them each question asks about.
            evidence: What its references say, ``(p, m, n)`` each.
            window: Part of the picture to decode; all of it by default.
        """
        coarsest, *finer = looked.skips
        height, width = coarsest.shape[-2:]
        images = looked.images
        if window is not None:
            finer = [window.of(skip, skip.shape[-1] // width) for skip in finer]
            images = window.of(images, images.shape[-1] // width)
        skips = (coarsest[targets], *(skip[targets] for skip in finer))
        guidance = evidence.stacked().unflatten(-1, (height, width))
        answer: Answer = self.head(images[targets], skips, guidance, window)
        return answer
