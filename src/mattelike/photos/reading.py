"""The door for photos: whatever is given becomes a `Photo`, or one clear line."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mattelike.errors import PhotoError
from mattelike.photos import arrays, decoding, engine, heic, limits, sniffing
from mattelike.photos.opening import Opened, opened_bytes, opened_file
from mattelike.values import Photo


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself before it is decoded.

    Attributes:
        width: Columns, upright.
        height: Rows, upright.
        format: Such as ``"jpeg"``, by content.
        pages: Pages or frames.
    """

    width: int
    height: int
    format: str
    pages: int = 1


def read(
    source: object,
    *,
    ignore_alpha: bool = False,
    allow_truncated: bool = False,
    max_pixels: int | None = None,
    name: str = "",
    frame: int | None = None,
) -> Photo:
    """Read a photo: upright, in its own depth and colour space, with what its file said.

    EXIF orientation is carried out on the pixels. CMYK and gray with a profile become sRGB. 16 bits stay,
    floats become 16 bits by their declared range [0, 1]. Of several pages or frames the first is
    read, unless another is asked for. What was taken for granted is in ``notes``.

    Args:
        source: A path, the bytes of a file, a numpy array (see `mattelike.photos.arrays.from_array`; not
            copied), a `PIL.Image`, or a `Photo`, which is returned as it is.
        ignore_alpha: Leave an existing alpha out.
        allow_truncated: Take what is there of a damaged file, and say so in a note.
        max_pixels: Largest ``width * height``; by default ``MATTELIKE_MAX_PIXELS`` or 300 million. Files and
            pictures not yet decoded are refused from their header; arrays are never refused.
        name: What to call it in messages, where it has no path.
        frame: Page or frame of a file, from 0, as it is shown: frames that change a part of what was there
            before are laid over it.

    Raises:
        PhotoError: Not there, not a regular file, not a photo.
        UnsupportedPhotoError: A format that is not read; says what to do.
        BrokenPhotoError: Empty, truncated or damaged.
        PhotoTooLargeError: Too many pixels.
        MissingExtraError: HEIC without its extra.
        SettingsError: A limit that makes no sense.
    """
    if isinstance(source, Photo):
        return source
    if isinstance(source, np.ndarray):
        return arrays.from_array(source, name, ignore_alpha=ignore_alpha)
    limit = limits.pixel_limit(max_pixels)
    if arrays.is_pillow(source):
        return arrays.from_pillow(source, name, limit, ignore_alpha=ignore_alpha)
    wanted = decoding.Wanted(limit, ignore_alpha, allow_truncated, frame)
    with _opened(source, name) as opened:
        found = sniffing.sniff(opened.read, opened.name)
        photo = heic.decode(opened, wanted) if found == "heic" else decoding.decode(opened, found, wanted)
    return replace(photo, name=str(source) if isinstance(source, str | Path) else name)


def header(source: str | Path | bytes, frame: int | None = None) -> Header:
    """Size and format of a photo without decoding it.

    Args:
        source: A path, or the bytes of a file.
        frame: Page or frame whose size is wanted, from 0.

    Raises:
        PhotoError: And its kinds, as `read`; there is no limit on the size.
    """
    with _opened(source, "") as opened:
        found = sniffing.sniff(opened.read, opened.name)
        if found == "heic":
            container = heic.open_heic(opened)
            picture = container if frame is None else container[min(frame, len(container) - 1)]
            return Header(picture.size[0], picture.size[1], found, len(container))
        image = decoding.load(opened, found, strict=False, frame=frame)
        width, height = image.width, image.height
        if engine.number(image, "orientation", 1) in (5, 6, 7, 8):
            width, height = height, width
        return Header(width, height, found, decoding.pages(image, opened, found))


def _opened(source: Any, name: str) -> AbstractContextManager[Opened]:
    if isinstance(source, str | Path):
        return opened_file(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return nullcontext(opened_bytes(bytes(source), name or "the bytes given"))
    raise PhotoError(
        f"a photo is a path, bytes, a numpy array, a PIL.Image or a Photo, not {type(source).__name__}"
    )
