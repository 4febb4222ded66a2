"""Writing results: cut-outs, alphas and opaque pictures.

Alpha is straight: colours are not multiplied by it, and where it is 0 they are 0. Levels are rounded half up,
once. What the photo's file said goes along: its profile, EXIF, XMP and resolution. TIFF takes no EXIF.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np

from mattelike.errors import OutputError, UsageError
from mattelike.photos import engine, saving
from mattelike.photos.encoding import (
    KINDS,
    Kind,
    Output,
    in_depth,
    kind_of,
    options_of,
    quantised,
    with_metadata,
)
from mattelike.photos.engine import Image
from mattelike.values import Float32, Photo, Pixels


@runtime_checkable
class Sink(Protocol):
    """Anything bytes can be written to, such as an open binary file."""

    def write(self, data: bytes, /) -> object:
        """Take the bytes."""
        ...


Target: TypeAlias = str | Path | Sink


def write_cutout(
    target: Target,
    pixels: Pixels,
    alpha: Float32,
    *,
    photo: Photo | None = None,
    gray: bool = False,
    strip: bool = False,
    premultiplied: bool = False,
    keep_hidden: bool = False,
    quality: int | None = None,
    note: str | None = None,
    settings: str = "",
    suffix: str | None = None,
) -> None:
    """Write colours with alpha.

    Laid over any colour, a PNG, TIFF or WebP is the true composite within one level: they are written
    without loss, AVIF with little; 16 bits stay in PNG and TIFF, become 12 in AVIF and 8 in WebP.

    Args:
        target: A path, or an open binary file.
        pixels: uint8 or uint16 ``(h, w, 3)``: the colours of the thing (F of equation 1).
        alpha: float32 ``(h, w)`` in [0, 1].
        photo: Whose profile and metadata to keep.
        gray: Write gray and alpha instead of RGB and alpha; the three channels must be equal.
        strip: Leave EXIF, XMP and resolution out; the profile stays, colours would be wrong without it.
        premultiplied: `pixels` are multiplied by alpha already, and are to be stored so. TIFF declares it;
            PNG, WebP and AVIF cannot, whoever reads them must know.
        keep_hidden: Keep the colours where alpha is 0 (trap 55).
        quality: 1 to 100, to write WebP with loss, or AVIF with another loss than that of 90.
        note: Text to store in a PNG under the keyword ``mattelike``.
        settings: How it was made, as JSON (`Matte.settings`): stored in a PNG under the keyword
            ``mattelike-settings``, elsewhere in the XMP packet; `strip` leaves it out.
        suffix: Format for an open file, such as ``".png"``; by default that of its name, else PNG.

    Raises:
        UsageError: What is given does not fit together, or the format cannot be transparent.
        OutputError: It cannot be written there; nothing is left behind.
    """
    output = _cutout(
        _suffix(target, suffix),
        pixels,
        alpha,
        _Along(photo, strip, quality, note, settings),
        gray=gray,
        premultiplied=premultiplied,
        keep_hidden=keep_hidden,
    )
    _put(target, output)


def write_alpha(
    target: Target,
    alpha: Float32,
    *,
    photo: Photo | None = None,
    depth: int | None = None,
    strip: bool = False,
    quality: int | None = None,
    note: str | None = None,
    settings: str = "",
    suffix: str | None = None,
) -> None:
    """Write an alpha as a gray picture.

    Args:
        target: A path, or an open binary file.
        alpha: float32 ``(h, w)`` in [0, 1].
        photo: Whose metadata to keep; its profile is left out, alpha is no colour.
        depth: 8 or 16 bits; by default that of `photo`. WebP and JPEG hold 8, AVIF 12 of 16.
        strip: Leave EXIF, XMP and resolution out.
        quality: As for `write_cutout`.
        note: As for `write_cutout`.
        settings: As for `write_cutout`.
        suffix: As for `write_cutout`.

    Raises:
        UsageError: Alpha outside [0, 1], another depth, an unknown format.
        OutputError: It cannot be written there; nothing is left behind.
    """
    _put(target, _matte(_suffix(target, suffix), alpha, depth, _Along(photo, strip, quality, note, settings)))


def write_rgb(
    target: Target,
    pixels: Pixels,
    photo: Photo | None = None,
    *,
    strip: bool = False,
    quality: int | None = None,
    note: str | None = None,
    settings: str = "",
    suffix: str | None = None,
) -> None:
    """Write an opaque picture.

    Args:
        target: A path, or an open binary file.
        pixels: uint8 or uint16 ``(h, w, 3)``.
        photo: Whose profile and metadata to keep.
        strip: As for `write_cutout`.
        quality: As for `write_cutout`; JPEG is written with 95 by default.
        note: As for `write_cutout`.
        settings: As for `write_cutout`.
        suffix: As for `write_cutout`.

    Raises:
        UsageError: Pixels that are not RGB, an unknown format.
        OutputError: It cannot be written there; nothing is left behind.
    """
    _put(target, _opaque(_suffix(target, suffix), pixels, _Along(photo, strip, quality, note, settings)))


def encode(
    pixels: Pixels | None = None,
    suffix: str = ".png",
    *,
    alpha: Float32 | None = None,
    photo: Photo | None = None,
    depth: int | None = None,
    gray: bool = False,
    strip: bool = False,
    premultiplied: bool = False,
    keep_hidden: bool = False,
    quality: int | None = None,
    note: str | None = None,
    settings: str = "",
) -> bytes:
    """The bytes of a file: a cut-out of pixels and alpha, an opaque picture of pixels, a matte of alpha.

    Arguments and errors are those of `write_cutout`, `write_rgb` and `write_alpha`.
    """
    along = _Along(photo, strip, quality, note, settings)
    if pixels is not None and alpha is not None:
        output = _cutout(
            suffix, pixels, alpha, along, gray=gray, premultiplied=premultiplied, keep_hidden=keep_hidden
        )
    elif pixels is not None:
        output = _opaque(suffix, pixels, along)
    elif alpha is not None:
        output = _matte(suffix, alpha, depth, along)
    else:
        raise UsageError("encode needs pixels, alpha or both")
    return _bytes(output)


# --- the three pictures ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Along:
    """What goes along with the pixels of every picture; see `write_cutout`."""

    photo: Photo | None
    strip: bool
    quality: int | None
    note: str | None
    settings: str


def _cutout(
    suffix: str,
    pixels: Pixels,
    alpha: Float32,
    along: _Along,
    *,
    gray: bool,
    premultiplied: bool,
    keep_hidden: bool,
) -> Output:
    _check(pixels, alpha)
    kind = kind_of(suffix, transparent=True, size=pixels.shape[:2])
    if gray and not _is_gray(pixels):
        raise UsageError("gray=True needs three equal channels; write this picture in colour")
    colours = in_depth(engine.wrapped(pixels[..., :1] if gray else pixels), kind)
    deep = kind.deepest == 16 and pixels.dtype == np.uint16
    covered = engine.wrapped(quantised(alpha, 16 if deep else 8))
    if not (keep_hidden or premultiplied):
        colours = (covered > 0).ifthenelse(colours, 0).cast(colours.format)
    image = colours.bandjoin(in_depth(covered, kind))
    image = image.copy(interpretation=engine.interpretation(image.bands, deep))
    return _output(image, kind, along, coloured=True, associated=premultiplied)


def _opaque(suffix: str, pixels: Pixels, along: _Along) -> Output:
    _check(pixels, None)
    kind = kind_of(suffix, transparent=False, size=pixels.shape[:2])
    return _output(in_depth(engine.wrapped(pixels), kind), kind, along, coloured=True)


def _matte(suffix: str, alpha: Float32, depth: int | None, along: _Along) -> Output:
    if alpha.ndim != 2 or alpha.size == 0:
        raise UsageError(f"an alpha is (h, w), got {alpha.shape}")
    if depth is None:
        depth = along.photo.depth if along.photo is not None else 8
    if depth not in (8, 16):
        raise UsageError(f"depth must be 8 or 16, got {depth}")
    kind = kind_of(suffix, transparent=False, size=alpha.shape)
    image = in_depth(engine.wrapped(quantised(alpha, min(depth, kind.deepest))), kind)
    return _output(image, kind, along, coloured=False)


def _output(image: Image, kind: Kind, along: _Along, *, coloured: bool, associated: bool = False) -> Output:
    photo = along.photo
    points = photo.metadata.cicp if photo is not None and coloured else None
    if points is not None and kind is not KINDS[".png"]:
        raise UsageError("the colours of an HDR photo can be declared in PNG only: write .png")
    image, keep = with_metadata(
        image, photo, kind, coloured=coloured, strip=along.strip, note=along.note, settings=along.settings
    )
    options = {**options_of(kind, image, along.quality), "keep": keep}
    return Output(image, kind, options, associated, points)


def _check(pixels: Pixels, alpha: Float32 | None) -> None:
    if (
        pixels.ndim != 3
        or pixels.shape[2] != 3
        or pixels.dtype not in (np.uint8, np.uint16)
        or not pixels.size
    ):
        raise UsageError(f"pixels must be uint8 or uint16 (h, w, 3), got {pixels.dtype} {pixels.shape}")
    if alpha is not None and alpha.shape != pixels.shape[:2]:
        raise UsageError(f"alpha is {alpha.shape} but the picture is {pixels.shape[:2]}: resize one of them")


def _is_gray(pixels: Pixels) -> bool:
    first = pixels[..., 0]
    return bool(np.array_equal(first, pixels[..., 1]) and np.array_equal(first, pixels[..., 2]))


# --- where to ----------------------------------------------------------------------------------------


def _suffix(target: Target, suffix: str | None) -> str:
    if suffix is not None:
        return suffix
    if isinstance(target, str | Path):
        return Path(target).suffix or _pathless_suffix(Path(target))
    name = getattr(target, "name", "")
    return (Path(name).suffix if isinstance(name, str) else "") or ".png"


def _pathless_suffix(path: Path) -> str:
    """PNG for devices and pipes, which have no suffix to go by."""
    return ".png" if path.exists() and not path.is_file() and not path.is_dir() else ""


def _put(target: Target, output: Output) -> None:
    if isinstance(target, str | Path):
        saving.save(target, output.to_descriptor, output.to_bytes)
        return
    data = _bytes(output)
    try:
        target.write(data)
    except OSError as error:
        raise OutputError(f"the open file cannot be written: {error.strerror or error}") from error


def _bytes(output: Output) -> bytes:
    try:
        return output.to_bytes()
    except engine.VipsError as error:
        raise OutputError(f"the picture cannot be encoded: {engine.reason(error)}") from error
