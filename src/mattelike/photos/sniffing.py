"""What a file is, by its content and never by its name (trap 13)."""

from __future__ import annotations

import re
import struct
from typing import Literal, cast

from mattelike.errors import UnsupportedPhotoError
from mattelike.photos.tags import Reader, is_camera_raw

Format = Literal["jpeg", "png", "webp", "tiff", "gif", "avif", "heic"]
Cicp = tuple[int, int, int, int]

HEAD = 4096
"""Bytes from the start of a file that are looked at."""

_CONVERT = "save it as PNG, TIFF or JPEG first"
_DEVELOP = "develop it to a 16-bit TIFF or a JPEG first"
_FILM = "this is a film, not a photo"

_READ: tuple[tuple[bytes, Format], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
)

# Start of file, what it is, what to do.
_KNOWN: tuple[tuple[bytes, str, str], ...] = (
    (b"FUJIFILMCCD-RAW", "a camera raw file (RAF)", _DEVELOP),
    (b"IIRO", "a camera raw file (ORF)", _DEVELOP),
    (b"IIRS", "a camera raw file (ORF)", _DEVELOP),
    (b"MMOR", "a camera raw file (ORF)", _DEVELOP),
    (b"IIU\0", "a camera raw file (RW2)", _DEVELOP),
    (b"FOVb", "a camera raw file (X3F)", _DEVELOP),
    (b"\0MRM", "a camera raw file (MRW)", _DEVELOP),
    (b"II\x1a\0\0\0HEAPCCDR", "a camera raw file (CRW)", _DEVELOP),
    (b"%PDF", "a PDF", "export its page as PNG first"),
    (b"%!PS", "PostScript", "export it as PNG first"),
    (b"8BPS", "a Photoshop document", "export it as PNG or TIFF first"),
    (b"gimp xcf", "a GIMP document", "export it as PNG or TIFF first"),
    (b"BM", "a BMP", _CONVERT),
    (b"\xff\x0a", "JPEG XL", _CONVERT),
    (b"\0\0\0\x0cJXL ", "JPEG XL", _CONVERT),
    (b"\0\0\0\x0cjP  ", "JPEG 2000", _CONVERT),
    (b"\xff\x4f\xff\x51", "JPEG 2000", _CONVERT),
    (b"v/1\x01", "OpenEXR", "save it as a 16-bit TIFF or PNG first"),
    (b"#?RADIANCE", "Radiance HDR", "save it as a 16-bit TIFF or PNG first"),
    (b"qoif", "QOI", _CONVERT),
    (b"DDS ", "a texture (DDS)", _CONVERT),
    (b"\0\0\1\0", "an icon (ICO)", _CONVERT),
    (b"\x1aE\xdf\xa3", "Matroska or WebM", _FILM),
    (b"PK\3\4", "a ZIP archive", "unpack it first"),
    (b"\x1f\x8b", "a file compressed with gzip", "unpack it first"),
    (b"version https://git-lfs", "a Git LFS pointer, not the photo itself,", "run git lfs pull"),
)

_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
_NETPBM = re.compile(rb"P[1-7][\s#]")
_RAW_SUFFIXES: tuple[str, ...] = (
    *(".3fr", ".arw", ".cr2", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc"),
    *(".mef", ".mos", ".nef", ".nrw", ".pef", ".rwl", ".sr2", ".srf", ".srw"),
)


def sniff(read: Reader, name: str) -> Format:
    """The format of a file.

    Args:
        read: ``read(offset, count)`` gives up to `count` bytes of it.
        name: For the message; its suffix counts only to tell raw files from ordinary TIFFs.

    Raises:
        UnsupportedPhotoError: When it is something else, named where it is known, with what to do.
    """
    head = read(0, HEAD)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        return _boxed(head, name)
    for start, found in _READ:
        if head.startswith(start):
            if found == "tiff" and (name.lower().endswith(_RAW_SUFFIXES) or is_camera_raw(read)):
                raise UnsupportedPhotoError(f"{name}: a camera raw file is not read; {_DEVELOP}")
            return found
    raise UnsupportedPhotoError(f"{name}: {_foreign(head)}")


def _foreign(head: bytes) -> str:
    for start, what, todo in _KNOWN:
        if head.startswith(start):
            return f"{what} is not read; {todo}"
    if _NETPBM.match(head):
        return f"a Netpbm picture is not read; {_CONVERT}"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<svg", b"<?xml", b"<!doctype svg", b"<!--")) and b"<svg" in text:
        return "an SVG drawing is not read; export it as PNG first"
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page, not a picture; was it downloaded as one?"
    if not head.strip(b"\0"):
        return "nothing but zero bytes, not a picture; copy the file again"
    if not re.search(rb"[\0-\x08\x0e-\x1f]", head):
        return "text, not a picture"
    return "not a picture of a known format (JPEG, PNG, TIFF, WebP, AVIF, GIF, HEIC)"


def _boxed(head: bytes, name: str) -> Format:
    """AVIF, HEIC or something else in boxes (ISO 14496-12, section 4.3): by major and compatible brands."""
    length = min(max(struct.unpack(">I", head[:4])[0], 16), len(head))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, length, 4))}
    if brands & {b"avif", b"avis"}:
        return "avif"
    if brands & _HEIC:
        return "heic"
    if head[8:12] == b"crx ":
        raise UnsupportedPhotoError(f"{name}: a camera raw file (CR3) is not read; {_DEVELOP}")
    if brands & {b"mif1", b"msf1"}:
        raise UnsupportedPhotoError(f"{name}: a HEIF of an unknown codec is not read; {_CONVERT}")
    raise UnsupportedPhotoError(f"{name}: {_FILM}")


def png_frames(read: Reader) -> int:
    """Frames of a PNG: as many as chunk acTL, before the pixels, says there are; 1 without it."""
    chunk = _png_chunk(read, b"acTL")
    return max(1, int.from_bytes(chunk[:4], "big")) if chunk else 1


def code_points(read: Reader, found: Format) -> Cicp | None:
    """Colour code points of a PNG (chunk cICP) or of a file in boxes (colr of type nclx), or None."""
    if found == "png":
        chunk = _png_chunk(read, b"cICP")
        return cast(Cicp, tuple(chunk)) if chunk and len(chunk) == 4 else None
    if found in ("avif", "heic"):
        head = read(0, 1 << 16)
        at = head.find(b"colrnclx")
        if 0 <= at <= len(head) - 15:
            primaries, transfer, matrix, full = struct.unpack(">HHHB", head[at + 8 : at + 15])
            return primaries, transfer, matrix, full >> 7
    return None


def _png_chunk(read: Reader, wanted: bytes) -> bytes | None:
    """Content of the first chunk of that name before the pixels."""
    place = 8
    for _ in range(256):
        header = read(place, 8)
        if len(header) < 8 or header[4:] == b"IDAT":
            return None
        length = struct.unpack(">I", header[:4])[0]
        if header[4:] == wanted:
            return read(place + 8, min(length, HEAD))
        place += 12 + length
    return None
