"""What of a run's results was asked for, from the options of ``mattelike matte``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from mattelike import photos
from mattelike.batch.jobs import Settings, is_colour
from mattelike.batch.storage import is_url, understood
from mattelike.cli import options
from mattelike.errors import UsageError
from mattelike.mattes import EMITS, Emit

Given = Mapping[str, Any]

_TRANSPARENT = {"cutout", "premultiplied"}


def located(given: Given) -> Given:
    """The options with URLs as they are used.

    Args:
        given: Values of all options, by name.

    Raises:
        UsageError: A URL that is not understood, or an option that does not go with one.
    """
    inputs, output = tuple(map(understood, given["photos"])), understood(given["output"])
    urls = [text for text in (*inputs, output) if is_url(text)]
    refused = ("watch", "all_frames", "more_like", "only") if is_url(output) else ("watch", "all_frames")
    for option in refused:
        if urls and given[option]:
            raise UsageError(f"--{option.replace('_', '-')} wants files of this machine, not {urls[0]}")
    if is_url(output) and output.lower().endswith(photos.WRITTEN_SUFFIXES):
        raise UsageError(f"{output}: results go to a folder of a store; name one with -o, or a local file")
    return {**given, "photos": inputs, "output": output}


def settings_of(given: Given) -> Settings:
    """What is to be made of each photo.

    Args:
        given: Values of all options, by name.

    Raises:
        UsageError: Settings that exclude each other.
        PhotoError: A background picture that is none.
    """
    background = options.colour(given["background"]) if given["background"] else ""
    if background and not is_colour(background):
        photos.header(background)
    return Settings(
        emit=_emits(given, bool(background)),
        background=background,
        margin=given["crop"],
        largest=given["largest"],
        instances=given["instances"],
        refine=given["refine"] and (given["refiner"] or True),
        keep_absent=given["keep_absent"],
        ignore_alpha=given["ignore_alpha"],
        unpremultiply=given["unpremultiply"],
        keep_hidden=given["keep_hidden"],
        gray=given["gray"],
        allow_truncated=given["allow_truncated"],
        strip=given["strip"],
        max_pixels=given["max_pixels"],
    )


def _emits(given: Given, background: bool) -> tuple[Emit, ...]:
    names = [name.strip() for text in given["emit"] for name in text.split(",") if name.strip()]
    if given["only_mask"]:
        if names or background:
            raise click.UsageError("--only-mask writes the alpha alone; leave --emit and --background out")
        return ("alpha",)
    if not names:
        return ("composite", "alpha") if background else ("cutout", "alpha")
    if background and "composite" not in names:
        raise click.UsageError("--background is for composites; add composite to --emit, or leave --emit out")
    unknown = [name for name in names if name not in EMITS]
    if unknown:
        raise click.UsageError(f"--emit takes {', '.join(EMITS)}, not {unknown[0]!r}")
    return tuple(emit for emit in EMITS if emit in names)


def refuse_jpeg(settings: Settings, suffix: str) -> None:
    """Refuses to lose the transparency of what is written, before anything is read.

    Raises:
        UsageError: JPEG for something transparent.
    """
    if suffix in ("jpg", ".jpg", ".jpeg", ".jpe") and _TRANSPARENT.intersection(settings.emit):
        raise UsageError(
            "JPEG cannot be transparent; write png or webp, or put the thing on a --background such as white"
        )
