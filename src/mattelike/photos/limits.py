"""How large a photo may be: looked up in its header, before a single pixel is decoded."""

from __future__ import annotations

import os

from mattelike.errors import PhotoTooLargeError, SettingsError

MAX_PIXELS = 300_000_000
"""Pixels a photo may have by default: three times the largest camera on sale."""

VARIABLE = "MATTELIKE_MAX_PIXELS"


def pixel_limit(argument: int | None = None) -> int:
    """The limit in force: the argument, else the environment's ``MATTELIKE_MAX_PIXELS``, else 300 million.

    Raises:
        SettingsError: When it is not a positive whole number.
    """
    if argument is not None:
        if argument < 1:
            raise SettingsError(f"max_pixels must be 1 or more, got {argument}")
        return argument
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return MAX_PIXELS
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise SettingsError(f"{VARIABLE} must be a number of pixels such as 300000000, got {text!r}")
    return int(text)


def check_size(width: int, height: int, limit: int, name: str) -> None:
    """Refuse a photo that is too large.

    Raises:
        PhotoTooLargeError: When ``width * height`` exceeds `limit`.
    """
    if width * height > limit:
        raise PhotoTooLargeError(
            f"{name}: {width} x {height} pixels are more than the limit of {limit}; "
            f"if you trust the file, raise max_pixels or {VARIABLE}"
        )
