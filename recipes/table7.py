"""Scores one arm of table 7 on what its recipe keeps for testing, at the pictures' own size.

    python recipes/table7.py recipes/table7-real.toml runs/table7-real/head.safetensors --set sd_path=FOLDER

The part of the sources that was not learnt from, or, where all was, the recipe's test sets. ``--list
FILE.csv`` writes down which pictures these are, as a benchmark for ``recipes/tables/print.py``.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np

from mattelike import metrics
from mattelike.cli.options import model_options
from mattelike.models.sd21 import sd21
from mattelike.models.sd21_settings import IconSettings, settings_of
from mattelike.models.sd21_trimap import matte
from mattelike.training import icon_recipe, icon_sources, recipes
from mattelike.training.icon_losses import truth_of
from mattelike.training.icon_task import trimap_of
from mattelike.training.sample_pixels import Loaded, loaded
from mattelike.training.sources import Sample
from mattelike.values import Float32


def tested(recipe: icon_recipe.IconRecipe, settings: IconSettings) -> list[Sample]:
    """The samples of the test."""
    _, kept = icon_recipe.samples(recipe, settings)
    return kept or icon_sources.gathered(recipe.test, grouped=False)


def known(sample: Loaded, radius: int) -> Float32:
    """Its trimap, or the band around what is partly transparent."""
    if sample.trimap is not None:
        return sample.trimap
    import torch

    truth = truth_of(torch.from_numpy(sample.alpha), None, "matting", trimap_radius=radius)
    found: Float32 = trimap_of(truth).numpy()
    return found


def scores(alpha: Float32, truth: Float32) -> dict[str, float]:
    """The four metrics of the paper, over the whole picture."""
    named = {"MSE": metrics.mse, "SAD": metrics.sad, "GRAD": metrics.grad, "CONN": metrics.conn}
    return {name: float(metric(alpha, truth)) for name, metric in named.items()}


def listed(samples: list[Sample], path: Path) -> None:
    """The samples as a table of a benchmark, each with its own trimap as its help."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("group", "image", "alpha", "trimap", "kind", "is_reference"))
        for sample in samples:
            places = (sample.image, sample.alpha, sample.trimap)
            absolute = ("" if place is None else str(place.resolve()) for place in places)
            table.writerow((sample.group, *absolute, sample.kind, ""))


def main() -> None:
    """Prints the mean of every metric as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--list", type=Path, metavar="FILE.csv")
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    changes = model_options(tuple(given.changes))
    recipe = icon_recipe.recipe_of(recipes.table(given.recipe), changes)
    settings = settings_of(recipe.settings)
    model = sd21(device=given.device, weights=given.weights, settings=settings)
    samples = tested(recipe, settings)
    if given.list:
        listed(samples, given.list)
    rows = []
    for sample in samples:
        pixels = loaded(sample)
        alpha = matte(
            model, (pixels.image + np.float32(1)) / np.float32(2), known(pixels, settings.trimap_radius)
        )
        rows.append(scores(alpha, pixels.alpha))
    means = {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]}
    print(json.dumps({"recipe": recipe.name, "pictures": len(rows), **means}))


if __name__ == "__main__":
    main()
