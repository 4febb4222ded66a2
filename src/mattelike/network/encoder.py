"""The features of the embedded model: a backbone, and on top of it tokens made for matching.

The backbone knows a thousand kinds from ImageNet. Its taps at stride 16 and 32, and the 1280 channels its
classifier reads (kept at every cell), are brought together at stride 16 and turned into tokens: groups of
channels ("heads") that are L2-normalised and compared by `mattelike.similarity`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mattelike.errors import SettingsError
from mattelike.network.efficientnet_lite import EfficientNetLite
from mattelike.network.layers import ChannelNorm, Mixer, SelfAttention, upsampled

STRIDE = 16
# Stages of the backbone that can be wide heads: those at the stride of tokens, or coarser.
KINDS_STAGES = (3, 4, 5, 6)
# Channels of a place in `Grouping`.
PLACE_CHANNELS = 4


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """Shape of the encoder.

    Attributes:
        variant: Member of the EfficientNet-Lite family.
        width: Channels of the stream at stride 16 (and of the first skip).
        heads: Learned heads of a token; 0 for none.
        head_channels: Channels of a head.
        blocks: Mixers at stride 16.
        attention: Whether one layer of attention among all cells goes before the last mixer.
        tuned_from: Index of the first backbone stage that is trained; 7 trains none.
        kinds_head: Add wide heads of the backbone's own features, untrained: what ImageNet knows of kinds,
            which training on few kinds would lose.
        kinds_stages: Indices of the backbone stages whose outputs are the wide heads, one each; 3 and 4 are
            at stride 16, 5 and 6 at stride 32.
        grouping: Channels that learn which cells make one thing; 0 for none.
    """

    variant: str = "lite0"
    width: int = 192
    heads: int = 6
    head_channels: int = 32
    blocks: int = 3
    attention: bool = True
    tuned_from: int = 7
    kinds_head: bool = False
    kinds_stages: tuple[int, ...] = (4, 6)
    grouping: int = 0


class Encoder(nn.Module):
    """Image to tokens and skips. Module names are the keys of its checkpoints.

    Raises:
        SettingsError: A wide head of a stage that is finer than a token.
    """

    def __init__(self, settings: EncoderSettings, backbone: EfficientNetLite | None = None) -> None:
        super().__init__()
        wrong = [stage for stage in settings.kinds_stages if stage not in KINDS_STAGES]
        if wrong:
            raise SettingsError(f"encoder.kinds_stages: {wrong[0]} is not one of {KINDS_STAGES}")
        self.settings = settings
        self.backbone = backbone if backbone is not None else EfficientNetLite(settings.variant)
        channels = self.backbone.channels
        width = settings.width
        sources = {"mid": channels[3], "fine": channels[4], "deep": channels[5], "deeper": channels[6]}
        sources["semantic"] = 1280
        self.norms = nn.ModuleDict({name: ChannelNorm(count) for name, count in sources.items()})
        self.reads = nn.ModuleDict({name: nn.Conv2d(count, width, 1) for name, count in sources.items()})
        layers: list[nn.Module] = [Mixer(width) for _ in range(settings.blocks)]
        if settings.attention:
            layers.insert(len(layers) - 1, SelfAttention(width, heads=4))
        self.blocks = nn.Sequential(*layers)
        self.norm = ChannelNorm(width)
        if settings.heads:
            self.tokens = nn.Conv2d(width, settings.heads * settings.head_channels, 1)
        if settings.grouping:
            self.grouping = Grouping(width, settings.grouping)
        # exp of these: sharpness of inter- and intra-similarity, one a head; the wide heads' cosines lie
        # closer together.
        wide = [3.0] * len(self.whole_channels)
        self.log_temperatures = nn.Parameter(torch.tensor([2.3] * settings.heads + wide))
        self.log_affinities = nn.Parameter(torch.tensor([2.6] * settings.heads + wide))

    @property
    def whole_channels(self) -> tuple[int, ...]:
        """Widths of the wide heads; none without them."""
        if not self.settings.kinds_head:
            return ()
        return tuple(self.backbone.channels[stage] for stage in self.settings.kinds_stages)

    @property
    def grouping_channels(self) -> int:
        """Channels of the grouping tokens, place included; 0 without them."""
        return self.settings.grouping + PLACE_CHANNELS if self.settings.grouping else 0

    @property
    def skip_channels(self) -> tuple[int, ...]:
        """Channels of the skips, at strides 16, 8, 4, 2."""
        channels = self.backbone.channels
        return (self.settings.width, channels[2], channels[1], channels[0])

    def temperatures(self) -> Tensor:
        """Sharpness of inter-similarity, ``(m,)``, kept between 2 and 60."""
        return self.log_temperatures.exp().clamp(2, 60)

    def affinities(self) -> Tensor:
        """Sharpness of intra-similarity, ``(m,)``, kept between 2 and 60."""
        return self.log_affinities.exp().clamp(2, 60)

    def looked_at(self, images: Tensor) -> list[Tensor]:
        """Backbone taps; the stages before ``tuned_from`` run without a gradient."""
        tuned = self.settings.tuned_from
        with torch.set_grad_enabled(torch.is_grad_enabled() and tuned == 0):
            x = nn.functional.relu6(self.backbone.stem(images))
        taps = []
        for index, stage in enumerate(self.backbone.stages):
            with torch.set_grad_enabled(torch.is_grad_enabled() and index >= tuned):
                x = stage(x)
            taps.append(x)
        return taps

    def forward(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Looks once at each image.

        Args:
            images: ``(b, 3, h, w)``, RGB as ``(x - 127) / 128``; h and w multiples of 32.

        Returns:
            Tokens ``(b, c, h / 16, w / 16)``, not normalised: the learned heads, the wide heads, the grouping
            channels; skips at strides 16, 8, 4 and 2.
        """
        taps = self.looked_at(images)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.settings.tuned_from < 7):
            semantic = self.backbone.semantic(taps[6])
        seen = {"mid": taps[3], "fine": taps[4], "deep": taps[5], "deeper": taps[6], "semantic": semantic}
        parts = {name: self.reads[name](self.norms[name](x)) for name, x in seen.items()}
        low = parts["deep"] + parts["deeper"] + parts["semantic"]
        x = parts["mid"] + parts["fine"] + upsampled(low, like=taps[4])
        x = self.norm(self.blocks(x))
        groups = [self.tokens(x).float()] if self.settings.heads else []
        groups += [kinds(taps, self.settings.kinds_stages)] if self.settings.kinds_head else []
        groups += [self.grouping(x)] if self.settings.grouping else []
        tokens = torch.cat(groups, dim=1)
        return tokens, (x, taps[2], taps[1], taps[0])


