"""Decoding: from a sniffed file to a `Photo`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from mattelike.errors import BrokenPhotoError
from mattelike.photos import channels, cicp, engine, limits, sniffing, tags
from mattelike.photos.engine import Image, VipsError
from mattelike.photos.opening import Opened
from mattelike.photos.sniffing import Format
from mattelike.values import Metadata, Photo

# What libvips reports for files that say nothing, depending on the format.
_UNKNOWN_DPI = (72.0, 25.4)


def load(opened: Opened, found: Format, strict: bool = True) -> Image:
    """Read the header; pixels follow from top to bottom when they are asked for.

    Raises:
        BrokenPhotoError: When not even the header can be read.
    """
    operation = f"{'heif' if found == 'avif' else found}load_source"
    options = {"access": "sequential", "fail_on": "error" if strict else "none"}
    try:
        return getattr(pyvips.Image, operation)(opened.source(), **options)
    except VipsError as error:
        raise BrokenPhotoError(_damaged(opened.name, error)) from error


def decode(opened: Opened, found: Format, limit: int, *, ignore_alpha: bool, allow_truncated: bool) -> Photo:
    """Decode the first page of a file.

    Raises:
        PhotoTooLargeError: From the header, before any pixel is decoded.
        BrokenPhotoError: When it is damaged; with `allow_truncated`, only when nothing can be saved of it.
    """
    try:
        return _decoded(opened, found, limit, True, ignore_alpha)
    except BrokenPhotoError as error:
        if not allow_truncated:
            raise
        photo = _decoded(opened, found, limit, False, ignore_alpha)
        note = f"damaged or cut short ({engine.reason(error.__cause__ or error)}); missing parts are filled"
        return replace(photo, notes=(*photo.notes, note))


def _decoded(opened: Opened, found: Format, limit: int, strict: bool, ignore_alpha: bool) -> Photo:
    image = load(opened, found, strict)
    limits.check_size(image.width, image.height, limit, opened.name)
    points = sniffing.code_points(opened.read, found)
    profile = engine.blob(image, "icc-profile-data")
    if points is not None and (profile is not None or cicp.is_plain(points)):
        points = None
    metadata = _metadata(image, found, points)
    notes = pages_note(pages(image, opened, found))
    if points is not None and cicp.is_hdr(points):
        notes = (*notes, "HDR: pixels are kept as they are, the model sees them tone-mapped")
    turn = engine.number(image, "orientation", 1)
    try:
        settled = channels.settled(_full_range(image, found), profile, opened.name)
        array = engine.unwrapped(settled.image)
    except VipsError as error:
        raise BrokenPhotoError(_damaged(opened.name, error)) from error
    return assembled(
        array, turn, settled.profile, metadata, opened.name, (*notes, *settled.notes), ignore_alpha
    )


def assembled(
    array: NDArray[Any],
    turn: int,
    profile: bytes | None,
    metadata: Metadata,
    name: str,
    notes: tuple[str, ...],
    ignore_alpha: bool,
) -> Photo:
    """A `Photo` of uint8 or uint16 ``(h, w, 1 to 4)``: gray or RGB, then alpha; turned upright."""
    array = upright(array, turn)
    gray = array.shape[2] < 3
    colours = 1 if gray else 3
    alpha = None
    if array.shape[2] == colours + 1 and not ignore_alpha:
        alpha = np.ascontiguousarray(array[..., colours])
    pixels = np.repeat(array[..., :1], 3, axis=2) if gray else np.ascontiguousarray(array[..., :3])
    return Photo(pixels, alpha, profile, name, gray, metadata, notes)


def upright(array: NDArray[Any], turn: int) -> NDArray[Any]:
    """EXIF orientation 1 to 8 carried out on ``(h, w, c)`` (EXIF 2.32, section 4.6.4, tag 274; trap 1)."""
    if turn in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if turn in (3, 4, 7, 8):
        array = array[::-1]
    if turn in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array


def pages(image: Image, opened: Opened, found: Format) -> int:
    """Pages or frames in a file; 2 stands for "several" in an animated PNG."""
    if found == "png":
        return 2 if sniffing.is_animated_png(opened.read) else 1
    return engine.number(image, "n-pages", 1)


def pages_note(count: int) -> tuple[str, ...]:
    """What is said of a file of several pages (trap 9)."""
    return ("only the first of several pages or frames is used",) if count > 1 else ()


def dpi_of(image: Image) -> tuple[float, float] | None:
    """Resolution in dots per inch, or None where the file says nothing."""
    across, down = image.xres * 25.4, image.yres * 25.4
    known = all(abs(across - value) > 0.05 or abs(down - value) > 0.05 for value in _UNKNOWN_DPI)
    return (round(across, 3), round(down, 3)) if known and across > 0 and down > 0 else None


def _metadata(image: Image, found: Format, points: sniffing.Cicp | None) -> Metadata:
    exif = engine.blob(image, "exif-data")
    return Metadata(
        exif=tags.upright(exif) if exif else None,
        xmp=engine.blob(image, "xmp-data"),
        dpi=dpi_of(image),
        format=found,
        cicp=points,
    )


def _full_range(image: Image, found: Format) -> Image:
    """10 and 12 bits fill 16: libvips leaves the lowest bits 0, so that white would fall short of white."""
    bits = engine.number(image, "bits-per-sample", 16)
    if found != "avif" or image.format != "ushort" or bits >= 16:
        return image
    return (image | (image >> bits)).cast("ushort").copy(interpretation=image.interpretation)


def _damaged(name: str, error: Exception) -> str:
    return f"{name}: damaged or cut short: {engine.reason(error)}; copy it again, or allow truncated files"
