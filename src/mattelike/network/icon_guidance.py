"""Guidance without absolute positions: a fixed number of maps whatever the size of the picture.

What the references say of a target, in the paper's own direction (equation 4: every query token spreads its
attention over the target), made fit for a head of any resolution: similarity, its propagation by
self-attention, absolute evidence, and what negative references say against it. All of it takes O(N) memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mattelike import similarity
from mattelike.network import captured
from mattelike.network.captured import Layer

NegativeMode = Literal["gate", "subtract", "none"]
Reduction = Literal["mean", "tokens", "max"]

# Sharpness of the evidence for and against.
BETA = 10.0
# How much of the negatives' similarity is taken away in the mode "subtract".
LAMBDA = 1.0
# Share of the cells whose best cosine stands for the whole target.
TOP = 0.01
# Slope and middle of the presence; without training they are a guess, to be calibrated.
PRESENCE_SLOPE, PRESENCE_MIDDLE = 10.0, 0.4

MAPS = (
    "similarity",
    "propagated",
    "propagated twice",
    "best cosine",
    "negative similarity",
    "negative propagated",
    "negative propagated twice",
    "contrast",
)


def similar_to(
    references: Sequence[Tensor], features: Tensor, how: Reduction = "mean", per_token: str = "mean"
) -> Tensor:
    """Equation 4 for several references (table 6): their order does not matter.

    Args:
        references: Query tokens of each reference, ``(k_r, c)``; none gives zeros.
        features: Of the target, ``(c, h, w)``.
        how: ``mean`` counts every reference alike; ``tokens`` every token, so that large marks dominate;
            ``max`` takes the best.
        per_token: ``mean`` or ``sum`` over the tokens of a reference (D5).

    Returns:
        ``(h, w)``.
    """
    target = features.flatten(1).T
    grid = features.shape[-2:]
    if not references:
        return features.new_zeros(grid)
    if how == "tokens" and len(references) > 1:
        joined = similarity.inter_similarity(torch.cat(list(references)), target, per_token)
        total: Tensor = joined / (len(references) if per_token == "sum" else 1)
        return total.reshape(grid)
    maps = torch.stack([similarity.inter_similarity(q, target, per_token) for q in references])
    return brought_together(maps, how).reshape(grid)


def brought_together(maps: Tensor, how: Reduction) -> Tensor:
    """Maps of several references ``(r, ...)`` as one; duplicating every one of them changes nothing."""
    if maps.shape[0] == 1:
        return maps[0]
    return maps.amax(dim=0) if how == "max" else maps.mean(dim=0)


def cosines(tokens: Tensor, features: Tensor) -> Tensor:
    """Cosine of every token ``(k, c)`` with every cell of ``(c, h, w)``: ``(k, h * w)``."""
    return F.normalize(tokens, dim=-1) @ F.normalize(features.flatten(1).T, dim=-1).T


def best_cosine(tokens: Tensor, features: Tensor) -> Tensor:
    """Absolute evidence, ``(h, w)``: no softmax, so that "nowhere" can be told; -1 without tokens."""
    grid = features.shape[-2:]
    if tokens.shape[0] == 0:
        return features.new_full(grid, -1.0)
    return cosines(tokens, features).amax(dim=0).reshape(grid)


def contrast(positive: Tensor, negative: Tensor, features: Tensor, beta: float = BETA) -> Tensor:
    """Evidence for against evidence against, ``(h, w)`` in [0, 1]; 0.5 where they are even.

    ``sigmoid(q+ - q-)`` with ``q = log mean_k exp(beta cos(Q_k, F_j))``. Without negatives, 0.5 everywhere.

    Args:
        positive: ``(k, c)``.
        negative: ``(k', c)``.
        features: ``(c, h, w)``.
        beta: Sharpness.
    """
    grid = features.shape[-2:]
    if positive.shape[0] == 0 or negative.shape[0] == 0:
        return features.new_full(grid, 0.5)
    evidence = [
        torch.logsumexp(beta * cosines(tokens, features), dim=0)
        - torch.log(torch.tensor(float(tokens.shape[0]), device=features.device))
        for tokens in (positive, negative)
    ]
    return torch.sigmoid(evidence[0] - evidence[1]).reshape(grid)


def against(
    similar: Tensor, opposed: Tensor, contrasted: Tensor, mode: NegativeMode, weight: float = LAMBDA
) -> Tensor:
    """Similarity after negative references have spoken; never more than before.

    Args:
        similar: Similarity to the positives.
        opposed: Similarity to the negatives.
        contrasted: From `contrast`.
        mode: ``gate`` scales by twice the contrast, at most 1; ``subtract`` takes `opposed` away.
        weight: Of `opposed`.
    """
    if mode == "gate":
        return similar * (2 * contrasted).clamp(max=1)
    return (similar - weight * opposed).clamp(min=0) if mode == "subtract" else similar


def presence_evidence(best: Tensor, features: Tensor) -> Tensor:
    """How much nearer the best cells are to the references than cells of the target are to each other.

    Args:
        best: ``(h, w)``, from `best_cosine`.
        features: ``(c, h, w)`` of the target.

    Returns:
        A scalar u; its scale is the backbone's own.
    """
    flat = best.flatten()
    top = flat.topk(max(1, round(TOP * flat.numel()))).values.mean()
    tokens = F.normalize(features.flatten(1).T, dim=-1)
    count = tokens.shape[0]
    # sum_ij t_i t_j = |sum_i t_i|^2: the mean over pairs without the pairs.
    total = tokens.sum(dim=0)
    pairs = ((total @ total) - (tokens * tokens).sum()) / max(1, count * (count - 1))
    return top - pairs


def presence(evidence: Tensor, slope: float = PRESENCE_SLOPE, middle: float = PRESENCE_MIDDLE) -> Tensor:
    """Presence in [0, 1]. The softmax of equation 4 adds up to 1 whatever the target shows; this need not."""
    return torch.sigmoid(slope * (evidence - middle))


def on_grid(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    """Maps ``(c, h, w)`` on another grid: by area where they shrink, else bilinearly."""
    if (maps.shape[-2], maps.shape[-1]) == grid:
        return maps
    if grid[0] <= maps.shape[-2] and grid[1] <= maps.shape[-1]:
        return F.adaptive_avg_pool2d(maps, grid)
    return F.interpolate(maps[None], size=grid, mode="bilinear", align_corners=False)[0]


def guidance_maps(
    similar: Tensor,
    best: Tensor,
    layers: Sequence[Layer],
    opposed: Tensor | None = None,
    contrasted: Tensor | None = None,
) -> Tensor:
    """The channels a head reads at one scale, in the order of `MAPS`.

    Args:
        similar: S, ``(h, w)``, of any scale: it is brought to 1 for an even map.
        best: From `best_cosine`, on the same grid as S.
        layers: Captured self-attention at the scale; its grid is the grid of the result.
        opposed: S of the negatives; None without any.
        contrasted: From `contrast`; None without negatives.

    Returns:
        float32 ``(8, h_l, w_l)``; the negatives' channels are 0 and the contrast 0.5 without any.
    """
    grid = layers[0].grid
    spread = [_propagations(similar, layers, grid)]
    if opposed is None or contrasted is None:
        spread.append(similar.new_zeros(3, *grid))
        contrasted = torch.full_like(best, 0.5)
    else:
        spread.append(_propagations(opposed, layers, grid))
    plain = on_grid(torch.stack([best, contrasted]), grid)
    return torch.cat([spread[0], plain[:1], spread[1], plain[1:]])


def _propagations(similar: Tensor, layers: Sequence[Layer], grid: tuple[int, int]) -> Tensor:
    """S, A S and A A S as ``log1p``, an even map being 1: ``(3, h, w)``."""
    start = on_grid(even(similar)[None], grid)[0].flatten()[:, None]
    once = captured.propagated(layers, start)
    twice = captured.propagated(layers, once)
    return torch.log1p(torch.cat([start, once, twice], dim=1).T.reshape(3, *grid))


def even(similar: Tensor) -> Tensor:
    """S scaled so that a map without any preference is 1 everywhere; zeros stay zeros."""
    return similar * (similar.numel() / similar.sum().clamp(min=1e-12))


class HeadProjection(nn.Module):
    """Propagation by every attention head apart, brought to a few channels by a learned layer."""

    def __init__(self, heads: int, channels: int = 8) -> None:
        super().__init__()
        self.project = nn.Conv2d(heads, channels, 1)

    def forward(self, similar: Tensor, layers: Sequence[Layer]) -> Tensor:
        """``(h, w)`` and layers with `heads` maps in all, to ``(channels, h_l, w_l)``."""
        grid = layers[0].grid
        start = on_grid(even(similar)[None], grid)[0].flatten()[:, None]
        spread = torch.cat(list(captured.propagated_by_head(layers, start)), dim=1).T
        y: Tensor = self.project(torch.log1p(spread.reshape(1, -1, *grid)))
        return y[0]
