"""HEIC through pillow-heif, which brings the HEVC decoder that libvips is shipped without."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np

from mattelike.errors import BrokenPhotoError, MissingExtraError
from mattelike.photos import channels, cicp, engine, limits, sniffing, tags
from mattelike.photos.decoding import Wanted, assembled, check_frame, pages_note
from mattelike.photos.opening import Opened
from mattelike.values import Metadata, Photo

# What pillow-heif raises for files that are not as they should be.
_DAMAGED = (OSError, ValueError, RuntimeError, EOFError, SyntaxError, LookupError)


def open_heic(opened: Opened) -> Any:
    """The container, read; pixels not yet decoded.

    Raises:
        MissingExtraError: pillow-heif is not installed.
        BrokenPhotoError: It is damaged.
    """
    try:
        import pillow_heif
    except ImportError as error:
        raise MissingExtraError("pillow_heif", "heic", f"{opened.name}: reading HEIC") from error
    try:
        container = pillow_heif.open_heif(BytesIO(opened.everything()), convert_hdr_to_8bit=False)
        _ = container.size  # a container may hold no picture, which is only found out by asking for it
        return container
    except _DAMAGED as error:
        raise BrokenPhotoError(f"{opened.name}: damaged or cut short: {_line(error)}") from error


def decode(opened: Opened, wanted: Wanted) -> Photo:
    """A picture of a HEIC file, by default the primary one; libheif has turned it upright already.

    Raises:
        MissingExtraError: pillow-heif is not installed.
        PhotoTooLargeError: From the header.
        BrokenPhotoError: It is damaged; a HEIC cannot be decoded in part.
    """
    container = open_heic(opened)
    frame = wanted.frame
    check_frame(frame, len(container), opened.name)
    picture = container if frame is None else container[frame]
    width, height = picture.size
    limits.check_size(width, height, wanted.limit, opened.name)
    try:
        array = np.asarray(picture)
    except _DAMAGED as error:
        raise BrokenPhotoError(f"{opened.name}: damaged or cut short: {_line(error)}") from error
    info, points = picture.info, sniffing.code_points(opened.read, "heic")
    profile = info.get("icc_profile") or None
    if points is not None and (profile is not None or cicp.is_plain(points)):
        points = None
    settled = channels.settled(engine.wrapped(array), profile, opened.name)
    exif, xmp = info.get("exif"), info.get("xmp")
    metadata = Metadata(tags.upright(exif) if exif else None, xmp or None, None, "heic", points)
    notes = (*(pages_note(len(container)) if frame is None else ()), *settled.notes)
    pixels = engine.unwrapped(settled.image)
    return assembled(pixels, 1, settled.profile, metadata, opened.name, notes, wanted.ignore_alpha)


def _line(error: Exception) -> str:
    """What libheif says, which may be several lines, in one."""
    return " ".join(str(error).split())
