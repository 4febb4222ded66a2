"""A model without weights behind the contract of `mattelike.models`: its only feature is colour.

It finds what has the colour of the marked thing, quickly and predictably, so that everything around a model
can be tested where none is at hand.
"""

from __future__ import annotations

import numpy as np

from mattelike.contexts import Context
from mattelike.models import Coarse, Model, Role, contrastive
from mattelike.predictor import Predictor
from mattelike.resampling import area, resize
from mattelike.values import Features, Float32, Guidance, ModelCard, RoIKind

STRIDE = 8
WAVES = 48

CARD = ModelCard(
    name="toy",
    stride=STRIDE,
    channels=2 * WAVES,
    temperatures=(30.0,),
    affinities=(30.0,),
    reference_side=256,
    target_side=256,
    grows=True,
    sha256="0" * 64,
)


class ToyModel:
    """Colour of a cell as waves of random direction: near colours have a cosine near 1, others one near 0."""

    def __init__(self, card: ModelCard = CARD, *, uncertain: bool = True) -> None:
        self._card = card
        self._uncertain = uncertain
        self._waves = np.random.default_rng(0).normal(0, 2.5, (WAVES, 3)).astype(np.float32)

    @property
    def card(self) -> ModelCard:
        return self._card

    @property
    def device(self) -> str:
        return "cpu"

    @property
    def multiple(self) -> int:
        return STRIDE

    def features(self, images: Float32, role: Role) -> Features:
        grid = images.shape[2] // STRIDE, images.shape[3] // STRIDE
        colours = area(np.ascontiguousarray(images[0].transpose(1, 2, 0)), grid)
        phase = colours @ self._waves.T
        waves = np.concatenate([np.cos(phase), np.sin(phase)], axis=-1)
        return Features(np.ascontiguousarray(waves.transpose(2, 0, 1)[None]).astype(np.float32))

    def weigh(self, features: Features, positive: Float32, negative: Float32, kind: RoIKind) -> Float32:
        return contrastive.weigh(self._card, features, positive, negative, kind)

    def remember(self, features: Features, weights: Float32):  # type: ignore[no-untyped-def]
        return contrastive.remember(self._card, features, weights)

    def guide(self, features: Features, context: Context) -> Guidance:
        return contrastive.guide(self._card, features, context)

    def alpha(self, images: Float32, features: Features, guidance: Guidance) -> Coarse:
        seen = resize(guidance.propagated, (images.shape[2], images.shape[3]))
        alpha = np.clip(3 * (seen - np.float32(0.5)) + np.float32(0.5), 0, 1)
        doubt = np.float32(0.5) - np.abs(alpha - np.float32(0.5))
        return Coarse(alpha, doubt if self._uncertain else None)


def toy(card: ModelCard = CARD, *, uncertain: bool = True) -> Predictor:
    """A predictor with the toy model."""
    model = ToyModel(card, uncertain=uncertain)
    assert isinstance(model, Model)
    return Predictor(model)
