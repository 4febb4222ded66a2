"""SAM, SAM 2 and SAM 3 as interactive segmenters: clicks, a box or a mask on the photo itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mattelike import photos, resampling
from mattelike.baselines import Answer, Help, Reference
from mattelike.baselines.asked import Box, clicks, own_region
from mattelike.baselines.networks import Network, opened
from mattelike.components import bounds
from mattelike.errors import ModelNotFoundError
from mattelike.models.dino_files import IMAGENET_MEAN, IMAGENET_STD
from mattelike.values import Bool, Float32, Photo, RoI

EXAMPLES = {
    "sam": "facebook/sam-vit-huge",
    "sam2": "facebook/sam2.1-hiera-large",
    "sam3": "facebook/sam3",
}
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
# A mask is handed over as logits this sure.
SURE = np.float32(10)


@dataclass(frozen=True, slots=True)
class Family:
    """How one generation wants its photos.

    Attributes:
        classes: Of `transformers`.
        stretched: Whether photos are stretched to a square; else the longer side fits, zeros below and right.
        colours: Mean and deviation of RGB in [0, 1].
    """

    classes: tuple[str, ...]
    stretched: bool
    colours: tuple[tuple[float, float, float], tuple[float, float, float]]


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "sam": Family(("SamModel",), False, (IMAGENET_MEAN, IMAGENET_STD)),
        "sam2": Family(("Sam2Model",), True, (IMAGENET_MEAN, IMAGENET_STD)),
        "sam3": Family(("Sam3TrackerModel",), True, HALF),
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What is marked on a photo.

    Attributes:
        points: Positions ``[row, column]`` ``(n, 2)`` of clicks.
        labels: 1 for a click on the thing, 0 for one on what it is not, ``(n,)``.
        box: Rectangle around the thing, or None.
        mask: bool ``(h, w)``, a first guess of all of it, or None.
    """

    points: NDArray[np.intp]
    labels: NDArray[np.intp]
    box: Box | None = None
    mask: Bool | None = None


def asked(roi: RoI) -> Asked:
    """A mark in SAM's terms: clicks stay clicks, a scribble becomes some, a mask is given with its box."""
    none = np.zeros((0, 2), np.intp)
    if roi.kind in ("mask", "box"):
        mask = roi.positive if roi.kind == "mask" else None
        return Asked(none, np.zeros(0, np.intp), bounds(roi.positive), mask)
    on, off = clicks(roi.positive), clicks(roi.negative) if roi.negative.any() else none
    return Asked(np.concatenate([on, off]), np.array([1] * len(on) + [0] * len(off), np.intp))


