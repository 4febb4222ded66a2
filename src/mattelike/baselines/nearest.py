"""Labels handed over by nearest neighbour, as DIFT propagates them (Tang et al. 2023), on any backbone.

Every cell of a target takes the side, thing or ground, of the reference token it resembles most. Nothing is
learned, nothing is smoothed; edges are those of the grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mattelike import tokens
from mattelike.baselines import Answer, Help, Reference
from mattelike.baselines.asked import region
from mattelike.baselines.looking import look, opened
from mattelike.models import Model
from mattelike.values import Bool, Float32, Photo, RoI


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Reference tokens and the side each is on.

    Attributes:
        tokens: float32 ``(n, c)``, of length one.
        thing: bool ``(n,)``.
    """

    tokens: Float32
    thing: Bool


class Nearest:
    """Nearest neighbours among the tokens of a model.

    Args:
        model: Gives the tokens.
    """

    help: Help = "references"

    def __init__(self, model: Model) -> None:
        self.model = model

    @property
    def about(self) -> Mapping[str, str]:
        """Backbone and its weights."""
        card = self.model.card
        return {
            "method": "nearest",
            "backbone": card.name,
            "weights": card.sha256,
            "device": self.model.device,
        }

    def encode(self, references: Sequence[Reference]) -> Labelled:
        """Tokens of all references; cells nobody marked are ground where only points or scribbles are given.

        Raises:
            PromptError: A mark that means nothing on its photo.
        """
        found, sides = [], []
        for photo, hint in references:
            seen = look(self.model, photo, "reference")
            roi = region(photo, hint)
            positive, negative = tokens.pool(roi, seen.grid, "auto", seen.frame.extent(seen.grid))
            thing = positive.reshape(-1) > 0
            kept = thing | _ground(roi, negative).reshape(-1)
            found.append(seen.tokens[kept])
            sides.append(thing[kept])
        return Labelled(np.concatenate(found), np.concatenate(sides))

    def matte(self, photo: Photo, context: Labelled) -> Answer:
        """A hard matte, bilinear between cells; presence is the best cosine to the thing, from 0 to 1."""
        seen = look(self.model, photo, "target")
        alike = seen.tokens @ context.tokens.T
        thing = alike[:, context.thing].max(axis=1)
        ground = alike[:, ~context.thing].max(axis=1) if (~context.thing).any() else np.zeros_like(thing)
        return Answer(seen.enlarged((thing > ground).astype(np.float32)), float(np.clip(thing.max(), 0, 1)))


def _ground(roi: RoI, negative: Float32) -> Bool:
    """Cells that count as ground: all that is known not to be the thing, or, from clicks, all the rest."""
    if roi.kind in ("mask", "box"):
        return negative > 0
    return np.ones(negative.shape, np.bool_)


def nearest(
    *,
    device: str = "auto",
    threads: int | None = None,
    backbone: str = "imagenet",
    source: str = "",
    revision: str = "",
) -> Nearest:
    """Nearest neighbours on the features of a model.

    Args:
        device: As for `mattelike.models.load`.
        threads: As for `mattelike.models.load`.
        backbone: A row of `mattelike.models.MODELS`; ``sd21`` makes it DIFT proper.
        source: Folder or hub id, for backbones that take one.
        revision: Of the hub id.

    Raises:
        ModelNotFoundError: No such backbone.
    """
    return Nearest(opened(backbone, device, threads, source, revision))
