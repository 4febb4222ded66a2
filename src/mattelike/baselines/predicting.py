"""Every model of the package as a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mattelike import models
from mattelike.baselines import Answer, Help, Reference
from mattelike.contexts import Context
from mattelike.models import Model
from mattelike.predictor import Predictor
from mattelike.values import Photo


class Predicting:
    """A `Predictor` as a method.

    Args:
        model: Who answers.
        refine: Whether edges are refined at the photo's size.
        name: The method's name in `about`.
    """

    help: Help = "references"

    def __init__(self, model: Model, *, refine: bool = False, name: str = "") -> None:
        self.predictor = Predictor(model)
        self.refine = refine
        self._name = name or model.card.name

    @property
    def about(self) -> Mapping[str, str]:
        """Model, weights, device, and whether edges are refined."""
        card = self.predictor.card
        return {
            "model": self._name,
            "weights": card.sha256,
            "head": card.head,
            "device": self.predictor.device,
            "refine": str(self.refine).lower(),
        }

    def encode(self, references: Sequence[Reference]) -> Context:
        """See `mattelike.predictor.Predictor.encode`."""
        return self.predictor.encode(list(references))

    def matte(self, photo: Photo, context: Context) -> Answer:
        """See `mattelike.predictor.Predictor.matte`."""
        matte = self.predictor.matte(photo, context, refine=self.refine)
        return Answer(matte.alpha, matte.presence)


def predicting(
    name: str, *, device: str = "auto", threads: int | None = None, refine: bool = False, **options: object
) -> Predicting:
    """A model by name.

    Args:
        name: A row of `mattelike.models.MODELS`.
        device: As for `mattelike.models.load`.
        threads: As for `mattelike.models.load`.
        refine: Whether edges are refined at the photo's size.
        options: The model's own.

    Raises:
        ModelNotFoundError: An option the model does not take.
    """
    return Predicting(models.load(name, device=device, threads=threads, **options), refine=refine, name=name)
