"""Writes the models that ship in the wheel from what was trained.

    python recipes/export.py [RUN] [--model NAME] [--checkpoint FILE] [--weights FOLDER] [--cards FILE]

``imagenet`` comes from the published EfficientNet-Lite0 weights, ``embedded`` and ``embedded-clean`` from the
averaged weights in ``recipes/checkpoints``; all three are written unless ``--model`` names one. With a RUN
folder (of ``embedded``, or of the model that is named) its average replaces the checkpoint first. With
``--weights`` the graphs go into that folder.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from mattelike.models.embedded import weights_folder
from mattelike.training import export, starts
from mattelike.values import ModelCard

HERE = Path(__file__).parent
# Those that are trained here, the default first.
TRAINED = ("embedded", "embedded-clean")
# Stages of the backbone whose outputs are matched, and how much each counts.
IMAGENET_STAGES, IMAGENET_SCALES = (4, 5, 6), (1.0, 1.0, 1.0)


def taken(run: Path, checkpoint: Path) -> None:
    """The checkpoint becomes the average of a run."""
    recipe, model, step = starts.read(run / "average.pt")
    starts.write(checkpoint, recipe, model.state_dict(), step)


def known(name: str, cards: Path) -> dict[str, Any]:
    """What cannot be read off the weights: calibration, licence, scores."""
    table: dict[str, dict[str, Any]] = json.loads(cards.read_text(encoding="utf-8"))
    return table[name]


def imagenet(cards: Path) -> None:
    """The model with nothing trained here."""
    card = ModelCard("imagenet", stride=16, channels=0, **known("imagenet", cards))
    export.export_imagenet(
        starts.imagenet_backbone("lite0"), weights_folder("imagenet"), card, IMAGENET_STAGES, IMAGENET_SCALES
    )


def trained(name: str, checkpoint: Path, cards: Path, folder: Path) -> int:
    """A trained model; returns the steps it took."""
    _, model, step = starts.read(checkpoint)
    about = known(name, cards)
    presence = about.pop("presence", {})
    export.export(model, folder, ModelCard(name, stride=16, channels=0, **about), **presence)
    return step


def main() -> None:
    """Exports all models, or one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", nargs="?", type=Path, metavar="RUN")
    parser.add_argument("--model", choices=("imagenet", *TRAINED), help="this one alone")
    parser.add_argument("--checkpoint", type=Path, help="of the named model, or of embedded")
    parser.add_argument("--cards", type=Path, default=HERE / "cards.json")
    parser.add_argument("--weights", type=Path)
    given = parser.parse_args()
    one = given.model or TRAINED[0]
    places = {name: HERE / "checkpoints" / f"{name}.safetensors" for name in TRAINED}
    if given.checkpoint is not None:
        places[one] = given.checkpoint
    if given.run is not None:
        taken(given.run, places[one])
    if given.weights is not None:
        wanted: tuple[str, ...] = (one,)
    else:
        wanted = (given.model,) if given.model else ("imagenet", *TRAINED)
    for name in wanted:
        if name == "imagenet":
            imagenet(given.cards)
            print("exported imagenet")
        else:
            step = trained(name, places[name], given.cards, given.weights or weights_folder(name))
            print(f"exported {name} after {step} steps")


if __name__ == "__main__":
    main()
