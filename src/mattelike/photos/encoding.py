"""Encoding: pixels, alpha and what the photo's file said, as PNG, TIFF, WebP, AVIF or JPEG."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyvips

from mattelike.errors import OutputError, UsageError
from mattelike.photos import cicp, engine, packets, tags
from mattelike.photos.engine import Image
from mattelike.values import Float32, Photo, Pixels

_STRIP = 1 << 20
# Keyword of the text in a PNG that says how it was made.
SETTINGS = "mattelike-settings"
_UNKNOWN_DPI = (72.0, 72.0)
_KEEP = "icc|other"


@dataclass(frozen=True, slots=True)
class Kind:
    """A format that is written.

    Attributes:
        saver: Name of libvips's operation, without its ending.
        deepest: Bits per channel it can hold, of the 8 or 16 of a photo.
        alpha: Whether it can be transparent.
        longest: Most pixels along a side.
        options: How it is written unless a quality is given.
        lossy: Options that go with a quality.
    """

    saver: str
    deepest: int
    alpha: bool
    longest: int
    options: Mapping[str, Any]
    lossy: Mapping[str, Any] = field(default_factory=dict)


# PNG: of compressions 1 to 6 and all filters, on 12 megapixels of a noisy photo cut out, level 2 with "sub"
# took 0.36 s and 13.7 MB; level 6 with all filters 1.0 s for 12.9 MB; level 1 without filter 0.32 s, 24.8 MB.
_PNG = Kind("pngsave", 16, True, 2**31 - 1, {"compression": 2, "filter": "sub"})
_TIFF = Kind("tiffsave", 16, True, 2**31 - 1, {"compression": "deflate", "predictor": "horizontal"})
_WEBP = Kind(
    "webpsave",
    8,
    True,
    16383,
    {"lossless": True, "exact": True, "effort": 0},
    {"exact": True, "alpha_q": 100},
)
_AVIF = Kind(
    "heifsave", 16, True, 16384, {"compression": "av1", "Q": 90, "effort": 0, "subsample_mode": "off"}
)
_JPEG = Kind("jpegsave", 8, False, 65500, {"Q": 95, "subsample_mode": "off", "optimize_coding": True})

KINDS: Mapping[str, Kind] = {
    ".png": _PNG,
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".webp": _WEBP,
    ".avif": _AVIF,
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".jpe": _JPEG,
}


@dataclass(frozen=True, slots=True)
class Output:
    """A picture ready to be encoded: nothing is computed yet.

    Attributes:
        image: Gray or RGB, with or without alpha, with its metadata attached.
        kind: The format.
        options: For libvips.
        associated: Alpha is multiplied into the colours, which TIFF can declare.
        points: Code points of HDR colours, which PNG can declare.
    """

    image: Image
    kind: Kind
    options: Mapping[str, Any]
    associated: bool = False
    points: cicp.Cicp | None = None

    def to_descriptor(self, descriptor: int) -> None:
        """Encode into an open file, streaming."""
        if self._finished_by_hand:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(self.to_bytes())
            return
        target = pyvips.Target.new_to_descriptor(descriptor)
        getattr(self.image, f"{self.kind.saver}_target")(target, **self.options)

    def to_bytes(self) -> bytes:
        """Encode into memory."""
        data: bytes = getattr(self.image, f"{self.kind.saver}_buffer")(**self.options)
        if self.kind is _TIFF and self.associated:
            data = tags.declare_associated(data)
        if self.kind is _PNG and self.points is not None:
            data = _with_code_points(data, self.points)
        return data

    @property
    def _finished_by_hand(self) -> bool:
        return (self.kind is _TIFF and self.associated) or self.points is not None


def kind_of(suffix: str, *, transparent: bool, size: tuple[int, int]) -> Kind:
    """The format for a suffix, if it can hold what is to be written.

    Raises:
        UsageError: An unknown suffix, or JPEG for something transparent.
        OutputError: More pixels along a side than the format can hold.
    """
    kind = KINDS.get(suffix.lower())
    if kind is None:
        raise UsageError(f"cannot write {suffix or 'a file without suffix'!r}; use {', '.join(KINDS)}")
    if transparent and not kind.alpha:
        raise UsageError(
            "JPEG cannot be transparent: write .png or .webp, or choose a background colour and write that"
        )
    if max(size) > kind.longest:
        raise OutputError(
            f"{size[1]} x {size[0]} pixels: {suffix} holds at most {kind.longest} along a side; write .png"
        )
    return kind


def quantised(alpha: Float32, depth: int) -> Pixels:
    """Alpha as levels: ``floor(alpha * top + 1/2)``, so that 0 and top are reached (trap 54).

    Raises:
        UsageError: A value outside [0, 1] or not a number.
    """
    dtype = np.uint16 if depth == 16 else np.uint8
    top = np.float32(np.iinfo(dtype).max)
    result: Pixels = np.empty(alpha.shape, dtype)
    step = max(1, _STRIP // max(1, alpha.shape[1]))
    for start in range(0, alpha.shape[0], step):
        strip = alpha[start : start + step]
        if not (strip.min() >= 0 and strip.max() <= 1):
            raise UsageError(f"alpha must lie between 0 and 1, found {strip.min():g} to {strip.max():g}")
        result[start : start + step] = np.floor(strip * top + np.float32(0.5))
    return result


def in_depth(image: Image, kind: Kind) -> Image:
    """16 bits rounded to what the format holds: 8, or the 12 of AVIF. 8 bits stay."""
    if image.format != "ushort":
        return image
    if kind.deepest == 8:
        return (
            image.linear(1 / 257, 0.5)
            .floor()
            .cast("uchar")
            .copy(interpretation=engine.interpretation(image.bands, False))
        )
    if kind is _AVIF:
        twelve = image.linear(4095 / 65535, 0.5).floor().cast("ushort") << 4
        return twelve.copy(interpretation=image.interpretation)
    return image


def options_of(kind: Kind, image: Image, quality: int | None) -> dict[str, Any]:
    """How to write: without loss where the format can, unless a quality is asked for."""
    options = dict(kind.options)
    if quality is not None:
        if not 1 <= quality <= 100:
            raise UsageError(f"quality goes from 1 to 100, got {quality}")
        if kind in (_WEBP, _AVIF, _JPEG):
            options = {**(kind.lossy or options), "Q": quality}
    if kind is _AVIF:
        options["bitdepth"] = 12 if image.format == "ushort" else 8
    if kind is _TIFF and image.width * image.height * image.bands > 2**30:
        options["bigtiff"] = True
    return options


def with_metadata(
    image: Image,
    photo: Photo | None,
    kind: Kind,
    *,
    coloured: bool,
    strip: bool,
    note: str | None,
    settings: str,
) -> tuple[Image, str]:
    """The image with what the photo's file said, and libvips's word for what to keep of it.

    Args:
        image: Upright, as all pictures here.
        photo: Where the metadata comes from.
        kind: The format.
        coloured: Whether the photo's profile describes the image, which it does not for an alpha.
        strip: Leave EXIF, XMP, resolution and settings out. The profile stays: colours would be
            others without it.
        note: Text for a PNG; outside ASCII it is written with backslashes, as PNG's tEXt knows only Latin-1.
        settings: How it was made, as JSON: a text of its own in a PNG, part of the XMP packet elsewhere.
    """
    metadata = photo.metadata if photo is not None and not strip else None
    exif, xmp = (metadata.exif, metadata.xmp) if metadata else (None, None)
    settings = "" if strip else settings
    if settings and kind is not _PNG:
        xmp = packets.with_settings(xmp, settings)
    profile = photo.profile if photo is not None and coloured else None
    across, down = (metadata.dpi if metadata else None) or _UNKNOWN_DPI
    image = image.copy(xres=across / 25.4, yres=down / 25.4)
    image = engine.attach(image, icc_profile_data=profile, exif_data=exif, xmp_data=xmp)
    image.set_type(pyvips.GValue.gstr_type, "resolution-unit", "in")
    texts = {"png-comment-0-mattelike": note, f"png-comment-1-{SETTINGS}": settings or None}
    for name, text in texts.items():
        if text is not None:
            plain = text.encode("ascii", "backslashreplace").decode("ascii")
            image.set_type(pyvips.GValue.gstr_type, name, plain)
    return image, "|".join([_KEEP, *["exif"] * (exif is not None), *["xmp"] * (xmp is not None)])


def _with_code_points(png: bytes, points: cicp.Cicp) -> bytes:
    """A PNG with its colours declared by a cICP chunk (PNG 3, section 11.3.2.6), right after the header."""
    chunk = b"cICP" + bytes([points[0], points[1], 0, 1])
    end_of_header = 8 + 25
    framed = len(chunk[4:]).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    return png[:end_of_header] + framed + png[end_of_header:]
