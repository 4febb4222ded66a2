"""ViTMatte (Yao et al. 2023) from a trimap of every photo: in the paper's Table 3 what can be had at best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mattelike import photos
from mattelike.baselines import Answer, Help, Reference
from mattelike.baselines.asked import own_trimap
from mattelike.baselines.networks import Network, opened
from mattelike.values import Float32, Photo

EXAMPLE = "hustvl/vitmatte-small-composition-1k"
MULTIPLE = 32


class Matter:
    """The network, from photo and trimap to alpha.

    Args:
        network: A `VitMatteForImageMatting`.
    """

    def __init__(self, network: Network) -> None:
        self.network = network

    def alpha(self, photo: Photo, trimap: Float32) -> Float32:
        """Alpha at the photo's size; what the trimap is sure of stays.

        Colours are centred at middle gray, as its processor does; sides are filled up with zeros to multiples
        of 32 and cut back.

        Args:
            photo: The photo.
            trimap: float32 ``(h, w)`` in {0, 0.5, 1}.

        Returns:
            float32 ``(h, w)`` in [0, 1].
        """
        if not (trimap == 0.5).any():
            return trimap
        torch = self.network.torch
        height, width = trimap.shape
        rgb = (photos.to_srgb(photo) - np.float32(0.5)) / np.float32(0.5)
        fed = np.zeros((1, 4, height + -height % MULTIPLE, width + -width % MULTIPLE), np.float32)
        fed[0, :3, :height, :width] = rgb.transpose(2, 0, 1)
        fed[0, 3, :height, :width] = trimap
        with torch.inference_mode():
            found = self.network.module(torch.from_numpy(fed).to(self.network.device)).alphas
        alpha = found[0, 0, :height, :width].float().cpu().numpy()
        return np.where(trimap == 0.5, np.clip(alpha, 0, 1), trimap).astype(np.float32)


class VitMatte:
    """The network as a method.

    Args:
        matter: It.
    """

    help: Help = "trimap"

    def __init__(self, matter: Matter) -> None:
        self.matter = matter

    @property
    def about(self) -> Mapping[str, str]:
        """Weights and device."""
        network = self.matter.network
        return {
            "method": "vitmatte",
            "source": network.source,
            "weights": network.sha256,
            "device": network.device,
        }

    def encode(self, references: Sequence[Reference]) -> Float32:
        """The trimap of the photo itself.

        Raises:
            PromptError: Not one photo with a trimap of its size.
        """
        return own_trimap(references)

    def matte(self, photo: Photo, context: Float32) -> Answer:
        """Alpha; what the trimap is sure of stays."""
        return Answer(self.matter.alpha(photo, context))


def matter(source: str, *, device: str, threads: int | None, revision: str = "") -> Matter:
    """The network alone, for pipelines that end in it; errors as `mattelike.baselines.networks.opened`."""
    classes = ("VitMatteForImageMatting",)
    return Matter(opened(classes, source, EXAMPLE, device=device, threads=threads, revision=revision))


def vitmatte(
    *, device: str = "auto", threads: int | None = None, source: str = "", revision: str = ""
) -> VitMatte:
    """ViTMatte from a folder or the hub; errors as `mattelike.baselines.networks.opened`.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        threads: Threads of torch.
        source: A folder, or a hub id.
        revision: Of the hub id.
    """
    return VitMatte(matter(source, device=device, threads=threads, revision=revision))
