"""The head ``icon-768``: the release of IconMatting, tensor for tensor, so that its weights load strictly.

In-context similarity, attention that it weighs, features and detail (paper 3.4 and 3.5). Absolute key
positions are channels here, which is why the head is tied to one size; `mattelike.network.icon_flex` is not.
Names of modules are the keys of the authors' checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mattelike import similarity
from mattelike.network import captured
from mattelike.network.captured import Layer
from mattelike.network.icon_detail import ConvBNReLU, DetailDecoder, Merge

Guide = Literal["both", "inter", "intra", "none"]
Attended = Tensor | Sequence[Layer]


@dataclass(frozen=True, slots=True)
class Scale:
    """One scale the head reads.

    Attributes:
        stride: Pixels of a cell.
        channels: Channels of its features.
        guided: Whether guidance joins it.
    """

    stride: int
    channels: int
    guided: bool = True


@dataclass(frozen=True, slots=True)
class Icon768Settings:
    """Shape of the head; the defaults are the release's.

    Attributes:
        scales: Coarse to fine.
        inter_channels: Channels of the feature that is matched.
        side: Pixels of the square it works on.
        guide_channels: Channels of the guidance of a scale.
        width: Channels of a merged scale.
        image_channels: 3, or 4 for colours and a trimap.
        guide: What guidance is made of: similarity on attention (``both``), one of the two, or ``none``.
        query_norm: LayerNorm before matching.
        query_reduction: ``sum`` or ``mean`` over query tokens.
        temperature: Divides the logits of the matching.
        attention_axis: Whether similarity weighs keys or queries.
        align_corners: How similarity is brought to other scales.
        block_rows: Rows of a block where no N x N map is kept.
        detail: Channels of the image's own detail at strides 2, 4, 8.
        decoder: Channels of the decoder, coarse to fine, the last at stride 1.
        last: Channels before the last convolution.
    """

    scales: tuple[Scale, ...] = (Scale(32, 1280), Scale(16, 1280))
    inter_channels: int = 1280
    side: int = 768
    guide_channels: int = 256
    width: int = 320
    image_channels: int = 3
    guide: Guide = "both"
    query_norm: bool = True
    query_reduction: str = "sum"
    temperature: float = 1.0
    attention_axis: str = "key"
    align_corners: bool = True
    block_rows: int = 8
    detail: tuple[int, int, int] = (48, 96, 192)
    decoder: tuple[int, int, int, int] = (256, 128, 64, 32)
    last: int = 16

    def tokens(self, stride: int) -> int:
        """Cells of a scale."""
        return (self.side // stride) ** 2

    @property
    def attended(self) -> tuple[int, ...]:
        """Strides whose self-attention it reads, coarse to fine."""
        if self.guide in ("inter", "none"):
            return ()
        return tuple(scale.stride for scale in self.scales if scale.guided)

    @property
    def referenced(self) -> bool:
        """Whether similarity to references has a part in its answer."""
        return self.guide in ("both", "inter")


class QueryNorm(nn.Module):
    """The LayerNorm that query and target tokens share; its only trained part."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)


