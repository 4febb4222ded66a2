"""Pictures and truths of a benchmark, as its protocol shows them; the last few are kept."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mattelike import photos
from mattelike.errors import PhotoError
from mattelike.evaluation.layouts import Entry
from mattelike.evaluation.protocols import Protocol, framed, squared, unknown
from mattelike.training.sample_pixels import one_channel, three_levels
from mattelike.values import Float32, Photo

KEPT = 8


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """One picture as it is asked and measured.

    Attributes:
        photo: Named as its sample.
        truth: float32 ``(h, w)`` in [0, 1].
        trimap: float32 ``(h, w)`` in {0, 0.5, 1}.
    """

    photo: Photo
    truth: Float32
    trimap: Float32

    @property
    def present(self) -> bool:
        """Whether the thing is in the picture at all."""
        return bool((self.truth > 0.5).any())


class Shelf:
    """Reads entries, and remembers the last few.

    Args:
        protocol: How they are shown.
    """

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._kept: OrderedDict[str, Shown] = OrderedDict()
        self._present: dict[str, bool] = {}

    def shown(self, entry: Entry) -> Shown:
        """The picture and its truth.

        Raises:
            PhotoError: A file that cannot be read, or picture and truth of different sizes.
        """
        name = entry.sample.name
        if name not in self._kept:
            self._kept[name] = self._read(entry)
            self._present[name] = self._kept[name].present
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(name)
        return self._kept[name]

    def present(self, entry: Entry) -> bool:
        """Whether the thing is in the picture at all."""
        if entry.sample.name not in self._present:
            self.shown(entry)
        return self._present[entry.sample.name]

    def _read(self, entry: Entry) -> Shown:
        sample, protocol = entry.sample, self._protocol
        photo = replace(photos.read(sample.image), name=sample.name)
        truth = read_truth(entry)
        if truth.shape != (photo.height, photo.width):
            height, width = truth.shape
            raise PhotoError(
                f"{sample.alpha}: {width} x {height} pixels, its picture {sample.image.name} has "
                f"{photo.width} x {photo.height}"
            )
        truth = np.clip(squared(truth, protocol.side), 0, 1)
        if sample.trimap is None:
            levels = unknown(truth, protocol.trimap_radius)
        else:
            levels = three_levels(squared(one_channel(photos.read(sample.trimap)), protocol.side))
        if levels.shape != truth.shape:
            raise PhotoError(f"{sample.trimap}: not of the size of its picture {sample.image.name}")
        return Shown(framed(photo, protocol.side), truth, levels)


def read_truth(entry: Entry) -> Float32:
    """Alpha as saved, float32 ``(h, w)``; hard for masks, all labels together for label maps."""
    photo = photos.read(entry.sample.alpha)
    if entry.labels:
        return _hard(np.any(photo.pixels > 0, axis=2))
    alpha = one_channel(photo)
    return _hard(alpha > 0.5) if entry.sample.kind == "segmentation" else alpha


def _hard(mask: Any) -> Float32:
    return np.asarray(mask, np.float32)
