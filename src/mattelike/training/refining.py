"""Training of the edge network: what the one loop needs to know of it.

Each step answers twice, as the runtime does: at half the size from a guess, and at the full size, where every
second sample starts from the enlarged answer of the half.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mattelike.network.refiner import Refiner, RefinerSettings
from mattelike.training.loop import Task, run
from mattelike.training.losses import weighted
from mattelike.training.pack import Pack
from mattelike.training.precision import autocast_type, resolved
from mattelike.training.refining_coarse import HIGH, LOW, widened
from mattelike.training.refining_losses import RefiningWeights, terms
from mattelike.training.refining_samples import RefiningBatch, Samples, SampleSettings, library


@dataclass(frozen=True, slots=True)
class RefiningRecipe:
    """Everything that decides what a run becomes.

    Attributes:
        name: Folder of the run.
        steps: Length of the schedule.
        learning_rate: Highest rate; after the warm-up it falls as a half cosine.
        warmup: Steps of linear warm-up.
        weight_decay: AdamW's, on weights of convolutions alone.
        clip: Largest norm of the gradient.
        average: Decay of the moving average of the weights, which is what is exported.
        precision: ``"bf16"``, ``"fp32"``, or ``"auto"``: the faster of the two on the device.
        save_every: Steps between checkpoints.
        workers: Processes that make batches beside the one that learns.
        network: Its shape.
        samples: What batches are made of.
        losses: What is minimised.
    """

    name: str = "refiner"
    steps: int = 4000
    learning_rate: float = 2e-3
    warmup: int = 100
    weight_decay: float = 0.01
    clip: float = 1.0
    average: float = 0.998
    precision: str = "auto"
    save_every: int = 100
    workers: int = 0
    network: RefinerSettings = field(default_factory=RefinerSettings)
    samples: SampleSettings = field(default_factory=SampleSettings)
    losses: RefiningWeights = field(default_factory=RefiningWeights)


def build(chosen: RefiningRecipe) -> Refiner:
    """The network of a recipe; the same seed gives the same start."""
    torch.manual_seed(chosen.samples.seed)
    return Refiner(chosen.network).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def rate(chosen: RefiningRecipe, step: int) -> float:
    """Factor of the learning rate at a step: up, then down to a hundredth."""
    if step < chosen.warmup:
        return (step + 1) / chosen.warmup
    done = (step - chosen.warmup) / max(1, chosen.steps - chosen.warmup)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def optimiser(model: Refiner, chosen: RefiningRecipe) -> torch.optim.AdamW:
    """AdamW; no decay on norms and biases."""
    kernels = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    return torch.optim.AdamW(
        [
            {"params": kernels, "weight_decay": chosen.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=chosen.learning_rate,
        betas=(0.9, 0.99),
    )


def judged(model: Refiner, batch: RefiningBatch, precision: torch.dtype | None) -> dict[str, Tensor]:
    """One step: the answers at half and at full size, and every term of both."""
    half = [F.avg_pool2d(x, 2) for x in (batch.rgb, batch.alpha, batch.contrast)]
    with torch.autocast(batch.rgb.device.type, precision or torch.bfloat16, enabled=precision is not None):
        coarse, where = model(_seen(half[0], batch.half_guess))
    first = terms(coarse, where, batch.half_guess, half[1], half[2])
    own = _taken_up(coarse.detach().float(), batch.half_guess)
    guess = batch.guess.clone()
    guess[::2] = own[::2]
    with torch.autocast(batch.rgb.device.type, precision or torch.bfloat16, enabled=precision is not None):
        fine, where = model(_seen(batch.rgb, guess))
    second = terms(fine, where, guess, batch.alpha, batch.contrast)
    return {name: 0.4 * first[name] + 0.6 * second[name] for name in first}


def _seen(rgb: Tensor, guess: Tensor) -> Tensor:
    return torch.cat([rgb, guess], dim=1).contiguous(memory_format=torch.channels_last)


def _taken_up(coarse: Tensor, half_guess: Tensor) -> Tensor:
    """An answer at half the size as a guess for the full one, ``(b, 2, 2 h, 2 w)``."""
    answer = torch.where(half_guess[:, 1:] > 0, coarse, half_guess[:, :1]).clamp(0, 1)
    open_ = ((answer > LOW) & (answer < HIGH)).float()
    unknown = torch.stack([widened(each[0], 2) for each in open_])[:, None]
    answer = F.interpolate(answer, scale_factor=2, mode="bilinear", align_corners=False)
    unknown = F.interpolate(unknown, scale_factor=2, mode="nearest")
    return torch.cat([torch.where(unknown > 0, answer, answer.round()), unknown], dim=1)


def task(chosen: RefiningRecipe, pack: Pack, device: str = "cpu") -> Task:
    """What the loop trains.

    Raises:
        ValueError: The pack lacks a source.
    """
    chosen = replace(chosen, precision=resolved(chosen.precision, device))
    model = build(chosen).to(device)
    precision = autocast_type(chosen.precision)

    def asked(batch: RefiningBatch) -> tuple[Tensor, Mapping[str, Tensor]]:
        found = judged(model, _on(batch, device), precision)
        return weighted(found, chosen.losses), found

    return Task(
        model=model,
        optimiser=optimiser(model, chosen),
        batches=Samples(library(pack, clean=chosen.samples.clean), chosen.samples, chosen.steps),
        judged=asked,
        rate=lambda step: chosen.learning_rate * rate(chosen, step),
        steps=chosen.steps,
        recipe=asdict(chosen),
        data=pack.sha256,
        clip=chosen.clip,
        average=chosen.average,
        save_every=chosen.save_every,
        workers=chosen.workers,
        patience=0,
    )


def train(
    chosen: RefiningRecipe,
    pack: Pack,
    folder: Path,
    *,
    device: str = "cpu",
    stop_at: int | None = None,
    told: Callable[[Mapping[str, Any]], None] | None = None,
) -> Refiner:
    """Trains, or goes on with a run, and returns the averaged network.

    Args:
        chosen: What to do.
        pack: Made by ``recipes/refiner_pack.py``.
        folder: Where ``last.pt``, ``average.pt`` and ``log.jsonl`` go; a ``last.pt`` in it is resumed.
        device: Where to compute.
        stop_at: Stop after this step, to be resumed later.
        told: Called with every row of the log.

    Raises:
        RuntimeError: The gradient was not finite.
        ValueError: The pack lacks a source.
    """
    trained = run(task(chosen, pack, device), folder, stop_at=stop_at, told=told)
    assert isinstance(trained, Refiner)
    return trained


def _on(batch: RefiningBatch, device: str) -> RefiningBatch:
    return RefiningBatch(**{name: getattr(batch, name).to(device) for name in RefiningBatch.__slots__})
