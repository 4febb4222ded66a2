"""The small pictures of the contact sheet: each photo, and what was cut out of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mattelike import framing, photos, resampling
from mattelike.batch.jobs import content_hash
from mattelike.batch.names import SHEET
from mattelike.figures import levels
from mattelike.foreground import foreground
from mattelike.mattes import Matte

SIDE = 400


def thumbnail_names(stem: str) -> tuple[str, str]:
    """Names of photo and cut-out of one stem, relative to the output folder."""
    name = content_hash(stem.encode("utf-8", "surrogatepass"))[:16]
    return f"{SHEET}/{name}.jpg", f"{SHEET}/{name}.webp"


def write_thumbnails(matte: Matte, stem: str, out: Path) -> None:
    """Writes both small pictures of a matte, each whole or not at all.

    Raises:
        OutputError: They cannot be written.
    """
    frame = framing.fit(matte.photo.height, matte.photo.width, side=SIDE, multiple=1, minimum=1, enlarge=1)
    pixels = levels(photos.to_srgb(matte.photo, frame.content))
    alpha = np.clip(resampling.resize(matte.alpha, frame.content), 0, 1)
    before, after = (out / name for name in thumbnail_names(stem))
    before.parent.mkdir(parents=True, exist_ok=True)
    photos.write_rgb(before, pixels, quality=80)
    photos.write_cutout(after, foreground(pixels, alpha), alpha, quality=80)
