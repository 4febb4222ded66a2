"""The model ``dino``: frozen DINOv2 or DINOv3 tokens, contrastive matching, training-free head.

Weights come from a folder or from the hub, as `transformers` writes them; nothing is downloaded unless a hub
id is given and ``MATTELIKE_OFFLINE`` is not set.

Tokens are the patch tokens of the last block after the final LayerNorm. That is the layer both papers
evaluate for dense tasks ("x_norm_patchtokens" of their code) and the one training-free matchers read: earlier
layers are better at edges, but mix in position and colour, and here only kinds count. The CLS token and the
registers stand for no place in the picture and are dropped.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from safetensors import SafetensorError

from mattelike.errors import DeviceError, ModelDamagedError, ModelNotFoundError
from mattelike.models import Coarse, Role
from mattelike.models.contrastive import Contrastive
from mattelike.models.dino_files import (
    Origin,
    imported,
    located,
    preprocessing,
    read_json,
    weight_files,
    weights_hash,
)
from mattelike.values import Features, Float32, Guidance, ModelCard

# Longest side seen, rounded up to whole patches: 518 pixels (37 cells) at patch 14, 512 (32 cells) at 16.
SIDE = 512
LICENCES = {
    "dinov2": "Apache-2.0",
    "dinov2_with_registers": "Apache-2.0",
    "dinov3_vit": "DINOv3 License",
}


class DinoModel(Contrastive):
    """DINO tokens behind the contract of `mattelike.models.Model`.

    Args:
        origin: Where the weights are.
        device: As for `mattelike.models.load`.
        threads: Threads of torch, for the whole process; None leaves them as they are.
    """

    def __init__(self, origin: Origin, *, device: str = "auto", threads: int | None = None) -> None:
        torch, transformers = imported("torch"), imported("transformers")
        self._torch = torch
        if threads:
            torch.set_num_threads(threads)
        self._device = chosen_device(torch, device)
        self._network, config = opened(transformers, torch, origin.folder)
        self._network.eval().requires_grad_(False).to(self._device)
        super().__init__(card_of(config, preprocessing(origin.folder), origin))

    @property
    def device(self) -> str:
        """The device the weights lie on."""
        return str(next(self._network.parameters()).device.type)

    @property
    def multiple(self) -> int:
        """Whole patches only."""
        return self._card.stride

    def features(self, images: Float32, role: Role) -> Features:
        """Tokens of ``(1, 3, h, w)``: float32 ``(1, c, h / patch, w / patch)``; both roles are seen alike."""
        height, width = (side // self._card.stride for side in images.shape[-2:])
        with self._torch.inference_mode():
            pixels = self._torch.from_numpy(images).to(self._device)
            states = self._network(pixel_values=pixels).last_hidden_state
            # CLS and registers come first, in every member of the family.
            patches = states[0, states.shape[1] - height * width :].float().cpu().numpy()
        tokens = np.ascontiguousarray(patches.T).reshape(1, -1, height, width)
        return Features(tokens=tokens)

    def alpha(self, images: Float32, features: Features, guidance: Guidance) -> Coarse:
        """The training-free head's."""
        return self.free(images, guidance)


def dino(
    *, device: str = "auto", threads: int | None = None, source: str | Path = "", revision: str = ""
) -> DinoModel:
    """DINOv2 or DINOv3 from the hub or a folder.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        threads: Threads of torch.
        source: A folder with ``config.json`` and ``model.safetensors``, or a hub id.
        revision: Branch, tag or commit on the hub.

    Raises:
        MissingExtraError: torch or transformers is not installed.
        ModelNotFoundError: No such folder or hub id, no network, or not a DINO.
        ModelDamagedError: Files that are incomplete or do not fit each other.
        DeviceError: The device is not there.
    """
    return DinoModel(located(str(source), revision), device=device, threads=threads)


def chosen_device(torch: ModuleType, device: str) -> str:
    """A device of torch that is really there.

    Raises:
        DeviceError: It is not, or torch knows no such device.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        return next(name for name, available in there.items() if available)
    if not there.get(device, False):
        raise DeviceError(f"the device {device!r} is not available to this torch; use --device auto")
    return device


def opened(transformers: ModuleType, torch: ModuleType, folder: Path) -> tuple[Any, Any]:
    """The network in float32, every weight of it loaded, and its configuration.

    Raises:
        ModelNotFoundError: The folder holds another kind of model, or no weights.
        ModelDamagedError: Weights are missing, damaged or of other shapes.
    """
    if not (folder / "config.json").is_file():
        raise ModelNotFoundError(f"{folder}: no config.json in it; give a folder written by save_pretrained")
    kind = read_json(folder / "config.json").get("model_type")
    if kind not in LICENCES:
        raise ModelNotFoundError(f"{folder}: a {kind!r} model; 'dino' takes {', '.join(LICENCES)}")
    weight_files(folder)
    try:
        network, loaded = transformers.AutoModel.from_pretrained(
            str(folder),
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        line = str(error).strip().splitlines()[0]
        raise ModelDamagedError(f"{folder}: cannot be opened ({line}); fetch the model again") from error
    # The mask token is used in pre-training alone. Anything else that is missing would be random.
    missing = sorted(name for name in loaded["missing_keys"] if not name.endswith("mask_token"))
    if missing:
        raise ModelDamagedError(
            f"{folder}: {len(missing)} weights are missing, such as {missing[0]}; fetch it again"
        )
    return network, network.config


def card_of(
    config: Any, normalisation: tuple[tuple[float, ...], tuple[float, ...]], origin: Origin
) -> ModelCard:
    """The card of a loaded network."""
    patch = int(config.patch_size)
    side = -(-SIDE // patch) * patch
    mean, std = normalisation
    return ModelCard(
        name="dino",
        stride=patch,
        channels=int(config.hidden_size),
        reference_side=side,
        target_side=side,
        mean=(mean[0], mean[1], mean[2]),
        std=(std[0], std[1], std[2]),
        head="free",
        licence=LICENCES[config.model_type],
        source=origin.source,
        sha256=weights_hash(weight_files(origin.folder)),
    )
