"""Networks of `transformers`: found in a folder or on the hub, opened whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from mattelike.errors import ModelDamagedError, ModelNotFoundError
from mattelike.models import extras, hub
from mattelike.models.dino import chosen_device
from mattelike.models.dino_files import FILES, HUB_ID, weight_files, weights_hash

EXTRA = "baselines"


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A network, ready to answer.

    Attributes:
        module: Of `transformers`, in evaluation mode, float32.
        torch: The library, so that nothing else needs to import it.
        device: Where it lies.
        sha256: Hash of its weights.
        source: Folder or hub id.
    """

    module: Any
    torch: Any
    device: str
    sha256: str
    source: str


def opened(
    classes: tuple[str, ...],
    source: str,
    example: str,
    *,
    device: str,
    threads: int | None,
    revision: str = "",
) -> Network:
    """A network by where its weights are.

    Args:
        classes: Names of classes of `transformers`, the first one this version has is taken.
        source: A folder written by ``save_pretrained``, or a hub id.
        example: A hub id, for the message when none was given.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        threads: Threads of torch, for the whole process.
        revision: Of the hub id.

    Raises:
        MissingExtraError: torch or transformers is not installed, or too old for this network.
        ModelNotFoundError: No such folder or hub id.
        ModelDamagedError: Weights are missing, damaged or of other shapes.
        DeviceError: The device is not there.
    """
    purpose = f"the network {classes[0]}"
    torch: Any = extras.imported("torch", extra=EXTRA, purpose=purpose)
    library: Any = extras.imported("transformers", extra=EXTRA, purpose=purpose)
    kind = next((found for name in classes if (found := getattr(library, name, None))), None)
    if kind is None:
        raise ModelNotFoundError(f"{purpose}: not in transformers {library.__version__}; install a newer one")
    if threads:
        torch.set_num_threads(threads)
    folder = located(source, revision, example)
    where = chosen_device(torch, device)
    module = _loaded(kind, torch, folder).eval().requires_grad_(False).to(where)
    return Network(module, torch, where, weights_hash(weight_files(folder)), source)


def located(source: str, revision: str, example: str) -> Path:
    """The folder of a network.

    Raises:
        ModelNotFoundError: Not there; says what to do.
    """
    if not source:
        raise ModelNotFoundError(f"no weights were given; give a folder or a hub id, such as {example}")
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if not HUB_ID.fullmatch(source):
        raise ModelNotFoundError(f"{source}: no such folder, and not a hub id such as {example}")
    return hub.located(hub.Wanted(source, source, revision, FILES, EXTRA))


def _loaded(kind: Any, torch: Any, folder: Path) -> Any:
    if not (folder / "config.json").is_file():
        raise ModelNotFoundError(f"{folder}: no config.json in it; give a folder written by save_pretrained")
    weight_files(folder)
    try:
        module, about = kind.from_pretrained(
            str(folder),
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, RuntimeError, ValueError, TypeError, AttributeError, SafetensorError) as error:
        said = str(error).strip() or type(error).__name__
        raise ModelDamagedError(
            f"{folder}: cannot be opened as {kind.__name__} ({said.splitlines()[0]})"
        ) from error
    missing = sorted(about["missing_keys"])
    if missing:
        # They would be random, and the answers with them (trap 63).
        raise ModelDamagedError(
            f"{folder}: {len(missing)} weights of {kind.__name__} are missing, such as {missing[0]}"
        )
    return module
