"""Models on this machine that did not come with the package: where they lie, whether they are whole.

::

    MATTELIKE_HOME, or $XDG_CACHE_HOME/mattelike, or ~/.cache/mattelike
        models/ORG--NAME/COMMIT/            the files as they are on the hub
        models/ORG--NAME/COMMIT/pulled.json what they are, with their hashes: written last
        models/ORG--NAME/.COMMIT.partial/   what is being fetched, or was when it broke off

A folder with its ``pulled.json`` is whole. Looking models up never writes, so that the place may be shared
and read-only.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mattelike.errors import ModelDamagedError, ModelNotFoundError, OutputError

RECORD = "pulled.json"
MAIN = "main"
_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Pulled:
    """A model that was fetched whole.

    Attributes:
        folder: Of its files.
        model: Whose files they are: a name of the registry.
        source: Id on the hub.
        commit: Exactly which.
        revisions: Names it was asked for by, such as ``"main"``.
        files: SHA-256 by path.
    """

    folder: Path
    model: str
    source: str
    commit: str
    revisions: tuple[str, ...]
    files: Mapping[str, str]

    @property
    def name(self) -> str:
        """Source and commit, as it is shown."""
        return f"{self.source}@{self.commit[:12]}"

    @property
    def bytes(self) -> int:
        """What its files take."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


def home() -> Path:
    """The folder of everything that is fetched."""
    chosen = os.environ.get("MATTELIKE_HOME")
    if chosen:
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "mattelike"


def offline() -> str:
    """The variable that forbids every connection, or an empty string; the hub's own counts too."""
    set_ = (name for name in ("MATTELIKE_OFFLINE", "HF_HUB_OFFLINE") if _says_yes(os.environ.get(name, "")))
    return next(set_, "")


def _says_yes(value: str) -> bool:
    return value.strip().lower() not in ("", "0", "false", "no", "off")


def place_of(source: str) -> Path:
    """Folder for all commits of one id.

    Raises:
        ModelNotFoundError: Not an id; nothing else may become part of a path.
    """
    if not _ID.fullmatch(source):
        raise ModelNotFoundError(f"{source}: not a hub id; one looks like facebook/dinov2-small")
    return home() / "models" / source.replace("/", "--")


def find(source: str, revision: str = "") -> Pulled | None:
    """What was pulled of an id, or None; of several commits that fit the one pulled last."""
    wanted = revision or MAIN
    place = place_of(source)
    fitting = [each for each in _in(place) if wanted == each.commit or wanted in each.revisions]
    return max(fitting, key=lambda each: (each.folder / RECORD).stat().st_mtime_ns, default=None)


def everything() -> list[Pulled]:
    """All that was pulled, by source."""
    root = home() / "models"
    try:
        places = sorted(path for path in root.iterdir() if path.is_dir())
    except OSError:
        return []
    return [each for place in places for each in _in(place)]


def of_model(model: str) -> list[Pulled]:
    """All that was pulled for one model of the registry."""
    return [each for each in everything() if each.model == model]


def record(pulled: Pulled, folder: Path) -> None:
    """Writes ``pulled.json`` into a folder: from then on it counts as whole."""
    about = {
        "model": pulled.model,
        "source": pulled.source,
        "commit": pulled.commit,
        "revisions": sorted(pulled.revisions),
        "files": dict(sorted(pulled.files.items())),
    }
    temporary = folder / f".{RECORD}.partial"
    temporary.write_text(json.dumps(about, indent=1), encoding="utf-8")
    temporary.replace(folder / RECORD)


def verify(pulled: Pulled) -> None:
    """Compares every file with its hash.

    Raises:
        ModelDamagedError: One is missing or another.
    """
    for name, sha256 in pulled.files.items():
        path = pulled.folder / name
        what = "is not what was pulled"
        try:
            if hash_of(path) == sha256:
                continue
        except OSError as error:
            what = f"cannot be read ({error.strerror or error})"
        raise ModelDamagedError(
            f"{path}: {what}; run `mattelike models remove {pulled.model}` and pull it again"
        )


def remove(pulled: Pulled) -> int:
    """Removes a model's files, and what is left of broken-off pulls of it.

    Returns:
        Bytes that were freed.

    Raises:
        OutputError: They cannot be removed.
    """
    freed = pulled.bytes
    try:
        (pulled.folder / RECORD).unlink()  # first: what is half removed must not count as whole
        shutil.rmtree(pulled.folder)
        for partial in pulled.folder.parent.glob(".*.partial"):
            shutil.rmtree(partial)
        if not _in_use(pulled.folder.parent):
            shutil.rmtree(pulled.folder.parent)
    except OSError as error:
        raise OutputError(f"{pulled.folder}: cannot be removed ({error.strerror or error})") from error
    return freed


def hash_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_hash_of(path: Path) -> str:
    """SHA-1 of a file as git counts it, which is all a hub says of small files."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _in_use(place: Path) -> bool:
    return any(path.is_dir() for path in place.iterdir())


def _in(place: Path) -> Iterator[Pulled]:
    for path in sorted(place.glob(f"[!.]*/{RECORD}")):
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
            yield Pulled(
                path.parent,
                str(about["model"]),
                str(about["source"]),
                str(about["commit"]),
                tuple(map(str, about["revisions"])),
                {str(name): str(sha256) for name, sha256 in about["files"].items()},
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # not ours, or damaged: as good as not there, and pulled again
