"""Makes a shipped model anew: pack, training, export, calibration, validation, card.

    python recipes/model.py [--model NAME] [--data DATA] [--pack PACK] [--run RUN] [--measure] [--quick]
    python recipes/model.py --smoke FOLDER

A model may be trained in stages, each of which goes on from the one before: all of them run, from nothing, in
folders of their own inside RUN. Training goes on where it was stopped, so the same command may be given again
until it is done: days on a laptop. With ``--smoke`` everything happens in FOLDER within minutes, on things
drawn for the purpose and the example photos: a rehearsal of every step (two stages, and a stop in
mid-training), of which nothing ships. With ``--measure`` a run that is done is not gone on with; with
``--quick`` the quick part of the validation is asked.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mattelike import photos
from mattelike.evaluation.mini.canvas import Pose
from mattelike.evaluation.mini.things import KINDS, thing
from mattelike.figures import levels
from mattelike.models.embedded import weights_folder
from mattelike.training import pack, recipes
from mattelike.training.episodes import library
from mattelike.training.loop import Recipe

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples" / "photos"
# Of the table of the validation, what the card carries.
NUMBERS = ("kinds", "scenes", "presence", "one")
# Drawn kinds go by these names in the rehearsal, so that four of them are held out.
NAMES = {"goblet": "goblet", "butterfly": "butterfly", "racket": "umbrella", "cactus": "pineapple"}
SIDE = 128
# The last stage of the training of each model; the others are those it follows.
LAST_STAGES = {"embedded": "embedded-nested.toml", "embedded-clean": "embedded-clean.toml"}


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything is, or goes.

    Attributes:
        model: The model's name.
        data: The data folder.
        pack: The pack made of it.
        run: The run.
        recipe: What is trained last.
        list: The questions of the validation.
        cards: What cannot be read off the weights.
        checkpoint: Averaged weights.
        weights: Folder of the graphs.
        report: Folder for tables and the worst answers.
    """

    model: str
    data: Path
    pack: Path
    run: Path
    recipe: Path
    list: Path
    cards: Path
    checkpoint: Path
    weights: Path
    report: Path


def shipped(model: str, data: Path, pack: Path, run: Path) -> Places:
    """The places of what ships."""
    return Places(
        model,
        data,
        pack,
        run,
        HERE / LAST_STAGES[model],
        HERE / "validation.json",
        HERE / "cards.json",
        HERE / "checkpoints" / f"{model}.safetensors",
        weights_folder(model),
        run / "validation",
    )


