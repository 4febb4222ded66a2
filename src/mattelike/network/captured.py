"""Self-attention captured from a frozen backbone, and what is computed from it without keeping it.

``A = (1 / M) sum_m softmax(q_m k_m^T * scale)`` over all M = layers x heads x noise draws. Every logit is
float32, whatever the precision of the backbone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Heads taken at once while an average is gathered: bounds the temporaries at this many N x N maps.
AT_ONCE = 1


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """Queries and keys of one layer, for one image.

    Attributes:
        q: ``(m, n, d)``; m counts heads of all noise draws.
        k: ``(m, n, d)``.
        scale: Multiplier of the logits.
        grid: ``(h, w)`` with ``h * w == n``.
        place: ``"down"``, ``"mid"`` or ``"up"``.
    """

    q: Tensor
    k: Tensor
    scale: float
    grid: tuple[int, int]
    place: str = "up"


def count(layers: Sequence[Layer]) -> int:
    """M: how many maps are averaged."""
    return sum(layer.q.shape[0] for layer in layers)


def _heads(layers: Sequence[Layer], rows: Tensor | slice) -> Iterator[Tensor]:
    """Rows of every map, `AT_ONCE` heads at a time: ``(AT_ONCE, r, n)``."""
    for layer in layers:
        for start in range(0, layer.q.shape[0], AT_ONCE):
            q = layer.q[start : start + AT_ONCE, rows].float()
            k = layer.k[start : start + AT_ONCE].float()
            yield ((q @ k.transpose(-1, -2)) * layer.scale).softmax(dim=-1)


def averaged(layers: Sequence[Layer], rows: Tensor | slice = slice(None)) -> Tensor:
    """A, or some rows of it.

    Args:
        layers: At least one, all on one grid.
        rows: Query positions; all by default, which holds one N x N buffer and one head at a time.

    Returns:
        float32 ``(r, n)``; every row sums to 1.
    """
    total: Tensor | None = None
    for maps in _heads(layers, rows):
        part = maps.sum(dim=0)
        total = part if total is None else total.add_(part)
    if total is None:
        raise ValueError("no attention layer was captured at this stride")
    return total / count(layers)


def propagated(layers: Sequence[Layer], values: Tensor) -> Tensor:
    """``A @ values`` without A: `values` are what an ordinary attention call carries.

    Args:
        layers: At least one, all on one grid.
        values: ``(n, v)``.

    Returns:
        float32 ``(n, v)``.
    """
    return torch.stack(list(propagated_by_head(layers, values))).sum(dim=0) / count(layers)


def propagated_by_head(layers: Sequence[Layer], values: Tensor) -> Iterator[Tensor]:
    """The same for every map by itself: M times ``(n, v)``."""
    values = values.float()
    for layer in layers:
        for q, k in zip(layer.q.float(), layer.k.float(), strict=True):
            yield F.scaled_dot_product_attention(q[None], k[None], values[None], scale=layer.scale)[0]


def from_features(features: Tensor, temperature: float = 0.07) -> Layer:
    """Self-affinity for a backbone without attention: ``softmax_j(cos(f_i, f_j) / temperature)``.

    Args:
        features: ``(c, h, w)``.
        temperature: Divides the cosines.
    """
    _, height, width = features.shape
    tokens = F.normalize(features.float().flatten(1).T, dim=-1)[None]
    return Layer(tokens, tokens, 1 / temperature, (height, width))
