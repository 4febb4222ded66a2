"""The pixels of a sample, as the losses of IconMatting want them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mattelike import photos
from mattelike.errors import PhotoError
from mattelike.training.sources import Kind, Sample
from mattelike.values import Float32, Photo

# Levels of an 8-bit trimap from which a pixel is unknown, and from which it is foreground.
UNKNOWN_FROM, FOREGROUND_FROM = 85, 170


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A sample's pixels, upright.

    Attributes:
        image: float32 ``(h, w, 3)`` in [-1, 1].
        alpha: float32 ``(h, w)`` in [0, 1].
        trimap: float32 ``(h, w)`` in {0, 0.5, 1}, or None.
        kind: Of the truth.
    """

    image: Float32
    alpha: Float32
    trimap: Float32 | None
    kind: Kind


def loaded(sample: Sample) -> Loaded:
    """Reads a sample.

    Raises:
        PhotoError: A file that cannot be read, or picture and truth of different sizes.
    """
    image = photos.to_srgb(photos.read(sample.image)) * np.float32(2) - np.float32(1)
    alpha = one_channel(photos.read(sample.alpha))
    if sample.kind == "segmentation":
        alpha = (alpha > 0.5).astype(np.float32)
    trimap = None if sample.trimap is None else three_levels(one_channel(photos.read(sample.trimap)))
    for truth, path in ((alpha, sample.alpha), (trimap, sample.trimap)):
        if truth is not None and truth.shape != image.shape[:2]:
            raise PhotoError(
                f"{path}: {truth.shape[1]} x {truth.shape[0]} pixels, its picture {sample.image.name} has "
                f"{image.shape[1]} x {image.shape[0]}"
            )
    return Loaded(image, alpha, trimap, sample.kind)


def one_channel(photo: Photo) -> Float32:
    """An alpha map as saved: the alpha channel where there is one, else the first channel; in [0, 1]."""
    levels = photo.pixels[..., 0] if photo.alpha is None else photo.alpha
    found: Float32 = levels.astype(np.float32) / np.float32(np.iinfo(levels.dtype).max)
    return found


def three_levels(trimap: Float32) -> Float32:
    """A trimap in {0, 0.5, 1} from its levels in [0, 1]."""
    level = np.floor(trimap * 255 + 0.5)
    half = np.where(level >= UNKNOWN_FROM, np.float32(0.5), np.float32(0))
    return np.where(level >= FOREGROUND_FROM, np.float32(1), half).astype(np.float32)