class Grouping(nn.Module):
    """Tokens whose products say which cells make one thing: what they look like, and how near they lie.

    The product of two tokens is ``a cos(looks) + b (cos(pi dx) + cos(pi dy))`` with learned a and b and
    distances as shares of the longer side, so a softmax over it is a soft "same thing as this cell".
    """

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.around = Mixer(width)
        self.norm = ChannelNorm(width)
        self.read = nn.Conv2d(width, channels, 1)
        self.log_looks = nn.Parameter(torch.tensor(2.7))
        self.log_place = nn.Parameter(torch.tensor(0.7))

    def forward(self, x: Tensor) -> Tensor:
        """``(b, width, h, w)`` to ``(b, channels + 4, h, w)``, float32."""
        looks = self.read(self.norm(self.around(x))).float()
        looks = looks / looks.square().sum(dim=1, keepdim=True).add(1e-6).sqrt()
        place = placed(looks).expand(looks.shape[0], -1, -1, -1)
        sharp = (self.log_looks.float() / 2).exp(), (self.log_place.float() / 2).exp()
        return torch.cat([looks * sharp[0], place * sharp[1]], dim=1)


@torch.no_grad()
def untouched_kinds(backbone: EfficientNetLite, images: Tensor, stages: Sequence[int]) -> Tensor:
    """`kinds` of a backbone as it came, for images as `Encoder.forward` takes them."""
    return kinds(backbone(images), stages)


def placed(grid: Tensor) -> Tensor:
    """Where each cell of a grid lies, ``(1, 4, h, w)``: cosine and sine of its place times pi, both ways."""
    height, width = grid.shape[-2:]
    step = torch.pi / max(height, width)
    rows = torch.arange(height, device=grid.device, dtype=grid.dtype) * step
    columns = torch.arange(width, device=grid.device, dtype=grid.dtype) * step
    down = torch.stack([rows.cos(), rows.sin()])[:, :, None].expand(2, height, width)
    across = torch.stack([columns.cos(), columns.sin()])[:, None, :].expand(2, height, width)
    return torch.cat([down, across])[None]


def kinds(taps: Sequence[Tensor], stages: Sequence[int]) -> Tensor:
    """The backbone's own features as tokens: outputs of its stages, each brought to length one, side by side.

    Args:
        taps: Outputs ``(b, c_i, h_i, w_i)`` of all seven stages.
        stages: Which of them, from 3 on.

    Returns:
        ``(b, sum of their c_i, h, w)`` at stride 16, float32.
    """
    parts = []
    for stage in stages:
        x = taps[stage].float()
        x = x / x.square().sum(dim=1, keepdim=True).add(1e-6).sqrt()
        parts.append(upsampled(x, like=taps[4]) if stage > 4 else x)
    return torch.cat(parts, dim=1)
