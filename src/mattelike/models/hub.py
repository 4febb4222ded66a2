"""Fetching a model from the hub, so that nothing half or wrong ever counts as a model.

Files are written beside their final place, taken up where an earlier attempt broke off, and compared with the
hub's hashes before they get their names; the folder gets its own when all are there. One process at a time
fetches a model, others wait for it. `huggingface_hub` knows the addresses, the user's token and the way
through proxies; its own cache is looked into, and left alone.
"""

from __future__ import annotations

import errno
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import partial
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any, TypeVar

from mattelike.errors import ModelDamagedError, ModelNotFoundError, OutputError
from mattelike.models import extras, pulled
from mattelike.models.pulled import Pulled

T = TypeVar("T")

PATIENCE = 1800.0
"""Seconds to wait for another process that fetches the same model."""

SPARE = 64 << 20
"""Bytes that a disk must keep beside what is fetched."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of the hub.

    Attributes:
        model: A name of the registry.
        source: Id on the hub.
        revision: Branch, tag or commit; empty for the main branch.
        files: Patterns of the only files that are ever fetched.
        extra: Extra that brings `huggingface_hub`.
    """

    model: str
    source: str
    revision: str
    files: Sequence[str]
    extra: str


@dataclass(frozen=True, slots=True)
class Remote:
    """A file on the hub.

    Attributes:
        name: Path in the repository.
        size: Bytes.
        digest: SHA-256, or git's SHA-1 where the hub gives no other.
    """

    name: str
    size: int
    digest: str

    def is_whole(self, path: Path) -> bool:
        """Whether a file here is that file."""
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        return (pulled.hash_of(path) if len(self.digest) == 64 else pulled.git_hash_of(path)) == self.digest


def located(wanted: Wanted) -> Path:
    """A model's folder: pulled before, or in the hub's own cache, or pulled now.

    Raises:
        ModelNotFoundError: It is nowhere here, and may not or cannot be fetched.
        ModelDamagedError: What came is not what the hub announced.
        OutputError: There is no room for it, or it cannot be written.
        MissingExtraError: `huggingface_hub` is not installed.
    """
    found = pulled.find(wanted.source, wanted.revision)
    if found is not None:
        return found.folder
    hub, errors = _hub(wanted), _hub(wanted, ".errors")
    with suppress(errors.LocalEntryNotFoundError, errors.HFValidationError):
        return Path(
            hub.snapshot_download(
                wanted.source,
                revision=wanted.revision or None,
                allow_patterns=list(wanted.files),
                local_files_only=True,
            )
        )
    return pull(wanted).folder


def pull(wanted: Wanted) -> Pulled:
    """Fetches a model, or what is new of it; gives what is here already if that is the newest.

    Raises:
        As `located`.
    """
    place, forbidden = pulled.place_of(wanted.source), pulled.offline()
    if forbidden:
        raise ModelNotFoundError(
            f"{wanted.source}: not downloaded yet (it would be in {place}) and {forbidden} is set; run "
            f"`hf download {wanted.source}` where there is a network, or give source=FOLDER"
        )
    api = _hub(wanted)
    commit, files = _asked(wanted, partial(_listing, api, wanted))
    if not files:
        raise ModelNotFoundError(
            f"{wanted.source}: none of the files of {wanted.model!r} in it; check the id"
        )
    try:
        place.mkdir(parents=True, exist_ok=True)
        with _alone(wanted, place):
            return _completed(wanted, api, place, commit, files)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(place, sum(file.size for file in files)) from error
        raise OutputError(f"{place}: cannot write there ({error.strerror or error})") from error


# --- what is there -----------------------------------------------------------------------------------


def _hub(wanted: Wanted, part: str = "") -> ModuleType:
    return extras.imported(
        f"huggingface_hub{part}", extra=wanted.extra, purpose=f"the model {wanted.model!r}"
    )


def _listing(api: Any, wanted: Wanted) -> tuple[str, list[Remote]]:
    about = api.HfApi().model_info(
        wanted.source, revision=wanted.revision or pulled.MAIN, files_metadata=True
    )
    if not re.fullmatch(r"[0-9a-f]{40}", str(about.sha)):
        raise ValueError("its answer names no commit")
    files = [
        Remote(
            each.rfilename,
            int(each.lfs.size if each.lfs is not None else each.size),
            str(each.lfs.sha256 if each.lfs is not None else each.blob_id),
        )
        for each in about.siblings or ()
        if _is_wanted(each.rfilename, wanted.files)
    ]
    return str(about.sha), files