def rehearsed(folder: Path) -> Places:
    """Places in a folder of its own; the data are drawn, the cards copied."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn(folder / "data")
    cards = folder / "cards.json"
    cards.write_text((HERE / "cards.json").read_text(encoding="utf-8"), encoding="utf-8")
    return Places(
        "embedded",
        folder / "data",
        folder / "pack",
        folder / "run",
        HERE / "smoke-second.toml",
        folder / "validation.json",
        cards,
        folder / "smoke.safetensors",
        folder / "weights",
        folder / "report",
    )


def drawn(folder: Path) -> None:
    """A data folder of drawn things with their mattes, and example photos as backgrounds."""
    for number, kind in enumerate(KINDS):
        group = folder / "imagenet_samples" / NAMES.get(kind, kind)
        group.mkdir(parents=True, exist_ok=True)
        for copy in range(3):
            draw = np.random.default_rng(10 * number + copy)
            rgba = thing(KINDS[kind], "photo", SIDE, Pose(SIDE / 2, SIDE / 2, 0.36 * SIDE), draw)
            ground = draw.uniform(0.2, 0.8, 3).astype(np.float32)
            shown = rgba[..., :3] + ground * (1 - rgba[..., 3:])
            photos.write_rgb(group / f"{copy}.jpg", levels(shown))
            photos.write_alpha(group / f"{copy}.png", rgba[..., 3])
    for photo in sorted(EXAMPLES.glob("*/*.jpg")):
        backgrounds = folder / "wallpaper_photos" / photo.parent.name
        backgrounds.mkdir(parents=True, exist_ok=True)
        (backgrounds / photo.name).write_bytes(photo.read_bytes())


def run(*command: object) -> None:
    """Runs one step, saying which."""
    words = [str(word) for word in command]
    print("$", " ".join(words), flush=True)
    subprocess.run([sys.executable, *words], check=True)


def made(at: Places, *extra: object, rehearsal: bool = False, training: bool = True) -> None:
    """Every step, in order."""
    if not (at.pack / "pack.json").is_file():
        run(HERE / "pack.py", at.data, at.pack)
    if training:
        trained(at, stopped=rehearsal)
    if rehearsal:
        run(HERE / "validate.py", "--choose", "--pack", at.pack, "--list", at.list)
    asked = ("--pack", at.pack, "--list", at.list)
    plot = ("--cards", at.cards, "--plot", at.run / "presence.png", "--model", at.model)
    run(HERE / "presence.py", at.run / "average.pt", *asked, *plot, "--write")
    places = (
        "--model",
        at.model,
        "--cards",
        at.cards,
        "--checkpoint",
        at.checkpoint,
        "--weights",
        at.weights,
    )
    run(HERE / "export.py", at.run, *places)
    run(HERE / "validate.py", at.weights, *asked, "-o", at.report, "--name", at.model, *extra)
    told = json.loads((at.report / f"{at.model}.json").read_text(encoding="utf-8"))
    numbers = {name: round(told["summary"][name], 3) for name in NUMBERS}
    if not rehearsal:
        numbers["mini"] = mini(at.model, at.run / "mini")
    carried(at, {"data": learnt_from(at), "numbers": numbers})
    print(json.dumps(numbers))


def trained(at: Places, *, stopped: bool) -> None:
    """All stages, one after the other; each but the first starts from what came of the one before.

    Args:
        at: Where everything goes; ``average.pt`` of the run is what came of the last stage.
        stopped: Stop the first one after three steps, and go on.
    """
    start: Path | None = None
    for stage in recipes.stages(at.recipe):
        folder = at.run / stage.recipe.stem
        train = ("-m", "mattelike", "train", stage.recipe, "--pack", at.pack, "-o", folder)
        if start is None and stopped:
            run(*train, "--stop-at", 3)
        run(*train, *(() if start is None else ("--start", start)))
        result = folder / "average.pt"
        if stage.blend < 1:
            run(HERE / "mix.py", start, result, folder / "kept.pt", "--share", stage.blend)
            result = folder / "kept.pt"
        start = result
    assert start is not None
    shutil.copyfile(start, at.run / "average.pt")


def learnt_from(at: Places) -> list[str]:
    """Names of the data sets that training drew from."""
    chosen: Recipe = recipes.read(Recipe, at.recipe)
    found = library(pack.load(at.pack), chosen.episodes.clean, without=chosen.episodes.without)
    places = [*found.backgrounds, *(place for group in found.groups.values() for place in group)]
    return sorted({place.item.source for place in places})


def mini(model: str, folder: Path) -> float:
    """The shipped model on the public mini benchmark: mean IoU over all pictures that show the kind."""
    run(HERE / "mini_benchmark.py", folder / "benchmark")
    run("-m", "mattelike", "evaluate", folder / "benchmark", "-m", model, "-o", folder, "--overwrite")
    with (folder / "per-image.csv").open(newline="", encoding="utf-8") as table:
        shown = [float(row["iou"]) for row in csv.DictReader(table) if row["present"] == "1"]
    return round(float(np.mean(shown)), 3)


def carried(at: Places, found: Mapping[str, Any]) -> None:
    """Puts what was found on the card, in the table it is made from and beside the graphs."""
    table = json.loads(at.cards.read_text(encoding="utf-8"))
    table[at.model] |= found
    at.cards.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    card = json.loads((at.weights / "card.json").read_text(encoding="utf-8"))
    text = json.dumps({**card, **found}, indent=1)
    (at.weights / "card.json").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Makes the model, or rehearses it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="embedded", choices=tuple(LAST_STAGES))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--pack", type=Path, default=Path("packs/full"))
    parser.add_argument("--run", type=Path, help="runs/NAME by default")
    parser.add_argument("--measure", action="store_true", help="take the run as it is")
    parser.add_argument("--quick", action="store_true", help="ask the quick part of the validation")
    parser.add_argument("--smoke", type=Path, metavar="FOLDER", help="rehearse in this folder")
    given = parser.parse_args()
    if given.smoke is None:
        run_folder = given.run or Path("runs") / given.model
        extra = ("--quick",) if given.quick else ()
        made(shipped(given.model, given.data, given.pack, run_folder), *extra, training=not given.measure)
    else:
        made(rehearsed(given.smoke), "--quick", rehearsal=True)


if __name__ == "__main__":
    main()
