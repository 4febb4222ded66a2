"""Writes the edge network that ships in the wheel from what was trained.

    python recipes/refiner_export.py [RUN]

From ``recipes/checkpoints/refiner.safetensors``; with a RUN folder its average replaces that file first.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from mattelike.models.embedded import weights_folder
from mattelike.network.refiner import Refiner
from mattelike.training import refining_export
from mattelike.training.loop import from_table
from mattelike.training.refining import RefiningRecipe

HERE = Path(__file__).parent
CHECKPOINT = HERE / "checkpoints" / "refiner.safetensors"
ABOUT = HERE / "checkpoints" / "refiner.json"


def taken(run: Path) -> None:
    """The committed checkpoint becomes the average of a run, in float16."""
    saved = torch.load(run / "average.pt", map_location="cpu", weights_only=True)
    state = {k: (v.half() if v.is_floating_point() else v).contiguous() for k, v in saved["model"].items()}
    save_file(state, CHECKPOINT)
    ABOUT.write_text(json.dumps({"step": saved["step"], "recipe": saved["recipe"]}, indent=1) + "\n")


def main() -> None:
    """Exports."""
    if len(sys.argv) > 1:
        taken(Path(sys.argv[1]))
    about = json.loads(ABOUT.read_text(encoding="utf-8"))
    recipe: RefiningRecipe = from_table(RefiningRecipe, about["recipe"])
    model = Refiner(recipe.network)
    state = load_file(CHECKPOINT)
    model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    known = json.loads((HERE / "cards.json").read_text(encoding="utf-8"))["refiner"]
    card = refining_export.export(
        model, weights_folder("refiner"), {**known, "steps": about["step"], "network": asdict(recipe.network)}
    )
    print(f"exported the edge network after {about['step']} steps, {card['sha256'][:12]}")


if __name__ == "__main__":
    main()
