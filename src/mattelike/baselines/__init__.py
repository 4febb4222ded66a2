"""Other systems behind the two verbs: one row each, one file each, one contract.

``encode`` looks at what a method is given, ``matte`` answers for a photo. What a method is given differs:

==============  =========================================================================================
`Help`          meaning
==============  =========================================================================================
``references``  marked photos of the same kind, once for a whole group (in-context)
``marks``       a mark on every photo itself: ``encode([(photo, mark)])``, then ``matte(photo, context)``
``trimap``      a trimap of every photo itself: ``encode([(photo, Trimap(...))])``
``nothing``     nothing: ``encode([])``
==============  =========================================================================================

To add one: write ``baselines/x.py`` with a function that returns a `Method`, and add a row to `BASELINES`.
Every model of `mattelike.models` is a method too, by its own name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from mattelike.errors import ModelNotFoundError
from mattelike.models import MODELS
from mattelike.prompts import Prompt
from mattelike.values import Float32, Photo

Help = Literal["references", "marks", "trimap", "nothing"]


@dataclass(frozen=True, slots=True, eq=False)
class Trimap:
    """What of a photo is sure.

    Attributes:
        levels: float32 ``(h, w)`` in {0, 0.5, 1}: background, unknown, foreground.
    """

    levels: Float32


Hint: TypeAlias = "Prompt | Trimap"
Reference: TypeAlias = tuple[Photo, Hint]


class Answer(NamedTuple):
    """What a method says of one photo.

    Attributes:
        alpha: float32 ``(h, w)`` in [0, 1], at the photo's size.
        presence: Is the kind there at all, in [0, 1]; None from methods that do not say.
    """

    alpha: Float32
    presence: float | None = None


@runtime_checkable
class Method(Protocol):
    """What the evaluation needs of whoever answers it."""

    @property
    def help(self) -> Help:
        """What it is given."""

    @property
    def about(self) -> Mapping[str, str]:
        """What decides its answers: hashes of weights, versions, settings. Equal words, equal answers."""

    def encode(self, references: Sequence[Reference]) -> Any:
        """Looks at what it is given.

        Raises:
            PromptError: A mark it cannot read.
        """

    def matte(self, photo: Photo, context: Any) -> Answer:
        """Answers for one photo."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A row of the table: everything that can be said of a method without importing it.

    Attributes:
        name: What users type.
        target: ``module:function``; the function takes ``device``, ``threads`` and the row's own options.
        help: What it is given; empty where an option says so.
        extra: Extra of this package that it needs, or empty.
        summary: One line.
        weights: Whether it needs weights that do not come with this package.
        options: Names of the keyword options the function takes.
    """

    name: str
    target: str
    help: Help | Literal[""]
    extra: str
    summary: str
    weights: bool = False
    options: tuple[str, ...] = field(default=())


_HERE = "mattelike.baselines"
BASELINES: Mapping[str, Baseline] = {
    row.name: row
    for row in (
        Baseline(
            "nearest",
            f"{_HERE}.nearest:nearest",
            "references",
            "",
            "each cell takes the side of its nearest reference token, as DIFT propagates labels",
            options=("backbone", "source", "revision"),
        ),
        Baseline(
            "free",
            f"{_HERE}.free:free",
            "references",
            "",
            "the training-free head on the features of any model",
            options=("backbone", "source", "revision"),
        ),
        Baseline(
            "grabcut",
            f"{_HERE}.grabcut:grabcut",
            "references",
            "baselines",
            "GrabCut from the box around what `nearest` found",
            options=("backbone", "source", "revision", "rounds"),
        ),
        Baseline(
            "closed-form",
            f"{_HERE}.laplacian:closed_form",
            "trimap",
            "baselines",
            "closed-form matting (Levin et al. 2008), by PyMatting",
        ),
        Baseline(
            "knn",
            f"{_HERE}.laplacian:knn",
            "trimap",
            "baselines",
            "KNN matting (Chen et al. 2013), neighbours by PyMatting",
        ),
        Baseline(
            "vitmatte",
            f"{_HERE}.vitmatte:vitmatte",
            "trimap",
            "baselines",
            "ViTMatte, from the hub or a folder",
            weights=True,
            options=("source", "revision"),
        ),
        Baseline(
            "icon-trimap",
            f"{_HERE}.icon_trimap:icon_trimap",
            "trimap",
            "sd",
            "the paper's variant without references, a trimap of every photo (table 7)",
            weights=True,
            options=("source", "weights", "settings"),
        ),
        Baseline(
            "seggpt",
            f"{_HERE}.seggpt:seggpt",
            "references",
            "baselines",
            "SegGPT, from the hub or a folder",
            weights=True,
            options=("source", "revision", "embedding"),
        ),
        Baseline(
            "sam",
            f"{_HERE}.sam:sam",
            "marks",
            "baselines",
            "SAM, SAM 2 or SAM 3 from a mark on every photo; hard mattes",
            weights=True,
            options=("source", "revision", "kind"),
        ),
        Baseline(
            "sam-vitmatte",
            f"{_HERE}.icmp:sam_vitmatte",
            "marks",
            "baselines",
            "SAM, a trimap by morphology, ViTMatte: as Matte-Anything does it",
            weights=True,
            options=("sam", "vitmatte", "segmenter_kind", "erode", "dilate"),
        ),
        Baseline(
            "icmp",
            f"{_HERE}.icmp:icmp",
            "references",
            "baselines",
            "the paper's ICMP: points matched by DINOv2, SAM, a trimap by morphology, ViTMatte",
            weights=True,
            options=("feature", "dino", "sam", "vitmatte", "segmenter_kind", "erode", "dilate", "points"),
        ),
        Baseline(
            "remover",
            f"{_HERE}.remover:remover",
            "nothing",
            "",
            "an automatic background remover from an ONNX file (U-2-Net, IS-Net and their kin)",
            weights=True,
            options=("file", "shape", "stretch"),
        ),
        Baseline(
            "command",
            f"{_HERE}.command:command",
            "",
            "",
            "a program of its own environment, run once a photo",
            weights=True,
            options=("run", "given", "timeout", "version"),
        ),
        Baseline(
            "outputs",
            f"{_HERE}.outputs:outputs",
            "",
            "",
            "a folder of mattes that another system wrote",
            weights=True,
            options=("folder", "given", "version"),
        ),
    )
}


def load(name: str, *, device: str = "auto", threads: int | None = None, **options: object) -> Method:
    """Loads a method by name: a row of `BASELINES`, or a model.

    Args:
        name: Its name.
        device: As for `mattelike.models.load`.
        threads: Threads it may use.
        options: What its row's `options` name; for a model its own, and ``refine`` (False by default).

    Raises:
        ModelNotFoundError: No such method, or an option it does not take.
        MissingExtraError: Its extra is not installed.
        DeviceError: The device is not there.
    """
    row = BASELINES.get(name)
    if row is None and name not in MODELS:
        raise ModelNotFoundError(f"no method named {name!r}; there are: {', '.join((*MODELS, *BASELINES))}")
    if row is None:
        predicting: Method = import_module(f"{_HERE}.predicting").predicting(
            name, device=device, threads=threads, **options
        )
        return predicting
    unknown = sorted(set(options) - set(row.options))
    if unknown:
        takes = ", ".join(row.options) or "none"
        raise ModelNotFoundError(f"the method {name!r} takes no option {unknown[0]!r}; it takes: {takes}")
    module, function = row.target.split(":")
    method: Method = getattr(import_module(module), function)(device=device, threads=threads, **options)
    return method
