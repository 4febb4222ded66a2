"""Trains the edge network, or goes on where a run stopped.

python recipes/refiner_train.py recipes/refiner.toml --pack packs/refiner [-o FOLDER] [--threads 1]
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mattelike.training import pack, recipes, refining


def tell(row: Mapping[str, Any]) -> None:
    """One line every fifty steps."""
    if row["step"] % 50 == 0:
        print(
            f"step {row['step']}: loss {row['loss']:.3f}, alpha off by {row['l1']:.4f}, "
            f"{row['seconds']:.0f} s",
            flush=True,
        )


def main() -> None:
    """Trains."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--pack", type=Path, default=Path("packs/refiner"))
    parser.add_argument("-o", "--output", type=Path, help="folder of the run; runs/NAME by default")
    parser.add_argument("--stop-at", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    chosen = recipes.read(refining.RefiningRecipe, given.recipe)
    folder = given.output or Path("runs") / chosen.name
    refining.train(
        chosen, pack.load(given.pack), folder, device=given.device, stop_at=given.stop_at, told=tell
    )
    print(f"{folder}: average.pt holds the averaged weights, log.jsonl the curves")


if __name__ == "__main__":
    main()
