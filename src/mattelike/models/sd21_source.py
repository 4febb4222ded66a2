"""Opening the frozen parts of ``sd21``: U-Net, VAE, schedule, and the embedding of the empty prompt.

The text encoder is needed once, for that embedding, which is kept; it is never in memory while pictures are
looked at.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mattelike.errors import DeviceError, ModelDamagedError, ModelNotFoundError
from mattelike.models.sd21_extractor import Backbone
from mattelike.models.sd21_files import PROMPT_FILE, imported, located, read_json
from mattelike.models.sd21_settings import IconSettings

# Width of the text embedding the paper's model was trained with, and its objective.
CROSS_ATTENTION, PREDICTION = 1024, "v_prediction"
# Values of each tensor that go into the identity of a backbone.
SAMPLED = 64


def chosen_device(device: str) -> str:
    """A device of torch that is really there.

    Raises:
        DeviceError: It is not, or torch knows no such device.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return next(name for name, available in there.items() if available)
    if not there.get(device, False):
        raise DeviceError(f"the device {device!r} is not available to this torch; use --device auto")
    return device


def opened(source: str, revision: str, settings: IconSettings, device: str) -> Backbone:
    """The frozen parts, on their device, in their precision.

    Raises:
        ModelNotFoundError: Files are missing.
        ModelDamagedError: Files do not fit each other, or are of another model.
        MissingExtraError: diffusers or transformers is not installed.
    """
    diffusers = imported("diffusers")
    place, name = located(source, revision, settings)
    folder = place if place.is_dir() else Path(settings.sd_config or place.parent)
    scheduler = read_json(folder / "scheduler" / "scheduler_config.json")
    check_kind(scheduler, read_json(folder / "unet" / "config.json"), settings, name)
    dtype = getattr(torch, settings.dtype)
    unet = _network(diffusers.UNet2DConditionModel, place, folder, "unet", dtype)
    if settings.unet:
        unet = _replaced(unet, Path(settings.unet).expanduser(), diffusers.UNet2DConditionModel, dtype)
    vae = _network(diffusers.AutoencoderKL, place, folder, "vae", dtype)
    # Nothing is ever decoded: half of the VAE need not be there.
    vae.decoder = None
    for network in (unet, vae):
        network.eval().requires_grad_(False).to(device)
    identity = fingerprint((unet, vae))
    prompt = empty_prompt(folder, identity).to(device, dtype)
    if prompt.shape[-1] != unet.config.cross_attention_dim:
        raise ModelDamagedError(
            f"{name}: its prompt embedding has {prompt.shape[-1]} channels, its U-Net takes "
            f"{unet.config.cross_attention_dim}; remove {PROMPT_FILE} and load it again"
        )
    alphas = diffusers.DDIMScheduler.from_config(dict(scheduler)).alphas_cumprod.double()
    return Backbone(unet, vae, prompt, alphas, identity, name)


def check_kind(
    scheduler: Mapping[str, Any], unet: Mapping[str, Any], settings: IconSettings, name: str
) -> None:
    """Refuses a model that published head weights were not trained on.

    Raises:
        ModelDamagedError: SD 2.1-base, SD 1.5 or another; says how to use it all the same.
    """
    if settings.other_backbones:
        return
    found = scheduler.get("prediction_type", "epsilon")
    width = unet.get("cross_attention_dim")
    if found != PREDICTION or width != CROSS_ATTENTION:
        raise ModelDamagedError(
            f"{name}: predicts {found!r} with a text width of {width}; IconMatting needs the "
            f"{PREDICTION} model with {CROSS_ATTENTION} ({IconSettings().sd_id}, not -base); "
            "set other_backbones=true to train a new head on it"
        )


def _network(kind: Any, place: Path, folder: Path, part: str, dtype: torch.dtype) -> Any:
    """One part, every weight of it loaded.

    Raises:
        ModelDamagedError: Weights are missing or do not fit.
    """
    if place.is_file():
        return _attempt(
            place,
            lambda: kind.from_single_file(
                str(place), config=str(folder), subfolder=part, torch_dtype=dtype, local_files_only=True
            ),
        )
    network, info = _attempt(
        folder / part,
        lambda: kind.from_pretrained(
            str(folder), subfolder=part, torch_dtype=dtype, use_safetensors=True, local_files_only=True,
            output_loading_info=True,
        ),
    )  # fmt: skip
    missing = sorted(info.get("missing_keys", ()))
    if missing:
        raise ModelDamagedError(
            f"{folder / part}: {len(missing)} weights are missing, such as {missing[0]}; fetch it again"
        )
    return network


