"""Mattes that another system wrote: ``<folder>/<group>/<name>.png`` or ``<folder>/<name>.png``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from mattelike.baselines import Answer, Help, Reference
from mattelike.baselines.command import chosen_help, read_alpha
from mattelike.errors import ModelNotFoundError
from mattelike.values import Photo

SUFFIXES = (".png", ".tif", ".tiff", ".webp")


class Outputs:
    """Mattes by the names of their photos.

    Args:
        folder: Where they are.
        given: What the system was given, for the report and for which questions it is asked.
        version: What to call the system's version or weights.

    Raises:
        ModelNotFoundError: No such folder.
    """

    def __init__(self, folder: Path, given: Help, version: str) -> None:
        if not folder.is_dir():
            raise ModelNotFoundError(f"{folder}: no such folder; give folder=FOLDER of mattes")
        self.help: Help = given
        self._folder = folder
        self._about = {
            "method": "outputs",
            "folder": folder.name,
            "mattes": _hash(folder),
            "given": given,
            "version": version,
        }

    @property
    def about(self) -> Mapping[str, str]:
        """The folder and a hash of its mattes, what the system was given, the version somebody stated."""
        return self._about

    def encode(self, references: Sequence[Reference]) -> None:
        """Nothing is left to look at."""

    def matte(self, photo: Photo, context: None) -> Answer:
        """The matte of that name.

        Raises:
            ModelError: It is not there, or of another size.
        """
        stem = Path(photo.name).with_suffix("")
        places = [self._folder / name for name in (stem, stem.name)]
        files = [place.with_name(place.name + suffix) for place in places for suffix in SUFFIXES]
        found = next((file for file in files if file.is_file()), files[0])
        return Answer(read_alpha(found, photo, self._folder.name))


def _hash(folder: Path) -> str:
    """SHA-256 over names and content of the mattes: others in the same folder are other answers."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def outputs(
    *,
    device: str = "auto",
    threads: int | None = None,
    folder: str = "",
    given: str = "references",
    version: str = "",
) -> Outputs:
    """A folder of mattes as a method; device and threads are of no use to it.

    Args:
        device: Not used.
        threads: Not used.
        folder: Where the mattes are.
        given: ``references``, ``marks``, ``trimap`` or ``nothing``.
        version: What to call the system's version or weights.

    Raises:
        ModelNotFoundError: No such folder.
        SettingsError: No such help.
    """
    if not folder:
        raise ModelNotFoundError("no folder was given; give folder=FOLDER of mattes")
    return Outputs(Path(folder).expanduser(), chosen_help(given), version)
