"""GrabCut (Rother et al. 2004) started from the box around what nearest neighbours found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mattelike.baselines import Answer, Help, Method, Reference
from mattelike.baselines.asked import largest, pixels
from mattelike.baselines.nearest import nearest
from mattelike.components import bounds
from mattelike.models.extras import imported
from mattelike.values import Bool, Photo

ROUNDS = 5


class GrabCut:
    """A box from another method, and the colours inside and outside of it.

    Args:
        propagator: Whose alpha, cut at a half, the box is drawn around.
        rounds: Iterations of GrabCut.

    Raises:
        MissingExtraError: OpenCV is not installed.
    """

    help: Help = "references"

    def __init__(self, propagator: Method, rounds: int = ROUNDS) -> None:
        self._cv2: Any = imported("cv2", extra="baselines", purpose="the method 'grabcut'")
        self.propagator = propagator
        self.rounds = rounds

    @property
    def about(self) -> Mapping[str, str]:
        """What proposes the box, OpenCV's version, and the rounds."""
        proposed = {f"box by {name}": value for name, value in self.propagator.about.items()}
        return {"method": "grabcut", "opencv": self._cv2.__version__, "rounds": str(self.rounds), **proposed}

    def encode(self, references: Sequence[Reference]) -> Any:
        """The propagator's context."""
        return self.propagator.encode(references)

    def matte(self, photo: Photo, context: Any) -> Answer:
        """A hard matte; nothing where no box was found, the box's own guess where it fills the photo."""
        proposed = self.propagator.matte(photo, context)
        guess = largest(proposed.alpha > 0.5)
        box = bounds(guess)
        if box is None:
            return Answer(np.zeros_like(proposed.alpha), proposed.presence)
        top, left, bottom, right = box
        if bottom - top == photo.height and right - left == photo.width:
            # GrabCut learns the ground outside the box: where there is none, it has nothing to say.
            return proposed
        return Answer(self._cut(photo, box, guess).astype(np.float32), proposed.presence)

    def _cut(self, photo: Photo, box: tuple[int, int, int, int], guess: Bool) -> Bool:
        top, left, bottom, right = box
        labels = np.zeros((photo.height, photo.width), np.uint8)
        ground, thing = np.zeros((1, 65)), np.zeros((1, 65))
        # Its mixtures are started at random.
        self._cv2.setRNGSeed(0)
        try:
            self._cv2.grabCut(
                pixels(photo),
                labels,
                (left, top, right - left, bottom - top),
                ground,
                thing,
                self.rounds,
                self._cv2.GC_INIT_WITH_RECT,
            )
        except self._cv2.error:
            # Fewer colours inside than its mixtures need.
            return guess
        found: Bool = (labels == self._cv2.GC_FGD) | (labels == self._cv2.GC_PR_FGD)
        return found


def grabcut(
    *,
    device: str = "auto",
    threads: int | None = None,
    backbone: str = "imagenet",
    source: str = "",
    revision: str = "",
    rounds: int = ROUNDS,
) -> GrabCut:
    """GrabCut from the box around what `nearest` found.

    Args:
        device: As for `mattelike.models.load`.
        threads: As for `mattelike.models.load`.
        backbone: As for `mattelike.baselines.nearest.nearest`.
        source: Folder or hub id, for backbones that take one.
        revision: Of the hub id.
        rounds: Iterations of GrabCut.

    Raises:
        ModelNotFoundError: No such backbone.
        MissingExtraError: OpenCV is not installed.
    """
    found = nearest(device=device, threads=threads, backbone=backbone, source=source, revision=revision)
    return GrabCut(found, rounds)
