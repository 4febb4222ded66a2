"""Files with the trained weights of a research head: safetensors, with the head's shape in the header.

The authors publish Lightning checkpoints, which are pickles: `convert` opens one with ``weights_only=True``,
so that nothing in it runs, and writes the tensors of the head alone.
"""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mattelike.errors import ModelDamagedError, ModelNotFoundError, OutputError
from mattelike.network.icon_768 import Icon768, Icon768Settings, Scale

PREFIX = "in_context_decoder."
# Frozen parts a checkpoint may still hold; the model has its own.
FROZEN = "feature_extractor"
HEADER = "mattelike"
# Names of keys in an error message before the rest is a count.
NAMED = 3


def convert(path: str | Path, target: str | Path | None = None) -> Path:
    """The head of an authors' checkpoint as safetensors.

    Args:
        path: A Lightning checkpoint (``state_dict`` inside) or a plain dictionary of tensors; keys with or
            without the prefix ``in_context_decoder.``.
        target: Where to write; by default beside it, with the suffix ``.safetensors``.

    Returns:
        The file written.

    Raises:
        ModelNotFoundError: No such file.
        ModelDamagedError: Not a checkpoint that can be opened safely, or its keys or shapes are not those
            of the released head.
        OutputError: It cannot be written.
    """
    path = Path(path)
    target = path.with_suffix(".safetensors") if target is None else Path(target)
    tensors = head_tensors(_opened(path), str(path))
    settings = Icon768Settings()
    check(tensors, shapes(settings), str(path))
    write(target, "icon-768", dataclasses.asdict(settings), tensors)
    return target


def _opened(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise ModelNotFoundError(f"{path}: no such checkpoint")
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        line = (str(error).strip().splitlines() or ["unreadable"])[0]
        raise ModelDamagedError(
            f"{path}: cannot be opened without running code from it ({line}); save its state_dict alone"
        ) from error
    if not isinstance(loaded, Mapping):
        raise ModelDamagedError(f"{path}: not a checkpoint; a dictionary of tensors was expected")
    return loaded


def head_tensors(checkpoint: Mapping[str, Any], name: str = "checkpoint") -> dict[str, Tensor]:
    """The head's tensors of a checkpoint, under their own names.

    Raises:
        ModelDamagedError: There are none.
    """
    table = checkpoint.get("state_dict", checkpoint)
    if not isinstance(table, Mapping):
        raise ModelDamagedError(f"{name}: its state_dict is not a dictionary")
    found = {
        str(key).removeprefix(PREFIX): value
        for key, value in table.items()
        if isinstance(value, Tensor) and FROZEN not in str(key)
    }
    if not found:
        raise ModelDamagedError(f"{name}: no tensors of a head in it")
    return found


def shapes(settings: Icon768Settings) -> dict[str, torch.Size]:
    """Every key of a head of this shape, with the shape of its tensor; allocates nothing."""
    with torch.device("meta"):
        head = Icon768(settings)
    return {key: value.shape for key, value in head.state_dict().items()}


def check(tensors: Mapping[str, Tensor], wanted: Mapping[str, torch.Size], name: str) -> None:
    """Refuses weights that do not fit entirely.

    Raises:
        ModelDamagedError: Names what is missing, too much, or of another shape.
    """
    missing, extra = sorted(set(wanted) - set(tensors)), sorted(set(tensors) - set(wanted))
    if missing:
        raise ModelDamagedError(f"{name}: {len(missing)} weights are missing: {_listed(missing)}")
    if extra:
        raise ModelDamagedError(f"{name}: {len(extra)} weights are unknown: {_listed(extra)}")
    for key, shape in wanted.items():
        if tensors[key].shape != shape:
            raise ModelDamagedError(
                f"{name}: {key} has shape {tuple(tensors[key].shape)}, {tuple(shape)} is needed"
            )


def _listed(keys: Iterable[str]) -> str:
    names = list(keys)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def write(
    path: Path,
    head: str,
    settings: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    trained: Mapping[str, Any] | None = None,
) -> None:
    """Writes a head's weights, whole or not at all.

    Args:
        path: Where to.
        head: ``icon-768``, ``icon-flex`` or ``vitmatte``.
        settings: Its shape.
        tensors: Its state dictionary.
        trained: Settings of the model it was trained with, where they are known.

    Raises:
        OutputError: It cannot be written there.
    """
    partial = path.with_name(f".{path.name}.partial")
    header = {"head": head, "settings": dict(settings), "trained": dict(trained or {})}
    about = {HEADER: json.dumps(header, sort_keys=True)}
    try:
        save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, partial, about)
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot write the weights ({error})") from error


def read(path: Path) -> tuple[str, Mapping[str, Any], dict[str, Tensor]]:
    """Name, shape and tensors of a head.

    Raises:
        ModelNotFoundError: No such file.
        ModelDamagedError: A pickle, or not a head of ours.
    """
    if not path.is_file():
        raise ModelNotFoundError(f"{path}: no such weights")
    if path.suffix in (".ckpt", ".pth", ".pt", ".bin"):
        raise ModelDamagedError(
            f"{path}: a pickle is never opened; run `mattelike models convert {path}` once"
        )
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})[HEADER])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dictionary
        return str(about["head"]), dict(about["settings"]), tensors
    except (SafetensorError, ValueError, KeyError, TypeError, OSError) as error:
        raise ModelDamagedError(
            f"{path}: not the weights of a head ({error}); convert or train them again"
        ) from error


def trained(path: Path) -> Mapping[str, Any]:
    """Settings of the model that a head was trained with; empty where its file does not say.

    A file that is not there, or not a head of ours, says nothing here: that is told when it is read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return dict(json.loads((file.metadata() or {})[HEADER]).get("trained", {}))
    except (SafetensorError, ValueError, KeyError, TypeError, OSError):
        return {}


def icon_768_settings(table: Mapping[str, Any]) -> Icon768Settings:
    """The shape of a head from its file's header."""
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}
    if "scales" in values:
        values["scales"] = tuple(s if isinstance(s, Scale) else Scale(**s) for s in values["scales"])
    return Icon768Settings(**values)
