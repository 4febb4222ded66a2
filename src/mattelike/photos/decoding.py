"""Decoding: from a sniffed file to a `Photo`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from mattelike.errors import BrokenPhotoError
from mattelike.photos import apng, channels, cicp, engine, limits, sniffing, tags
from mattelike.photos.engine import Image, VipsError
from mattelike.photos.opening import Opened
from mattelike.photos.sniffing import Format
from mattelike.values import Metadata, Photo

# What libvips reports for files that say nothing, depending on the format.
_UNKNOWN_DPI = (72.0, 25.4)
# Formats of which libvips reads any page.
_PAGED: frozenset[Format] = frozenset(("tiff", "gif", "webp", "avif"))


def load(opened: Opened, found: Format, strict: bool = True, frame: int | None = None) -> Image:
    """Read the header of a page or frame; pixels follow from top to bottom when they are asked for.

    Raises:
        BrokenPhotoError: When not even the header can be read.
    """
    operation = f"{'heif' if found == 'avif' else found}load_source"
    options: dict[str, Any] = {"access": "sequential", "fail_on": "error" if strict else "none"}
    if frame and found in _PAGED:
        options["page"] = frame
    try:
        return getattr(pyvips.Image, operation)(opened.source(), **options)
    except VipsError as error:
        raise BrokenPhotoError(_damaged(opened.name, error)) from error


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a file is to be read.

    Attributes:
        limit: Most pixels it may have.
        ignore_alpha: Leave an existing alpha out.
        allow_truncated: Take what is there of a damaged file.
        frame: Page or frame, from 0; None is the first, with a note if there are more.
    """

    limit: int
    ignore_alpha: bool = False
    allow_truncated: bool = False
    frame: int | None = None


def decode(opened: Opened, found: Format, wanted: Wanted) -> Photo:
    """Decode one page of a file.

    Raises:
        PhotoTooLargeError: From the header, before any pixel is decoded.
        BrokenPhotoError: When it is damaged; with `allow_truncated`, only when nothing can be saved of it.
    """
    try:
        return _decoded(opened, found, wanted, strict=True)
    except BrokenPhotoError as error:
        if not wanted.allow_truncated:
            raise
        photo = _decoded(opened, found, wanted, strict=False)
        note = f"damaged or cut short ({engine.reason(error.__cause__ or error)}); missing parts are filled"
        return replace(photo, notes=(*photo.notes, note))


def _decoded(opened: Opened, found: Format, wanted: Wanted, *, strict: bool) -> Photo:
    frame = wanted.frame
    image = load(opened, found, strict, frame)
    limits.check_size(image.width, image.height, wanted.limit, opened.name)
    points = sniffing.code_points(opened.read, found)
    profile = engine.blob(image, "icc-profile-data")
    if points is not None and (profile is not None or cicp.is_plain(points)):
        points = None
    metadata = _metadata(image, found, points)
    count = pages(image, opened, found)
    check_frame(frame, count, opened.name)
    notes = pages_note(count) if frame is None else ()
    if points is not None and cicp.is_hdr(points):
        notes = (*notes, "HDR: pixels are kept as they are, the model sees them tone-mapped")
    turn = engine.number(image, "orientation", 1)
    try:
        if frame is not None and found == "png" and count > 1:
            image = engine.wrapped(apng.composed(opened.everything(), frame, opened.name))
        settled = channels.settled(_full_range(image, found), profile, opened.name)
        array = engine.unwrapped(settled.image)
    except VipsError as error:
        raise BrokenPhotoError(_damaged(opened.name, error)) from error
    return assembled(
        array, turn, settled.profile, metadata, opened.name, (*notes, *settled.notes), wanted.ignore_alpha
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
    """Pages or frames in a file."""
    if found == "png":
        return sniffing.png_frames(opened.read)
    return engine.number(image, "n-pages", 1)


def check_frame(frame: int | None, count: int, name: str) -> None:
    """Refuses a page or frame that is not there.

    Raises:
        BrokenPhotoError: There are fewer.
    """
    if frame is not None and not 0 <= frame < count:
        raise BrokenPhotoError(f"{name}: frame {frame + 1} of {count} is not there")


def pages_note(count: int) -> tuple[str, ...]:
    """What is said of a file of several pages (trap 9)."""
    said = "only the first of several pages or frames is used; --all-frames takes them all"
    return (said,) if count > 1 else ()


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
