"""The little of TIFF's tag directories that we look at ourselves: in EXIF blocks and in TIFF files.

EXIF is a TIFF file in miniature (EXIF 2.32, section 4.5.2): a byte order, the place of a first directory, and
directories of 12-byte entries (tag, type, count, value or its place) that end with the place of the next one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

PREFIX = b"Exif\0\0"

SUBFILE, COMPRESSION, PHOTOMETRIC, ORIENTATION = 254, 259, 262, 274
SUB_DIRECTORIES, EXTRA_SAMPLES, DNG_VERSION = 330, 338, 50706
ASSOCIATED = 1

# Photometric "colour filter array" and "linear raw"; compressions of Nikon, Sony, Pentax, Samsung, Kodak.
_RAW_PHOTOMETRIC = {32803, 34892}
_RAW_COMPRESSION = {34713, 32767, 65535, 32770, 32769, 65000}

Reader = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class Entry:
    """One tag of a directory.

    Attributes:
        value: First value of an integer tag that fits into its entry; 0 for all others.
        place: Offset of the value field from the start of the TIFF.
        kind: TIFF type, 3 for SHORT, 4 for LONG.
    """

    value: int
    place: int
    kind: int


@dataclass(frozen=True, slots=True)
class Directory:
    """The first directory: its tags, the place of the pointer to the next one, and the byte order."""

    tags: dict[int, Entry]
    next_place: int
    order: str


def first_directory(read: Reader) -> Directory | None:
    """The first directory of a classic TIFF, or None when there is none to be read.

    Args:
        read: ``read(offset, count)`` gives up to `count` bytes.
    """
    head = read(0, 8)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8 or struct.unpack(order + "H", head[2:4])[0] != 42:
        return None
    start = struct.unpack(order + "I", head[4:8])[0]
    length = read(start, 2)
    if len(length) < 2:
        return None
    count = struct.unpack(order + "H", length)[0]
    body = read(start + 2, 12 * count)
    if count == 0 or len(body) < 12 * count:
        return None
    tags = {}
    for index in range(count):
        tag, kind, _, raw = struct.unpack(order + "HHI4s", body[12 * index : 12 * index + 12])
        value = {3: struct.unpack(order + "H", raw[:2])[0], 4: struct.unpack(order + "I", raw)[0]}.get(
            kind, 0
        )
        tags[tag] = Entry(value, start + 10 + 12 * index, kind)
    return Directory(tags, start + 2 + 12 * count, order)


def is_camera_raw(read: Reader) -> bool:
    """Whether a TIFF is a camera's raw file in disguise; its first page is then a mere preview."""
    if read(8, 2) == b"CR":
        return True
    directory = first_directory(read)
    if directory is None:
        return False
    tags = directory.tags
    value = {tag: entry.value for tag, entry in tags.items()}
    return (
        DNG_VERSION in tags
        or value.get(PHOTOMETRIC) in _RAW_PHOTOMETRIC
        or value.get(COMPRESSION) in _RAW_COMPRESSION
        or (bool(value.get(SUBFILE, 0) & 1) and SUB_DIRECTORIES in tags)
    )


def upright(exif: bytes) -> bytes | None:
    """An EXIF block for turned pixels: orientation 1, and no thumbnail, which would still show it lying.

    Args:
        exif: With or without its ``Exif`` prefix.

    Returns:
        The block with its prefix; None when it is damaged.
    """
    body = bytearray(exif.removeprefix(PREFIX))
    directory = first_directory(lambda offset, count: bytes(body[offset : offset + count]))
    if directory is None:
        return None
    entry = directory.tags.get(ORIENTATION)
    if entry is not None:
        body[entry.place : entry.place + 4] = _packed(directory.order, entry.kind, 1)
    if directory.next_place + 4 <= len(body):
        body[directory.next_place : directory.next_place + 4] = bytes(4)
    return PREFIX + bytes(body)


def orientation(exif: bytes | None) -> int:
    """Orientation of an EXIF block, 1 to 8; 1 when it says nothing sensible."""
    body = (exif or b"").removeprefix(PREFIX)
    directory = first_directory(lambda offset, count: body[offset : offset + count])
    entry = directory.tags.get(ORIENTATION) if directory else None
    return entry.value if entry and 1 <= entry.value <= 8 else 1


def declare_associated(tiff: bytes) -> bytes:
    """A TIFF whose alpha is declared to be multiplied into the colours (TIFF 6.0, section 18)."""
    directory = first_directory(lambda offset, count: tiff[offset : offset + count])
    entry = directory.tags.get(EXTRA_SAMPLES) if directory else None
    if directory is None or entry is None:
        return tiff
    changed = bytearray(tiff)
    changed[entry.place : entry.place + 4] = _packed(directory.order, entry.kind, ASSOCIATED)
    return bytes(changed)


def _packed(order: str, kind: int, value: int) -> bytes:
    return struct.pack(order + "I", value) if kind == 4 else struct.pack(order + "HH", value, 0)
