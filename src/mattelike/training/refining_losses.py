"""What the edge network is trained to get right, all inside what it was asked about.

Alpha (L1), its Laplacian pyramid (Hou and Liu 2019), its gradients (Dai et al. 2022), and the composite: an
error of alpha shows as far as thing and background differ in colour (Xu et al. 2017).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mattelike.training.losses import laplacian, trusted_mean
from mattelike.training.refining_coarse import WRONG


@dataclass(frozen=True, slots=True)
class RefiningWeights:
    """How much each term counts."""

    l1: float = 1.0
    laplacian: float = 1.0
    gradient: float = 0.5
    composition: float = 0.5
    where: float = 0.1


def terms(alpha: Tensor, where: Tensor, guess: Tensor, truth: Tensor, contrast: Tensor) -> dict[str, Tensor]:
    """Every term of one batch.

    Args:
        alpha: ``(b, 1, h, w)``, the answer, not cut to [0, 1].
        where: ``(b, 1, h / 4, w / 4)``, logits of "the guess is wrong".
        guess: ``(b, 2, h, w)``: guess and unknown.
        truth: ``(b, 1, h, w)``.
        contrast: ``(b, 1, h, w)``, how far thing and background differ in colour.
    """
    unknown = guess[:, 1:]
    error = (alpha.float() - truth) * unknown
    share = unknown.mean(dim=(1, 2, 3)).clamp(min=0.02)
    pyramid = laplacian(error[:, 0], torch.zeros_like(error[:, 0])) / share
    steps = sum(error.diff(dim=axis).abs().mean(dim=(1, 2, 3)) for axis in (-1, -2)) / share
    wrong = F.max_pool2d(((guess[:, :1] - truth).abs() > WRONG).float(), 4)
    return {
        "l1": trusted_mean(error.abs(), unknown),
        "laplacian": pyramid.mean(),
        "gradient": steps.mean(),
        "composition": trusted_mean(error.abs() * contrast, unknown),
        "where": F.binary_cross_entropy_with_logits(where.float(), wrong),
    }
