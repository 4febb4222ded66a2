"""Training of the edge network: one readable loop, exact to resume.

Each step answers twice, as the runtime does: at half the size from a guess, and at the full size, where every
second sample starts from the enlarged answer of the half.
"""

from __future__ import annotations

import json
import math
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mattelike.errors import SettingsError
from mattelike.network.refiner import Refiner, RefinerSettings
from mattelike.training.loop import Average, from_table, resume, save
from mattelike.training.pack import Pack
from mattelike.training.refining_coarse import HIGH, LOW, widened
from mattelike.training.refining_losses import RefiningWeights, terms, weighted
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
        precision: ``"bf16"`` or ``"fp32"``.
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
    precision: str = "bf16"
    save_every: int = 100
    workers: int = 0
    network: RefinerSettings = field(default_factory=RefinerSettings)
    samples: SampleSettings = field(default_factory=SampleSettings)
    losses: RefiningWeights = field(default_factory=RefiningWeights)


def recipe(path: Path) -> RefiningRecipe:
    """A recipe from its TOML file.

    Raises:
        SettingsError: No such file, not TOML, or a setting that does not exist.
    """
    try:
        found: RefiningRecipe = from_table(RefiningRecipe, tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsError(f"{path}: cannot read the recipe ({error.strerror or error})") from error
    except ValueError as error:
        raise SettingsError(f"{path}: {error}") from error
    return found


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
    folder.mkdir(parents=True, exist_ok=True)
    model = build(chosen).to(device)
    steps, average = optimiser(model, chosen), Average(model, chosen.average)
    first, last = resume(folder, model, steps, average), min(chosen.steps, stop_at or chosen.steps)
    precision = torch.bfloat16 if chosen.precision == "bf16" else None
    samples = Samples(library(pack, clean=chosen.samples.clean), chosen.samples, last)
    feed = torch.utils.data.DataLoader(
        torch.utils.data.Subset(samples, range(first, last)), batch_size=None, num_workers=chosen.workers
    )
    model.train()
    began = time.perf_counter()
    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
        for step, batch in enumerate(feed, first):
            for group in steps.param_groups:
                group["lr"] = chosen.learning_rate * rate(chosen, step)
            found = judged(model, _on(batch, device), precision)
            loss = weighted(found, chosen.losses)
            steps.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            norm = nn.utils.clip_grad_norm_(model.parameters(), chosen.clip, error_if_nonfinite=True)
            steps.step()
            average.update(model, step)
            row = {name: round(float(value.detach()), 5) for name, value in found.items()}
            row |= {"step": step, "loss": round(float(loss.detach()), 5), "norm": round(float(norm), 4)}
            row |= {"seconds": round(time.perf_counter() - began, 1)}
            log.write(json.dumps(row) + "\n")
            if told is not None:
                told(row)
            if (step + 1) % chosen.save_every == 0 or step + 1 == last:
                log.flush()
                _checkpoint(folder, chosen, model, steps, average, step + 1)
    model.load_state_dict(average.state)
    return model.eval()


def _on(batch: RefiningBatch, device: str) -> RefiningBatch:
    return RefiningBatch(**{name: getattr(batch, name).to(device) for name in RefiningBatch.__slots__})


def _checkpoint(
    folder: Path,
    chosen: RefiningRecipe,
    model: nn.Module,
    steps: torch.optim.Optimizer,
    average: Average,
    step: int,
) -> None:
    """All that an exact resume needs, and beside it the averaged weights alone."""
    state = {"step": step, "model": model.state_dict(), "optimiser": steps.state_dict()}
    save(folder / "last.pt", {**state, "average": average.state})
    save(folder / "average.pt", {"step": step, "model": average.state, "recipe": asdict(chosen)})
