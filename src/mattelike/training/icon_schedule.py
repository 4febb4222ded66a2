"""Optimiser and learning rate of IconMatting (paper 4.2; the release's warm-up)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

# Factor of the learning rate at the first step.
START = 1e-6


def warmup(step: int, steps: int = 250) -> float:
    """Factor of the learning rate: linear from `START` to 1 over `steps` steps, then constant."""
    if step >= steps:
        return 1.0
    return START + (1 - START) * step / steps


def optimiser(
    head: nn.Module, kind: Literal["adamw", "adam"], learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """For the parameters of a head that are trained."""
    trained = [parameter for parameter in head.parameters() if parameter.requires_grad]
    made = torch.optim.AdamW if kind == "adamw" else torch.optim.Adam
    return made(trained, lr=learning_rate, weight_decay=weight_decay)
