"""libvips, set up once: no cache, errors in one line, arrays in and out without copies."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pyvips
from numpy.typing import NDArray

from mattelike.errors import SettingsError
from mattelike.values import Float32, Pixels

# The cache would keep files open and pictures in memory long after they were read.
pyvips.cache_set_max(0)
pyvips.cache_set_max_files(0)
pyvips.cache_set_max_mem(0)

# pyvips has no usable types for what it makes at run time.
Image: TypeAlias = Any
VipsError: type[Exception] = pyvips.Error
FORMATS = {"uint8": "uchar", "uint16": "ushort", "float32": "float"}


def set_threads(count: int) -> None:
    """How many threads libvips may use for one picture; by default as many as there are cores.

    Args:
        count: 1 or more.

    Raises:
        SettingsError: When `count` is less than 1.
    """
    if count < 1:
        raise SettingsError(f"threads must be 1 or more, got {count}")
    pyvips.concurrency_set(count)


def reason(error: BaseException) -> str:
    """What libvips says went wrong, in one line: its last word, which is the most specific."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "libvips gives no reason"


def wrapped(array: Pixels | Float32) -> Image:
    """An array ``(h, w)`` or ``(h, w, c)`` as a libvips image; contiguous arrays are not copied."""
    solid = np.ascontiguousarray(array)
    height, width = array.shape[:2]
    bands = array.shape[2] if array.ndim == 3 else 1
    image = pyvips.Image.new_from_memory(solid, width, height, bands, FORMATS[array.dtype.name])
    return image.copy(interpretation=interpretation(bands, array.dtype == np.uint16))


def interpretation(bands: int, deep: bool) -> str:
    """What libvips calls gray or RGB of 8 or 16 bits."""
    if bands < 3:
        return "grey16" if deep else "b-w"
    return "rgb16" if deep else "srgb"


def unwrapped(image: Image) -> NDArray[Any]:
    """The pixels of a libvips image, ``(h, w, bands)``; this is when the work is done."""
    array: NDArray[Any] = image.numpy()
    return array.reshape(image.height, image.width, image.bands)


def attach(image: Image, **blobs: bytes | None) -> Image:
    """The image with metadata fields set, dashes for underscores: ``attach(i, icc_profile_data=...)``."""
    image = image.copy()
    for name, blob in blobs.items():
        if blob is not None:
            image.set_type(pyvips.GValue.blob_type, name.replace("_", "-"), blob)
    return image


def blob(image: Image, name: str) -> bytes | None:
    """A binary metadata field, or None."""
    return bytes(image.get(name)) if image.get_typeof(name) else None


def number(image: Image, name: str, default: int) -> int:
    """A whole-number metadata field, or `default`."""
    return int(image.get(name)) if image.get_typeof(name) else default
