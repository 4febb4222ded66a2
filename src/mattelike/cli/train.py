"""``mattelike train RECIPE``: trains a network, or goes on where a run stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from mattelike.cli import options
from mattelike.errors import MissingExtraError, UsageError


@click.command("train", short_help="Train a network from a recipe.")
@click.argument("recipe", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--pack",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder made by recipes/pack.py; for recipes of the embedded network.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the run; runs/NAME by default.",
)
@click.option(
    "--start",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Weights to start from; ImageNet, or none, by default.",
)
@click.option(
    "--set", "changes", multiple=True, metavar="KEY=VALUE", help="A setting of the model, over the recipe's."
)
@click.option("--stop-at", type=int, help="Stop after this step; the same command goes on from there.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, mps.")
@click.option("--threads", type=int, help="Threads of the network; batches are made beside them.")
def command(recipe: Path, threads: int | None, **given: Any) -> None:
    """Train as RECIPE says: the embedded network, or a head on a diffusion model.

    A run that was stopped goes on where its last checkpoint left it: same result, bit for bit on a CPU.
    Several GPUs: accelerate launch -m mattelike train RECIPE --device cuda
    """
    try:
        import torch

        from mattelike.training import recipes
    except ImportError as error:
        raise MissingExtraError(error.name or "torch", "train", "training") from error
    if threads:
        torch.set_num_threads(threads)
    table = recipes.table(recipe)
    model = str(table.get("model", "embedded"))
    if model not in TRAINERS:
        raise UsageError(f"{recipe}: no model {model!r} is trained here; there are: {', '.join(TRAINERS)}")
    click.echo(TRAINERS[model](recipe, table, given), err=True)


def _embedded(path: Path, table: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """The network of the wheel, from a pack."""
    from mattelike.training import loop, recipes, starts
    from mattelike.training import pack as packs

    chosen = recipes.chosen(loop.Recipe, table, path)
    pack, start = given["pack"], given["start"]
    if given["changes"]:
        raise UsageError(f"{path}: --set is for models with settings; change the recipe itself")
    if pack is None or not (pack / "pack.json").is_file():
        where = pack or "PACK"
        raise UsageError(f"{where}: no pack there; make one with: python recipes/pack.py DATA {where}")
    stages = recipes.stages(path)
    if start is None and len(stages) > 1:
        raise UsageError(
            f"{path}: goes on from what {stages[-2].recipe.name} gives; name that with --start "
            "(recipes/model.py trains all stages in a row)"
        )
    opened = packs.load(pack)
    folder = given["output"] or Path("runs") / chosen.name
    loop.train(
        chosen,
        opened,
        folder,
        # A start brings its own backbone, but a tuned one is held to ImageNet's all the same.
        backbone=None
        if start and not chosen.losses.untouched
        else starts.imagenet_backbone(chosen.encoder.variant),
        start=starts.fitted(start, chosen).state_dict() if start else None,
        device=given["device"],
        stop_at=given["stop_at"] or stages[-1].taken,
        told=tell,
    )
    return f"{folder}: average.pt holds the averaged weights, log.jsonl the curves"


def _icon(path: Path, table: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """A head of IconMatting, from data in its own folders."""
    from dataclasses import replace

    from mattelike.training import icon_recipe

    if given["pack"]:
        raise UsageError(f"{path}: its data is named by the setting sources, not by --pack")
    chosen = icon_recipe.recipe_of(table, options.model_options(given["changes"]))
    if given["start"]:
        chosen = replace(chosen, start=str(given["start"]))
    folder = given["output"] or Path("runs") / chosen.name
    head = icon_recipe.train(chosen, folder, device=given["device"], stop_at=given["stop_at"], told=tell)
    return f"{head}: the head; mattelike matte --model sd21 --set weights={head}"


# By the `model` of a recipe.
TRAINERS: Mapping[str, Callable[[Path, Mapping[str, Any], Mapping[str, Any]], str]] = {
    "embedded": _embedded,
    "sd21": _icon,
}


def tell(row: Mapping[str, Any]) -> None:
    """One line every fifty steps, on stderr."""
    if row["step"] % 50 == 0:
        off = f"alpha off by {row['l1']:.3f}, " if "l1" in row else ""
        click.echo(
            f"step {row['step']}: loss {row['loss']:.3f}, {off}"
            f"{row['seconds']:.0f} s, {100 * row['waiting']:.0f} % waiting for batches",
            err=True,
        )
