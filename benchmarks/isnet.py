"""A network of IS-Net's shape with random weights, as an ONNX file to time against.

    python benchmarks/isnet.py isnet.onnx
    python benchmarks/matting.py --against isnet.onnx

The layers are those of the paper (Qin et al. 2022, "Highly Accurate Dichotomous Image Segmentation"; the
blocks are those of U²-Net), written down from its text: 44 million parameters. How long it takes does not
depend on its weights, so who has no such file can measure all the same. Its answers mean nothing. Needs the
extra ``train``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 1024
# Stage by stage: depth of the block (0: the block that dilates instead of shrinking), inputs, inner, outputs.
DOWN = ((7, 64, 32, 64), (6, 64, 32, 128), (5, 128, 64, 256), (4, 256, 128, 512), (0, 512, 256, 512))
LOWEST = (0, 512, 256, 512)
UP = ((0, 1024, 256, 512), (4, 1024, 128, 256), (5, 512, 64, 128), (6, 256, 32, 64), (7, 128, 16, 64))


def layer(inputs: int, outputs: int, dilation: int = 1) -> nn.Sequential:
    """Convolution, norm, ReLU; the norm is taken into the convolution by the runtime."""
    convolution = nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


class Block(nn.Module):
    """A small U-net inside a stage, its input added to its output."""

    def __init__(self, depth: int, inputs: int, inner: int, outputs: int) -> None:
        super().__init__()
        self.shrinks = depth > 0
        depth = depth or 4
        self.first = layer(inputs, outputs)
        wide = [1] * depth if self.shrinks else [1, 2, 4, 8]
        self.down = nn.ModuleList(
            layer(outputs if at == 0 else inner, inner, wide[at]) for at in range(depth - 1)
        )
        self.lowest = layer(inner, inner, 2 if self.shrinks else wide[-1])
        self.up = nn.ModuleList(
            layer(2 * inner, outputs if at == 0 else inner, wide[at]) for at in reversed(range(depth - 1))
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(b, inputs, h, w)`` to ``(b, outputs, h, w)``."""
        x = first = self.first(x)
        passed = []
        for at, down in enumerate(self.down):
            x = down(F.max_pool2d(x, 2, ceil_mode=True) if at and self.shrinks else x)
            passed.append(x)
        x = self.lowest(x)
        for up, beside in zip(self.up, reversed(passed), strict=True):
            x = up(torch.cat([enlarged(x, beside), beside], dim=1))
        summed: Tensor = x + first
        return summed


class ISNet(nn.Module):
    """Stages down, stages up, and the finest of its maps."""

    def __init__(self) -> None:
        super().__init__()
        self.begin = nn.Conv2d(3, 64, 3, stride=2, padding=1)
        self.down = nn.ModuleList(Block(*shape) for shape in DOWN)
        self.lowest = Block(*LOWEST)
        self.up = nn.ModuleList(Block(*shape) for shape in UP)
        self.map = nn.Conv2d(64, 1, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """``(b, 3, h, w)`` to ``(b, 1, h, w)`` in [0, 1]."""
        x = self.begin(images)
        passed = []
        for down in self.down:
            x = down(x)
            passed.append(x)
            x = F.max_pool2d(x, 2, ceil_mode=True)
        x = self.lowest(x)
        for up, beside in zip(self.up, reversed(passed), strict=True):
            x = up(torch.cat([enlarged(x, beside), beside], dim=1))
        return enlarged(self.map(x), images).sigmoid()


def enlarged(x: Tensor, like: Tensor) -> Tensor:
    """`x` at the size of `like`, bilinearly."""
    if x.shape[-2:] == like.shape[-2:]:
        return x
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


def main() -> None:
    """Writes the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path)
    file: Path = parser.parse_args().file
    torch.manual_seed(0)
    model = ISNet().eval()
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"{count / 1e6:.1f} million parameters")
    images = torch.zeros(1, 3, SIDE, SIDE)
    torch.onnx.export(model, (images,), file, dynamo=True, external_data=False, input_names=["images"])


if __name__ == "__main__":
    main()
