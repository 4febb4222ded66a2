"""The head ``icon-flex``: guidance and features to alpha, at any resolution.

The paper's head (3.4 "feature fusion", 3.5) with what tied it to 768 x 768 taken out: a fixed number of
guidance channels instead of one a key position (specification 10). Guidance joins the features at the
coarsest stride, cells talk to each other there, and a ViTMatte-like decoder brings the answer down to the
image's own detail.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mattelike.network.layers import ChannelNorm, ConvNormAct, Mixer, SelfAttention, unshuffled, upsampled


class Answer(NamedTuple):
    """What the head says, as logits (the sigmoid is taken by the loss or by the exported graph).

    Attributes:
        alpha: ``(b, 1, h, w)``.
        uncertainty: ``(b, 1, h, w)``; its sigmoid predicts the absolute error of alpha.
        coarse: ``(b, 1, h / 16, w / 16)``, which cells are the kind.
        presence: ``(b,)``, is the kind there at all.
    """

    alpha: Tensor
    uncertainty: Tensor
    coarse: Tensor
    presence: Tensor


@dataclass(frozen=True, slots=True)
class Window:
    """A square part of a grid: its first row and column, and its side, in cells."""

    row: int
    column: int
    cells: int

    def of(self, x: Tensor, scale: int) -> Tensor:
        """The part of ``(..., h, w)`` on a grid `scale` times as fine."""
        top, left, side = self.row * scale, self.column * scale, self.cells * scale
        return x[..., top : top + side, left : left + side]


@dataclass(frozen=True, slots=True)
class IconFlexSettings:
    """Shape of the head.

    Attributes:
        skip_channels: Channels of the features it reads, coarsest first; strides halve from one to the
            next, down to stride 2.
        guidance_channels: Channels of the guidance, at the coarsest stride.
        width: Channels at the coarsest stride.
        blocks: Rounds of (attention, mixer) at the coarsest stride.
        decoder: Channels at the finer strides, coarsest first.
    """

    skip_channels: tuple[int, ...]
    guidance_channels: int
    width: int = 160
    blocks: int = 2
    decoder: tuple[int, ...] = (64, 40, 24)


class IconFlex(nn.Module):
    """Guidance, features and image to alpha. Module names are the keys of its checkpoints."""

    def __init__(self, settings: IconFlexSettings) -> None:
        super().__init__()
        self.settings = settings
        coarsest, *finer = settings.skip_channels
        width = settings.width
        self.read_guidance = nn.Sequential(
            nn.Conv2d(settings.guidance_channels, width, 1),
            nn.GELU("tanh"),
            nn.Conv2d(width, width, 3, padding=1),
        )
        self.read_features = nn.Conv2d(coarsest, width, 1)
        rounds: list[nn.Module] = []
        for _ in range(settings.blocks):
            rounds += [Mixer(width), SelfAttention(width, heads=4), Mixer(width)]
        self.rounds = nn.Sequential(*rounds)
        self.norm = ChannelNorm(width)
        self.coarse = nn.Conv2d(width, 1, 1)
        self.presence = nn.Sequential(nn.Linear(2 * width, 64), nn.GELU("tanh"), nn.Linear(64, 1))
        # The image's own detail joins without loss: 2 x 2 pixels become 12 channels at stride 2.
        finer[-1] += 12
        self.merges = nn.ModuleList()
        previous = width
        for skip, channels in zip(finer, settings.decoder, strict=True):
            self.merges.append(ConvNormAct(previous + skip, channels))
            previous = channels
        self.detail = ConvNormAct(previous, previous)
        # Alpha and uncertainty of the 2 x 2 pixels of each cell.
        self.last = nn.Conv2d(previous, 8, 3, padding=1)

    def pooled(self, x: Tensor, coarse: Tensor) -> Tensor:
        """Mean of the cells taken for the kind, and of all cells: ``(b, 2 c)``."""
        flat, scores = x.flatten(2), coarse.flatten(2)
        chosen = (flat * torch.softmax(scores.float(), dim=-1)).sum(dim=-1)
        return torch.cat([chosen, flat.mean(dim=-1)], dim=1)

    def forward(
        self, images: Tensor, skips: tuple[Tensor, ...], guidance: Tensor, window: Window | None = None
    ) -> Answer:
        """Reads a batch of (target, context) pairs.

        Args:
            images: ``(b, 3, h, w)``, as the encoder saw them; with a window, only what lies in it.
            skips: Features ``(b, c_i, h_i, w_i)``, coarsest first, the last at stride 2; with a window,
                all but the coarsest hold only what lies in it.
            guidance: ``(b, g, h / s, w / s)`` at the coarsest stride s.
            window: Part of the coarsest grid to decode alpha in; all of it by default. Training decodes
                a part: fine detail is learnt as well from a part, and costs most.
        """
        x = self.read_features(skips[0]) + self.read_guidance(guidance)
        x = self.norm(self.rounds(x))
        coarse = self.coarse(x)
        presence = self.presence(self.pooled(x, coarse))[:, 0]
        if window is not None:
            x = window.of(x, 1)
        finer = [*skips[1:-1], torch.cat([skips[-1], unshuffled(images)], dim=1)]
        for skip, merge in zip(finer, self.merges, strict=True):
            x = merge(torch.cat([skip, upsampled(x, like=skip)], dim=1))
        fine = F.pixel_shuffle(self.last(self.detail(x)), 2)
        return Answer(fine[:, :1], fine[:, 1:], coarse, presence)
