"""What a drawn raster says: from whatever people save as a mask or a scribble to yes and no per pixel.

Black and white, 0 and 1, soft, JPEG, painted in a colour, on a transparent layer, a label map: each is read
when it can mean one thing only. Where it could mean two, nothing is guessed: the error lists the choices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mattelike.errors import PromptError
from mattelike.values import Bool

Label = int | tuple[int, int, int]

_ROWS = 512  # rows looked at together, where wider numbers for a whole picture would cost too much memory
_FEW = 64  # a drawing with more levels or colours than this is not made of flat areas
_PATCH = 16  # pixels of a level whose four neighbours have it too; fewer are specks, not a labelled area
_NOISE = 12 / 255  # how far JPEG bends black and white
_SURE = 0.9  # a soft mask marks above this, and rules out below one minus this
_CLOSE = 32  # how far JPEG bends a painted colour, of 255
_CHOOSE = "choose one with label="


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
        _refuse_two_paints(colours, alpha, name, choose)
        return _read_soft(alpha) if soft else _halved(alpha, half)
    if _is_gray(colours):
        drawing = _read_levels(colours[..., 0], name, half, soft, label, choose)
    else:
        drawing = _read_paint(_eight_bits(colours), name, half, label, choose)
    return drawing if alpha is None else _hard(drawing.marked & (alpha > _top(alpha) / 2))


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


def _top(levels: NDArray[Any]) -> float:
    """The level that means white."""
    return float(np.iinfo(levels.dtype).max) if levels.dtype.kind == "u" else 1.0


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
    top = _top(levels)
    between = np.count_nonzero((levels > (1 - _SURE) * top) & (levels < _SURE * top))
    notes: tuple[str, ...] = ()
    if between > 0.02 * levels.size:
        notes = (f"soft levels were cut at {half:g}; soft=True reads them as a matte and leaves them open",)
    return _hard(levels > half * top, notes)


def _read_soft(levels: NDArray[Any]) -> Drawing:
    top = _top(levels)
    return Drawing(levels > _SURE * top, levels < (1 - _SURE) * top)


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
    present = np.flatnonzero(_histogram(_bands(levels), levels.dtype)).tolist()
    if label is not None:
        if label not in present:
            raise PromptError(f"{name} has no label {label}: it has {_listed(present)}")
        return _hard(levels == label)
    if present[-1] == 1:
        return _hard(levels == 1)
    if len(present) == 2 and present[0] == 0:
        return _hard(levels > 0)
    labels = _labels(levels, present, half)
    if labels:
        raise PromptError(f"{name} could be a label map or a trimap: {choose} among {_listed(labels)}")
    return _halved(levels, half)


def _bands(levels: NDArray[Any]) -> Iterator[NDArray[Any]]:
    for top in range(0, levels.shape[0], _ROWS):
        yield levels[top : top + _ROWS]


def _even_pixels(levels: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Levels of the pixels whose four neighbours have the same one, band by band."""
    for top in range(0, levels.shape[0] - 2, _ROWS):
        band = levels[top : top + _ROWS + 2]
        middle = band[1:-1, 1:-1]
        even = (middle == band[:-2, 1:-1]) & (middle == band[2:, 1:-1])
        even &= (middle == band[1:-1, :-2]) & (middle == band[1:-1, 2:])
        yield middle[even]


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
    top = _top(levels)
    if present[-1] <= half * top:
        return [level for level in present if level > 0] if len(present) > 2 else []
    if len(present) > _FEW:
        return []
    bent = any(_NOISE * top < level < top for level in present)
    slack = _NOISE * top if bent else 0.0
    areas = _histogram(_even_pixels(levels), levels.dtype)
    if not any(areas[level] >= _PATCH and slack < level < top - slack for level in present):
        return []
    return [level for level in present if level > slack and areas[level] >= _PATCH]


def _is_gray(colours: NDArray[Any]) -> bool:
    """Do the channels agree, to within what JPEG does to a gray picture?"""
    slack = _NOISE * _top(colours)
    return all(float(np.ptp(band.astype(np.float32), axis=2).max()) <= slack for band in _bands(colours))


