"""Whole objects of an object store, by their URL: listed, read, written and removed through ``fsspec``.

An object store has no folders, no locks and no appending, but it never shows half an object: what is written
here is there whole or not at all. ``s3://`` is all that is understood; whoever serves it, a server of one's
own included, is named by the environment (``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID``, ...), as for every
other program.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from urllib.request import url2pathname

from mattelike.errors import MattelikeError, UsageError
from mattelike.models.extras import imported

R = TypeVar("R")
SCHEME = "s3://"
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_FILE = "file://"


def is_url(text: str) -> bool:
    """Whether something is the URL of an object or of a folder of objects, rather than a path."""
    return text.startswith(SCHEME)


def understood(text: str) -> str:
    """What was typed as it is used: ``file://`` as a path, ``s3://`` without a slash at its end.

    Raises:
        UsageError: A URL of another kind, or without a bucket.
    """
    if _URL.match(text) is None or os.path.lexists(text):
        return text
    if text.startswith(_FILE):
        rest = text.removeprefix(_FILE).removeprefix("localhost")
        if not rest.startswith("/"):
            raise UsageError(f"{text}: names a file of another machine; file:///folder is one of this")
        return url2pathname(rest)
    if not is_url(text):
        raise UsageError(f"{text}: only s3:// and file:// are read and written; mount it, or copy")
    if not text.removeprefix(SCHEME).strip("/"):
        raise UsageError(f"{text}: which bucket? s3://bucket/folder")
    return text.rstrip("/")


def objects(url: str) -> list[str]:
    """URLs of all objects below a folder, or of the one that is called so; none where there is nothing.

    Raises:
        OSError: The bucket is not there, or cannot be looked into; says so in one line.
        MissingExtraError: The package for it is not installed.
    """

    def look() -> list[str]:
        store, path = _store(url), _path(url)
        store.invalidate_cache()  # other processes write, too
        found: list[str] = store.find(path)
        if not found:
            # An empty folder and a missing bucket look the same, but not to whoever asks for the bucket.
            store.call_s3("list_objects_v2", Bucket=path.partition("/")[0], MaxKeys=1)
        return [SCHEME + name for name in found if not name.endswith("/")]

    return _told(url, "cannot be looked into", look)


def read(url: str) -> bytes:
    """Content of an object.

    Raises:
        OSError: It is not there, or cannot be read; says so in one line.
        MissingExtraError: The package for it is not installed.
    """

    def get() -> bytes:
        data: bytes = _store(url).cat_file(_path(url))
        return data

    return _told(url, "cannot be read", get)


def write(url: str, data: bytes) -> None:
    """Makes an object, or replaces it.

    Raises:
        OSError: It cannot be written; says so in one line.
        MissingExtraError: The package for it is not installed.
    """
    _told(url, "cannot be written", lambda: _store(url).pipe_file(_path(url), data))


def remove(urls: Iterable[str]) -> None:
    """Removes objects; those that are gone do no harm.

    Raises:
        OSError: They cannot be removed; says so in one line.
    """
    for url in urls:
        _told(url, "cannot be removed", lambda url=url: _store(url).rm_file(_path(url)))  # type: ignore[misc]


def _store(url: str) -> Any:
    """The file system of ``fsspec`` for a URL; one a process."""
    imported("s3fs", extra="s3", purpose=url)
    return imported("fsspec", extra="s3", purpose=url).filesystem("s3")


def _path(url: str) -> str:
    return url.removeprefix(SCHEME)


def _told(url: str, what: str, call: Callable[[], R]) -> R:
    """What a call gives; whatever goes wrong in the layers below becomes one line with the URL in it."""
    try:
        return call()
    except MattelikeError:
        raise
    except Exception as error:  # the layers below share no root of their errors
        raise OSError(f"{url}: {what} ({_reason(error)})") from error


def _reason(error: BaseException) -> str:
    """Why, in one line. Where the system gave a number, its text says nothing that ours does not."""
    name = type(error).__name__
    if name in ("NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError"):
        return "no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    line = " ".join(str(error).split())
    if isinstance(error, FileNotFoundError):
        return "no such object or bucket"
    if isinstance(error, PermissionError):
        return f"not allowed: {line}"
    return line or name
