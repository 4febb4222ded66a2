"""Reference tokens on disk: what the backbone saw in a reference, so that it need not look again.

Tokens are kept as they leave the U-Net, before any layer of a head, so that they outlive the head's weights.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from mattelike.errors import OutputError
from mattelike.models.sd21_settings import IconSettings
from mattelike.values import Bool, Float32

# Settings that change what is seen in a reference; everything else may change and the cache holds.
SEEN_BY = (
    "timestep", "add_noise", "inter_block", "ensemble_size", "latent_mode", "noise_mode", "dtype", "side",
    "eval_geometry",
)  # fmt: skip


def seen_by(settings: IconSettings) -> str:
    """The settings that reference tokens depend on, as one line; of the seeds, the first."""
    return "/".join([*(f"{name}={getattr(settings, name)}" for name in SEEN_BY), f"seed={settings.seeds[0]}"])


def key(images: Float32, settings: IconSettings, backbone: str, roi: Bool | None = None) -> str:
    """Name of an entry: a hash of everything its tokens depend on.

    Args:
        images: What the model was given, ``(1, 3, h, w)``.
        settings: Effective settings.
        backbone: Hash of the frozen weights.
        roi: Cells kept, for an entry that holds those alone; None for one that holds every cell and so
            serves any mark on the same picture.
    """
    digest = hashlib.sha256(f"{backbone}/{seen_by(settings)}/{images.shape}".encode())
    digest.update(np.ascontiguousarray(images).tobytes())
    digest.update(b"all" if roi is None else np.packbits(roi).tobytes() + str(roi.shape).encode())
    return digest.hexdigest()


class TokenCache:
    """A folder of entries, one file each. A damaged entry counts as none and is written anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        """The file of an entry."""
        return self.folder / f"{name}.safetensors"

    def get(self, name: str) -> NDArray[np.float32] | None:
        """Tokens of an entry, or None."""
        try:
            return load_file(self.path(name))["tokens"]
        except (OSError, SafetensorError, KeyError):
            return None

    def put(self, name: str, tokens: NDArray[np.float32]) -> None:
        """Writes an entry, whole or not at all.

        Raises:
            OutputError: The folder cannot be written to.
        """
        partial = self.folder / f".{name}.partial"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file({"tokens": np.ascontiguousarray(tokens)}, partial)
            partial.replace(self.path(name))
        except (OSError, SafetensorError) as error:
            partial.unlink(missing_ok=True)
            raise OutputError(f"{self.folder}: cannot write reference tokens ({error})") from error
