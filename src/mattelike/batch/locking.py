"""A lock on a folder, held by one process and let go by the system when that ends, however it ends."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

from mattelike.errors import OutputError

_HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}


class Lock:
    """Held from its making to `release`.

    Args:
        path: The file that stands for it; removed at the end.

    Raises:
        OutputError: Another process holds it.
        OSError: The file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        while True:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                _take(self._descriptor)
                if os.path.samestat(os.fstat(self._descriptor), path.stat()):
                    return
            except FileNotFoundError:
                pass
            except OSError as error:
                if error.errno in _HELD:
                    os.close(self._descriptor)
                    raise OutputError(
                        f"{path.parent}: another mattelike is at work in this folder"
                    ) from error
                return  # a disk that knows no locks: better unlocked than not at all
            # Whoever held it removed the file while we were opening it.
            os.close(self._descriptor)

    def release(self) -> None:
        """Lets go; more than once does no harm."""
        if self._descriptor < 0:
            return
        if sys.platform != "win32":
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = -1
        if sys.platform == "win32":
            with suppress(OSError):
                self._path.unlink()


if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