def _eight_bits(colours: NDArray[Any]) -> NDArray[np.uint8]:
    if colours.dtype == np.uint8:
        return colours
    return np.round(colours * (255 / _top(colours))).astype(np.uint8)


def _packed(colours: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """One number a colour; two channels are gray and alpha, of which only gray comes here."""
    red, green, blue = (colours[..., i % colours.shape[2]].astype(np.uint32) for i in range(3))
    return np.asarray(red << 16 | green << 8 | blue, np.uint32)


def _palette(codes: Iterable[NDArray[np.uint32]], least: int = 1) -> list[tuple[int, ...]]:
    """The colours that come at least so often, sorted; it stops one beyond what flat areas would need."""
    counts: Counter[int] = Counter()
    for band in codes:
        found, times = np.unique(band, return_counts=True)
        counts.update(dict(zip(found.tolist(), times.tolist(), strict=True)))
        if len(counts) > _FEW:
            break
    return [(c >> 16, c >> 8 & 255, c & 255) for c, count in sorted(counts.items()) if count >= least]


def _is_ground(colour: tuple[int, ...]) -> bool:
    """Is this the black or white that a drawing is painted on, as JPEG may leave it?"""
    return max(colour) <= _NOISE * 255 or min(colour) >= (1 - _NOISE) * 255


def _refuse_two_paints(colours: NDArray[Any], alpha: NDArray[Any], name: str, choose: str) -> None:
    """A transparent layer is read by its alpha, unless a few flat colours on it must mean something too."""
    palette = _palette([_packed(_eight_bits(colours))[alpha == alpha.max()]])
    if 2 <= len(palette) <= _FEW:
        raise PromptError(
            f"{name} is a transparent layer painted in {len(palette)} colours: "
            f"{choose} among {_listed(palette)}, or pass its alpha channel alone"
        )


def _read_paint(
    colours: NDArray[np.uint8], name: str, half: float, label: Label | None, choose: str
) -> Drawing:
    """The pixels of the one colour that was painted on black or white, or of the colour asked for."""
    codes = _packed(colours)
    palette = _palette(_bands(codes))
    flat = len(palette) <= _FEW
    if isinstance(label, tuple):
        if flat and label not in palette:
            raise PromptError(f"{name} has no colour {label}: it has {_listed(palette)}")
        distance = np.abs(colours.astype(np.int16) - np.array(label, np.int16)).max(axis=2)
        return _hard(distance <= (0 if flat else _CLOSE))
    areas = [c for c in _palette(_even_pixels(codes), _PATCH) if not _is_ground(c)] if flat else []
    strength = _strength(colours) if len(areas) < 2 and label is None else None
    if strength is not None:
        return _halved(strength, half)
    if flat:
        raise PromptError(f"{name} is painted in several colours: {choose} among {_listed(areas or palette)}")
    raise PromptError(
        f"{name} has more than {_FEW} colours that are no shades of one paint and looks like a photo: "
        "save the drawing in black and white, or name the painted colour with label=(r, g, b)"
    )


def _strength(colours: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """How strongly each pixel is painted, 0 to 255, if all are shades between the ground and one paint.

    The ground is black or white, whichever there is more of. Edges of brushes and JPEG make such shades.
    """
    black = np.count_nonzero(colours.max(axis=2) < _CLOSE)
    white = np.count_nonzero(colours.min(axis=2) > 255 - _CLOSE)
    if black == white == 0:
        return None
    away = 255 - colours if white > black else colours
    strength = away.max(axis=2)
    paint = away.reshape(-1, 3)[int(strength.argmax())].astype(np.float32)
    paint /= paint.max()
    for band, amount in zip(_bands(away), _bands(strength), strict=True):
        if np.abs(band - amount[..., None] * paint).max() > _CLOSE:
            return None
    return np.asarray(np.round(strength * (255 / strength.max())), np.uint8)


def _listed(choices: Iterable[object], most: int = 10) -> str:
    names = [str(choice) for choice in choices]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
