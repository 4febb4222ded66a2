"""Recipes of IconMatting: what a run is, from its TOML file to the task that the loop trains."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mattelike.errors import SettingsError, UsageError
from mattelike.models import sd21_heads, sd21_source
from mattelike.models.sd21_extractor import Extractor
from mattelike.models.sd21_settings import IconSettings, settings_of
from mattelike.network import head_files
from mattelike.training import icon_schedule, icon_sources
from mattelike.training.icon_batches import IconBatches
from mattelike.training.icon_task import IconTask
from mattelike.training.loop import Task, from_table, run
from mattelike.training.sources import Sample
from mattelike.training.together import together

# What a run leaves for `mattelike matte --model sd21 --set weights=...`.
HEAD = "head.safetensors"


@dataclass(frozen=True, slots=True)
class IconRecipe:
    """Everything that decides what a run becomes.

    Attributes:
        name: Folder of the run.
        model: ``sd21``; tells this recipe from those of the embedded network.
        settings: Changes to the settings of the model, of which many are about training.
        start: Head weights to start from; empty starts anew.
        share: Part of the samples that is learnt from; the rest is for testing.
        share_seed: Of that split, and of the order of the samples.
        test: Sources that are tested on: no picture of theirs is learnt from.
        save_every: Steps between checkpoints.
        workers: Processes that make batches.
        average: Decay of a moving average of the weights; 0, as in the paper, takes none.
    """

    name: str = "icon-768"
    model: str = "sd21"
    settings: Mapping[str, Any] = field(default_factory=dict)
    start: str = ""
    share: float = 1.0
    share_seed: int = 1
    test: tuple[str, ...] = ()
    save_every: int = 500
    workers: int = 4
    average: float = 0.0


def recipe_of(table: Mapping[str, Any], changes: Mapping[str, Any] | None = None) -> IconRecipe:
    """A recipe from its table; `changes` are to its settings, from the command line.

    Raises:
        SettingsError: A key it does not know, or a setting that makes no sense.
    """
    try:
        recipe: IconRecipe = from_table(IconRecipe, table)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    recipe = replace(recipe, settings={**recipe.settings, **(changes or {})})
    settings_of(recipe.settings)
    return recipe


def samples(recipe: IconRecipe, settings: IconSettings) -> tuple[list[Sample], list[Sample]]:
    """What a recipe learns from, in order, and what of its sources it keeps for testing.

    Raises:
        UsageError: Data that is not there, or that is tested on.
    """
    return icon_sources.parted(
        icon_sources.gathered(settings.sources, grouped=settings.inter),
        () if settings.allow_overlap else _tested(recipe),
        share=recipe.share,
        seed=recipe.share_seed,
        hard_masks=settings.use_segmentation_data,
        allow_overlap=settings.allow_overlap,
    )


def _tested(recipe: IconRecipe) -> list[Sample]:
    try:
        return icon_sources.gathered(recipe.test, grouped=False) if recipe.test else []
    except UsageError as error:
        raise UsageError(
            f"test set {error}; without it nobody can tell whether it is learnt from: put it there, or set "
            "allow_overlap=true"
        ) from error


def task(recipe: IconRecipe, *, device: str = "cpu", processes: int = 1) -> Task:
    """What the loop trains.

    Raises:
        SettingsError: An unknown setting, or a batch that cannot be shared out.
        UsageError: Data that is not there.
        ModelNotFoundError: The diffusion model is not there.
        MissingExtraError: diffusers is not installed.
    """
    settings = settings_of(recipe.settings)
    if settings.head == "vitmatte":
        raise SettingsError("head=vitmatte brings its own weights; train icon-768 or icon-flex")
    size = shared_out(settings, processes)
    learnt, _ = samples(recipe, settings)
    place = device if ":" in device else sd21_source.chosen_device(device)
    backbone = sd21_source.opened("", "", settings, place)
    head = sd21_heads.opened(recipe.start or sd21_heads.UNTRAINED, settings, backbone.unet).to(place)
    every = settings.accumulate * processes
    asked = IconTask(Extractor(backbone, settings), head, settings, every)
    return Task(
        model=head,
        optimiser=icon_schedule.optimiser(
            head, settings.optimizer, settings.learning_rate, settings.weight_decay
        ),
        batches=IconBatches(
            learnt, settings, settings.max_steps * every, size, asked.referenced, asked.absent
        ),
        judged=asked.judged,
        rate=lambda step: settings.learning_rate * icon_schedule.warmup(step, settings.warmup_steps),
        steps=settings.max_steps,
        recipe={"name": recipe.name, "settings": settings.as_json(), "share": recipe.share},
        parts=settings.accumulate,
        average=recipe.average,
        save_every=recipe.save_every,
        # More than there are cores would only stand in each other's way.
        workers=min(recipe.workers, os.cpu_count() or 1),
        # They read photos with libvips, which has threads of its own.
        start_method="spawn",
    )


def shared_out(settings: IconSettings, processes: int) -> int:
    """Samples of each of the batches that a step is gathered from, over `accumulate` and all processes.

    Raises:
        SettingsError: They do not divide the samples of a step.
    """
    every = settings.accumulate * processes
    if settings.batch_size % every:
        raise SettingsError(
            f"batch_size={settings.batch_size} cannot be shared by accumulate={settings.accumulate} times "
            f"{processes} processes; change one of them"
        )
    return settings.batch_size // every


def written(folder: Path, recipe: IconRecipe, head: Any) -> Path:
    """The trained head, with the settings it was trained with, as the model loads it.

    Raises:
        OutputError: It cannot be written there.
    """
    settings = settings_of(recipe.settings)
    path = folder / HEAD
    shape = sd21_heads.shape_of(head)
    head_files.write(path, settings.head, shape, head.state_dict(), json.loads(settings.as_json()))
    return path


def train(
    recipe: IconRecipe,
    folder: Path,
    *,
    device: str = "cpu",
    stop_at: int | None = None,
    told: Callable[[Mapping[str, Any]], None] | None = None,
) -> Path:
    """Trains, or goes on with a run, and writes the head.

    Args:
        recipe: What to do.
        folder: Of the run; see `mattelike.training.loop.train`.
        device: Where to compute; one of several processes computes where its rank says.
        stop_at: Stop after this step, to be resumed later.
        told: Called with every row of the log.

    Returns:
        The file with the head.
    """
    team = together(device)
    made = task(recipe, device=team.device, processes=team.processes)
    head = run(made, folder, team=team, stop_at=stop_at, told=told)
    return written(folder, recipe, head) if team.first else folder / HEAD
