"""What a drawn raster says: from whatever people save as a mask or a scribble to yes and no per pixel.

Black and white, 0 and 1, soft, JPEG, painted in a colour, on a transparent layer, a label map: each is read
when it can mean one thing only. Where it could mean two, nothing is guessed: the error lists the choices.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mattelike import resampling
from mattelike.errors import PromptError
from mattelike.paint import (
    FEW,
    NOISE,
    PATCH,
    bands,
    eight_bits,
    even_pixels,
    is_gray,
    listed,
    painted,
    refuse_two_paints,
    white_of,
)
from mattelike.values import Bool

Label = int | tuple[int, int, int]

_SURE = 0.9  # a soft mask marks above this, and rules out below one minus this
_CHOOSE = "choose one with label="


FLAT = 0.2
"""Share of the white area up to which flat grays are a matte's, not labels."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """A raster, read.

    Attributes:
        marked: bool ``(h, w)``, pixels the drawing marks.
        clear: bool ``(h, w)``, pixels it leaves out; in a soft mask some are neither.
        notes: What was taken for granted, one sentence each.
    """

    marked: Bool
    clear: Bool
    notes: tuple[str, ...] = ()


def read_drawing(
    raster: NDArray[Any],
    *,
    name: str,
    half: float = 0.5,
    soft: bool = False,
    label: Label | None = None,
    choose: str = _CHOOSE,
) -> Drawing:
    """Read a raster as marked and unmarked pixels.

    A picture with transparency is read by its alpha; a coloured one by its one colour on black or white; a
    gray one by its levels.

    Args:
        raster: ``(h, w)``, ``(h, w, 1)``, gray and alpha ``(h, w, 2)``, ``(h, w, 3)`` or ``(h, w, 4)``; bool,
            integers from 0 to 255 or 65535, or floats in [0, 1].
        name: What to call it in messages.
        half: Level above which a pixel is marked, in [0, 1].
        soft: The raster is an alpha matte: marked above 0.9, clear below 0.1, unknown between.
        label: The level of a label map, or the ``(r, g, b)`` of a coloured one, that means the thing.
        choose: What to do about a raster with several labels, for the message.

    Raises:
        PromptError: Not a raster, NaN or out of range, or it could mean more than one thing.
    """
    array = _numbers(raster, name)
    if array.ndim == 2:
        return _read_levels(array, name, half, soft, label, choose)
    colours, alpha = _layers(array)
    if alpha is not None and label is None:
        refuse_two_paints(colours, alpha, name, choose)
        return _read_soft(alpha) if soft else _halved(alpha, half)
    if is_gray(colours):
        drawing = _read_levels(colours[..., 0], name, half, soft, label, choose)
    else:
        levels = painted(eight_bits(colours), label, name, choose)
        drawing = _read_soft(levels) if soft else _halved(levels, half)
    return drawing if alpha is None else _hard(drawing.marked & (alpha > white_of(alpha) / 2))


def _numbers(raster: NDArray[Any], name: str) -> NDArray[Any]:
    """The raster as bool, uint8, uint16 or float in [0, 1]; two axes, or three with 2 to 4 channels."""
    if raster.ndim == 3 and raster.shape[2] == 1:
        raster = raster[..., 0]
    if not (raster.ndim == 2 or (raster.ndim == 3 and 2 <= raster.shape[2] <= 4)) or raster.size == 0:
        raise PromptError(f"{name} has shape {raster.shape}: a drawing is (h, w), (h, w, 3) or (h, w, 4)")
    kind = raster.dtype.kind
    if kind == "b":
        return raster if raster.ndim == 2 else raster * np.uint8(255)
    if raster.dtype in (np.uint8, np.uint16):
        return raster
    if kind not in "iuf":
        raise PromptError(f"{name} holds {raster.dtype}: a drawing holds bool, integers or floats in 0..1")
    low, high = float(raster.min()), float(raster.max())
    if not np.isfinite([low, high]).all():
        raise PromptError(f"{name} holds NaN or infinity: put 0 where nothing is marked")
    if low < 0 or high > (1 if kind == "f" else 65535):
        wanted = "floats lie in 0..1, integers in 0..255 or 0..65535"
        raise PromptError(f"{name} runs from {low:g} to {high:g}: {wanted}")
    if kind == "f":
        return raster
    return raster.astype(np.uint8 if high <= 255 else np.uint16)


def _layers(array: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Colours, and alpha if it says anything: the same everywhere, it only says that the file has one."""
    if array.shape[2] == 3:
        return array, None
    alpha = array[..., -1]
    plain = alpha.flat[0] != 0 and bool((alpha == alpha.flat[0]).all())
    return array[..., :-1], None if plain else alpha


def _hard(marked: Bool, notes: tuple[str, ...] = ()) -> Drawing:
    return Drawing(marked, ~marked, notes)


