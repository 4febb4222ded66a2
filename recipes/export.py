"""Writes the models that ship in the wheel from what was trained.

    python recipes/export.py [RUN]

``imagenet`` comes from the published EfficientNet-Lite0 weights, ``embedded`` from the averaged weights in
``recipes/checkpoints/embedded.safetensors``. With a RUN folder its average
replaces the checkpoint first.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from mattelike.models.embedded import weights_folder
from mattelike.training import export, starts
from mattelike.training.loop import Recipe, from_table
from mattelike.values import ModelCard

HERE = Path(__file__).parent
CHECKPOINT = HERE / "checkpoints" / "embedded.safetensors"
# Stages of the backbone whose outputs are matched, and how much each counts.
IMAGENET_STAGES, IMAGENET_SCALES = (4, 6), (1.0, 1.0)


def taken(run: Path) -> None:
    """The committed checkpoint becomes the average of a run."""
    saved = torch.load(run / "average.pt", map_location="cpu", weights_only=True)
    recipe: Recipe = from_table(Recipe, saved["recipe"])
    starts.write(CHECKPOINT, recipe, saved["model"], saved["step"])


def known(name: str) -> dict[str, object]:
    """What cannot be read off the weights: calibration, licence, scores; from ``recipes/cards.json``."""
    table: dict[str, dict[str, object]] = json.loads((HERE / "cards.json").read_text(encoding="utf-8"))
    return table[name]


def main() -> None:
    """Exports both models."""
    if len(sys.argv) > 1:
        taken(Path(sys.argv[1]))
    card = ModelCard("imagenet", stride=16, channels=0, **known("imagenet"))  # type: ignore[arg-type]
    export.export_imagenet(
        starts.imagenet_backbone("lite0"), weights_folder("imagenet"), card, IMAGENET_STAGES, IMAGENET_SCALES
    )
    _, model, step = starts.read(CHECKPOINT)
    about = known("embedded")
    presence: dict[str, float] = about.pop("presence", {})  # type: ignore[assignment]
    card = ModelCard("embedded", stride=16, channels=0, **about)  # type: ignore[arg-type]
    export.export(model, weights_folder("embedded"), card, **presence)
    print(f"exported imagenet, and embedded after {step} steps")


if __name__ == "__main__":
    main()
