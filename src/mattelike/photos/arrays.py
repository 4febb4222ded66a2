"""Photos from memory: numpy arrays, and pictures of Pillow, which is never imported for it."""

from __future__ import annotations

from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from mattelike.errors import BrokenPhotoError, PhotoError, UnsupportedPhotoError
from mattelike.photos import channels, engine, limits, tags
from mattelike.photos.decoding import assembled, pages_note
from mattelike.values import Metadata, Photo

_MODES_16 = ("I;16", "I;16L", "I;16B", "I;16N")
_THROUGH_RGB = ("YCbCr", "HSV")
_PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}


def from_array(array: NDArray[Any], name: str, *, ignore_alpha: bool) -> Photo:
    """A photo of an array; uint8 and uint16 RGB is taken as it is, not copied.

    Args:
        array: ``(h, w)``, ``(h, w, 1)`` gray, ``(h, w, 2)`` gray and alpha, ``(h, w, 3)`` RGB or
            ``(h, w, 4)`` RGB and alpha; uint8, uint16, bool, or floats in [0, 1], which become 16 bits.
        name: What to call it; may be empty.
        ignore_alpha: Leave alpha out.

    Raises:
        PhotoError: Another shape, no pixels, another dtype, floats outside [0, 1].
    """
    label = name or "the array given"
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4:
        raise PhotoError(f"{label}: a photo is (h, w) or (h, w, 1 to 4), got {array.shape}")
    if array.size == 0:
        raise PhotoError(f"{label}: no pixels, its shape is {array.shape}")
    return assembled(_levels(array, label), 1, None, Metadata(), name, (), ignore_alpha)


def _levels(array: NDArray[Any], name: str) -> NDArray[Any]:
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind == "f":
        return channels.levels(array, name)
    if array.dtype.kind == "u" and array.dtype.itemsize <= 2:
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    raise PhotoError(
        f"{name}: pixels must be uint8, uint16, bool or floats in [0, 1], got {array.dtype}; "
        "convert them, so that it is clear what white is"
    )


def is_pillow(source: object) -> TypeGuard[Any]:
    """Whether an object is a picture of Pillow."""
    return any(kind.__module__ == "PIL.Image" and kind.__name__ == "Image" for kind in type(source).__mro__)


def from_pillow(picture: Any, name: str, limit: int, *, ignore_alpha: bool) -> Photo:
    """A photo of a `PIL.Image`: its first frame, in its mode, with its profile, EXIF, XMP and resolution.

    Raises:
        PhotoTooLargeError: More pixels than `limit`; asked before Pillow decodes.
        BrokenPhotoError: Pillow cannot decode it, or it has no pixels.
        UnsupportedPhotoError: A mode that means nothing to us.
    """
    name = name or str(getattr(picture, "filename", "") or "a Pillow image")
    limits.check_size(picture.width, picture.height, limit, name)
    if picture.width == 0 or picture.height == 0:
        raise BrokenPhotoError(f"{name}: no pixels, its size is {picture.width} x {picture.height}")
    info, count = picture.info, int(getattr(picture, "n_frames", 1))
    exif = picture.getexif()
    block = exif.tobytes() if exif else None
    try:
        array = _pillow_pixels(picture, name)
    except (OSError, SyntaxError) as error:
        raise BrokenPhotoError(f"{name}: damaged or cut short: {error}") from error
    profile, notes = info.get("icc_profile") or None, pages_note(count)
    image = engine.wrapped(array)
    if picture.mode == "CMYK":
        image = image.copy(interpretation="cmyk")
    if profile is not None or picture.mode == "CMYK":
        settled = channels.settled(image, profile, name)
        array, profile = engine.unwrapped(settled.image), settled.profile
        notes = (*notes, *settled.notes)
    metadata = Metadata(
        exif=tags.upright(block) if block else None,
        xmp=_xmp(info),
        dpi=_dpi(info),
        format=(picture.format or "").lower(),
    )
    return assembled(array, tags.orientation(block), profile, metadata, name, notes, ignore_alpha)


def _pillow_pixels(picture: Any, name: str) -> NDArray[Any]:
    """uint8 or uint16 ``(h, w, 1 to 4)``."""
    mode = picture.mode
    if mode in ("P", "PA"):
        transparent = mode == "PA" or "transparency" in picture.info
        picture = picture.convert("RGBA" if transparent else "RGB")
    elif mode in ("L", "1", "RGB") and "transparency" in picture.info:
        picture = picture.convert("RGBA" if mode == "RGB" else "LA")
    elif mode in _PREMULTIPLIED:
        picture = picture.convert(_PREMULTIPLIED[mode])
    elif mode in _THROUGH_RGB:
        picture = picture.convert("RGB")
    array = np.asarray(picture)
    if mode == "I":
        array = _declared_16(array, name)
    elif mode == "LAB" or (mode.startswith("I;") and mode not in _MODES_16):
        raise UnsupportedPhotoError(f"{name}: Pillow's mode {mode} is not read; convert it to RGB first")
    return _levels(array[..., None] if array.ndim == 2 else array, name)


def _declared_16(array: NDArray[Any], name: str) -> NDArray[np.uint16]:
    """Mode I holds what were 16 bits in the file."""
    if array.min() < 0 or array.max() > 65535:
        raise PhotoError(f"{name}: mode I must hold 0 to 65535, found {array.min()} to {array.max()}")
    return array.astype(np.uint16)


def _xmp(info: dict[Any, Any]) -> bytes | None:
    found = info.get("xmp") or info.get("XML:com.adobe.xmp")
    return found.encode() if isinstance(found, str) else found


def _dpi(info: dict[Any, Any]) -> tuple[float, float] | None:
    found = info.get("dpi")
    if not isinstance(found, tuple) or len(found) != 2 or not all(value > 0 for value in found):
        return None
    return float(found[0]), float(found[1])
