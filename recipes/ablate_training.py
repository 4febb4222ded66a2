"""What a short training does without: photos, composites, scenes, kinds of marks, one data set after another.

    python recipes/ablate_training.py --pack packs/full -o runs/ablations [--steps 200] [--only NAME ...]

Every line is trained from ImageNet with a frozen backbone by the same recipe but for what its name says, on
small pictures, and asked the quick questions of the rows ``scenes``, ``kinds`` and ``one`` at that size, one
mask each. Far from what ships, so compare lines with each other only. What is done is not done again.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from mattelike.predictor import Predictor
from mattelike.training import loop, pack, recipes, starts
from mattelike.training.validation import methods, questions, scoring
from mattelike.training.validation.drawing import Studio

ROWS = ("scenes", "kinds", "one")
SIDE, PAIRS = 256, 4
SETS = (
    "coco_crops",
    "ecssd",
    "caltech101",
    "fluent3d",
    "imagenet_samples",
    "flowers17",
    "ccp_clothing",
    "animals5",
)
# What each line changes of the episodes.
LINES: dict[str, dict[str, Any]] = {
    "all": {},
    "all, another seed": {"seed": 1},
    "composites only": {"scene_pairs": PAIRS, "real_pairs": 0},
    "photos only": {"scene_pairs": 0, "real_pairs": PAIRS, "composited": 0.0},
    "single things instead of scenes": {"alone": 1.0},
    "masks only": {"sparse": 0.0},
    "one reference": {"several": 0.0},
    "never absent": {"absent": 0.0},
    **{f"without {name}": {"without": (name,)} for name in SETS},
}


def recipe(steps: int, changes: dict[str, Any]) -> loop.Recipe:
    """The first stage of the shipped network, short and small."""
    base = recipes.read(loop.Recipe, Path(__file__).parent / "embedded.toml")
    episodes = replace(
        base.episodes, sides=(SIDE,), scene_pairs=PAIRS // 2, real_pairs=PAIRS // 2, window=0.5
    )
    return replace(
        base,
        steps=steps,
        warmup=steps // 12,
        cooldown=steps * 2 // 3,
        average=0.98,
        save_every=steps,
        episodes=replace(episodes, **changes),
    )


def main() -> None:
    """Trains, asks, prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pack", type=Path, default=Path("packs/full"))
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--only", nargs="*", choices=list(LINES), default=list(LINES))
    given = parser.parse_args()
    torch.set_num_threads(1)
    opened = pack.load(given.pack)
    plan = questions.load(Path(__file__).parent / "validation.json")
    studio = Studio(opened, plan)
    chosen = [question for question in plan.questions if question.quick and question.row in ROWS]
    print("| trained with | scenes | kinds | one | its SAD |\n|---|---:|---:|---:|---:|", flush=True)
    for name in given.only:
        folder = given.output / name.replace(" ", "-").replace(",", "")
        path = folder / "scores.json"
        if not path.exists():
            backbone = starts.imagenet_backbone("lite0")
            loop.train(recipe(given.steps, LINES[name]), opened, folder, backbone=backbone)
            path.write_text(json.dumps(scores(folder / "average.pt", studio, chosen)))
        found = json.loads(path.read_text())
        values = " | ".join(f"{found[key]:.3f}" for key in ROWS)
        print(f"| {name} | {values} | {found['sad']:.1f} |", flush=True)


def scores(path: Path, studio: Studio, chosen: list[questions.Question]) -> dict[str, float]:
    """The table's row of trained weights, shown pictures of the size they were trained on."""
    model = methods.opened(str(path), threads=1).predictor.model
    model.card = replace(model.card, reference_side=SIDE, target_side=SIDE)
    method = methods.Predicting(path.stem, Predictor(model))
    found = scoring.summed([scoring.judged(method, studio, each, "mask")[0] for each in chosen])
    return {"scenes": found.scenes, "kinds": found.kinds, "one": found.one, "sad": found.sad}


if __name__ == "__main__":
    main()
