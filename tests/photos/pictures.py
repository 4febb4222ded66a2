"""Small files for these tests, made by Pillow so that what libvips reads was written by somebody else."""

from __future__ import annotations

import struct
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from mattelike.values import Pixels


def picture(height: int = 24, width: int = 36) -> Pixels:
    """Smooth RGB whose corners all differ, so that every turn and every swap of channels shows."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    channels = [rows / max(height - 1, 1), columns / max(width - 1, 1), (rows + columns) / (height + width)]
    return np.floor(np.dstack(channels) * 255 + 0.5).astype(np.uint8)


def ramp_16(height: int = 8, width: int = 64) -> Pixels:
    """16-bit RGB with values that 8 bits cannot tell apart."""
    values = np.linspace(0, 65535, height * width * 3).astype(np.uint16)
    return values.reshape(height, width, 3)


def file_of(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of a file."""
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def opened(data: bytes) -> Image.Image:
    """A file as Pillow sees it, decoded."""
    image = Image.open(BytesIO(data))
    image.load()
    return image


def exif_with(orientation: int) -> Image.Exif:
    """EXIF with an orientation, a maker and a position."""
    exif = Image.Exif()
    exif[0x112] = orientation
    exif[0x10F] = "Maker"
    exif.get_ifd(0x8769)[0x9003] = "2020:01:02 03:04:05"
    exif.get_ifd(0x8825)[1] = "N"
    return exif


def lying(upright: Image.Image, orientation: int) -> Image.Image:
    """The picture as a camera stores it, so that `orientation` brings it upright."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    return upright.transpose(undo[orientation]) if orientation in undo else upright


@cache
def wide_profile() -> bytes:
    """An RGB profile that is far from sRGB: its red and green primaries are exchanged.

    Made once: it holds the second it was made in.
    """
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", profile[128:132])[0]
    for index in range(count):
        at = 132 + 12 * index
        name = bytes(profile[at : at + 4])
        if name in (b"rXYZ", b"gXYZ"):
            profile[at : at + 4] = b"gXYZ" if name == b"rXYZ" else b"rXYZ"
    return bytes(profile)


def chunked(name: bytes, body: bytes) -> bytes:
    """A PNG chunk."""
    import zlib

    return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")


def bomb() -> bytes:
    """A PNG of a few bytes that claims 40000 x 40000 pixels."""
    header = struct.pack(">IIBBBBB", 40000, 40000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunked(b"IHDR", header) + chunked(b"IDAT", b"x\x9c") + chunked(b"IEND", b"")
    )
