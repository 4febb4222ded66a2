"""Frames of an animated PNG, which libvips reads the first picture of only.

Each frame is a picture of a part of the canvas, a PNG but for its name (PNG specification, third edition,
sections 11.3.6 and 13.5): it is rebuilt as one, decoded by libvips, and laid over those before it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import pyvips
from numpy.typing import NDArray

from mattelike.errors import BrokenPhotoError
from mattelike.photos import engine
from mattelike.photos.engine import VipsError
from mattelike.values import Pixels

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# What is needed of the file to decode a part of its canvas.
_SHARED = frozenset({b"PLTE", b"tRNS", b"gAMA", b"sBIT"})
_TO_BACKGROUND, _TO_PREVIOUS = 1, 2
_OVER = 1
STRIP = 1 << 20
"""Pixels that are laid over others at a time."""


@dataclass(slots=True)
class _Frame:
    """One frame: its place on the canvas, what becomes of that place afterwards, and its data."""

    left: int
    top: int
    width: int
    height: int
    disposal: int
    blending: int
    data: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class _File:
    """What was found in a file."""

    header: bytes = b""
    shared: list[tuple[bytes, bytes]] = field(default_factory=list)
    frames: list[_Frame] = field(default_factory=list)


def composed(data: bytes, number: int, name: str) -> Pixels:
    """A frame as it is shown, all before it taken into account.

    Args:
        data: The whole file.
        number: From 0.
        name: For messages.

    Returns:
        uint8 or uint16 ``(h, w, 1 to 4)``: gray or RGB; then straight alpha, unless all of it is opaque.

    Raises:
        BrokenPhotoError: Cut short, or with frames that cannot be.
    """
    file = _parsed(data, name)
    if number >= len(file.frames):
        raise BrokenPhotoError(f"{name}: frame {number + 1} of {len(file.frames)} is not there")
    first = _decoded(file, file.frames[0], name)
    width, height = struct.unpack(">II", file.header[:8])
    canvas = np.zeros((height, width, first.shape[2]), first.dtype)
    for index, frame in enumerate(file.frames[: number + 1]):
        part = first if index == 0 else _decoded(file, frame, name)
        if part.shape[2] != canvas.shape[2] or part.dtype != canvas.dtype:
            raise BrokenPhotoError(f"{name}: damaged: frame {index + 1} has other channels than the first")
        window = canvas[frame.top : frame.top + frame.height, frame.left : frame.left + frame.width]
        # What the first frame found is nothing, so that to go back to it is to clear its place.
        before = window.copy() if frame.disposal == _TO_PREVIOUS else 0
        _lay(part, window, over=frame.blending == _OVER)
        if index < number and frame.disposal in (_TO_BACKGROUND, _TO_PREVIOUS):
            window[:] = before
    opaque = (canvas[..., -1] == np.iinfo(canvas.dtype).max).all()
    return cast(Pixels, np.ascontiguousarray(canvas[..., :-1]) if opaque else canvas)


def _parsed(data: bytes, name: str) -> _File:
    file = _File()
    for kind, content in _chunks(data):
        if kind == b"IHDR" and len(content) == 13:
            if file.header:  # it would say another size than the one that was held against the limit
                raise BrokenPhotoError(f"{name}: damaged: a second header")
            file.header = content
        elif kind in _SHARED:
            file.shared.append((kind, content))
        elif kind == b"fcTL" and file.header:
            file.frames.append(_placed(content, file.header, name))
        elif kind == b"IDAT" and file.frames:
            file.frames[-1].data.append(content)
        elif kind == b"fdAT" and file.frames:
            file.frames[-1].data.append(content[4:])
    return file


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(_SIGNATURE)
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        yield data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        place += 12 + length


def _placed(content: bytes, header: bytes, name: str) -> _Frame:
    """A frame without its data, as chunk fcTL tells it."""
    if len(content) != 26:
        raise BrokenPhotoError(f"{name}: damaged or cut short: a frame without a place")
    _, width, height, left, top, _, _, disposal, blending = struct.unpack(">IIIIIHHBB", content)
    across, down = struct.unpack(">II", header[:8])
    if not (0 < width <= across - left and 0 < height <= down - top):
        raise BrokenPhotoError(f"{name}: damaged: a frame that lies outside the picture")
    return _Frame(left, top, width, height, disposal, blending)


def _decoded(file: _File, frame: _Frame, name: str) -> Pixels:
    """The pixels of one frame alone: gray or RGB, and alpha."""
    header = struct.pack(">II", frame.width, frame.height) + file.header[8:]
    chunks = [(b"IHDR", header), *file.shared, *((b"IDAT", data) for data in frame.data), (b"IEND", b"")]
    whole = _SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    try:
        image = pyvips.Image.pngload_buffer(whole, fail_on="error")
        if not image.hasalpha():
            image = image.addalpha()
        return cast(Pixels, engine.unwrapped(image))
    except VipsError as error:
        raise BrokenPhotoError(f"{name}: damaged or cut short: {engine.reason(error)}") from error


def _lay(part: Pixels, window: Pixels, *, over: bool) -> None:
    """Puts a straight picture in a place, instead of what is there or over it, a strip at a time."""
    if not over:
        window[:] = part
        return
    rows = max(1, STRIP // part.shape[1])
    for top in range(0, len(part), rows):
        window[top : top + rows] = _over(part[top : top + rows], window[top : top + rows])


def _over(part: Pixels, below: Pixels) -> Pixels:
    """One straight picture over another, rounded half up (PNG specification, section 13.5.5)."""
    most = float(np.iinfo(part.dtype).max)
    above, under = part.astype(np.float32) / most, below.astype(np.float32) / most
    alpha: NDArray[np.float32] = above[..., -1:]
    rest = under[..., -1:] * (1 - alpha)
    total = alpha + rest
    colours = (above[..., :-1] * alpha + under[..., :-1] * rest) / np.maximum(
        total, np.finfo(np.float32).tiny
    )
    mixed = np.concatenate([colours, total], axis=2)
    return cast(Pixels, np.floor(np.minimum(mixed, 1) * most + 0.5).astype(part.dtype))
