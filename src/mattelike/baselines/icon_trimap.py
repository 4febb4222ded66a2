"""The variant of the paper's table 7: no in-context module, the trimap beside the colours of every photo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mattelike import models, photos
from mattelike.baselines import Answer, Help, Reference
from mattelike.baselines.asked import own_trimap
from mattelike.models import Model
from mattelike.models.sd21_trimap import matte
from mattelike.values import Float32, Photo


class IconTrimap:
    """An `sd21` with four image channels as a method.

    Args:
        model: Trained without references.
    """

    help: Help = "trimap"

    def __init__(self, model: Model) -> None:
        self._model: Any = model

    @property
    def about(self) -> Mapping[str, str]:
        """Weights and device."""
        card = self._model.card
        return {"method": "icon-trimap", "weights": card.sha256, "device": self._model.device}

    def encode(self, references: Sequence[Reference]) -> Float32:
        """The trimap of the photo itself.

        Raises:
            PromptError: Not one photo with a trimap of its size.
        """
        return own_trimap(references)

    def matte(self, photo: Photo, context: Float32) -> Answer:
        """Alpha; what the trimap is sure of stays."""
        return Answer(matte(self._model, photos.to_srgb(photo), context))


def icon_trimap(
    *,
    device: str = "auto",
    threads: int | None = None,
    source: str = "",
    weights: str = "",
    settings: Mapping[str, Any] | None = None,
) -> IconTrimap:
    """The variant from its weights.

    Args:
        device: As for `mattelike.models.load`.
        threads: As for `mattelike.models.load`.
        source: Folder or hub id of the diffusion model.
        weights: The head, as ``recipes/table7-*.toml`` train it; it brings its settings.
        settings: Changes to them.

    Raises:
        MattelikeError: As `mattelike.models.load`.
    """
    options: dict[str, Any] = {
        key: value for key, value in (("source", source), ("weights", weights)) if value
    }
    if settings:
        options["settings"] = dict(settings)
    return IconTrimap(models.load("sd21", device=device, threads=threads, **options))
