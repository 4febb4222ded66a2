"""The model ``sd21``: IconMatting, the paper's model, on Stable Diffusion 2.1.

Everything here is in modules beside this one, which load torch and diffusers; this one loads neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mattelike.errors import MissingExtraError
from mattelike.models.sd21_settings import IconSettings, settings_of

if TYPE_CHECKING:
    from mattelike.models.sd21_model import IconModel

NEEDED = ("torch", "diffusers", "transformers", "accelerate")


def sd21(
    *,
    device: str = "auto",
    threads: int | None = None,
    source: str | Path = "",
    revision: str = "",
    weights: str | Path = "",
    settings: IconSettings | Mapping[str, Any] | None = None,
    cache: str | Path = "",
    **changes: Any,
) -> IconModel:
    """IconMatting on a frozen diffusion model.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        threads: Threads of torch, for the whole process.
        source: A folder in the layout of diffusers, a ``.safetensors`` file, or a hub id; by default what
            the settings name.
        revision: Branch, tag or commit on the hub.
        weights: The head's: a file from ``mattelike models convert`` or from training.
        settings: `IconSettings`, or changes to them by name; ``{"preset": "release"}`` or ``"paper"``.
            Weights that were trained here bring the settings they were trained with, unless a preset is
            named.
        cache: Folder that keeps what was seen of references; none by default.
        changes: Settings one by one, as ``--set timestep=100`` gives them.

    Raises:
        MissingExtraError: torch, diffusers or transformers is not installed.
        SettingsError: An unknown setting, or a value it cannot take.
        ModelNotFoundError: The diffusion model or the head's weights are not there.
        ModelDamagedError: They do not fit each other.
        DeviceError: The device is not there.
    """
    given = changed(settings, changes)
    # What is wrong with the settings is said before anything is loaded.
    chosen = settings_of(given)
    for package in NEEDED:
        if find_spec(package) is None:
            raise MissingExtraError(package, "sd", "the model 'sd21'")
    import torch

    from mattelike.models import sd21_heads, sd21_source
    from mattelike.models.sd21_model import IconModel

    if isinstance(given, dict) and "preset" not in given:
        chosen = settings_of({**sd21_heads.trained_for(str(weights)), **given})
    if threads:
        torch.set_num_threads(threads)
    place = sd21_source.chosen_device(device)
    backbone = sd21_source.opened(str(source), revision, chosen, place)
    head = sd21_heads.opened(str(weights), chosen, backbone.unet)
    return IconModel(backbone, head, chosen, Path(cache).expanduser() if str(cache) else None)


def changed(
    settings: IconSettings | Mapping[str, Any] | None, changes: Mapping[str, Any]
) -> IconSettings | dict[str, Any]:
    """Settings with single changes to them.

    Raises:
        SettingsError: An unknown setting, or a value it cannot take.
    """
    if not isinstance(settings, IconSettings):
        return {**(settings or {}), **changes}
    return settings_of(changes, settings)
