"""Files opened with care: never a folder, a pipe or a device, never waiting, under any name."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyvips

from mattelike.errors import BrokenPhotoError, PhotoError
from mattelike.photos.tags import Reader

_SPECIAL = (
    (stat.S_ISDIR, "a folder, not a photo; name the files in it"),
    (stat.S_ISFIFO, "a pipe, not a photo; use - to read from standard input"),
    (stat.S_ISSOCK, "a socket, not a photo"),
    (stat.S_ISCHR, "a device, not a photo"),
    (stat.S_ISBLK, "a device, not a photo"),
)
_REASONS = {
    errno.ENOENT: "no such file",
    errno.ENOTDIR: "no such file",
    errno.EACCES: "not allowed to read it",
    errno.EPERM: "not allowed to read it",
    errno.ELOOP: "a link that leads round in circles",
    errno.ENAMETOOLONG: "no such file: the name is too long",
}


@dataclass(frozen=True, slots=True)
class Opened:
    """A file, or bytes, ready to be looked at and decoded.

    Attributes:
        name: For messages.
        read: ``read(offset, count)`` gives up to `count` bytes.
        source: Makes a fresh libvips source, at the start.
        everything: Gives all bytes.
    """

    name: str
    read: Reader
    source: Callable[[], Any]
    everything: Callable[[], bytes]


def shown(path: str | Path) -> str:
    """A path as it can be printed in one line, whatever bytes are in it (trap 14)."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(path))


@contextmanager
def opened_file(path: str | Path) -> Iterator[Opened]:
    """Open a regular file.

    Raises:
        PhotoError: When it is not there, not allowed or not a regular file.
        BrokenPhotoError: When it is empty.
    """
    name = shown(path)
    descriptor = _descriptor(path, name)
    try:
        if os.fstat(descriptor).st_size == 0:
            raise BrokenPhotoError(f"{name}: the file is empty")

        def source() -> Any:
            os.lseek(descriptor, 0, os.SEEK_SET)
            return pyvips.Source.new_from_descriptor(descriptor)

        def everything() -> bytes:
            return _at(descriptor, 0, os.fstat(descriptor).st_size)

        yield Opened(name, lambda offset, count: _at(descriptor, offset, count), source, everything)
    finally:
        os.close(descriptor)


def opened_bytes(data: bytes, name: str) -> Opened:
    """Bytes as if they were a file.

    Raises:
        BrokenPhotoError: When there are none.
    """
    if not data:
        raise BrokenPhotoError(f"{name}: empty, no bytes at all")
    return Opened(
        name,
        lambda offset, count: data[offset : offset + count],
        lambda: pyvips.Source.new_from_memory(data),
        lambda: data,
    )


def _descriptor(path: str | Path, name: str) -> int:
    """A descriptor of a regular file; looked at first, for opening a device can already act on it."""
    if "\0" in str(path):
        raise PhotoError(f"{name}: no such file: a name cannot hold a zero byte")
    try:
        _refuse_special(Path(path).stat(), name)
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags)
    except OSError as error:
        what = _REASONS.get(error.errno or 0, error.strerror or "it cannot be opened")
        raise PhotoError(f"{name}: {what}") from error
    try:
        _refuse_special(os.fstat(descriptor), name)
    except PhotoError:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_special(status: os.stat_result, name: str) -> None:
    for is_kind, what in _SPECIAL:
        if is_kind(status.st_mode):
            raise PhotoError(f"{name}: {what}")


def _at(descriptor: int, offset: int, count: int) -> bytes:
    """Bytes at a place; the position of the descriptor is left alone where the system lets us."""
    if sys.platform != "win32":
        return os.pread(descriptor, count, offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, count)
