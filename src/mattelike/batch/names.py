"""Names of files: in natural order, shown in one line, of our own making, and never too long."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

from mattelike.batch.jobs import content_hash
from mattelike.mattes import Emit

# File systems take 255 bytes; what is put between stem and suffix (".premultiplied", ".12") must fit in.
LONGEST_STEM = 200
# Folder of the contact sheet's thumbnails, in the output folder.
SHEET = "_sheet"
OWN = re.compile(r"\.(matte|foreground|premultiplied|composite|trimap|uncertainty)\.[a-z]+$", re.IGNORECASE)
_DIGITS = re.compile(r"(\d+)")


def natural_key(name: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Sorts as people do: ``x2`` before ``x10``, folders together, case last."""
    parts = []
    for part in _DIGITS.split(name.replace("/", "\0").casefold()):
        # isdecimal would take digits of other scripts, which int reads as well, but also superscripts.
        parts.append((0, int(part), "") if part.isascii() and part.isdigit() else (1, 0, part))
    return tuple(parts), name


def folded(name: str) -> str:
    """The same for all names that some disk cannot tell apart: upper and lower case, composed accents."""
    return unicodedata.normalize("NFC", name.casefold())


def is_own(name: str) -> bool:
    """Whether a file is called as one of our outputs is, such as ``x.matte.png``."""
    return OWN.search(name) is not None


def writable(stem: str) -> str:
    """A relative stem whose last part is text and short enough; shortened ones end in a hash of the whole.

    Args:
        stem: With ``/``; may hold bytes that are not UTF-8, as surrogates.
    """
    parts = [_text(part) for part in PurePosixPath(stem).parts]
    name = parts[-1]
    if len(name.encode()) > LONGEST_STEM:
        head = name.encode()[: LONGEST_STEM - 9].decode(errors="ignore")
        parts[-1] = f"{head}~{content_hash(name.encode())[:8]}"
    return "/".join(parts)


def _text(name: str) -> str:
    """Bytes that are not UTF-8 written as ``%FF``, so that every program can open the result."""
    return "".join(f"%{ord(c) - 0xDC00:02X}" if "\udc80" <= c <= "\udcff" else c for c in name)


def output_names(stem: str, emits: tuple[Emit, ...], suffix: str) -> tuple[tuple[Emit, str], ...]:
    """Where the pictures of one photo go.

    The cut-out, or the composite where no cut-out is wanted, is called as the photo is; everything else says
    what it is.

    Args:
        stem: Relative, without suffix.
        emits: What is written.
        suffix: Format of pictures in colour, such as ``".png"``.
    """
    main: Emit = "cutout" if "cutout" in emits else "composite"
    names: list[tuple[Emit, str]] = []
    for emit in emits:
        ending = suffix if emit not in ("alpha", "trimap", "uncertainty") else matte_suffix(suffix)
        if emit == main:
            names.append((emit, f"{stem}{ending}"))
        else:
            names.append((emit, f"{stem}.{'matte' if emit == 'alpha' else emit}{ending}"))
    return tuple(names)


def matte_suffix(suffix: str) -> str:
    """Format of gray pictures: without loss, whatever the colours are written in."""
    return suffix if suffix in (".png", ".tif", ".tiff") else ".png"
