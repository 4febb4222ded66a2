"""The edge network: photo and a guess of alpha in, alpha and "is the guess wrong here?" out.

A narrow U-Net that works at strides 2, 4, 8 and 16. The photo's own pixels enter and leave by regrouping
blocks of 2 x 2 into channels (Shi et al. 2016), so that no convolution runs at full size and no pixel is
lost. It has no attention and no pooling over the whole picture: what it says of a pixel depends on about 100
pixels round it, on the outer half of them hardly at all, which is why tiles with a margin have no seams.

It need not learn what colours mean: thing and background have a colour near every pixel, spread from where
they are known, and a pixel's place on the line between the two (`between`) is a second guess of alpha:
equation 1 solved for alpha, what samplers of colours do (Chuang et al. 2001). The network says how far to
believe it, and what to add.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mattelike.network.layers import ConvNormAct, upsampled

MULTIPLE = 16
"""Sides of what it sees are multiples of this."""

UNKNOWN_SHARE, SURE, LITTLE, ALIKE = 0.15, 0.8, 0.008, 0.004
"""Of `between`: how much of an unknown pixel's colour counts; the guess from which a pixel shows one colour
alone; the share of a cell that must show it; the squared distance of colours that are alike."""

INPUTS = 5
"""Red, green, blue in [0, 1]; the guess; 1 where alpha is asked for and 0 where the guess is right."""


@dataclass(frozen=True, slots=True)
class RefinerSettings:
    """Shape of the network.

    Attributes:
        widths: Channels at strides 2, 4, 8 and 16.
        blocks: Residual blocks of the encoder at strides 4, 8 and 16.
        last: Channels of the last convolution but one.
    """

    widths: tuple[int, ...] = (24, 40, 64, 96)
    blocks: tuple[int, ...] = (1, 1, 1)
    last: int = 24


class Step(ConvNormAct):
    """`ConvNormAct` that may halve the grid, and may leave the rectifier out."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, rectified: bool = True
    ) -> None:
        super().__init__(inputs, outputs, kernel)
        self.convolution.stride = (stride, stride)
        self.rectified = rectified

    def forward(self, x: Tensor) -> Tensor:
        """``(b, inputs, h, w)`` to ``(b, outputs, h / stride, w / stride)``."""
        y: Tensor = self.norm(self.convolution(x))
        return F.relu(y) if self.rectified else y


class Block(nn.Module):
    """A residual block (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = Step(channels, channels)
        self.second = Step(channels, channels, rectified=False)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`."""
        return F.relu(x + self.second(self.first(x)))


class Refiner(nn.Module):
    """The network.

    Args:
        settings: Its shape.
    """

    def __init__(self, settings: RefinerSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or RefinerSettings()
        finest, *coarser = self.settings.widths
        regrouped = 4 * (INPUTS + 2)
        self.stem = Step(regrouped, finest)
        self.down = nn.ModuleList()
        self.sideways = nn.ModuleList()
        self.up = nn.ModuleList()
        inputs = finest
        for channels, count in zip(coarser, self.settings.blocks, strict=True):
            blocks = [Block(channels) for _ in range(count)]
            self.down.append(nn.Sequential(Step(inputs, channels, stride=2), *blocks))
            self.sideways.append(Step(channels, inputs, 1, rectified=False))
            self.up.append(Step(inputs, inputs))
            inputs = channels
        last = self.settings.last
        self.detail = Step(finest + regrouped, last, 1)
        self.sharpen = Step(last, last)
        self.trust = nn.Conv2d(last, 4, 1)
        self.correction = nn.Conv2d(last, 4, 1)
        self.where = nn.Conv2d(coarser[0], 1, 1)
        for layer, start in ((self.trust, 0.3), (self.correction, 0.0)):
            nn.init.zeros_(layer.weight)
            nn.init.constant_(layer.bias, start)  # type: ignore[arg-type]

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """What is seen to alpha and doubt.

        Args:
            seen: ``(b, 5, h, w)``, sides multiples of 16.

        Returns:
            Alpha ``(b, 1, h, w)``, not yet cut to [0, 1]; and logits ``(b, 1, h / 4, w / 4)`` of "the guess
            is off by more than a tenth somewhere in this cell".
        """
        guess = seen[:, 3:4]
        by_colour, apart = between(seen.float())
        regrouped = F.pixel_unshuffle(torch.cat([seen, by_colour, apart], dim=1), 2)
        grids = [self.stem(regrouped)]
        for down in self.down:
            grids.append(down(grids[-1]))
        x, fourth = grids[-1], grids[-1]
        for level in range(len(self.up) - 1, -1, -1):
            x = F.relu(grids[level] + upsampled(self.sideways[level](x), like=grids[level]))
            x = self.up[level](x)
            if level == 1:
                fourth = x
        x = self.sharpen(self.detail(torch.cat([x, regrouped], dim=1)))
        trust, correction = (F.pixel_shuffle(layer(x), 2) for layer in (self.trust, self.correction))
        return guess + trust * (by_colour - guess) + correction, self.where(fourth)


def between(seen: Tensor) -> tuple[Tensor, Tensor]:
    """A guess of alpha from colours alone.

    Args:
        seen: float32 ``(b, 5, h, w)``, as the network sees it.

    Returns:
        Where each pixel lies between the colours of background and thing near it, ``(b, 1, h, w)``, about 0
        to 1, the guess itself where the two colours are alike; and how far apart they are, ``(b, 1, h, w)``.
    """
    rgb, guess, unknown = seen[:, :3], seen[:, 3:4], seen[:, 4:]
    belief = 1 - (1 - UNKNOWN_SHARE) * unknown
    front, back = (
        upsampled(_spread(rgb, belief * ((share - SURE) / (1 - SURE)).clamp(min=0)), like=rgb)
        for share in (guess, 1 - guess)
    )
    line = front - back
    apart = line.square().sum(dim=1, keepdim=True)
    place = ((rgb - back) * line).sum(dim=1, keepdim=True)
    return ((place + ALIKE * guess) / (apart + ALIKE)).clamp(-0.2, 1.2), apart.sqrt()


def _spread(rgb: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean colours near every cell of 4 x 4 pixels: of the nearest scale that has any.

    ``(b, 3, h, w)`` and ``(b, 1, h, w)`` to ``(b, 3, h / 4, w / 4)``; pull and push (Gortler et al. 1996).
    """
    sums = [F.avg_pool2d(torch.cat([rgb * weight, weight], dim=1), 4)]
    for _ in range(2):
        sums.append(F.avg_pool2d(sums[-1], 2))
    for _ in range(2):
        wide = F.avg_pool2d(sums[-1], 3, 1, 1, count_include_pad=False)
        sums.append(F.avg_pool2d(wide, 3, 1, 1, count_include_pad=False))
    colour = F.avg_pool2d(rgb, 16)
    for total in reversed(sums):
        if colour.shape[-1] != total.shape[-1]:
            colour = upsampled(colour, like=total)
        colour = (total[:, :3] + LITTLE * colour) / (total[:, 3:] + LITTLE)
    return colour
