"""The processes of one run, a device each: those that ``accelerate launch`` started, or this one alone.

Every process takes its own batches, all average their gradients, so all hold the same weights at every step.
The first one writes; its log is of its own batches. Gradients are averaged in one piece after the backward
pass, not by a wrapper around the model: a task may call any part of its model, and a parameter that none
of them used stays without a gradient.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

import torch
from torch import nn

from mattelike.errors import MissingExtraError


@dataclass(frozen=True, slots=True, eq=False)
class Together:
    """This process among those of the run.

    Attributes:
        device: Where it computes.
        processes: How many there are.
        rank: Number of this one.
        accelerator: Of `accelerate`; None for a process alone.
    """

    device: str = "cpu"
    processes: int = 1
    rank: int = 0
    accelerator: Any = None

    @property
    def first(self) -> bool:
        """Whether this one writes and speaks."""
        return self.rank == 0

    def log(self, path: Path) -> TextIO:
        """The log, to go on with; what the others write is dropped."""
        return path.open("a", encoding="utf-8") if self.first else io.StringIO()

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """The mean over all processes, in place; all of them must call it."""
        if self.accelerator is None:
            return
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        # A process whose batch left a parameter out counts as zero; one that none used keeps no gradient.
        used = torch.tensor([float(p.grad is not None) for p in trained], device=trained[0].device)
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        whole = torch.cat([used, *(part.flatten() for part in parts)])
        whole = self.accelerator.reduce(whole, reduction="mean")
        sizes = [len(trained), *(parameter.numel() for parameter in trained)]
        shared, *means = whole.split(sizes)
        for parameter, mean, share in zip(trained, means, shared.tolist(), strict=True):
            parameter.grad = mean.view_as(parameter).clone() if share else None

    def wait(self) -> None:
        """Until all are here."""
        if self.accelerator is not None:
            self.accelerator.wait_for_everyone()


ALONE = Together()


def together(device: str) -> Together:
    """This process among those that were started with it.

    Args:
        device: Of a process alone; one of several gets its own of that kind.

    Raises:
        MissingExtraError: There are several, and `accelerate` is not installed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return Together(device)
    try:
        accelerate = import_module("accelerate")
    except ImportError as error:
        raise MissingExtraError("accelerate", "train", "training in several processes") from error
    accelerator = accelerate.Accelerator(cpu=device == "cpu")
    # There is one "cpu"; as "cpu:0" tensors would be copied, and sums come out in another order.
    place = "cpu" if accelerator.device.type == "cpu" else str(accelerator.device)
    return Together(place, accelerator.num_processes, accelerator.process_index, accelerator)
