"""Who answers the validation: a network in training, or any model of the package, behind two verbs."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from mattelike import models
from mattelike.contexts import Context
from mattelike.models import Coarse, Model, Role
from mattelike.models.contrastive import Contrastive, both_ways
from mattelike.models.embedded import MULTIPLE, OnnxModel
from mattelike.network.embedded import EmbeddedModel
from mattelike.predictor import Predictor
from mattelike.prompts import Prompt
from mattelike.training import starts
from mattelike.values import Features, Float32, Guidance, ModelCard

# Pictures whose features are kept: questions about one picture follow each other.
KEPT = 6


class Answered(NamedTuple):
    """A method's answer for one target.

    Attributes:
        alpha: float32 ``(h, w)`` in [0, 1].
        presence: Is the kind there at all, in [0, 1].
    """

    alpha: Float32
    presence: float


class Method(Protocol):
    """What the validation needs of whoever answers it; photos are uint8 ``(h, w, 3)``."""

    @property
    def name(self) -> str:
        """For the table."""

    def encode(self, references: Sequence[tuple[NDArray[np.uint8], Prompt]]) -> Any:
        """Looks at the marked photos."""

    def matte(self, photo: NDArray[np.uint8], context: Any) -> Answered:
        """Answers for another."""


@dataclass(frozen=True, slots=True)
class Predicting:
    """A `Predictor` as a method.

    Attributes:
        name: For the table.
        predictor: Who answers.
        refine: Whether edges are refined at the photo's size.
    """

    name: str
    predictor: Predictor
    refine: bool = False

    def encode(self, references: Sequence[tuple[NDArray[np.uint8], Prompt]]) -> Context:
        """See `mattelike.predictor.Predictor.encode`."""
        return self.predictor.encode(list(references))

    def matte(self, photo: NDArray[np.uint8], context: Context) -> Answered:
        """See `mattelike.predictor.Predictor.matte`."""
        matte = self.predictor.matte(photo, context, refine=self.refine)
        return Answered(matte.alpha, matte.presence)


class Trained(Contrastive):
    """A network as it is trained, in torch, behind the contract of `mattelike.models.Model`.

    The same steps as the exported graphs, before any export.

    Args:
        network: In evaluation mode.
        sha256: Hash of its weights.
        card: How pictures are to be shown to it; all else is read off the network.
    """

    def __init__(self, network: EmbeddedModel, sha256: str, card: ModelCard) -> None:
        self.network = network.eval()
        super().__init__(replace(network.described(card), name="embedded", sha256=sha256))

    @property
    def device(self) -> str:
        """The device in use."""
        return next(self.network.parameters()).device.type

    @property
    def multiple(self) -> int:
        """Sides of what it sees are multiples of this."""
        return MULTIPLE

    def features(self, images: Float32, role: Role) -> Features:
        """Looks at ``(1, 3, h, w)``, at a reference both ways."""
        return both_ways(self._look, images) if role == "reference" else self._look(images)

    def _look(self, images: Float32) -> Features:
        with torch.inference_mode():
            seen = torch.from_numpy(images).contiguous(memory_format=torch.channels_last)
            tokens, skips = self.network.encoder(seen)
        return Features(tokens.float().numpy(), tuple(skip.float().numpy() for skip in skips))

    def alpha(self, images: Float32, features: Features, guidance: Guidance) -> Coarse:
        """The head's answer."""
        with torch.inference_mode():
            skips = tuple(torch.from_numpy(skip) for skip in features.skips)
            seen = torch.from_numpy(images)
            answer = self.network.head(seen, skips, torch.from_numpy(guidance.maps)[None])
        alpha, doubt = answer.alpha.sigmoid()[0, 0], answer.uncertainty.sigmoid()[0, 0]
        presence = float(answer.presence.sigmoid()[0])
        return Coarse(alpha.numpy(), doubt.numpy(), presence, lambda: self.free(images, guidance).alpha)


class Remembering:
    """Another model, with the features of the last few pictures kept, so that each is looked at once."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._seen: OrderedDict[bytes, Features] = OrderedDict()

    def features(self, images: Float32, role: Role) -> Features:
        """The model's, or those it found before for the same pixels in the same role."""
        key = hashlib.sha256(images.tobytes() + role.encode() + str(images.shape).encode()).digest()
        if key not in self._seen:
            self._seen[key] = self.model.features(images, role)
            if len(self._seen) > KEPT:
                self._seen.popitem(last=False)
        self._seen.move_to_end(key)
        return self._seen[key]

    def __getattr__(self, name: str) -> Any:
        """All else is the model's own."""
        return getattr(self.model, name)


def opened(
    name: str, *, threads: int | None = None, refine: bool = False, side: int | None = None
) -> Predicting:
    """A method from what a user types.

    Args:
        name: A model's name; a folder with ``card.json`` and graphs; ``average.pt`` of a run, or a committed
            ``.safetensors`` checkpoint.
        threads: Threads it may use.
        refine: Whether edges are refined at the photo's size.
        side: Longest side of what a network in training is shown; by default that of the shipped card.
    """
    path = Path(name)
    model: Any
    if path.suffix in (".pt", ".safetensors"):
        if threads:
            torch.set_num_threads(threads)
        model = trained(path, side)
    elif path.is_dir():
        model = OnnxModel(path, threads=threads)
    else:
        model = models.load(name, threads=threads)
    return Predicting(name, Predictor(Remembering(model)), refine)


def trained(path: Path, side: int | None = None) -> Trained:
    """The network of a checkpoint.

    Raises:
        ModelDamagedError: The file does not fit its recipe.
    """
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    _, network, _ = starts.read(path)
    card = ModelCard("embedded", 16, 0, pooling="average", grows=True)
    if side is not None:
        card = replace(card, reference_side=side, target_side=side)
    return Trained(network, digest, card)
