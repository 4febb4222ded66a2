"""The flex head on any backbone: built from what the backbone declares, for pictures of any size.

`IconFlex` reads one feature at every stride from its coarsest down to 2. A backbone has some of them: what it
has goes to the next stride that is a power of two, what it lacks comes from the picture itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mattelike.network import captured, icon_guidance
from mattelike.network.captured import Layer
from mattelike.network.icon_flex import Answer, IconFlex, IconFlexSettings
from mattelike.network.icon_guidance import NegativeMode, Reduction

# Channels of the picture's own detail at strides 2, 4 and 8.
DETAIL = (24, 40, 64)
# Channels a backbone feature is brought to before it joins.
BROUGHT = 64


class Encoded(NamedTuple):
    """What a backbone saw in one picture.

    Attributes:
        features: As declared, ``(1, c, h / s, w / s)`` each.
        layers: Captured self-attention by stride; empty when there is none.
    """

    features: tuple[Tensor, ...]
    layers: dict[int, tuple[Layer, ...]]


@dataclass(frozen=True, slots=True)
class Declared:
    """What a backbone says of itself.

    Attributes:
        channels: Of every feature.
        strides: Likewise, in pixels; any whole numbers.
        inter: Which of them is matched.
        attention: ``(stride, heads, channels of a head)`` of each captured layer; may be empty, then the
            matched feature's self-affinity takes its place.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    inter: int = 0
    attention: tuple[tuple[int, int, int], ...] = ()

    def __post_init__(self) -> None:
        if not self.channels or len(self.channels) != len(self.strides):
            raise ValueError("a backbone declares at least one feature, with channels and a stride each")
        if not 0 <= self.inter < len(self.channels):
            raise ValueError(f"inter={self.inter}: there are {len(self.channels)} features")

    @property
    def multiple(self) -> int:
        """Sides of a picture are brought to multiples of this: whole cells on every grid."""
        return math.lcm(*self.strides, level_of(max(self.strides)))


class Backbone(Protocol):
    """A frozen feature extractor."""

    declared: Declared

    def encode(self, images: Tensor) -> Encoded:
        """Looks at one picture ``(1, 3, h, w)``, sides multiples of `Declared.multiple`."""


def level_of(stride: int) -> int:
    """The power of two nearest to a stride (of two as near, the larger), at least 2."""
    return int(max(2, 2 ** math.floor(math.log2(stride) + 0.5)))


