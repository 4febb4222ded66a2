"""What the shipped network does without: one kind of evidence taken away, or pictures of another size.

    python recipes/ablate.py [--model embedded] [--pack PACK] [--evidence] [--sides 384 512 640 768]

Nothing is trained for it: evidence that is taken away is replaced by its mean over the picture, so that it
says the same of every cell. Asked are the quick questions of the rows ``scenes``, ``kinds`` and ``one``, one
mask each. A large loss says that the head leans on it, not that nothing could take its place.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from mattelike import models
from mattelike.contexts import Context
from mattelike.models import Model
from mattelike.models.contrastive import guidance
from mattelike.predictor import Predictor
from mattelike.similarity import EVIDENCE
from mattelike.training import pack
from mattelike.training.validation import questions, scoring
from mattelike.training.validation.drawing import Studio
from mattelike.training.validation.methods import Predicting
from mattelike.values import Features, Guidance, ModelCard

ROWS = ("scenes", "kinds", "one")


class Without:
    """A model that is told nothing by some of its evidence.

    Args:
        model: The model.
        names: Evidence, as `mattelike.similarity.EVIDENCE` names it.
    """

    def __init__(self, model: Model, names: tuple[str, ...]) -> None:
        self._model, self._names = model, names

    def __getattr__(self, name: str) -> Any:
        """All else is the model's."""
        return getattr(self._model, name)

    def guide(self, features: Features, context: Context) -> Guidance:
        """The model's guidance, flat where it is taken away."""
        found = self._model.guide(features, context)
        maps = found.maps.copy()
        for channel, name in enumerate(found.names):
            if name.split(".")[0] in self._names:
                maps[channel] = maps[channel].mean()
        return guidance(maps)


class Shown:
    """A model that is shown pictures of another size."""

    def __init__(self, model: Model, side: int) -> None:
        self._model = model
        self.card: ModelCard = replace(model.card, reference_side=side, target_side=side)

    def __getattr__(self, name: str) -> Any:
        """All else is the model's."""
        return getattr(self._model, name)


def asked(model: Model, evidence: bool, sides: list[int]) -> Iterator[tuple[str, Any]]:
    """What is compared, the model as it is first."""
    yield "as it is", model
    if evidence:
        for name in EVIDENCE:
            yield f"without {name}", Without(model, (name,))
        things = tuple(name for name in EVIDENCE if name.startswith("thing"))
        yield "without all that speaks of things", Without(model, things)
        yield "without intra-similarity", Without(model, ("propagated", *things))
    for side in sides:
        yield f"pictures of {side} pixels", Shown(model, side)


def main() -> None:
    """Asks, prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--pack", type=Path, default=Path("packs/full"))
    parser.add_argument("--evidence", action="store_true")
    parser.add_argument("--sides", type=int, nargs="*", default=[])
    given = parser.parse_args()
    plan = questions.load(Path(__file__).parent / "validation.json")
    studio = Studio(pack.load(given.pack), plan)
    chosen = [question for question in plan.questions if question.quick and question.row in ROWS]
    print("| embedded | scenes | kinds | one | its SAD |\n|---|---:|---:|---:|---:|", flush=True)
    for name, model in asked(models.load(given.model, threads=1), given.evidence, given.sides):
        method = Predicting(name, Predictor(model))
        found = scoring.summed([scoring.judged(method, studio, each, "mask")[0] for each in chosen])
        print(
            f"| {name} | {found.scenes:.3f} | {found.kinds:.3f} | {found.one:.3f} | {found.sad:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
