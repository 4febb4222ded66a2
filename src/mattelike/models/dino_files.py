"""The files of the model ``dino``: a folder, or the hub's cache, fetched unless that is forbidden."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from mattelike.errors import ModelDamagedError, ModelNotFoundError
from mattelike.models import extras, hub, pulled

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
EXAMPLE = "facebook/dinov2-small"
imported = partial(extras.imported, extra="dino", purpose="the model 'dino'")

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
# The only files ever fetched: configuration and safetensors, nothing that could be executed.
FILES = (
    "config.json",
    "preprocessor_config.json",
    "model.safetensors",
    "model-*.safetensors",
    "model.safetensors.index.json",
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where weights are and what to call that place.

    Attributes:
        folder: Holds the files.
        source: For the card: the folder, or the hub id with its commit.
    """

    folder: Path
    source: str


def located(source: str, revision: str) -> Origin:
    """The folder of a model: given as such, or fetched from the hub, or found in the hub's cache.

    Raises:
        ModelNotFoundError: Not there; says what to do.
    """
    if not source:
        raise ModelNotFoundError(
            f"the model 'dino' brings no weights; give source=FOLDER or source=HUB_ID, such as {EXAMPLE}"
        )
    folder = Path(source).expanduser()
    if folder.is_dir():
        return Origin(folder, source)
    if not HUB_ID.fullmatch(source):
        raise ModelNotFoundError(
            f"{source}: no such folder, and not a hub id; give a folder with config.json and "
            f"model.safetensors, or an id such as {EXAMPLE}"
        )
    found = fetched(source, revision)
    return Origin(found, f"{source}@{found.name[:12]}")


def fetched(source: str, revision: str) -> Path:
    """A hub model's folder: pulled before, in the hub's own cache, or pulled now.

    Raises:
        MattelikeError: As `mattelike.models.hub.located`.
    """
    return hub.located(wanted(source, revision))


def wanted(source: str, revision: str) -> hub.Wanted:
    """What is asked of the hub for this model; `source` empty for the usual one."""
    return hub.Wanted("dino", source or EXAMPLE, revision, FILES, "dino")


def read_json(path: Path) -> Mapping[str, Any]:
    """A JSON table.

    Raises:
        ModelDamagedError: Not one.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelDamagedError(f"{path}: cannot be read ({error}); fetch the model again") from error
    if not isinstance(table, dict):
        raise ModelDamagedError(f"{path}: not a table; fetch the model again")
    return table


def preprocessing(folder: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of RGB in [0, 1] from ``preprocessor_config.json``, or ImageNet's without one."""
    path = folder / "preprocessor_config.json"
    table = read_json(path) if path.is_file() else {}
    mean = tuple(float(v) for v in table.get("image_mean", IMAGENET_MEAN))
    std = tuple(float(v) for v in table.get("image_std", IMAGENET_STD))
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise ModelDamagedError(
            f"{path}: image_mean and image_std must be three numbers; fetch the model again"
        )
    return mean, std


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The safetensors files of a model, in the order they are hashed.

    Raises:
        ModelNotFoundError: There are none.
    """
    index = folder / "model.safetensors.index.json"
    names = (
        sorted(set(read_json(index).get("weight_map", {}).values()))
        if index.is_file()
        else ["model.safetensors"]
    )
    missing = next((name for name in names if not (folder / name).is_file()), None)
    if missing or not names:
        raise ModelNotFoundError(
            f"{folder}: no {missing or 'weights'} in it; save the model with "
            "save_pretrained(..., safe_serialization=True), or give a hub id"
        )
    return tuple(folder / name for name in names)


def weights_hash(files: tuple[Path, ...]) -> str:
    """SHA-256 of the weights: of the one file, or of the parts' hashes in order."""
    parts = [_part_hash(path.resolve(), *_stamp(path)) for path in files]
    return parts[0] if len(parts) == 1 else hashlib.sha256("".join(parts).encode()).hexdigest()


def _stamp(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_size, about.st_mtime_ns


@cache
def _part_hash(path: Path, size: int, changed: int) -> str:
    """Hash of one file as it is now; size and time of change are there to tell a new one."""
    # The hub's cache names every large file by its SHA-256, and checked it at download.
    if path.parent.name == "blobs" and re.fullmatch(r"[0-9a-f]{64}", path.name):
        return path.name
    return pulled.hash_of(path)
