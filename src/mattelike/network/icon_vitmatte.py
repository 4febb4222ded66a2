"""The head ``vitmatte``: guidance becomes a trimap for an off-the-shelf matting network.

The paper calls its head "any off-the-shelf matting head"; this is the class that `transformers` has for
ViTMatte (Yao et al. 2023), with its own weights and nothing trained here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# ViTMatte's patches and windows.
MULTIPLE = 32


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where guidance is sure.

    Attributes:
        foreground: Share of the strongest guidance from which a pixel is sure to be the thing.
        background: Share below which it is sure not to be.
        margin: Pixels by which the unknown band is widened on both sides.
    """

    foreground: float = 0.6
    background: float = 0.15
    margin: int = 8


def trimap(guidance: Tensor, size: tuple[int, int], thresholds: Thresholds | None = None) -> Tensor:
    """A trimap from guidance.

    Args:
        guidance: ``(b, 1, h, w)``, non-negative, of any scale; all zeros give background everywhere.
        size: Of the picture.
        thresholds: Where it is sure.

    Returns:
        ``(b, 1, *size)`` in {0, 0.5, 1}.
    """
    at = thresholds or Thresholds()
    share = guidance / guidance.amax(dim=(-2, -1), keepdim=True).clamp(min=1e-12)
    share = F.interpolate(share, size=size, mode="bilinear", align_corners=False)
    sure = _shrunk((share >= at.foreground).float(), at.margin)
    possible = _grown((share > at.background).float(), at.margin)
    return (sure + possible) / 2


def _grown(mask: Tensor, radius: int) -> Tensor:
    return F.max_pool2d(mask, 2 * radius + 1, stride=1, padding=radius)


def _shrunk(mask: Tensor, radius: int) -> Tensor:
    return 1 - _grown(1 - mask, radius)


class VitMatteHead(nn.Module):
    """A `VitMatteForImageMatting` behind guidance.

    Args:
        network: Of `transformers`.
        thresholds: Where guidance is sure.
    """

    def __init__(self, network: Any, thresholds: Thresholds | None = None) -> None:
        super().__init__()
        self.network = network
        self.thresholds = thresholds or Thresholds()

    def forward(self, images: Tensor, guidance: Tensor) -> Tensor:
        """Alpha of targets.

        Args:
            images: ``(b, 3, h, w)`` in [-1, 1], as ViTMatte is trained on; sides multiples of 32.
            guidance: ``(b, 1, h_l, w_l)``, non-negative.

        Returns:
            ``(b, 1, h, w)`` in [0, 1]; what the trimap is sure of stays so.
        """
        known = trimap(guidance, (images.shape[-2], images.shape[-1]), self.thresholds)
        alpha: Tensor = self.network(torch.cat([images, known], dim=1)).alphas
        return torch.where(known == 0.5, alpha.clamp(0, 1), known)
