"""Layers that the encoder and the heads share. All are resolution-free and export to plain ONNX."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

M = TypeVar("M", bound=nn.Module)


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of every cell of a grid ``(b, c, h, w)``."""

    def __init__(self, channels: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`; computed in float32 whatever the precision around it."""
        last = x.permute(0, 2, 3, 1).float()
        normal = F.layer_norm(last, (last.shape[-1],), self.weight, self.bias, self.epsilon)
        return normal.permute(0, 3, 1, 2)


class Mixer(nn.Module):
    """A ConvNeXt block (Liu et al. 2022): look around by a depthwise convolution, then think by channel."""

    def __init__(self, channels: int, kernel: int = 5, expansion: int = 2) -> None:
        super().__init__()
        self.around = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.norm = ChannelNorm(channels)
        self.widen = nn.Conv2d(channels, channels * expansion, 1)
        self.narrow = nn.Conv2d(channels * expansion, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`."""
        y: Tensor = self.narrow(F.gelu(self.widen(self.norm(self.around(x))), approximate="tanh"))
        return x + y


class SelfAttention(nn.Module):
    """Attention among all cells of a grid, with no positions in it: any size in, the same size out."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = ChannelNorm(channels)
        self.read = nn.Conv2d(channels, channels * 3, 1)
        self.write = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(b, c, h, w)`` to the same shape."""
        b, c, h, w = x.shape
        packed = self.read(self.norm(x)).reshape(b, 3, self.heads, c // self.heads, h * w)
        q, k, v = (part.transpose(-1, -2) for part in packed.unbind(dim=1))
        seen = F.scaled_dot_product_attention(q, k, v)
        y: Tensor = self.write(seen.transpose(-1, -2).reshape(b, c, h, w))
        return x + y


class ConvNormAct(nn.Module):
    """Convolution, BatchNorm, ReLU: the paper's fusion step. The norm is folded away at export."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """``(b, inputs, h, w)`` to ``(b, outputs, h, w)``."""
        return F.relu(self.norm(self.convolution(x)))


def upsampled(x: Tensor, like: Tensor) -> Tensor:
    """`x` brought to the grid of `like` bilinearly (``align_corners=False``)."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


def unshuffled(images: Tensor) -> Tensor:
    """`images` ``(b, c, h, w)`` with their 2 x 2 pixels as channels: ``(b, 4 c, h / 2, w / 2)``.

    ``pixel_unshuffle`` by a convolution that picks pixels: runtimes are five times as fast at it as at
    turning six dimensions round.
    """
    channels = images.shape[1]
    picks = torch.eye(4 * channels, dtype=images.dtype, device=images.device)
    with torch.autocast(images.device.type, enabled=False):
        return F.conv2d(images, picks.reshape(4 * channels, channels, 2, 2), stride=2)


def folded(model: M) -> M:
    """A copy in evaluation mode with every BatchNorm folded into the convolution before it."""
    model = copy.deepcopy(model).eval()
    for module in model.modules():
        if isinstance(module, ConvNormAct):
            module.convolution = fuse_conv_bn_eval(module.convolution, module.norm)
            module.norm = nn.Identity()  # type: ignore[assignment]
    return model
