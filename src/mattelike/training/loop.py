"""The training loop: one readable file, exact to resume, the same on a laptop and on several GPUs.

`run` is the loop; what it trains is a `Task`, and it knows nothing else of that. `embedded` makes the task of
a `Recipe`, `mattelike.training.icon_task` that of the paper's model.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mattelike.errors import SettingsError
from mattelike.network.efficientnet_lite import EfficientNetLite
from mattelike.network.embedded import EmbeddedModel
from mattelike.network.encoder import EncoderSettings
from mattelike.training import pack as packs
from mattelike.training import run_card
from mattelike.training.episodes import Batch, Episodes, EpisodeSettings, library
from mattelike.training.likeness import neighbours
from mattelike.training.losses import LossWeights, weighted
from mattelike.training.precision import autocast_type, resolved
from mattelike.training.prompts import Marks
from mattelike.training.questions import judged
from mattelike.training.together import ALONE, Together, together

# What of a network a recipe can train.
TRAINED = ("all", "head")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what a run becomes.

    Attributes:
        name: Folder of the run.
        steps: Length of the schedule.
        learning_rate: Highest rate; the backbone's is `backbone_rate` times that.
        backbone_rate: Factor for the tuned stages of the backbone.
        warmup: Steps of linear warm-up.
        cooldown: Steps at the end over which the rate falls to a hundredth, as a half cosine. Equal to
            ``steps - warmup`` it is the usual cosine schedule; shorter, the rate is constant before it.
        weight_decay: AdamW's.
        clip: Largest norm of the gradient.
        average: Decay of the moving average of the weights, which is what is evaluated and shipped.
        precision: ``"bf16"``, ``"fp32"``, or ``"auto"``: the faster of the two on the device.
        save_every: Steps between checkpoints.
        workers: Processes that make batches.
        trained: ``"all"``, or ``"head"``: the encoder, and with it all evidence, stays as it is, and a step
            costs less.
        encoder: Shape of the encoder.
        head_width: Channels of the head at stride 16.
        head_blocks: Its rounds of attention.
        decoder: Its channels at the finer strides.
        episodes: What batches are made of.
        losses: What is minimised.
    """

    name: str = "embedded"
    steps: int = 20000
    learning_rate: float = 1e-3
    backbone_rate: float = 0.1
    warmup: int = 250
    cooldown: int = 4000
    weight_decay: float = 0.02
    clip: float = 1.0
    average: float = 0.998
    precision: str = "auto"
    save_every: int = 200
    workers: int = 1
    trained: str = "all"
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    head_width: int = 160
    head_blocks: int = 2
    decoder: tuple[int, ...] = (64, 40, 24)
    episodes: EpisodeSettings = field(default_factory=EpisodeSettings)
    losses: LossWeights = field(default_factory=LossWeights)


def from_table(kind: type[Any], table: Mapping[str, Any], where: str = "recipe") -> Any:
    """A frozen settings object from a TOML table.

    Raises:
        ValueError: The table names a setting that does not exist.
    """
    known = {f.name: f for f in fields(kind)}
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise ValueError(f"{where}: unknown setting {unknown[0]!r}; known are {', '.join(sorted(known))}")
    default = kind()
    values: dict[str, Any] = {}
    for name, value in table.items():
        current = getattr(default, name)
        if is_dataclass(current):
            values[name] = from_table(type(current), value, f"{where}.{name}")
        else:
            values[name] = tuple(value) if isinstance(value, list) else value
    return replace(default, **values)


def build(recipe: Recipe, backbone: EfficientNetLite | None = None) -> EmbeddedModel:
    """The model of a recipe; the same seed gives the same start."""
    torch.manual_seed(recipe.episodes.seed)
    model = EmbeddedModel(
        recipe.encoder,
        head_width=recipe.head_width,
        head_blocks=recipe.head_blocks,
        decoder=recipe.decoder,
        backbone=backbone,
    )
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def rate(recipe: Recipe, step: int) -> float:
    """Factor of the learning rate at a step: up, along, down."""
    if step < recipe.warmup:
        return max(1e-6, step / recipe.warmup)
    left = recipe.steps - step
    if left >= recipe.cooldown:
        return 1.0
    return 0.01 + 0.99 * 0.5 * (1 - math.cos(math.pi * max(0, left) / recipe.cooldown))


