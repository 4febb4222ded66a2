"""The models in the wheel, on onnxruntime: ``embedded`` and ``embedded-clean`` (trained here), ``imagenet``.

Each is a folder with ``features.onnx``, a ``head.onnx`` where the head is learned, perhaps a
``matching.onnx`` (`mattelike.models.contrastive.guide` as a graph, which uses every core), and ``card.json``.
The graphs are written by `mattelike.training.export` and never edited.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from mattelike.contexts import Context, float_tokens
from mattelike.errors import ModelDamagedError, ModelNotFoundError
from mattelike.models import Coarse, Role
from mattelike.models.contrastive import Contrastive, both_ways, guidance, guide
from mattelike.models.runtime import device_in_use, file_hash, session
from mattelike.values import Features, Float32, Guidance, ModelCard

# The backbone halves five times.
MULTIPLE = 32


def weights_folder(name: str) -> Path:
    """Where the wheel keeps a model's files."""
    return Path(str(files("mattelike.models").joinpath("weights", name)))


def read_card(folder: Path) -> ModelCard:
    """The card of a model's folder.

    Raises:
        ModelNotFoundError: No card there.
        ModelDamagedError: Not a card.
    """
    path = folder / "card.json"
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        known = set(ModelCard.__slots__)
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in table.items()
            if key in known
        }
        return ModelCard(**values)
    except OSError as error:
        raise ModelNotFoundError(f"{path}: the model's card is missing; reinstall mattelike") from error
    except (ValueError, TypeError) as error:
        raise ModelDamagedError(f"{path}: not a model card ({error}); reinstall mattelike") from error


def graphs(folder: Path) -> tuple[Path, ...]:
    """The graph files of a model's folder, in the order they are hashed."""
    return tuple(sorted(folder.glob("*.onnx")))


def verify(folder: Path) -> ModelCard:
    """Compares the files with their card.

    Raises:
        ModelDamagedError: The hash is not the card's.
    """
    card = read_card(folder)
    found = file_hash(*graphs(folder))
    if found != card.sha256:
        raise ModelDamagedError(
            f"{folder}: the graphs are not those of the card (sha256 {found[:12]}, not {card.sha256[:12]}); "
            "reinstall mattelike"
        )
    return card


class OnnxModel(Contrastive):
    """A model whose learned parts are ONNX graphs; see `mattelike.models.Model`.

    Args:
        folder: Holds ``features.onnx``, ``card.json``, for a learned head ``head.onnx``, and perhaps
            ``matching.onnx``.
        device: As for `mattelike.models.load`.
        threads: Threads of every graph.
    """

    def __init__(self, folder: Path, *, device: str = "auto", threads: int | None = None) -> None:
        super().__init__(read_card(folder))
        self._features = session(folder / "features.onnx", device, threads)
        head = folder / "head.onnx"
        self._head = session(head, device, threads) if self._card.head != "free" else None
        matching = folder / "matching.onnx"
        self._matching = session(matching, device, threads) if matching.is_file() else None

    @property
    def device(self) -> str:
        """The device in use, read back from onnxruntime."""
        return device_in_use(self._features)

    @property
    def multiple(self) -> int:
        """Sides of what it sees are multiples of this."""
        return MULTIPLE

    def features(self, images: Float32, role: Role) -> Features:
        """Looks at ``(1, 3, h, w)``: once at a target, at a reference as `contrastive.both_ways` says."""
        return both_ways(self._look, images) if role == "reference" else self._look(images)

    def _look(self, images: Float32) -> Features:
        tokens, *skips = self._features.run(None, {"images": images})
        return Features(tokens=tokens, skips=tuple(skips))

    def guide(self, features: Features, context: Context) -> Guidance:
        """See `mattelike.models.contrastive.guide`; by the graph where there is one."""
        if self._matching is None:
            return guide(self._card, features, context)
        reference, weights = float_tokens(context)
        feeds = {"tokens": features.tokens, "reference": reference, "weights": weights}
        return guidance(self._matching.run(None, feeds)[0][0])

    def alpha(self, images: Float32, features: Features, guidance: Guidance) -> Coarse:
        """The learned head, or the training-free one."""
        if self._head is None:
            return self.free(images, guidance)
        feeds = {"images": images, "guidance": guidance.maps[None]}
        feeds |= {f"skip_{index}": skip for index, skip in enumerate(features.skips)}
        alpha, uncertainty, presence = self._head.run(["alpha", "uncertainty", "presence"], feeds)
        return Coarse(
            alpha[0, 0], uncertainty[0, 0], float(presence[0]), lambda: self.free(images, guidance).alpha
        )


def embedded(*, device: str = "auto", threads: int | None = None) -> OnnxModel:
    """Our own network, trained for in-context matting."""
    return OnnxModel(weights_folder("embedded"), device=device, threads=threads)


def embedded_clean(*, device: str = "auto", threads: int | None = None) -> OnnxModel:
    """The same, trained only on what is free of doubt about rights."""
    return OnnxModel(weights_folder("embedded-clean"), device=device, threads=threads)


def imagenet(*, device: str = "auto", threads: int | None = None) -> OnnxModel:
    """ImageNet features, contrastive matching, training-free head."""
    return OnnxModel(weights_folder("imagenet"), device=device, threads=threads)