class Segmenter:
    """The network, from photo and marks to a hard mask.

    Args:
        network: Of `transformers`.
        family: How it wants its photos.
    """

    def __init__(self, network: Network, family: Family) -> None:
        self.network = network
        self._family = family
        config = network.module.config
        size = getattr(config.prompt_encoder_config, "image_size", 1024)
        self._side = int(size if isinstance(size, int) else size[0])
        patch = config.prompt_encoder_config.patch_size
        # Its prompt encoder takes masks at four times the grid of its features.
        self._mask_side = 4 * self._side // int(patch)

    def mask(self, photo: Photo, marks: Asked) -> Bool:
        """What is meant, bool ``(h, w)``: of several proposals the one it rates best."""
        torch = self.network.torch
        content = self._content(photo)
        given = {
            "pixel_values": self._tensor(self._shown(photo, content)),
            **self._prompts(photo, marks, content),
        }
        single = marks.box is None and len(marks.points) == 1
        with torch.inference_mode():
            found = self.network.module(**given, multimask_output=single)
            best = int(found.iou_scores[0, 0].argmax())
            logits = found.pred_masks[0, 0, best][None, None].float()
            whole = torch.nn.functional.interpolate(logits, (self._side, self._side), mode="bilinear")
            inside = whole[..., : content[0], : content[1]]
            size = (photo.height, photo.width)
            full = torch.nn.functional.interpolate(inside, size, mode="bilinear")[0, 0]
        meant: Bool = full.cpu().numpy() > 0
        return meant

    def _content(self, photo: Photo) -> tuple[int, int]:
        """Size of the photo within the square."""
        if self._family.stretched:
            return self._side, self._side
        scale = self._side / max(photo.height, photo.width)
        return max(1, int(photo.height * scale + 0.5)), max(1, int(photo.width * scale + 0.5))

    def _shown(self, photo: Photo, content: tuple[int, int]) -> Float32:
        mean, std = (np.asarray(values, np.float32) for values in self._family.colours)
        rgb = (resampling.resize(photos.to_srgb(photo), content) - mean) / std
        square = np.zeros((1, 3, self._side, self._side), np.float32)
        square[0, :, : content[0], : content[1]] = rgb.transpose(2, 0, 1)
        return square

    def _prompts(self, photo: Photo, marks: Asked, content: tuple[int, int]) -> dict[str, Any]:
        down, across = content[0] / photo.height, content[1] / photo.width
        given: dict[str, Any] = {}
        if len(marks.points):
            places = marks.points[:, ::-1] * np.array([across, down])
            given["input_points"] = self._tensor(places[None, None].astype(np.float32))
            given["input_labels"] = self._tensor(marks.labels[None, None].astype(np.int32))
        if marks.box is not None:
            top, left, bottom, right = marks.box
            corners = np.array([left * across, top * down, right * across, bottom * down], np.float32)
            given["input_boxes"] = self._tensor(corners[None, None])
        if marks.mask is not None:
            scale = self._mask_side / self._side
            size = max(1, round(content[0] * scale)), max(1, round(content[1] * scale))
            logits = np.full((1, 1, self._mask_side, self._mask_side), -SURE, np.float32)
            share = resampling.resize(marks.mask.astype(np.float32), size)
            logits[0, 0, : size[0], : size[1]] = (2 * share - 1) * SURE
            given["input_masks"] = self._tensor(logits)
        return given

    def _tensor(self, values: NDArray[Any]) -> Any:
        return self.network.torch.from_numpy(np.ascontiguousarray(values)).to(self.network.device)


class Sam:
    """A segmenter as a method: a hard matte from a mark on the photo itself.

    Args:
        segmenter: It.
        kind: Its generation, for the report.
    """

    help: Help = "marks"

    def __init__(self, segmenter: Segmenter, kind: str) -> None:
        self._segmenter = segmenter
        self._kind = kind

    @property
    def about(self) -> Mapping[str, str]:
        """Generation, weights, device."""
        network = self._segmenter.network
        return {
            "method": self._kind,
            "source": network.source,
            "weights": network.sha256,
            "device": network.device,
        }

    def encode(self, references: Sequence[Reference]) -> Asked:
        """The mark on the photo itself.

        Raises:
            PromptError: Not one marked photo.
        """
        return asked(own_region(references))

    def matte(self, photo: Photo, context: Asked) -> Answer:
        """The mask, as alpha."""
        return Answer(self._segmenter.mask(photo, context).astype(np.float32))


def segmenter(kind: str, source: str, *, device: str, threads: int | None, revision: str = "") -> Segmenter:
    """A segmenter from a folder or the hub; errors as `mattelike.baselines.networks.opened`.

    Args:
        kind: ``sam``, ``sam2`` or ``sam3``.
        source: A folder, or a hub id.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        threads: Threads of torch.
        revision: Of the hub id.

    Raises:
        ModelNotFoundError: No such kind.
    """
    family = FAMILIES.get(kind)
    if family is None:
        raise ModelNotFoundError(f"no segmenter is called {kind!r}; there are: {', '.join(FAMILIES)}")
    network = opened(
        family.classes, source, EXAMPLES[kind], device=device, threads=threads, revision=revision
    )
    return Segmenter(network, family)


def sam(
    *,
    device: str = "auto",
    threads: int | None = None,
    source: str = "",
    revision: str = "",
    kind: str = "sam2",
) -> Sam:
    """SAM, SAM 2 or SAM 3 as a method; arguments and errors as `segmenter`."""
    return Sam(segmenter(kind, source, device=device, threads=threads, revision=revision), kind)
