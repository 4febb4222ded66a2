"""Closed-form and KNN matting from a trimap, on PyMatting."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mattelike import photos
from mattelike.baselines import Answer, Help, Reference, neighbours
from mattelike.baselines.asked import own_trimap
from mattelike.models.extras import imported
from mattelike.values import Float32, Photo

Estimate = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


def solved(estimate: Estimate, photo: Photo, trimap: Float32) -> Float32:
    """Alpha by an estimate that needs both sides sure; where one is missing, its answer is that of the other.

    A Laplacian with one value of constraints has that value everywhere, so nothing is left to estimate.
    """
    sure = np.unique(trimap[trimap != 0.5])
    if len(sure) < 2 or not (trimap == 0.5).any():
        return np.where(trimap == 0.5, sure[0] if len(sure) == 1 else 0.5, trimap).astype(np.float32)
    alpha = estimate(photos.to_srgb(photo).astype(np.float64), trimap.astype(np.float64))
    return np.clip(np.where(trimap == 0.5, alpha, trimap), 0, 1).astype(np.float32)


class Solver:
    """A method on PyMatting.

    Args:
        name: Of the method.
        estimate: What solves it, or the name of PyMatting's function that does.

    Raises:
        MissingExtraError: PyMatting is not installed.
    """

    help: Help = "trimap"

    def __init__(self, name: str, estimate: Estimate | str) -> None:
        library: Any = imported("pymatting", extra="baselines", purpose=f"the method {name!r}")
        own = "" if isinstance(estimate, str) else "given pixels as a border condition"
        self._estimate: Estimate = getattr(library, estimate) if isinstance(estimate, str) else estimate
        self._about = {"method": name, "pymatting": str(library.__version__), "solved": own}

    @property
    def about(self) -> Mapping[str, str]:
        """The function, and PyMatting's version."""
        return self._about

    def encode(self, references: Sequence[Reference]) -> Float32:
        """The trimap of the photo itself, in {0, 0.5, 1}.

        Raises:
            PromptError: Not one photo with a trimap of its size.
        """
        return own_trimap(references)

    def matte(self, photo: Photo, context: Float32) -> Answer:
        """Alpha; what the trimap is sure of stays."""
        return Answer(solved(self._estimate, photo, context))


def closed_form(*, device: str = "auto", threads: int | None = None) -> Solver:
    """Closed-form matting; device and threads are PyMatting's own."""
    return Solver("closed-form", "estimate_alpha_cf")


def knn(*, device: str = "auto", threads: int | None = None) -> Solver:
    """KNN matting; device and threads are PyMatting's own."""
    return Solver("knn", neighbours.estimate)