def _is_wanted(name: str, patterns: Sequence[str]) -> bool:
    """Whether a file fits a pattern, and leads nowhere else."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and any(fnmatch(name, p) for p in patterns)


def _asked(wanted: Wanted, call: Callable[[], T]) -> T:
    """What the hub answers, or why it does not, in one line."""
    errors = _hub(wanted, ".errors")
    network = getattr(errors, "HTTPError", OSError)  # older versions raise kinds of OSError alone
    try:
        return call()
    except errors.GatedRepoError as error:
        raise ModelNotFoundError(
            f"{wanted.source}: accept its licence on its page of the hub, then run `hf auth login`"
        ) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise ModelNotFoundError(
            f"{wanted.source}: the hub has no such model or revision; check both, or run `hf auth login`"
        ) from error
    except (errors.HfHubHTTPError, network, OSError, ValueError, AttributeError, TypeError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelNotFoundError(
            f"{wanted.source}: cannot be had from the hub ({line}); what has come is kept: try again"
        ) from error


# --- fetching ----------------------------------------------------------------------------------------


def _completed(wanted: Wanted, api: Any, place: Path, commit: str, files: list[Remote]) -> Pulled:
    """The model, all its files fetched and in their place; the place is ours alone."""
    asked = wanted.revision or pulled.MAIN
    about = Pulled(place / commit, wanted.model, wanted.source, commit, (asked,), {})
    before = pulled.find(wanted.source, commit)
    if before is not None and set(before.files) >= {file.name for file in files}:
        about = replace(before, revisions=tuple({*before.revisions, asked}))
        pulled.record(about, about.folder)
        return about
    working = place / f".{commit}.partial"
    working.mkdir(exist_ok=True)
    missing = [file for file in files if not file.is_whole(working / file.name)]
    begun = sum(_size(_part(working / file.name)) for file in missing)
    needed = sum(file.size for file in missing) - begun
    if needed + SPARE > shutil.disk_usage(working).free:
        raise _full(place, needed)
    for file in missing:
        _fetch(wanted, api, commit, file, working / file.name)
    hashes = {file.name: pulled.hash_of(working / file.name) for file in files}
    about = replace(about, files=hashes)
    pulled.record(about, working)
    if about.folder.exists():  # without its record: removed in part, or not ours
        shutil.rmtree(about.folder)
    working.replace(about.folder)
    return about


def _fetch(wanted: Wanted, api: Any, commit: str, file: Remote, path: Path) -> None:
    """One file, taken up where it broke off, named when its hash is right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part(path)
    if _size(part) > file.size:
        part.unlink()
    url = api.hf_hub_url(wanted.source, file.name, revision=commit)
    download = _hub(wanted, ".file_download").http_get
    headers = _hub(wanted, ".utils").build_hf_headers()

    def get() -> None:
        with part.open("ab") as target:
            download(
                url, target, resume_size=target.tell(), headers=headers, expected_size=file.size,
                displayed_filename=file.name,
            )  # fmt: skip

    begun = _size(part)
    with _quiet_unless_watched(_hub(wanted, ".utils")):
        _asked(wanted, get)
        if begun and not file.is_whole(part):
            part.unlink()  # what an earlier attempt left was no beginning of it
            _asked(wanted, get)
    if not file.is_whole(part):
        damaged = path.with_name(f"{path.name}.damaged")
        part.replace(damaged)
        raise ModelDamagedError(
            f"{wanted.source}: {file.name} is not what the hub announced: its hash is another. "
            f"It was kept as {damaged} and is not used. "
            "A proxy may have put a page of its own in its place: look into the file, then pull again."
        )
    part.replace(path)


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


@contextmanager
def _quiet_unless_watched(utils: Any) -> Iterator[None]:
    """No bars where standard error is no terminal."""
    if sys.stderr.isatty():
        yield
        return
    utils.disable_progress_bars()
    try:
        yield
    finally:
        utils.enable_progress_bars()


@contextmanager
def _alone(wanted: Wanted, place: Path) -> Iterator[None]:
    """One process at a time; the system lets go of the lock of one that was killed."""
    filelock = extras.imported("filelock", extra=wanted.extra, purpose=f"the model {wanted.model!r}")
    try:
        with filelock.FileLock(str(place / ".lock"), timeout=PATIENCE):
            yield
    except filelock.Timeout as error:
        raise OutputError(
            f"{place}: another process has been fetching {wanted.source} for {PATIENCE / 60:.0f} minutes; "
            "wait for it, or end it, and try again"
        ) from error


def _full(place: Path, needed: int) -> OutputError:
    return OutputError(
        f"{place}: no room for {needed / 1e6:,.0f} MB more; make room, or let MATTELIKE_HOME be a folder on "
        "another disk, and try again: what has come is kept"
    )