def _halved(levels: NDArray[Any], half: float) -> Drawing:
    """Marked above `half`, clear below; bool is 0 and 1."""
    white = white_of(levels)
    between = np.count_nonzero((levels > (1 - _SURE) * white) & (levels < _SURE * white))
    notes: tuple[str, ...] = ()
    if between > 0.02 * levels.size:
        notes = (f"soft levels of the drawing were cut at {half:g}: what lies above is marked",)
    return _hard(levels > half * white, notes)


def _read_soft(levels: NDArray[Any]) -> Drawing:
    white = white_of(levels)
    return Drawing(levels > _SURE * white, levels < (1 - _SURE) * white)


def _read_levels(
    levels: NDArray[Any], name: str, half: float, soft: bool, label: Label | None, choose: str
) -> Drawing:
    """One channel: yes and no, a matte, labels, or something that has to be cut at a half."""
    if levels.dtype.kind != "u":
        if label is not None:
            raise PromptError(f"{name} holds {levels.dtype}, which has no labels: leave label out")
        if levels.dtype.kind == "b":
            return _hard(levels)
        return _read_soft(levels) if soft else _halved(levels, half)
    if soft:
        return _read_soft(levels)
    present = np.flatnonzero(_histogram(bands(levels), levels.dtype)).tolist()
    if label is not None:
        if label not in present:
            raise PromptError(f"{name} has no label {label}: it has {listed(present)}")
        return _hard(levels == label)
    if present[-1] == 1:
        return _hard(levels == 1)
    if len(present) == 2 and present[0] == 0:
        return _hard(levels > 0)
    labels = _labels(levels, present, half)
    if labels:
        raise PromptError(f"{name} could be a label map or a trimap: {choose} among {listed(labels)}")
    return _halved(levels, half)


def fitted(drawing: Drawing, height: int, width: int, *, name: str, photo: str, strokes: bool) -> Drawing:
    """A drawing at its photo's size.

    Args:
        drawing: Read from a raster of the photo's proportions, to within a pixel or one percent.
        height: Rows of the photo.
        width: Columns of the photo.
        name: What to call the drawing in messages.
        photo: What to call the photo in messages.
        strokes: Keep what is thin: each pixel drawn marks a pixel, where otherwise the nearest counts.

    Raises:
        PromptError: Other proportions; said apart is a drawing made before the photo was turned upright.
    """
    size, (rows, columns) = (height, width), drawing.marked.shape
    if (rows, columns) == size:
        return drawing
    sizes = f"{name} is {columns} x {rows} pixels and {photo} {width} x {height}"
    slack = max(0.01, 1 / min(rows, columns, height, width))
    fits = abs(rows * width / (columns * height) - 1) <= slack
    if (columns, rows) == size or (not fits and abs(columns * width / (rows * height) - 1) <= slack):
        raise PromptError(
            f"{sizes}: the sides are swapped, so it was drawn before the photo was turned upright (EXIF "
            "orientation); turn the drawing too"
        )
    if not fits:
        raise PromptError(f"{sizes}: the proportions differ; draw on the whole photo, not on a crop of it")
    if strokes:  # enlarge first, so that each pixel drawn is somebody's; then a pixel keeps any of them
        larger = max(rows, height), max(columns, width)
        marked = resampling.any_set(resampling.nearest(drawing.marked, larger), size)
        clear = ~marked
    else:
        marked, clear = (resampling.nearest(side, size) for side in (drawing.marked, drawing.clear))
    return Drawing(marked, clear, (*drawing.notes, f"{sizes}: it was resized"))


def _histogram(bands: Iterable[NDArray[Any]], dtype: np.dtype[Any]) -> NDArray[np.int64]:
    counts = np.zeros(int(np.iinfo(dtype).max) + 1, np.int64)
    for band in bands:
        counts += np.bincount(band.ravel(), minlength=counts.size)
    return counts


def _labels(levels: NDArray[Any], present: list[int], half: float) -> list[int]:
    """The levels that look like labels of a map, or none if this is black and white with edges or noise.

    Labels fill areas; the grays of a soft edge do not. JPEG leaves areas of nearly black and nearly white,
    and is recognised by having other levels than low ones.
    """
    white = white_of(levels)
    if present[-1] <= half * white:
        return [level for level in present if level > 0] if len(present) > 2 else []
    if len(present) > FEW:
        return []
    bent = any(NOISE * white < level < white for level in present)
    slack = NOISE * white if bent else 0.0
    areas = _histogram(even_pixels(levels), levels.dtype)
    between = [level for level in present if areas[level] >= PATCH and slack < level < white - slack]
    # A matte of few levels has flat grays too, but they are little beside what is white.
    if sum(areas[level] for level in between) <= FLAT * areas[int(white - slack) :].sum():
        return []
    return [level for level in present if level > 0 and areas[level] >= PATCH]
