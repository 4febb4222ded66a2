"""The models: one row each, one file each, one contract.

A model is four steps; everything between and around them (reading, framing, refining, writing) is shared::

    images ── features ──► Features ── weigh (reference: marks -> weights) ──► Context
                               └────── guide (target, with a Context) ──► Guidance ── alpha ──► Coarse

To add one: write ``models/x.py`` with a function that returns a `Model`, and add a row to `MODELS`. The
contract tests run over the rows. No other part of the program knows any model's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from mattelike.contexts import Context
from mattelike.errors import ModelError, ModelNotFoundError
from mattelike.values import Features, Float32, Guidance, ModelCard, RoIKind

Role = Literal["reference", "target"]


@dataclass(frozen=True, slots=True, eq=False)
class Coarse:
    """What a head says of one target, at the size the model saw.

    Attributes:
        alpha: float32 ``(h, w)`` in [0, 1].
        uncertainty: float32 ``(h, w)`` in [0, 1], expected absolute error of alpha; None when unknown.
        presence: Is the kind there at all, in [0, 1]; None when the guidance's is all there is.
        second: Asks another head about the same (`Predictor.considered`): returns its alpha, float32
            ``(h, w)`` in [0, 1]. None of models that have one head.

    Raises:
        ModelError: Alpha holds what is not a number: no photo is to be cut out by it.
    """

    alpha: Float32
    uncertainty: Float32 | None = None
    presence: float | None = None
    second: Callable[[], Float32] | None = None

    def __post_init__(self) -> None:
        """Nothing wrong passes in silence."""
        if not np.isfinite(self.alpha).all():
            raise ModelError(
                "the model's answer holds values that are no numbers; compare its files with their card "
                "(mattelike models verify), or try another device or precision"
            )


@runtime_checkable
class Model(Protocol):
    """What every model does. It holds its weights and nothing about any photo."""

    @property
    def card(self) -> ModelCard:
        """Who it is and how it wants its pictures."""

    @property
    def device(self) -> str:
        """The device in use, read back from the runtime: ``"cpu"``, ``"cuda"``..."""

    def features(self, images: Float32, role: Role) -> Features:
        """Looks once at one normalised picture ``(1, 3, h, w)``; sides are multiples of `multiple`."""

    @property
    def multiple(self) -> int:
        """Both sides of what it sees are multiples of this."""

    def weigh(self, features: Features, positive: Float32, negative: Float32, kind: RoIKind) -> Float32:
        """How much of every reference cell is the marked thing (section 3.6 for marks that are not masks).

        Args:
            features: Of the reference.
            positive: float32 ``(h_l, w_l)`` in [0, 1], share of each cell that is marked.
            negative: The same for what is known not to be the thing.
            kind: What the marks came from.

        Returns:
            float32 ``(h_l, w_l)`` in [0, 1].
        """

    def remember(self, features: Features, weights: Float32) -> tuple[Any, Any]:
        """Tokens ``(n, c)`` and weights ``(n,)`` of a reference, in the precision a context stores."""

    def guide(self, features: Features, context: Context) -> Guidance:
        """Where the marked kind is in a target (section 3.4)."""

    def alpha(self, images: Float32, features: Features, guidance: Guidance) -> Coarse:
        """From guidance to alpha (section 3.5)."""


@dataclass(frozen=True, slots=True)
class Plug:
    """A row of the table: everything that can be said of a model without importing it.

    Attributes:
        name: What users type.
        target: ``module:function``; the function takes ``device``, ``threads`` and the row's own options.
        extra: Extra of this package that it needs, or empty.
        summary: One line.
        licence: Licence of its weights.
        options: Names of the keyword options the function takes.
        settings: Whether it takes settings of its own beside them, whose names it knows itself.
    """

    name: str
    target: str
    extra: str
    summary: str
    licence: str
    options: tuple[str, ...] = field(default=())
    settings: bool = False


MODELS: Mapping[str, Plug] = {
    row.name: row
    for row in (
        Plug(
            "embedded",
            "mattelike.models.embedded:embedded",
            "",
            "our own network, trained for in-context matting, shipped in the wheel",
            "Apache-2.0; trained in part on photos for research use, see its card",
        ),
        Plug(
            "embedded-clean",
            "mattelike.models.embedded:embedded_clean",
            "",
            "the same network, trained only on what is free of doubt about rights, shipped in the wheel",
            "Apache-2.0",
        ),
        Plug(
            "imagenet",
            "mattelike.models.embedded:imagenet",
            "",
            "ImageNet features and the training-free head, shipped in the wheel",
            "Apache-2.0",
        ),
        Plug(
            "dino",
            "mattelike.models.dino:dino",
            "dino",
            "DINOv2 or DINOv3 from the hub or a folder, training-free head",
            "Apache-2.0 (DINOv2), DINOv3 licence",
            ("source", "revision"),
        ),
        Plug(
            "sd21",
            "mattelike.models.sd21:sd21",
            "sd",
            "IconMatting, the paper's model, on Stable Diffusion 2.1",
            "CreativeML Open RAIL++-M",
            ("source", "revision", "weights", "settings", "cache"),
            settings=True,
        ),
        Plug(
            "sd21+dino",
            "mattelike.models.fused:fused",
            "sd",
            "tokens of Stable Diffusion 2.1 and of DINO side by side, training-free head",
            "CreativeML Open RAIL++-M; Apache-2.0 (DINOv2), DINOv3 licence",
            ("source", "revision", "dino_source", "settings"),
            settings=True,
        ),
    )
}


def load(name: str, *, device: str = "auto", threads: int | None = None, **options: object) -> Model:
    """Loads a model by name.

    Args:
        name: A row of `MODELS`.
        device: ``auto``, ``cpu``, ``cuda``, ``coreml`` or ``mps``; asked for by name, it is that or an error.
        threads: Threads it may use; None leaves it to the machine (``OMP_NUM_THREADS`` is respected).
        options: What the row's `options` name, and settings of the model where it has any.

    Raises:
        ModelNotFoundError: No such row, or an option the model does not take.
        MissingExtraError: Its extra is not installed.
        DeviceError: The device is not there.
    """
    plug = MODELS.get(name)
    if plug is None:
        raise ModelNotFoundError(f"no model named {name!r}; there are: {', '.join(MODELS)}")
    unknown = sorted(set(options) - set(plug.options))
    if unknown and not plug.settings:
        raise ModelNotFoundError(
            f"the model {name!r} takes no option {unknown[0]!r}; "
            f"it takes: {', '.join(plug.options) or 'none'}"
        )
    module, function = plug.target.split(":")
    model: Model = getattr(import_module(module), function)(device=device, threads=threads, **options)
    return model