def optimiser(model: EmbeddedModel, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW; no decay on norms, biases and temperatures; a smaller rate on the backbone.

    Raises:
        SettingsError: `Recipe.trained` names nothing that can be trained.
    """
    if recipe.trained not in TRAINED:
        raise SettingsError(f"trained is {recipe.trained!r}; it must be one of {', '.join(TRAINED)}")
    if recipe.trained == "head":
        model.encoder.requires_grad_(False)
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    backbone = model.encoder.backbone
    inside = {id(p) for p in backbone.parameters()}
    tuned = {id(p) for p in tuned_parameters(backbone, recipe.encoder.tuned_from)}
    for parameter in model.parameters():
        within = id(parameter) in inside
        if within and id(parameter) not in tuned:
            parameter.requires_grad_(False)
        if not parameter.requires_grad:
            continue
        groups.setdefault((within, parameter.dim() > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "lr": recipe.learning_rate * (recipe.backbone_rate if inside else 1.0),
                "weight_decay": recipe.weight_decay if decays else 0.0,
                "scale": recipe.backbone_rate if inside else 1.0,
            }
            for (inside, decays), parameters in sorted(groups.items())
        ],
        betas=(0.9, 0.99),
    )


def as_it_came(model: EmbeddedModel) -> EfficientNetLite:
    """A copy of a model's backbone that nothing trains, to hold the tuned one to.

    Raises:
        SettingsError: No matching rests on the backbone's own features.
    """
    if not model.encoder.whole_channels:
        raise SettingsError("losses.untouched needs encoder.kinds_head: without it there is nothing to keep")
    return copy.deepcopy(model.encoder.backbone).requires_grad_(False).eval()


def tuned_parameters(backbone: EfficientNetLite, first: int) -> Iterator[nn.Parameter]:
    """What is trained of the backbone: the pointwise convolutions of the late stages.

    They hold 97 % of the weights. Depthwise kernels stay as ImageNet left them: their gradient takes half
    of the encoder's time on a CPU.
    """
    if first >= len(backbone.stages):
        return
    yield from backbone.last.parameters()
    for stage in backbone.stages[first:]:
        for name, parameter in stage.named_parameters():
            if "depthwise" not in name:
                yield parameter


class Average:
    """Moving average of all weights and buffers."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in model.state_dict().items()}

    def update(self, model: nn.Module, step: int) -> None:
        """Takes in the weights after a step; early steps count more, so that the start is soon forgotten."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            kept = self.state[name]
            if kept.dtype.is_floating_point:
                kept.lerp_(value.detach(), 1 - decay)
            else:
                kept.copy_(value)


def to(batch: Batch, device: torch.device) -> Batch:
    """The batch on a device."""
    moved: dict[str, Any] = {}
    for each in fields(batch):
        value = getattr(batch, each.name)
        if isinstance(value, Marks):
            value = Marks(value.positive.to(device), value.negative.to(device), value.form.to(device))
        elif isinstance(value, Tensor):
            value = value.to(device)
        moved[each.name] = value
    return Batch(**moved)


def only(items: list[Any]) -> Any:
    """Episodes are whole batches already."""
    return items[0]


def batches(
    episodes: Any, first: int, workers: int, every: int = 1, start_method: str | None = None
) -> Iterator[Any]:
    """Every `every`-th batch from number `first` on, in order, made by `workers` processes ahead of use."""
    loader = torch.utils.data.DataLoader(
        torch.utils.data.Subset(episodes, range(first, len(episodes), every)),
        batch_size=1,
        shuffle=False,
        num_workers=workers,
        collate_fn=only,
        prefetch_factor=4 if workers else None,
        persistent_workers=False,
        multiprocessing_context=start_method if workers else None,
    )
    return iter(loader)


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Writes a checkpoint whole or not at all."""
    partial = path.with_suffix(".partial")
    torch.save(dict(state), partial)
    partial.replace(path)


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What a run learns: all that the loop needs to know of it.

    Attributes:
        model: What is trained, on its device; its state is what checkpoints hold.
        optimiser: Of its parameters; the ``scale`` of a group is its factor of the learning rate.
        batches: Batch i depends on i alone. Step s takes the next ``parts * processes`` of them.
        judged: From a batch to its loss and the terms to be logged.
        rate: Learning rate at a step.
        steps: Length of the run.
        recipe: What is written beside the averaged weights.
        data: Hash of what it learns from, for the run's card.
        parts: Batches whose gradients every process averages for one step.
        clip: Largest norm of the gradient.
        average: Decay of the moving average of the weights; 0 keeps the last ones.
        save_every: Steps between checkpoints.
        workers: Processes that make batches.
        patience: Steps whose gradient may be not finite, each left out, before the run stops.
        start_method: How they are started, such as ``spawn`` where they use a library with threads of its
            own, which a fork would break; None leaves it to the system.
    """

    model: nn.Module
    optimiser: torch.optim.Optimizer
    batches: Any
    judged: Callable[[Any], tuple[Tensor, Mapping[str, Tensor]]]
    rate: Callable[[int], float]
    steps: int
    recipe: Mapping[str, Any]
    data: str = ""
    parts: int = 1
    clip: float = math.inf
    average: float = 0.0
    save_every: int = 200
    workers: int = 1
    patience: int = 20
    start_method: str | None = None


def embedded(
    recipe: Recipe,
    pack: packs.Pack,
    *,
    backbone: EfficientNetLite | None = None,
    start: Mapping[str, Tensor] | None = None,
    device: str = "cpu",
    processes: int = 1,
) -> Task:
    """The task of a recipe; see `train`."""
    place = torch.device(device)
    recipe = replace(recipe, precision=resolved(recipe.precision, device))
    model = build(recipe, backbone)
    untouched = as_it_came(model).to(place) if recipe.losses.untouched else None
    if start is not None:
        model.load_state_dict(dict(start), strict=True)
    model = model.to(place)
    precision = autocast_type(recipe.precision)

    def asked(batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        found = judged(model, to(batch, place), precision, untouched)
        return weighted(found, recipe.losses), found

    known = library(pack, recipe.episodes.clean, without=recipe.episodes.without)
    # By the eyes the run starts with: what looks alike to them is what has to be told apart.
    alike = neighbours(known, model.encoder.backbone) if recipe.episodes.lookalikes else None
    return Task(
        model=model,
        optimiser=optimiser(model, recipe),
        batches=Episodes(known, recipe.episodes, recipe.steps * processes, alike),
        judged=asked,
        rate=lambda step: recipe.learning_rate * rate(recipe, step),
        steps=recipe.steps,
        recipe=asdict(recipe),
        data=pack.sha256,
        clip=recipe.clip,
        average=recipe.average,
        save_every=recipe.save_every,
        workers=recipe.workers,
    )


def train(
    recipe: Recipe,
    pack: packs.Pack,
    folder: Path,
    *,
    backbone: EfficientNetLite | None = None,
    start: Mapping[str, Tensor] | None = None,
    device: str = "cpu",
    stop_at: int | None = None,
    told: Callable[[Mapping[str, Any]], None] | None = None,
) -> EmbeddedModel:
    """Trains, or goes on with a run, and returns the averaged model.

    Args:
        recipe: What to do.
        pack: Pixels to learn from.
        folder: Where ``last.pt``, ``average.pt``, ``log.jsonl`` and the run's card go; a ``last.pt`` in it
            is resumed.
        backbone: ImageNet start of the backbone.
        start: Weights to start from instead (an average of an earlier run).
        device: Where to compute; one of several processes computes where its rank says.
        stop_at: Stop after this step, to be resumed later.
        told: Called with every row of the log.
    """
    team = together(device)
    task = embedded(
        recipe, pack, backbone=backbone, start=start, device=team.device, processes=team.processes
    )
    trained = run(task, folder, team=team, stop_at=stop_at, told=told)
    assert isinstance(trained, EmbeddedModel)
    return trained


def run(
    task: Task,
    folder: Path,
    *,
    team: Together = ALONE,
    stop_at: int | None = None,
    told: Callable[[Mapping[str, Any]], None] | None = None,
) -> nn.Module:
    """Trains, or goes on with a run, and returns the averaged model; see `train`."""
    folder.mkdir(parents=True, exist_ok=True)
    average = Average(task.model, task.average)
    first = resume(folder, task.model, task.optimiser, average)
    if team.first:
        run_card.cut_back(folder / "log.jsonl", first)
    task.model.train()
    last = min(task.steps, stop_at or task.steps)
    waiting, began, skipped = 0.0, time.perf_counter(), 0
    every = task.parts * team.processes
    feed = batches(task.batches, first * every + team.rank, task.workers, team.processes, task.start_method)
    with team.log(folder / "log.jsonl") as log:
        for step in range(first, last):
            for group in task.optimiser.param_groups:
                group["lr"] = task.rate(step) * group.get("scale", 1.0)
            row, waited = gathered(task, feed)
            waiting += waited
            team.average_gradients(task.model.parameters())
            norm = nn.utils.clip_grad_norm_(task.model.parameters(), task.clip)
            if not bool(torch.isfinite(norm)):
                skipped += 1
                if skipped > task.patience:
                    raise RuntimeError(f"step {step}: the gradient was not finite {skipped} times; stopped")
                continue
            task.optimiser.step()
            average.update(task.model, step)
            spent = time.perf_counter() - began
            row |= {"step": step, "loss": row.pop("loss"), "norm": round(float(norm), 4)}
            row |= {"seconds": round(spent, 1), "waiting": round(waiting / spent, 4), "skipped": skipped}
            log.write(json.dumps(row) + "\n")
            if told is not None and team.first:
                told(row)
            if team.first and ((step + 1) % task.save_every == 0 or step + 1 == last):
                log.flush()
                checkpoint(folder, task, average, step + 1)
                run_card.write(folder, task.recipe, task.data, team.device, team.processes)
    team.wait()
    task.model.load_state_dict(average.state)
    return task.model.eval()


def gathered(task: Task, feed: Iterator[Any]) -> tuple[dict[str, Any], float]:
    """The gradients of one step, from all its parts: its loss and terms, and the seconds spent waiting."""
    sums: dict[str, float] = {}
    waiting = 0.0
    task.optimiser.zero_grad(set_to_none=True)
    for _ in range(task.parts):
        asked = time.perf_counter()
        batch = next(feed)
        waiting += time.perf_counter() - asked
        loss, found = task.judged(batch)
        (loss / task.parts).backward()  # type: ignore[no-untyped-call]
        for name, value in {**found, "loss": loss}.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach()) / task.parts
    return {name: round(value, 5) for name, value in sums.items()}, waiting


def checkpoint(folder: Path, task: Task, average: Average, step: int) -> None:
    """All that an exact resume needs, and beside it the averaged weights alone."""
    save(
        folder / "last.pt",
        {
            "step": step,
            "model": task.model.state_dict(),
            "optimiser": task.optimiser.state_dict(),
            "average": average.state,
        },
    )
    save_average(folder / "average.pt", task.recipe, average.state, step)


def save_average(path: Path, recipe: Mapping[str, Any], state: Mapping[str, Tensor], step: int) -> None:
    """Averaged weights as a run keeps them, in full precision, with the recipe that made them."""
    save(path, {"step": step, "model": dict(state), "recipe": dict(recipe)})


def resume(folder: Path, model: nn.Module, steps: torch.optim.Optimizer, average: Average) -> int:
    """Takes up a run where its last checkpoint left it; returns the next step."""
    path = folder / "last.pt"
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    steps.load_state_dict(state["optimiser"])
    for name, value in state["average"].items():
        average.state[name].copy_(value)
    return int(state["step"])
