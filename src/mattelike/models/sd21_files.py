"""Finding the files of ``sd21``: a folder, one ``.safetensors`` file, or ids on the hub, tried in order."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mattelike.errors import ModelDamagedError, ModelNotFoundError
from mattelike.models import extras, hub
from mattelike.models.sd21_settings import IconSettings

imported = partial(extras.imported, extra="sd", purpose="the model 'sd21'")

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
PROMPT_FILE = "prompt_embeds.safetensors"
# The only files ever fetched: configurations and safetensors, nothing that could be executed.
FILES = (
    "unet/config.json", "unet/*.safetensors", "vae/config.json", "vae/*.safetensors", "scheduler/*.json",
    "text_encoder/config.json", "text_encoder/*.safetensors", "tokenizer/*", PROMPT_FILE,
)  # fmt: skip


def located(source: str, revision: str, settings: IconSettings) -> tuple[Path, str]:
    """Folder or file of the diffusion model, and what to call it.

    Raises:
        ModelNotFoundError: None of the places has it; says what to do.
    """
    wanted = [source] if source else [p for p in (settings.sd_path, settings.sd_id, *settings.mirrors) if p]
    problems: list[str] = []
    for place in wanted:
        path = Path(place).expanduser()
        if path.is_dir() or (path.is_file() and path.suffix == ".safetensors"):
            return path, place
        if not HUB_ID.fullmatch(place) or path.suffix == ".safetensors":
            raise ModelNotFoundError(
                f"{place}: no such folder or .safetensors file, and not a hub id; "
                f"give source=FOLDER or source=HUB_ID such as {IconSettings().sd_id}"
            )
        try:
            found = fetched(place, revision)
        except ModelNotFoundError as error:
            problems.append(str(error))
            continue
        return found, f"{place}@{found.name[:12]}"
    raise ModelNotFoundError("; ".join(problems))


def fetched(place: str, revision: str) -> Path:
    """A hub model's folder: pulled before, in the hub's own cache, or pulled now.

    Raises:
        MattelikeError: As `mattelike.models.hub.located`.
    """
    return hub.located(wanted(place, revision))


def wanted(source: str, revision: str) -> hub.Wanted:
    """What is asked of the hub for this model; `source` empty for the usual one."""
    return hub.Wanted("sd21", source or IconSettings().sd_id, revision, FILES, "sd")


def read_json(path: Path) -> Mapping[str, Any]:
    """A JSON table.

    Raises:
        ModelNotFoundError: No such file.
        ModelDamagedError: Not a table.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelNotFoundError(f"{path}: missing; give a folder in the layout of diffusers") from error
    except ValueError as error:
        raise ModelDamagedError(f"{path}: not JSON ({error}); fetch the model again") from error
    if not isinstance(table, dict):
        raise ModelDamagedError(f"{path}: not a table; fetch the model again")
    return table