class FlexOnBackbone(nn.Module):
    """`IconFlex` with the features and the attention of one kind of backbone.

    Args:
        declared: By the backbone.
        width: Channels at the coarsest stride.
        blocks: Rounds of attention there.
        norm: BatchNorm, or GroupNorm, which does not mind a batch of one.
    """

    def __init__(
        self, declared: Declared, *, width: int = 160, blocks: int = 2, norm: Literal["bn", "gn"] = "bn"
    ) -> None:
        super().__init__()
        self.declared = declared
        self.bring = nn.ModuleList(nn.Conv2d(channels, BROUGHT, 1) for channels in declared.channels)
        coarsest = level_of(max(declared.strides))
        self.levels = tuple(2**power for power in range(int(math.log2(coarsest)), 0, -1))
        widths = (3, *DETAIL)
        self.detail = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths))
        channels = tuple(self._channels(level) for level in self.levels)
        decoder = tuple(max(24, 64 // 2**step) for step in range(len(self.levels) - 1))
        guidance = len(icon_guidance.MAPS)
        self.head = IconFlex(IconFlexSettings(channels, guidance, width, blocks, decoder))
        if norm == "gn":
            with_group_norm(self.head)

    def _channels(self, level: int) -> int:
        brought = sum(BROUGHT for stride in self.declared.strides if level_of(stride) == level)
        detail = DETAIL[int(math.log2(level)) - 1] if level <= 2 ** len(DETAIL) else 0
        guided = len(icon_guidance.MAPS) if level in self.guided else 0
        return brought + detail + guided

    @property
    def guided(self) -> tuple[int, ...]:
        """Levels that guidance joins: the matched feature's, and those with attention."""
        strides = {stride for stride, _, _ in self.declared.attention}
        own = self.declared.strides[self.declared.inter]
        return tuple({level_of(s) for s in (*strides, own) if level_of(s) in self.levels})

    def guidance(
        self,
        target: Encoded,
        similar: Tensor,
        best: Tensor,
        opposed: Tensor | None = None,
        contrasted: Tensor | None = None,
    ) -> dict[int, Tensor]:
        """Guidance by level; see `icon_guidance.guidance_maps`."""
        inter = self.declared.inter
        # Attention coarser than every feature joins nowhere.
        layers = {level_of(s): found for s, found in target.layers.items() if level_of(s) in self.levels}
        own = level_of(self.declared.strides[inter])
        if own not in layers:
            layers[own] = (captured.from_features(target.features[inter][0]),)
        return {
            level: icon_guidance.guidance_maps(similar, best, found, opposed, contrasted)
            for level, found in layers.items()
        }

    def forward(self, images: Tensor, target: Encoded, guidance: dict[int, Tensor]) -> Answer:
        """Reads one target.

        Args:
            images: ``(1, 3, h, w)``, sides multiples of `Declared.multiple`.
            target: What the backbone saw in it.
            guidance: From `guidance`.
        """
        found: dict[int, list[Tensor]] = {level: [] for level in self.levels}
        for feature, stride, bring in zip(target.features, self.declared.strides, self.bring, strict=True):
            found[level_of(stride)].append(bring(feature))
        detail = images
        for step, conv in enumerate(self.detail):
            detail = F.relu(conv(detail))
            if 2 ** (step + 1) in found:
                found[2 ** (step + 1)].append(detail)
        for level, maps in guidance.items():
            found[level].append(maps[None])
        height, width = images.shape[-2:]
        skips = tuple(self._level(found[level], (height // level, width // level)) for level in self.levels)
        coarse = icon_guidance.on_grid(self._coarsest(guidance), (skips[0].shape[-2], skips[0].shape[-1]))
        answer: Answer = self.head(images, skips, coarse[None])
        return answer

    @staticmethod
    def _level(parts: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
        return torch.cat([icon_guidance.on_grid(part[0], grid)[None] for part in parts], dim=1)

    def _coarsest(self, guidance: dict[int, Tensor]) -> Tensor:
        """Guidance at the level of the matched feature: the sharpest there is."""
        return guidance[level_of(self.declared.strides[self.declared.inter])]


class Found(NamedTuple):
    """What is said of one target.

    Attributes:
        alpha: float32 ``(1, 1, h, w)`` in (0, 1), the size of the picture.
        similarity: ``(h_l, w_l)``, before negatives.
        presence: In [0, 1], by evidence alone.
    """

    alpha: Tensor
    similarity: Tensor
    presence: Tensor


def matte(
    backbone: Backbone,
    head: FlexOnBackbone,
    images: Tensor,
    references: Sequence[Tensor],
    negatives: Sequence[Tensor] = (),
    *,
    how: Reduction = "mean",
    mode: NegativeMode = "gate",
) -> Found:
    """One target of any size, from query tokens to alpha.

    Args:
        backbone: Frozen.
        head: Built from its declaration.
        images: ``(1, 3, h, w)``; padded by reflection to whole cells, the answer is cut back.
        references: Query tokens of each reference, ``(k, c)``.
        negatives: Tokens of what is not meant.
        how: Several references as one.
        mode: What negatives do to similarity.
    """
    seen = padded(images, backbone.declared.multiple)
    target = backbone.encode(seen)
    feature = target.features[backbone.declared.inter][0].float()
    similar = icon_guidance.similar_to(references, feature, how)
    tokens = torch.cat(list(references))
    best = icon_guidance.best_cosine(tokens, feature)
    weighed, opposed, contrasted = similar, None, None
    if negatives:
        opposed = icon_guidance.similar_to(negatives, feature, how)
        contrasted = icon_guidance.contrast(tokens, torch.cat(list(negatives)), feature)
        weighed = icon_guidance.against(similar, opposed, contrasted, mode)
    answer = head(seen, target, head.guidance(target, weighed, best, opposed, contrasted))
    alpha = answer.alpha.sigmoid()[..., : images.shape[-2], : images.shape[-1]]
    return Found(alpha, similar, icon_guidance.presence(icon_guidance.presence_evidence(best, feature)))


def padded(images: Tensor, multiple: int) -> Tensor:
    """Filled up by reflection, right and below, until both sides are multiples."""
    for axis in (-2, -1):
        length = images.shape[axis]
        index = torch.arange(-(-length // multiple) * multiple, device=images.device) % max(1, 2 * length - 2)
        index = torch.where(index < length, index, 2 * length - 2 - index)
        images = images.index_select(axis, index)
    return images


def with_group_norm(module: nn.Module, groups: int = 32) -> None:
    """Every BatchNorm inside becomes a GroupNorm of at most `groups` groups."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            channels = child.num_features
            setattr(module, name, nn.GroupNorm(math.gcd(groups, channels), channels))
        else:
            with_group_norm(child, groups)
