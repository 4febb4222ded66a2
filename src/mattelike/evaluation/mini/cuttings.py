"""Things and grounds from the example photos: real fur and real light, with an alpha that is exact.

A thing is cut out along its committed mask, whose edge is soft; what it is laid into is a composite, so the
alpha of *that* picture is exact, whatever the outline was.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from mattelike import photos
from mattelike.components import bounds
from mattelike.errors import UsageError
from mattelike.evaluation.mini.canvas import Pose
from mattelike.foreground import foreground
from mattelike.framing import Window
from mattelike.resampling import area
from mattelike.training.sample_pixels import one_channel
from mattelike.training.sources import IMAGES
from mattelike.values import Float32

# The photo each thing is cut out of, below examples/photos; its mask is examples/marks/<thing>.png.
THINGS: Mapping[str, str] = MappingProxyType({"chow": "chow/01", "sloth": "sloth/00", "vase": "vase/03"})
# Rectangles without a thing: top, left, bottom, right, in the 512-pixel photos.
PARTS = (
    ("sloth/00", (345, 0, 512, 512)),
    ("sloth/01", (0, 0, 130, 512)),
    ("sloth/03", (405, 0, 512, 512)),
    ("sloth/04", (385, 0, 512, 512)),
    ("chow/00", (0, 0, 140, 512)),
    ("chow/05", (150, 0, 512, 85)),
    ("vase/00", (0, 250, 330, 512)),
    ("vase/02", (0, 0, 512, 180)),
)


def read_parts(examples: Path) -> list[Float32]:
    """The grounds, float32 ``(h, w, 3)`` in [0, 1].

    Raises:
        UsageError: The example photos are not there.
    """
    found = []
    for name, (top, left, bottom, right) in PARTS:
        whole = photos.to_srgb(photos.read(_there(examples / "photos" / f"{name}.jpg")))
        found.append(whole[top:bottom, left:right])
    return found


def read_thing(examples: Path, name: str) -> Float32:
    """A thing cut out, cropped: float32 ``(h, w, 4)`` in [0, 1], colours multiplied by alpha.

    Raises:
        UsageError: The example photos are not there.
    """
    photo = photos.read(_there(examples / "photos" / f"{THINGS[name]}.jpg"))
    alpha = one_channel(photos.read(_there(examples / "marks" / f"{name}.png")))
    colours = foreground(photo.pixels, alpha).astype(np.float32) / np.float32(255)
    return _cropped(colours, alpha, name)


def read_own(folder: Path, taken: Sequence[str], side: int) -> dict[str, list[Float32]]:
    """Cut-outs of a folder, a folder a kind, as `read_thing` gives them; those larger than need be shrunk.

    Args:
        folder: ``<kind>/<name>.png`` or another format with transparency.
        taken: Names that kinds cannot have.
        side: Pixels of the pictures they are for.

    Raises:
        UsageError: No kind there, one of a name that is taken, or a picture without transparency.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder of cut-outs")
    found: dict[str, list[Float32]] = {}
    for kind in sorted(path for path in folder.iterdir() if path.is_dir()):
        if kind.name in taken:
            raise UsageError(f"{kind}: there is a kind of that name already; rename the folder")
        files = sorted(path for path in kind.iterdir() if path.suffix.lower() in IMAGES)
        if files:
            found[kind.name] = [_own(path, side) for path in files]
    if not found:
        raise UsageError(f"{folder}: a folder of cut-outs has a folder a kind, each with pictures")
    return found


def _own(path: Path, side: int) -> Float32:
    photo = photos.read(path)
    if photo.alpha is None:
        raise UsageError(f"{path}: not a cut-out, it has no transparency")
    cut = _cropped(photos.to_srgb(photo), one_channel(photo), str(path))
    scale = side / max(cut.shape[:2])
    if scale >= 1:
        return cut
    return area(cut, (max(1, round(cut.shape[0] * scale)), max(1, round(cut.shape[1] * scale))))


def _cropped(colours: Float32, alpha: Float32, name: str) -> Float32:
    around = bounds(alpha)
    if around is None:
        raise UsageError(f"{name}: shows nothing, it is transparent everywhere")
    cut: Float32 = np.dstack([colours * alpha[..., None], alpha])[Window(*around).slices]
    return cut.astype(np.float32)


def placed(cut: Float32, side: int, pose: Pose) -> Float32:
    """A cut-out thing somewhere on an empty square.

    Args:
        cut: From `read_thing`.
        side: Pixels of the square.
        pose: Where; its reach is half the thing's longer side.

    Returns:
        float32 ``(side, side, 4)``, colours multiplied by alpha.
    """
    scale = 2 * pose.reach / max(cut.shape[:2])
    # Shrunk by areas first, so that what is picked between pixels is never skipped over.
    size = max(2, round(cut.shape[0] * scale)), max(2, round(cut.shape[1] * scale))
    small = np.pad(area(cut, size), ((1, 1), (1, 1), (0, 0)))
    middle = (np.arange(side, dtype=np.float32) + 0.5)[:, None]
    down, across = middle - pose.row, middle.T - pose.column
    cosine, sine = math.cos(pose.angle), math.sin(pose.angle)
    x = (across * cosine + down * sine) * (-1 if pose.flip else 1) + size[1] / 2 + 0.5
    y = down * cosine - across * sine + size[0] / 2 + 0.5
    return _picked(small, y, x)


def _picked(small: Float32, y: Float32, x: Float32) -> Float32:
    """Values between pixels, bilinearly; outside is nothing, which the padding already is."""
    y, x = (np.clip(at, 0, length - 1.001) for at, length in zip((y, x), small.shape, strict=False))
    top, left = y.astype(np.intp), x.astype(np.intp)
    down, right = (y - top)[..., None], (x - left)[..., None]
    above = small[top, left] * (1 - right) + small[top, left + 1] * right
    below = small[top + 1, left] * (1 - right) + small[top + 1, left + 1] * right
    mixed: Float32 = (above * (1 - down) + below * down).astype(np.float32)
    return mixed


def _there(path: Path) -> Path:
    if not path.is_file():
        raise UsageError(f"{path}: not there; the benchmark is built in a checkout, from its examples/")
    return path