class WeighedAttention(nn.Module):
    """Attention weighed by similarity, its keys as channels: norm over keys, ReLU, convolution."""

    def __init__(self, keys: int, channels: int, axis: str = "key") -> None:
        super().__init__()
        self.conv = nn.Conv2d(keys, channels, 3, padding=1, bias=False)
        self.ln = nn.LayerNorm(keys)
        self.axis = axis

    def weighed(self, attention: Tensor, weights: Tensor, rows: slice = slice(None)) -> Tensor:
        """Equation 5 for some rows: ``(b, r, n)``; see `mattelike.similarity.intra_similarity`."""
        if self.axis == "query":
            return attention * weights[:, rows, None]
        x: Tensor = similarity.intra_similarity(attention, weights)
        return x

    def read(self, weighed: Tensor, grid: tuple[int, int]) -> Tensor:
        """Norm and ReLU, rows as a grid: ``(b, h * w, n)`` to ``(b, n, h, w)``."""
        normal = self.ln(weighed)
        return F.relu(normal.transpose(1, 2).reshape(normal.shape[0], -1, *grid))

    def forward(self, attention: Tensor, weights: Tensor) -> Tensor:
        """From one stored map.

        Args:
            attention: ``(b, n, n)``, rows are queries.
            weights: Similarity at this scale, ``(b, 1, h, w)``.

        Returns:
            ``(b, channels, h, w)``.
        """
        x = self.weighed(attention, weights.flatten(1))
        grid = (weights.shape[-2], weights.shape[-1])
        y: Tensor = self.conv(self.read(x, grid))
        return y

    def blockwise(self, layers: Sequence[Layer], weights: Tensor, block: int) -> Tensor:
        """The same for one image from queries and keys, `block` rows of the grid and a row around at a time.

        No N x N map ever exists. Zero padding is at the image's own border only, after the ReLU.

        Args:
            layers: Captured at this scale.
            weights: ``(1, 1, h, w)``.
            block: Rows of the grid a step.
        """
        height, width = weights.shape[-2:]
        flat = weights.flatten(1)
        parts = []
        for top in range(0, height, block):
            bottom = min(top + block, height)
            first, last = max(top - 1, 0), min(bottom + 1, height)
            rows = slice(first * width, last * width)
            x = self.weighed(captured.averaged(layers, rows)[None], flat, rows)
            x = self.read(x, (last - first, width))
            x = F.pad(x, (1, 1, int(top == 0), int(bottom == height)))
            parts.append(F.conv2d(x, self.conv.weight))
        return torch.cat(parts, dim=2)


