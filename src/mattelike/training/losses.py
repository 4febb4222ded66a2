"""What the embedded network is trained to get right.

Alpha itself (section 4.2 of the paper, with the confident-area rule for hard masks), which cells are the
kind, how sure it is, whether the kind is there at all, and that the tokens of one kind lie together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mattelike.network.icon_flex import Answer


@dataclass(frozen=True, slots=True)
class LossWeights:
    """How much each term counts; 0 leaves it out."""

    l1: float = 1.0
    bce: float = 0.5
    overlap: float = 0.5
    laplacian: float = 0.5
    coarse: float = 0.4
    guidance: float = 0.3
    presence: float = 0.3
    uncertainty: float = 0.1
    kinds: float = 0.1
    grouping: float = 0.3
    untouched: float = 0.0


def trusted_mean(values: Tensor, trusted: Tensor) -> Tensor:
    """Mean over trusted pixels, sample by sample, then over samples; 0 where nothing is trusted."""
    axes = tuple(range(1, values.dim()))
    per_sample = (values * trusted).sum(dim=axes) / trusted.sum(dim=axes).clamp(min=1)
    return per_sample.mean()


def overlap(alpha: Tensor, truth: Tensor, trusted: Tensor, present: Tensor) -> Tensor:
    """One minus soft intersection over union, over the samples that show the kind."""
    axes = tuple(range(1, alpha.dim()))
    both = (alpha * truth * trusted).sum(dim=axes)
    either = ((alpha + truth - alpha * truth) * trusted).sum(dim=axes)
    misses = 1 - (both + 1) / (either + 1)
    return (misses * present).sum() / present.sum().clamp(min=1)


def laplacian(alpha: Tensor, truth: Tensor, levels: int = 4) -> Tensor:
    """Difference of the Laplacian pyramids ``(b, h, w)``, per sample ``(b,)``, finer levels weighing less."""
    x = (alpha - truth)[:, None]
    total = torch.zeros(alpha.shape[0], device=alpha.device)
    for level in range(levels):
        smooth = _binomial(x)
        smaller = smooth[..., ::2, ::2]
        # The pyramid is linear, so the difference of two pyramids is the pyramid of the difference.
        back = F.interpolate(smaller, size=x.shape[-2:], mode="bilinear", align_corners=False)
        total = total + 2**level * (x - back).abs().mean(dim=(1, 2, 3))
        x = smaller
    return total / levels


def _binomial(x: Tensor) -> Tensor:
    """Blur by (1, 4, 6, 4, 1) / 16 both ways; sums of slices beat a convolution of one channel."""
    h, w = x.shape[-2:]
    x = F.pad(x, (2, 2, 2, 2), mode="reflect")
    x = (
        x[..., 0:w] + x[..., 4 : w + 4] + 4 * (x[..., 1 : w + 1] + x[..., 3 : w + 3]) + 6 * x[..., 2 : w + 2]
    ) / 16
    return (
        x[..., 0:h, :]
        + x[..., 4:, :]
        + 4 * (x[..., 1 : h + 1, :] + x[..., 3 : h + 3, :])
        + 6 * x[..., 2 : h + 2, :]
    ) / 16


def kinds_together(tokens: Tensor, same: Tensor, unsure: Tensor, sharpness: float = 8.0) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020) on one mean token a thing.

    Args:
        tokens: ``(e, c)``, length one.
        same: bool ``(e, e)``, things of one kind; the diagonal is ignored.
        unsure: bool ``(e, e)``, kinds too near to be pushed apart.
        sharpness: Multiplier of the cosines.
    """
    itself = torch.eye(len(tokens), dtype=torch.bool, device=tokens.device)
    logits = (tokens @ tokens.T) * sharpness
    logits = logits.masked_fill(itself | unsure, -1e4)
    chosen = same & ~itself
    counts = chosen.sum(dim=1)
    if int(counts.sum()) == 0:
        return tokens.sum() * 0
    log_share = logits - torch.logsumexp(logits, dim=1, keepdim=True)
    per_thing = -(log_share * chosen).sum(dim=1) / counts.clamp(min=1)
    return per_thing[counts > 0].mean()


