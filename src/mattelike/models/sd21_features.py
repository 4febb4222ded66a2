"""What ``sd21`` sees in a picture: what the contract asks for, and what stays on the device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mattelike.errors import UsageError
from mattelike.models.sd21_extractor import Look
from mattelike.network.captured import Layer
from mattelike.values import Attention, Features, Float32


@dataclass(frozen=True, slots=True, eq=False)
class IconFeatures(Features):
    """Features that stay on the model's device, beside what the contract asks for.

    Attributes:
        seen: What the backbone was given, float32 ``(1, 3, h, w)``.
        latents: Its noised latents; None when the tokens came from the cache.
        look: Decoder outputs and captured self-attention.
        maps: By stride, averaged self-attention; empty where none is stored.
        size: Of the picture before it was brought to what the backbone sees.
        trimap: ``(1, 1, h, w)`` in {0, 0.5, 1}, where one was given (table 7); else None.
    """

    seen: Tensor = field(default_factory=lambda: torch.empty(0))
    latents: Tensor | None = None
    look: Look = field(default_factory=lambda: Look({}, {}))
    maps: Mapping[int, Tensor] = field(default_factory=dict)
    size: tuple[int, int] = (0, 0)
    trimap: Tensor | None = None


def own(features: Features) -> IconFeatures:
    """Features of this model.

    Raises:
        UsageError: They are another's.
    """
    if not isinstance(features, IconFeatures):
        raise UsageError("these features were not made by the model 'sd21'")
    return features


def contracted(layer: Layer) -> Attention:
    """A captured layer as the contract has it."""
    return Attention(numbers(layer.q), numbers(layer.k), layer.scale, layer.grid)


def numbers(x: Tensor) -> Float32:
    """A tensor as numpy; shares its memory where it can."""
    found: Float32 = x.detach().float().cpu().numpy()
    return found
