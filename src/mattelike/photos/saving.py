"""Files that are whole or not there: written under a temporary name beside their place, then renamed."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from mattelike.errors import OutputError
from mattelike.photos.engine import VipsError, reason
from mattelike.photos.opening import shown

TEMPORARY_PREFIX, TEMPORARY_SUFFIX = ".mattelike-", ".part"
"""What unfinished files are called; only a process that was killed leaves one behind."""

# Bytes to try with after a write that failed: more than what libvips may have left unused of the last block.
_MORE = 1 << 20

_REASONS = {
    errno.ENOENT: "the folder does not exist; create it first",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EACCES: "not allowed to write there",
    errno.EPERM: "not allowed to write there",
    errno.EROFS: "the disk is read-only",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than is allowed there",
    errno.ENAMETOOLONG: "the name is too long for this disk",
}


def save(path: str | Path, write: Callable[[int], None], encoded: Callable[[], bytes]) -> None:
    """Put a file in its place, whole or not at all.

    A device or pipe (``/dev/stdout``) is written to as it is; renaming over it would destroy it.

    Args:
        path: Where to.
        write: Writes the file to an open descriptor, which can seek.
        encoded: Gives the whole file as bytes, for targets that cannot seek.

    Raises:
        OutputError: When it cannot be written; nothing is left behind.
    """
    path = Path(path)
    if "\0" in str(path):
        raise OutputError(f"{shown(path)}: a name cannot hold a zero byte")
    try:
        if _is_special(path):
            _write_through(path, encoded())
        else:
            _write_beside(path, write)
    except OSError as error:
        raise OutputError(f"{shown(path)}: {_why(error)}") from error
    except VipsError as error:
        raise OutputError(f"{shown(path)}: cannot be written: {reason(error)}") from error


def write_all(descriptor: int, data: bytes) -> None:
    """All of `data`, however little the system takes at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _is_special(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        raise OutputError(f"{shown(path)}: is a folder; name a file in it")
    return not stat.S_ISREG(mode)


def _write_through(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_BINARY", 0))
    try:
        write_all(descriptor, data)
    finally:
        os.close(descriptor)


def _write_beside(path: Path, write: Callable[[int], None]) -> None:
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}{TEMPORARY_SUFFIX}")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o666)
    try:
        try:
            write(descriptor)
        except VipsError:
            _say_why(descriptor)
            raise
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _say_why(descriptor: int) -> None:
    """Writes on where libvips gave up: it does not say in a number why a write failed, the system does.

    Raises:
        OSError: The disk is full, the quota is used up, the disk is gone...
    """
    write_all(descriptor, bytes(_MORE))


def _why(error: OSError) -> str:
    return _REASONS.get(error.errno or 0, error.strerror or "cannot be written")
