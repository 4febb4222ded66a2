"""``mattelike train RECIPE``: trains a network, or goes on where a run stopped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from mattelike.errors import MissingExtraError, UsageError


@click.command("train", short_help="Train the embedded network from a recipe.")
@click.argument("recipe", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--pack",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder made by recipes/pack.py.",
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
    help="Checkpoint to start from; ImageNet by default.",
)
@click.option("--stop-at", type=int, help="Stop after this step; the same command goes on from there.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, mps.")
@click.option("--threads", type=int, help="Threads of the network; batches are made beside them.")
def command(
    recipe: Path,
    pack: Path,
    output: Path | None,
    start: Path | None,
    stop_at: int | None,
    device: str,
    threads: int | None,
) -> None:
    """Train the embedded network as RECIPE says.

    A run that was stopped goes on where its last checkpoint left it: same result, bit for bit on a CPU.
    """
    try:
        import torch

        from mattelike.training import loop, starts
        from mattelike.training import pack as packs
    except ImportError as error:
        raise MissingExtraError(error.name or "torch", "train", "training") from error
    if threads:
        torch.set_num_threads(threads)
    chosen = starts.recipe(recipe)
    if not (pack / "pack.json").is_file():
        raise UsageError(f"{pack}: no pack there; make one with: python recipes/pack.py DATA {pack}")
    opened = packs.load(pack)
    folder = output or Path("runs") / chosen.name
    state = starts.read(start)[1].state_dict() if start else None
    backbone = None if start else starts.imagenet_backbone(chosen.encoder.variant)
    loop.train(
        chosen, opened, folder, backbone=backbone, start=state, device=device, stop_at=stop_at, told=tell
    )
    click.echo(f"{folder}: average.pt holds the averaged weights, log.jsonl the curves", err=True)


def tell(row: Mapping[str, Any]) -> None:
    """One line every fifty steps, on stderr."""
    if row["step"] % 50 == 0:
        click.echo(
            f"step {row['step']}: loss {row['loss']:.3f}, alpha off by {row['l1']:.3f}, "
            f"{row['seconds']:.0f} s, {100 * row['waiting']:.0f} % waiting for batches",
            err=True,
        )
