"""The training-free head on the features of any contrastive model."""

from __future__ import annotations

from mattelike.baselines.looking import opened
from mattelike.baselines.predicting import Predicting
from mattelike.errors import ModelNotFoundError
from mattelike.models import Coarse, Model, Role
from mattelike.models.contrastive import Contrastive
from mattelike.values import Features, Float32, Guidance


class Free(Contrastive):
    """A contrastive model whose own head, if it has one, is not asked.

    Args:
        model: A contrastive one; gives card and features.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model.card)
        self._model = model

    @property
    def device(self) -> str:
        """The model's."""
        return self._model.device

    @property
    def multiple(self) -> int:
        """The model's."""
        return self._model.multiple

    def features(self, images: Float32, role: Role) -> Features:
        """The model's."""
        return self._model.features(images, role)

    def alpha(self, images: Float32, features: Features, guidance: Guidance) -> Coarse:
        """The training-free head's."""
        return self.free(images, guidance)


def free(
    *,
    device: str = "auto",
    threads: int | None = None,
    backbone: str = "imagenet",
    source: str = "",
    revision: str = "",
) -> Predicting:
    """The training-free head on the features of a model.

    Args:
        device: As for `mattelike.models.load`.
        threads: As for `mattelike.models.load`.
        backbone: ``imagenet``, ``embedded`` or ``dino``.
        source: Folder or hub id, for backbones that take one.
        revision: Of the hub id.

    Raises:
        ModelNotFoundError: No such backbone, or one that does not match contrastively.
    """
    model = opened(backbone, device, threads, source, revision)
    if not isinstance(model, Contrastive):
        raise ModelNotFoundError(
            f"the training-free head reads contrastive guidance, which {backbone!r} has not; "
            "take imagenet, embedded or dino"
        )
    return Predicting(Free(model), name=f"free on {backbone}")