class MapReader(nn.Module):
    """Guidance for an ablation of table 5 that reads one of the two maps alone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, channels, 3, padding=1, bias=False)

    def forward(self, weights: Tensor) -> Tensor:
        """``(b, 1, h, w)`` to ``(b, channels, h, w)``."""
        y: Tensor = self.conv(F.relu(weights))
        return y


class MergeList(nn.Module):
    """All steps between the scales."""

    def __init__(self, steps: int, width: int) -> None:
        super().__init__()
        self.module_list = nn.ModuleList(Merge(2 * width, width) for _ in range(steps))


class InContextFusion(nn.Module):
    """Similarity, guidance and features: to one feature at the finest scale (paper 3.4)."""

    def __init__(self, settings: Icon768Settings) -> None:
        super().__init__()
        self.settings = settings
        guide, width = settings.guide_channels, settings.width
        guided = [scale.guided and settings.guide != "none" for scale in settings.scales]
        if settings.query_norm and settings.guide in ("both", "inter"):
            self.attn_module = QueryNorm(settings.inter_channels)
        self.attn_module_list = nn.ModuleList(
            self._reader(settings.tokens(scale.stride))
            for scale, used in zip(settings.scales, guided, strict=True)
            if used
        )
        self.ft_attn_module_list = nn.ModuleList(ConvBNReLU(width + guide, width) for used in guided if used)
        self.ft_module_list = nn.ModuleList(ConvBNReLU(scale.channels, width) for scale in settings.scales)
        self.fusion = MergeList(len(settings.scales) - 1, width)

    def _reader(self, keys: int) -> nn.Module:
        if self.settings.guide == "inter":
            return MapReader(self.settings.guide_channels)
        return WeighedAttention(keys, self.settings.guide_channels, self.settings.attention_axis)

    def normal(self, tokens: Tensor) -> Tensor:
        """Tokens as they are compared."""
        y: Tensor = self.attn_module.norm(tokens) if self.settings.query_norm else tokens
        return y

    def similarity(self, queries: Tensor, features: Tensor) -> Tensor:
        """Equation 4 for one reference and one target.

        Args:
            queries: float32 ``(k, c)``, raw features of the reference at its marked cells; k may be 0.
            features: float32 ``(1, c, h, w)`` of the target.

        Returns:
            ``(1, 1, h, w)``; sums to k (sum) or 1 (mean), all zeros for k = 0.
        """
        target = self.normal(features.flatten(2).transpose(1, 2))
        # The temperature divides the logits; on the queries it costs least.
        q = self.normal(queries) / self.settings.temperature
        found: Tensor = similarity.inter_similarity(q[None], target, self.settings.query_reduction)
        return found.reshape(1, 1, *features.shape[-2:])

    def guidance(self, reader: nn.Module, attention: Attended, weights: Tensor) -> Tensor:
        """Guidance of one scale: ``(b, guide_channels, h, w)``."""
        if not isinstance(reader, WeighedAttention):
            y: Tensor = reader(weights)
            return y
        if self.settings.guide == "intra":
            weights = torch.ones_like(weights)
        if isinstance(attention, Tensor):
            z: Tensor = reader(attention, weights)
            return z
        return reader.blockwise(attention, weights, self.settings.block_rows)

    def forward(self, features: Sequence[Tensor], attention: Sequence[Attended], similar: Tensor) -> Tensor:
        """See `Icon768.forward`."""
        readers = iter(zip(self.attn_module_list, self.ft_attn_module_list, attention, strict=True))
        merged: Tensor | None = None
        for index, scale in enumerate(self.settings.scales):
            x = self.ft_module_list[index](features[index])
            if scale.guided and self.settings.guide != "none":
                reader, join, attended = next(readers)
                weights = resized(similar, (x.shape[-2], x.shape[-1]), self.settings.align_corners)
                x = join(torch.cat([x, self.guidance(reader, attended, weights)], dim=1))
            merged = x if merged is None else self.fusion.module_list[index - 1](x, merged)
        assert merged is not None
        return merged


def resized(similar: Tensor, grid: tuple[int, int], align_corners: bool) -> Tensor:
    """Similarity on another grid, bilinearly; mass is not kept. On its own grid it is the same tensor."""
    if similar.shape[-2:] == grid:
        return similar
    return F.interpolate(similar, size=grid, mode="bilinear", align_corners=align_corners)


class Icon768(nn.Module):
    """The whole head; `in_context_decoder` of the authors' model."""

    def __init__(self, settings: Icon768Settings | None = None) -> None:
        super().__init__()
        self.settings = settings or Icon768Settings()
        self.in_context_fusion = InContextFusion(self.settings)
        self.detail_decoder = DetailDecoder(
            self.settings.width,
            self.settings.image_channels,
            self.settings.detail,
            self.settings.decoder,
            self.settings.last,
        )

    def similarity(self, queries: Tensor, features: Tensor) -> Tensor:
        """See `InContextFusion.similarity`."""
        return self.in_context_fusion.similarity(queries, features)

    def logits(
        self, images: Tensor, features: Sequence[Tensor], attention: Sequence[Attended], similar: Tensor
    ) -> Tensor:
        """As `forward`, before the sigmoid."""
        y: Tensor = self.detail_decoder(self.in_context_fusion(features, attention, similar), images)
        return y

    def forward(
        self, images: Tensor, features: Sequence[Tensor], attention: Sequence[Attended], similar: Tensor
    ) -> Tensor:
        """Alpha of targets.

        Args:
            images: ``(b, image_channels, side, side)`` in [-1, 1].
            features: One a scale, coarse to fine: ``(b, c, h, w)``, mean over noise draws.
            attention: One a guided scale: averaged maps ``(b, n, n)``, rows are queries; or, for a batch of
                one, captured layers, from which the maps are made block by block.
            similar: S of equation 4, ``(b, 1, h, w)``, on the grid of the matched feature.

        Returns:
            ``(b, 1, side, side)`` in (0, 1).
        """
        return self.logits(images, features, attention, similar).sigmoid()