def _attempt(where: Path, action: Callable[[], Any]) -> Any:
    try:
        return action()
    except (OSError, RuntimeError, ValueError, KeyError, SafetensorError) as error:
        line = (str(error).strip().splitlines() or ["unreadable"])[0]
        raise ModelDamagedError(f"{where}: cannot be opened ({line}); fetch the model again") from error


def _replaced(unet: Any, path: Path, kind: Any, dtype: torch.dtype) -> Any:
    """Another U-Net of the same shape, such as CleanDIFT's.

    Raises:
        ModelNotFoundError: No such folder or file.
        ModelDamagedError: Its weights do not fit.
    """
    if path.is_dir():
        return _attempt(
            path,
            lambda: kind.from_pretrained(
                str(path), torch_dtype=dtype, use_safetensors=True, local_files_only=True
            ),
        )
    if not path.is_file():
        raise ModelNotFoundError(f"{path}: no such U-Net; give a folder or a .safetensors file")
    _attempt(path, partial(_loaded_into, unet, path))
    return unet


def _loaded_into(unet: Any, path: Path) -> None:
    unet.load_state_dict(load_file(path), strict=True)


def empty_prompt(folder: Path, identity: str) -> Tensor:
    """Embedding of the empty prompt, ``(1, tokens, channels)``: from a file, or computed once and kept.

    Raises:
        ModelNotFoundError: Neither the file nor a text encoder is there.
    """
    kept = cache_folder() / f"prompt-{identity[:16]}.safetensors"
    for path in (folder / PROMPT_FILE, kept):
        if path.is_file():
            tensors: dict[str, Tensor] = _attempt(path, partial(load_file, path))
            if "prompt_embeds" not in tensors:
                raise ModelDamagedError(
                    f"{path}: holds no 'prompt_embeds'; remove it and load the model again"
                )
            return tensors["prompt_embeds"]
    if not (folder / "text_encoder").is_dir() or not (folder / "tokenizer").is_dir():
        raise ModelNotFoundError(
            f"{folder}: needs {PROMPT_FILE}, or text_encoder/ and tokenizer/ to compute it once"
        )
    embedding = encoded_prompt(folder)
    # With a read-only cache it is computed again next time.
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        save_file({"prompt_embeds": embedding}, kept)
    return embedding


def encoded_prompt(folder: Path) -> Tensor:
    """Runs the text encoder on the empty prompt, padded as the diffusion model saw it in training."""
    transformers = imported("transformers")
    tokenizer = _attempt(
        folder / "tokenizer",
        lambda: transformers.CLIPTokenizer.from_pretrained(str(folder / "tokenizer"), local_files_only=True),
    )
    encoder = _attempt(
        folder / "text_encoder",
        lambda: transformers.CLIPTextModel.from_pretrained(
            str(folder / "text_encoder"), local_files_only=True, use_safetensors=True
        ),
    )
    length = min(tokenizer.model_max_length, encoder.config.max_position_embeddings)
    tokens = tokenizer("", padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        embedding: Tensor = encoder.eval()(tokens.input_ids)[0]
    return embedding.clone()


def cache_folder() -> Path:
    """Where computed files are kept: ``MATTELIKE_CACHE``, or the user's cache."""
    base = os.environ.get("MATTELIKE_CACHE", "")
    return (Path(base) if base else Path.home() / ".cache" / "mattelike") / "sd21"


def fingerprint(networks: Iterable[Any]) -> str:
    """Identity of frozen weights: a hash of every tensor's name, shape and a sample of its values."""
    digest = hashlib.sha256()
    for network in networks:
        for name, value in network.state_dict().items():
            flat = value.detach().flatten()
            step = max(1, flat.numel() // SAMPLED)
            sample = flat[::step].float().cpu().contiguous().numpy()
            digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
            digest.update(sample.tobytes())
    return digest.hexdigest()
