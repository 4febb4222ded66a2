"""The image's own detail (paper 3.5): ViTMatte's detail capture, as the release of IconMatting builds it.

Names of modules are keys of the authors' checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvBNReLU(nn.Module):
    """3 x 3 convolution without bias, BatchNorm, ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """``(b, inputs, h, w)`` to ``(b, outputs, h / stride, w / stride)``."""
        return F.relu(self.bn(self.conv(x)))


class Merge(nn.Module):
    """One step from coarse to fine; holds its convolution under the name the checkpoints use."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = ConvBNReLU(inputs, outputs)

    def forward(self, finer: Tensor, coarser: Tensor) -> Tensor:
        """`coarser` is brought to the grid of `finer`, if it has another, and put behind it."""
        if coarser.shape[-2:] != finer.shape[-2:]:
            coarser = F.interpolate(coarser, size=finer.shape[-2:], mode="bilinear", align_corners=False)
        y: Tensor = self.conv(torch.cat([finer, coarser], dim=1))
        return y


class ConvStream(nn.Module):
    """The image's own detail at strides 1, 2, 4, 8."""

    def __init__(self, inputs: int, channels: Sequence[int]) -> None:
        super().__init__()
        widths = (inputs, *channels)
        self.convs = nn.ModuleList(ConvBNReLU(a, b, 2) for a, b in pairwise(widths))

    def forward(self, images: Tensor) -> list[Tensor]:
        """The image itself first."""
        found = [images]
        for conv in self.convs:
            found.append(conv(found[-1]))
        return found


class MattingHead(nn.Module):
    """From the last features to one channel of logits."""

    def __init__(self, inputs: int, middle: int) -> None:
        super().__init__()
        self.matting_convs = nn.Sequential(
            nn.Conv2d(inputs, middle, 3, padding=1),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            nn.Conv2d(middle, 1, 1),
        )


class DetailDecoder(nn.Module):
    """ViTMatte's detail capture (paper 3.5)."""

    def __init__(
        self,
        width: int,
        image_channels: int = 3,
        detail: tuple[int, int, int] = (48, 96, 192),
        decoder: tuple[int, int, int, int] = (256, 128, 64, 32),
        last: int = 16,
    ) -> None:
        super().__init__()
        self.convstream = ConvStream(image_channels, detail)
        skips = (*reversed(detail), image_channels)
        widths = (width, *decoder)
        self.fusion_blks = nn.ModuleList(
            Merge(skip + coarse, fine)
            for skip, coarse, fine in zip(skips, widths[:-1], widths[1:], strict=True)
        )
        self.matting_head = MattingHead(widths[-1], last)

    def forward(self, features: Tensor, images: Tensor) -> Tensor:
        """``(b, width, h / 16, w / 16)`` and the image to logits ``(b, 1, h, w)``."""
        skips = self.convstream(images)
        x = features
        for merge, skip in zip(self.fusion_blks, reversed(skips), strict=True):
            x = merge(skip, x)
        y: Tensor = self.matting_head.matting_convs(x)
        return y
