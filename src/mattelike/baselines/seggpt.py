"""SegGPT (Wang et al. 2023): reference and mask above, target below, its painting read as alpha (Table 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mattelike import photos, resampling
from mattelike.baselines import Answer, Help, Reference
from mattelike.baselines.asked import region
from mattelike.baselines.networks import Network, opened
from mattelike.errors import SettingsError
from mattelike.models.dino_files import IMAGENET_MEAN, IMAGENET_STD
from mattelike.values import Float32, Photo

EXAMPLE = "BAAI/seggpt-vit-large"
EMBEDDINGS = ("instance", "semantic")
MEAN = np.asarray(IMAGENET_MEAN, np.float32)
STD = np.asarray(IMAGENET_STD, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Prompts:
    """References as the network is shown them.

    Attributes:
        images: float32 ``(n, 3, s, t)``.
        masks: float32 ``(n, 3, s, t)``, white on black.
    """

    images: Float32
    masks: Float32


class SegGpt:
    """The network as a method; several references are ensembled in its features.

    Args:
        network: A `SegGptForImageSegmentation`.
        embedding: Which of its two learned tokens: ``instance`` or ``semantic``.
    """

    help: Help = "references"

    def __init__(self, network: Network, embedding: str = "instance") -> None:
        if embedding not in EMBEDDINGS:
            raise SettingsError(f"embedding={embedding!r}: there are {', '.join(EMBEDDINGS)}")
        self._network = network
        self._embedding = embedding
        height, width = network.module.config.image_size
        # The picture it sees is two of equal size, one above the other.
        self._size = height // 2, width

    @property
    def about(self) -> Mapping[str, str]:
        """Weights, token, device."""
        network = self._network
        return {
            "method": "seggpt",
            "source": network.source,
            "weights": network.sha256,
            "embedding": self._embedding,
            "device": network.device,
        }

    def encode(self, references: Sequence[Reference]) -> Prompts:
        """References and their masks; marks that are no masks are shown as they are.

        Raises:
            PromptError: A mark that means nothing on its photo.
        """
        images, masks = [], []
        for photo, hint in references:
            marked = resampling.nearest(region(photo, hint).positive, self._size).astype(np.float32)
            images.append(self._shown(photo))
            masks.append(_normalised(np.repeat(marked[..., None], 3, axis=2)))
        return Prompts(np.stack(images), np.stack(masks))

    def matte(self, photo: Photo, context: Prompts) -> Answer:
        """The brightness of what it paints, at the photo's size."""
        torch, count = self._network.torch, len(context.images)
        target = np.repeat(self._shown(photo)[None], count, axis=0)
        with torch.inference_mode():
            painted = self._network.module(
                pixel_values=self._tensor(target),
                prompt_pixel_values=self._tensor(context.images),
                prompt_masks=self._tensor(context.masks),
                feature_ensemble=count > 1,
                embedding_type=self._embedding,
            ).pred_masks
        below = painted[:, :, painted.shape[2] // 2 :].float().cpu().numpy().mean(axis=0)
        levels = np.clip(below.transpose(1, 2, 0) * STD + MEAN, 0, 1).mean(axis=2)
        return Answer(np.clip(resampling.resize(levels, (photo.height, photo.width)), 0, 1))

    def _tensor(self, values: Float32) -> Any:
        return self._network.torch.from_numpy(values).to(self._network.device)

    def _shown(self, photo: Photo) -> Float32:
        """A photo at the network's size, bicubic as its processor does."""
        torch = self._network.torch
        rgb = torch.from_numpy(np.ascontiguousarray(photos.to_srgb(photo).transpose(2, 0, 1)))[None]
        small = torch.nn.functional.interpolate(rgb, size=self._size, mode="bicubic", antialias=True)
        return _normalised(small[0].clamp(0, 1).numpy().transpose(1, 2, 0))


def _normalised(rgb: Float32) -> Float32:
    centred: Float32 = ((rgb - MEAN) / STD).transpose(2, 0, 1).astype(np.float32)
    return np.ascontiguousarray(centred)


def seggpt(
    *,
    device: str = "auto",
    threads: int | None = None,
    source: str = "",
    revision: str = "",
    embedding: str = "instance",
) -> SegGpt:
    """SegGPT from a folder or the hub; errors as `mattelike.baselines.networks.opened`.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        threads: Threads of torch.
        source: A folder, or a hub id.
        revision: Of the hub id.
        embedding: ``instance`` or ``semantic``.

    Raises:
        SettingsError: No such embedding.
    """
    classes = ("SegGptForImageSegmentation",)
    network = opened(classes, source, EXAMPLE, device=device, threads=threads, revision=revision)
    return SegGpt(network, embedding)
