"""Whatever channels a picture has, brought to gray or RGB of 8 or 16 bits, with or without alpha.

CMYK and gray pictures with a profile of their own become sRGB here, RGB stays in its own space: then the
profile of a `Photo` is always one of RGB, or none.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mattelike.errors import PhotoError, UnsupportedPhotoError
from mattelike.photos import engine
from mattelike.photos.engine import Image

GENERIC_CMYK = "cmyk"
TOLERANCE = 1e-5
"""How far a float may be outside [0, 1]: what arithmetic leaves, not what another range would."""

_STRIP = 1 << 20
_SPACES = {b"RGB ": 3, b"GRAY": 1, b"CMYK": 4}
_TABLES = {b"A2B0", b"A2B1", b"A2B2", b"D2B0", b"D2B1"}
_CURVES = {b"RGB ": {b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC"}, b"GRAY": {b"kTRC"}}


@dataclass(frozen=True, slots=True)
class Settled:
    """A picture of 1 to 4 bands of 8 or 16 bits, not yet computed.

    Attributes:
        image: Gray or RGB, then alpha if there is one.
        profile: ICC profile of its RGB, or None for sRGB.
        notes: What was taken for granted.
    """

    image: Image
    profile: bytes | None
    notes: tuple[str, ...] = ()


def settled(image: Image, profile: bytes | None, name: str) -> Settled:
    """Gray or RGB of 8 or 16 bits.

    Args:
        image: As decoded.
        profile: Its ICC profile.
        name: For messages.

    Raises:
        UnsupportedPhotoError: When it has channels that mean nothing to us.
        PhotoError: When its numbers are outside the range its type declares.
    """
    if image.interpretation in ("lab", "labq", "labs", "xyz"):
        image, profile = image.colourspace("rgb16" if image.format != "uchar" else "srgb"), None
    image = _whole(image, name)
    notes: tuple[str, ...] = ()
    if profile is not None and not _usable(profile, _colours(image)):
        notes, profile = ("its colour profile is damaged or of another kind, and was ignored",), None
    if image.interpretation == "cmyk":
        return _from_cmyk(image, profile, notes)
    if image.bands > 4:
        raise UnsupportedPhotoError(
            f"{name}: {image.bands} channels are neither gray, RGB nor CMYK; save it as RGB first"
        )
    if image.bands < 3 and profile is not None:
        return _from_gray(image, profile, notes)
    plain = image.copy(interpretation=engine.interpretation(image.bands, image.format == "ushort"))
    return Settled(plain, profile, notes)


def levels(array: NDArray[Any], name: str) -> NDArray[np.uint16]:
    """Numbers in [0, 1] as 16-bit levels, rounded half up, a strip at a time.

    Raises:
        PhotoError: When a number is outside, or is not a number.
    """
    result = np.empty(array.shape, np.uint16)
    step = max(1, _STRIP // max(1, array[0].size))
    for start in range(0, len(array), step):
        strip = array[start : start + step]
        low, high = float(strip.min()), float(strip.max())
        if not (low >= -TOLERANCE and high <= 1 + TOLERANCE):
            raise PhotoError(
                f"{name}: fractional pixels must lie between 0 and 1, found {low:g} to {high:g}; "
                "divide them by the range they are meant in"
            )
        scaled = np.clip(strip, 0, 1) * np.float64(65535) + 0.5
        result[start : start + step] = np.floor(scaled)
    return result


def _whole(image: Image, name: str) -> Image:
    """8 or 16 bits, by the range that the type declares and never by the picture's own (trap 5)."""
    if image.format in ("uchar", "ushort"):
        return image
    if image.format == "uint":
        return (image >> 16).cast("ushort")
    if image.format in ("float", "double"):
        return engine.wrapped(levels(engine.unwrapped(image), name))
    raise UnsupportedPhotoError(
        f"{name}: signed or complex numbers ({image.format}) have no declared white; save it as 16 bits first"
    )


def _colours(image: Image) -> int:
    """Channels that are colours: 1, 3 or 4."""
    if image.interpretation == "cmyk":
        return 4
    return 1 if image.bands < 3 else 3


def _usable(profile: bytes, colours: int) -> bool:
    """Whether a profile is whole and made for that many channels; a gray picture may have one of RGB.

    libvips would take a generic profile in place of a damaged one, and not say so. Looked at are the table of
    tags and whether those that give the colours are in it (ICC.1:2022, sections 7.3 and 8.3).
    """
    if len(profile) < 132 or profile[36:40] != b"acsp":
        return False
    space = profile[16:20]
    if _SPACES.get(space) != colours and not (colours == 1 and space == b"RGB "):
        return False
    (count,) = struct.unpack(">I", profile[128:132])
    table = profile[132 : 132 + 12 * count]
    if len(table) < 12 * count:
        return False
    names = set()
    for name, place, length in struct.iter_unpack(">4sII", table):
        if place + length > len(profile):
            return False
        names.add(name)
    return bool(names & _TABLES) or (space in _CURVES and names >= _CURVES[space])


def _from_cmyk(image: Image, profile: bytes | None, notes: tuple[str, ...]) -> Settled:
    """To sRGB of the same depth, through the profile; black point compensated, as print software does."""
    depth = 16 if image.format == "ushort" else 8
    inks, alpha = image.extract_band(0, n=4), image.bands > 4
    if profile is None:
        inks.remove("icc-profile-data")
        notes = (*notes, "CMYK without a profile: converted with a generic one, colours are approximate")
        options: dict[str, Any] = {"input_profile": GENERIC_CMYK}
    else:
        inks = engine.attach(inks, icc_profile_data=profile)
        options = {"embedded": True}
    rgb = inks.icc_transform("srgb", depth=depth, black_point_compensation=True, **options)
    return Settled(rgb.bandjoin(image.extract_band(4)) if alpha else rgb, None, notes)


def _from_gray(image: Image, profile: bytes, notes: tuple[str, ...]) -> Settled:
    """Gray in sRGB's curve; a profile of gray could not describe the RGB that results may be written as."""
    deep = image.format == "ushort"
    gray = image.extract_band(0)
    if profile[16:20] == b"RGB ":
        gray = gray.bandjoin([gray, gray]).copy(interpretation=engine.interpretation(3, deep))
    gray = engine.attach(gray, icc_profile_data=profile)
    gray = gray.icc_transform("srgb", embedded=True, depth=16 if deep else 8).extract_band(1)
    if image.bands == 2:
        gray = gray.bandjoin(image.extract_band(1))
    return Settled(gray.copy(interpretation=engine.interpretation(1, deep)), None, notes)
