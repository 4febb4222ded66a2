"""From a picture to features and self-attention: VAE once, noise by role, the U-Net as far as needed."""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mattelike.errors import UsageError
from mattelike.models import Role, sd21_unet
from mattelike.models.sd21_settings import IconSettings
from mattelike.models.sd21_unet import Site
from mattelike.network.captured import Layer
from mattelike.values import Float32

# What rounding may put beyond [-1, 1]; anything more is a picture that was not normalised.
SLACK = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Backbone:
    """The frozen parts.

    Attributes:
        unet: `UNet2DConditionModel`.
        vae: `AutoencoderKL`.
        prompt: Embedding of the empty prompt, ``(1, tokens, channels)``.
        alphas: Cumulative alphas of the noise schedule, float64 ``(1000,)``.
        identity: Hash of all weights.
        source: Where they came from.
    """

    unet: Any
    vae: Any
    prompt: Tensor
    alphas: Tensor
    identity: str
    source: str = ""
    # Hooks sit on the modules: two threads must not look through them at the same time.
    lock: Any = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """Features of one picture.

    Attributes:
        features: By decoder block, float32 ``(1, c, h, w)``, mean over noise draws.
        layers: By stride, the captured self-attention.
    """

    features: Mapping[int, Tensor]
    layers: Mapping[int, tuple[Layer, ...]]


def draw(seed: int, role: str, copy: int, what: str, shape: Sequence[int]) -> Tensor:
    """Normal noise that depends on nothing but its name, whatever was drawn before and on any device.

    Args:
        seed: Of the run.
        role: ``reference``, ``target``, or that with the hash of a picture.
        copy: Number of the noise draw.
        what: ``posterior`` or ``diffusion``.
        shape: Of the latent.

    Returns:
        float32 of that shape, on the CPU.
    """
    name = hashlib.sha256(f"{seed}/{role}/{copy}/{what}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(name[:8], "big") >> 1)
    return torch.randn(tuple(shape), generator=generator)


def noised(latent: Tensor, noise: Tensor, alpha: float) -> Tensor:
    """``z_t = sqrt(alpha_t) z_0 + sqrt(1 - alpha_t) noise``."""
    return math.sqrt(alpha) * latent + math.sqrt(1 - alpha) * noise


class Extractor:
    """Looks at pictures through a frozen backbone."""

    def __init__(self, backbone: Backbone, settings: IconSettings) -> None:
        self.backbone = backbone
        self.settings = settings
        self.sites = sd21_unet.attention_sites(
            backbone.unet, settings.attention_strides, settings.attention_places
        )

    @property
    def device(self) -> torch.device:
        """Where the backbone is."""
        found: torch.device = next(self.backbone.unet.parameters()).device
        return found

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the backbone."""
        found: torch.dtype = next(self.backbone.unet.parameters()).dtype
        return found

    def latents(self, images: Tensor, role: Role, drawn: str = "") -> Tensor:
        """Noised latents of one picture; the VAE runs once, however many there are.

        Args:
            images: float32 ``(1, 3, h, w)`` in [-1, 1], sides multiples of 64.
            role: Whose noise.
            drawn: Name of the noise, whatever `noise_mode` says: training draws anew for every sample.

        Returns:
            float32 ``(ensemble_size, 4, h / 8, w / 8)``.

        Raises:
            UsageError: Values that are not finite, or outside [-1, 1].
        """
        check_range(images)
        vae = self.backbone.vae
        with torch.inference_mode():
            posterior = vae.encode(images.to(self.device, self.dtype)).latent_dist
            mean, std = posterior.mean.float(), posterior.std.float()
            name = f"{role}/{drawn}" if drawn else self._noise_name(images, role)
            alpha = float(self.backbone.alphas[self.settings.timestep])
            copies: list[Tensor] = []
            for copy in range(self.settings.ensemble_size):
                latent = mean
                if self.settings.latent_mode == "sample":
                    latent = mean + std * self._noise(name, copy, "posterior", mean)
                latent = latent * vae.config.scaling_factor
                if self.settings.add_noise:
                    latent = noised(latent, self._noise(name, copy, "diffusion", mean), alpha)
                copies.append(latent)
        return torch.cat(copies)

    def tokens(self, images: Float32, role: Role, block: int) -> Float32:
        """One decoder output of a picture ``(1, 3, h, w)``, mean over noise draws; see `latents`."""
        seen = torch.from_numpy(np.ascontiguousarray(images, np.float32))
        feature = self.look(self.latents(seen, role), (block,)).features[block]
        found: Float32 = feature.cpu().numpy()
        return found

    def _noise(self, name: str, copy: int, what: Literal["posterior", "diffusion"], like: Tensor) -> Tensor:
        return draw(self.settings.seeds[0], name, copy, what, like.shape).to(like.device)

    def _noise_name(self, images: Tensor, role: Role) -> str:
        if self.settings.noise_mode == "by_role":
            return role
        return f"{role}/{hashlib.sha256(images.cpu().contiguous().numpy().tobytes()).hexdigest()}"

    def look(self, latents: Tensor, blocks: Sequence[int], strides: Sequence[int] = ()) -> Look:
        """Decoder outputs, and self-attention on grids of these strides.

        Args:
            latents: From `latents`.
            blocks: Numbers of decoder outputs.
            strides: Of the attention wanted; the U-Net runs no further than the last thing wanted.
        """
        sites = tuple(site for site in self.sites if site.stride in strides)
        with torch.inference_mode(), self.backbone.lock:
            seen = sd21_unet.look(
                self.backbone.unet,
                latents.to(self.device, self.dtype),
                self.settings.timestep,
                self.backbone.prompt,
                blocks,
                sites,
            )
        size = latents.shape[-2] * sd21_unet.LATENT_STRIDE, latents.shape[-1] * sd21_unet.LATENT_STRIDE
        layers: dict[int, tuple[Layer, ...]] = {}
        for index, site in enumerate(sites):
            layer = as_layer(site, seen.queries[index], seen.keys[index], size)
            layers[site.stride] = (*layers.get(site.stride, ()), layer)
        features = {number: f.float().mean(dim=0, keepdim=True) for number, f in seen.features.items()}
        return Look(features, layers)


def as_layer(site: Site, queries: Tensor, keys: Tensor, size: tuple[int, int]) -> Layer:
    """What was captured at a site, split into heads; draws and heads are one axis.

    Args:
        site: Where.
        queries: ``(b, n, c)``.
        keys: ``(b, n, c)``.
        size: Of the picture, in pixels.
    """
    heads = site.module.heads

    def split(x: Tensor) -> Tensor:
        batch, tokens, channels = x.shape
        parts = x.reshape(batch, tokens, heads, channels // heads).transpose(1, 2)
        return parts.reshape(batch * heads, tokens, channels // heads).float()

    grid = (size[0] // site.stride, size[1] // site.stride)
    return Layer(split(queries), split(keys), float(site.module.scale), grid, site.place)


def check_range(images: Tensor) -> None:
    """Refuses pictures that were not brought to [-1, 1].

    Raises:
        UsageError: Says which.
    """
    if not bool(torch.isfinite(images).all()):
        raise UsageError("the picture holds values that are not finite")
    largest = float(images.abs().max())
    if largest > 1 + SLACK:
        raise UsageError(
            f"sd21 looks at pictures in [-1, 1], not up to {largest:.3g}: bring them to x / 127.5 - 1"
        )