def things_together(grouping: Tensor, things: Tensor, weights: Tensor) -> Tensor:
    """How far the cells of a thing are from spreading their attention evenly over that thing.

    The Kullback-Leibler divergence from "evenly over the thing" to the softmax of the grouping tokens, for
    cells that are surely part of a thing; cells that surely show none are asked to look at such cells only.

    Args:
        grouping: ``(b, n, g)``.
        things: int ``(e,)``, the picture of every thing.
        weights: ``(e, n)`` in [0, 1], how much of a cell the thing covers.
    """
    logs = torch.log_softmax(grouping @ grouping.transpose(1, 2), dim=-1)
    evenly = weights / weights.sum(dim=1, keepdim=True).clamp(min=1e-6)
    entropy = -torch.xlogy(evenly, evenly).sum(dim=1)
    apart = -(logs[things] @ evenly[..., None])[..., 0] - entropy[:, None]
    inside = _rows_mean(apart, weights > 0.6)
    shown = torch.zeros_like(logs[..., 0]).index_add_(0, things, weights)
    nothing = shown < 0.05
    outside = -torch.logsumexp(logs.masked_fill(~nothing[:, None, :], -1e4), dim=-1)
    return inside + 0.5 * _rows_mean(outside, nothing)


def drifted(tokens: Sequence[Tensor], untouched: Sequence[Tensor]) -> Tensor:
    """How far tokens turned away from what they were: mean of one minus the cosine, over all families.

    Tuning a backbone on few kinds loses what it knew of many. Held to its old answers, cell by cell, it is
    free only where matching does not look (Li and Hoiem 2016, "Learning without Forgetting").

    Args:
        tokens: One ``(b, m, n, d)`` a family, length one along d.
        untouched: The same of the network before any tuning.
    """
    pairs = list(zip(tokens, untouched, strict=True))
    total: Tensor = sum((1 - (own * old).sum(dim=-1)).mean() for own, old in pairs)  # type: ignore[assignment]
    return total / len(pairs)


def _rows_mean(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean over the chosen cells of each row ``(e, n)``, then over the rows that have any."""
    counts = chosen.sum(dim=1)
    means = (values * chosen).sum(dim=1) / counts.clamp(min=1)
    return means.sum() / (counts > 0).sum().clamp(min=1)


def coverage(alpha: Tensor, stride: int) -> Tensor:
    """Share of each cell that is foreground: ``(b, h, w)`` to ``(b, h / stride, w / stride)``."""
    return F.avg_pool2d(alpha[:, None], stride)[:, 0]


def terms(
    answer: Answer,
    similarity: Tensor,
    cells: Tensor,
    truth: Tensor,
    trusted: Tensor,
    present: Tensor,
    exact: Tensor,
) -> dict[str, Tensor]:
    """Every term that depends on one batch of pairs.

    Args:
        answer: What the head said.
        similarity: ``(p, h / 16, w / 16)``, contrast averaged over heads, in [0, 1].
        cells: ``(p, h / 16, w / 16)``, share of every cell that is the kind.
        truth: ``(p, h', w')``, alpha in the decoded window; zero where the kind is absent.
        trusted: ``(p, h', w')`` in {0, 1}.
        present: ``(p,)`` in {0, 1}.
        exact: ``(p,)`` in {0, 1}: truth is a matte, not a hard mask.
    """
    logits = answer.alpha[:, 0].float()
    alpha = logits.sigmoid()
    error = (alpha - truth).abs()
    bce = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    coarse = F.binary_cross_entropy_with_logits(answer.coarse[:, 0].float(), cells)
    near = similarity.clamp(1e-4, 1 - 1e-4)
    guided = F.binary_cross_entropy(near, cells, reduction="none").mean(dim=(1, 2))
    doubt = F.binary_cross_entropy_with_logits(
        answer.uncertainty[:, 0].float(), error.detach(), reduction="none"
    )
    return {
        "l1": trusted_mean(error, trusted),
        "bce": trusted_mean(bce, trusted),
        "overlap": overlap(alpha, truth, trusted, present),
        "laplacian": (laplacian(alpha, truth) * exact).sum() / exact.sum().clamp(min=1),
        "coarse": coarse,
        "guidance": (guided * present).sum() / present.sum().clamp(min=1),
        "presence": F.binary_cross_entropy_with_logits(answer.presence.float(), present),
        "uncertainty": trusted_mean(doubt, trusted),
    }


def weighted(found: Mapping[str, Tensor], weights: object) -> Tensor:
    """The sum of all terms, each times the attribute of `weights` that has its name."""
    total: Tensor = sum(
        value * getattr(weights, name) for name, value in found.items() if getattr(weights, name)
    )
    return total
