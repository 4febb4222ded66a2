"""The marks people make on a reference photo, and the region of interest they mean.

Points, scribbles, a box, a mask, or several of them together. This is the one door where positions are
``(x, y)``, in pixels of the upright photo or as a part of its width and height; behind it they are
``[row, column]`` and the mark is a `RoI` at the photo's own size. A mark that cannot mean anything on its
photo is refused here, in words, before any model is loaded; nothing is moved or clipped in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mattelike import positions
from mattelike.drawings import Drawing, Label, fitted, read_drawing
from mattelike.errors import PromptError
from mattelike.positions import Coordinate, Unit
from mattelike.values import Bool, Photo, RoI, RoIKind

Point = Sequence[Coordinate]
Raster = NDArray[Any] | Path | str
Load = Callable[[Path], Photo]

TINY = 0.001  # of the photo: too small to be seen well on the whole photo (see framing.close_up)
_ROUND = 0.6  # part of the photo's edge beyond which a mask looks inverted
_STROKE_HALF = 0.25  # level that counts as drawn: strokes are thin, and their edges soft


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Clicks on the thing, and optionally clicks on what it is not.

    Attributes:
        points: ``(x, y)`` pairs on the thing; x to the right, y down, ``(0, 0)`` the upper left pixel. A
            coordinate may be a percentage such as ``"41%"``.
        negative: ``(x, y)`` pairs on anything else.
        unit: ``"pixel"`` or ``"fraction"`` (0 to 1 of width and height). None means pixels, but asks when
            they could hardly be meant.
    """

    points: Sequence[Point] | NDArray[Any]
    negative: Sequence[Point] | NDArray[Any] = ()
    unit: Unit | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Scribbles:
    """Strokes drawn over the thing, and optionally over what it is not.

    Attributes:
        positive: A raster of the photo's proportions, or the file that holds it; what is drawn is marked,
            however thin. ``(h, w)``, ``(h, w, 3)`` or ``(h, w, 4)``; bool, uint8, uint16 or float in [0, 1].
            None if there are only negative strokes, beside other `Marks`.
        negative: The same for strokes on anything else.
    """

    positive: Raster | None
    negative: Raster | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle around the thing. It means the thing inside, not all that is inside.

    Attributes:
        x0: Left edge; pixels, or a percentage such as ``"10%"``.
        y0: Upper edge.
        x1: Right edge, the first column that is outside.
        y1: Lower edge, the first row that is outside.
        unit: As for `Points`.
    """

    x0: Coordinate
    y0: Coordinate
    x1: Coordinate
    y1: Coordinate
    unit: Unit | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """All of the thing; what is left out is known to be something else.

    Attributes:
        mask: A raster of the photo's proportions, or the file that holds it; forms as in `Scribbles`. Levels
            above a half are marked.
        soft: The raster is an alpha matte: its half transparent pixels (0.1 to 0.9) are neither.
        invert: The thing is what is black.
        label: The value, or ``(r, g, b)``, that means the thing in a label map.
    """

    mask: Raster
    soft: bool = False
    invert: bool = False
    label: Label | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """Several marks on one photo that mean one thing together.

    Masks add up, and so do boxes. Where points or scribbles mark the thing, a box only says where to stop;
    negative points inside a lone box are taken out of it.

    Attributes:
        parts: The marks, in any order.
    """

    parts: Sequence[Points | Scribbles | Box | Mask]


Prompt = Points | Scribbles | Box | Mask | Marks


def resolve(prompt: Prompt, photo: Photo, load: Load | None = None) -> RoI:
    """What a prompt marks on its photo.

    Args:
        prompt: The mark or marks.
        photo: The upright photo they were made on; only its size and its name are used.
        load: Reads a drawing from a file (`mattelike.photos.read`), so that a file is turned upright and
            decoded in the same way as photos are; only called for marks given as paths.

    Returns:
        The region of interest at the photo's own size, with at least one positive pixel and none that is
        both; its `notes` say what was taken for granted.

    Raises:
        PromptError: The prompt cannot mean anything on this photo; the message says what to change.
        PhotoError: A file with a drawing cannot be read.
    """
    parts = prompt.parts if isinstance(prompt, Marks) else (prompt,)
    sheet = _Sheet(photo.height, photo.width, photo.name or "the photo", load)
    return _joined([_drawn(part, sheet) for part in parts], sheet)


def parse_point(text: str) -> Point:
    """A point as typed: ``"412,310"`` in pixels or ``"41%,30%"``, x first.

    Raises:
        PromptError: Not two numbers.
    """
    x, y = positions.parse(text, 2, "a point is X,Y such as 412,310 or 41%,30%")
    return x, y


def parse_box(text: str) -> Box:
    """A box as typed: ``"x0,y0,x1,y1"`` in pixels or percents: left, upper, right, lower edge.

    Raises:
        PromptError: Not four numbers.
    """
    x0, y0, x1, y1 = positions.parse(text, 4, "a box is X0,Y0,X1,Y1 such as 120,40,610,480 or 10%,5%,60%,80%")
    return Box(x0, y0, x1, y1)


@dataclass(frozen=True, slots=True)
class _Sheet:
    """What marks are laid on: the photo's size and name, and the way to read a drawing from a file."""

    height: int
    width: int
    name: str
    load: Load | None

    def empty(self) -> Bool:
        return np.zeros((self.height, self.width), np.bool_)


def _drawn(part: Points | Scribbles | Box | Mask, sheet: _Sheet) -> RoI:
    match part:
        case Points():
            return _points(part, sheet)
        case Scribbles():
            return _scribbles(part, sheet)
        case Box():
            return _box(part, sheet)
        case Mask():
            return _mask(part, sheet)
    raise PromptError(f"{type(part).__name__} is no mark: use Points, Scribbles, Box, Mask or Marks")


def _points(points: Points, sheet: _Sheet) -> RoI:
    positive, negative = sheet.empty(), sheet.empty()
    for marked, clicks in ((positive, points.points), (negative, points.negative)):
        for click in clicks:
            marked[positions.pixel_of(click, points.unit, sheet.height, sheet.width, sheet.name)] = True
    numbers = [number for click in (*points.points, *points.negative) for number in click]
    positions.ask_unit(numbers, points.unit, sheet.height, sheet.width)
    return RoI(positive, negative, "points")


def _box(box: Box, sheet: _Sheet) -> RoI:
    edges = box.x0, box.y0, box.x1, box.y1
    positions.ask_unit(edges, box.unit, sheet.height, sheet.width)
    (top, left, bottom, right), notes = positions.rectangle_of(
        edges, box.unit, sheet.height, sheet.width, sheet.name
    )
    inside = sheet.empty()
    inside[top:bottom, left:right] = True
    return RoI(inside, ~inside, "box", notes)


def _scribbles(scribbles: Scribbles, sheet: _Sheet) -> RoI:
    positive, noted = _strokes(scribbles.positive, "the scribble", sheet)
    negative, noted_too = _strokes(scribbles.negative, "the negative scribble", sheet)
    return RoI(positive, negative, "scribbles", noted + noted_too)


def _strokes(raster: Raster | None, default: str, sheet: _Sheet) -> tuple[Bool, tuple[str, ...]]:
    """Pixels drawn on, and notes."""
    if raster is None:
        return sheet.empty(), ()
    levels, name = _raster(raster, default, sheet.load)
    choose = "pass what is the thing and what is not as two rasters;"
    drawing = read_drawing(levels, name=name, half=_STROKE_HALF, choose=choose)
    drawing = _laid(drawing, name, sheet, strokes=True)
    return drawing.marked, drawing.notes


def _mask(mask: Mask, sheet: _Sheet) -> RoI:
    levels, name = _raster(mask.mask, "the mask", sheet.load)
    drawing = read_drawing(levels, name=name, soft=mask.soft, label=mask.label)
    if mask.invert:
        drawing = Drawing(drawing.clear, drawing.marked, drawing.notes)
    drawing = _laid(drawing, name, sheet, strokes=False)
    return RoI(drawing.marked, drawing.clear, "mask", drawing.notes)


def _laid(drawing: Drawing, name: str, sheet: _Sheet, *, strokes: bool) -> Drawing:
    """A drawing that marks something, at the photo's size."""
    if not drawing.marked.any():
        raise PromptError(
            f"nothing is marked in {name} for {sheet.name}: it has no pixel above its threshold"
        )
    return fitted(drawing, sheet.height, sheet.width, name=name, photo=sheet.name, strokes=strokes)


def _raster(source: Raster, default: str, load: Load | None) -> tuple[NDArray[Any], str]:
    """The pixels of a drawing and what to call it; anything numpy understands is an array."""
    if not isinstance(source, str | Path):
        return np.asarray(source), default
    path = Path(source)
    if load is None:
        raise PromptError(f"{path} is a file: pass load=mattelike.read_image, or the array it holds")
    photo = load(path)
    pixels = photo.pixels[..., :1] if photo.gray else photo.pixels
    return pixels if photo.alpha is None else np.dstack([pixels, photo.alpha]), path.name


def _joined(parts: Sequence[RoI], sheet: _Sheet) -> RoI:
    """One region out of several: see `Marks`."""
    masks = [part for part in parts if part.kind == "mask"]
    boxes = [part for part in parts if part.kind == "box"]
    strokes = [part for part in parts if part.kind in ("points", "scribbles")]
    positive, negative = sheet.empty(), sheet.empty()
    for part in strokes:
        positive |= part.positive
        negative |= part.negative
    hinted = [part for part in strokes if part.positive.any()]
    if masks:
        positive = np.logical_or.reduce([positive, *(part.positive for part in masks)])
        negative |= np.logical_and.reduce([part.negative for part in masks])
    if boxes:
        inside = np.logical_or.reduce([part.positive for part in boxes])
        if not masks and not hinted:
            positive = inside & ~negative
        negative |= ~inside
    kinds: list[RoIKind] = [part.kind for part in (*masks, *hinted, *boxes)]
    kind: RoIKind = "scribbles" if "scribbles" in kinds and not masks else next(iter(kinds), "points")
    _check(positive, negative, sheet)
    notes = tuple(note for part in parts for note in part.notes)
    return RoI(positive, negative, kind, notes + _oddities(positive, kind))


def _check(positive: Bool, negative: Bool, sheet: _Sheet) -> None:
    if not positive.any():
        raise PromptError(f"nothing is marked on {sheet.name}: mark at least one pixel of the thing")
    both = positive & negative
    if both.any():
        row, column = divmod(int(both.argmax()), sheet.width)
        raise PromptError(
            f"{sheet.name} is marked as the thing and as not the thing in the same place, at x={column}, "
            f"y={row} ({np.count_nonzero(both)} in all): take one of the two marks away"
        )


def _oddities(positive: Bool, kind: RoIKind) -> tuple[str, ...]:
    """What may spoil the result though it is a mark: all of the photo, most of its edge, a speck, a cut."""
    if kind not in ("mask", "box"):
        return ()
    share = np.count_nonzero(positive) / positive.size
    if share == 1:
        return ("all of the photo is marked, so it shows nothing to tell the thing from",)
    notes = []
    if share < TINY:
        notes.append(f"the mark covers only {share:.2%} of the photo: a closer view makes a better reference")
    sides = positive[0], positive[-1], positive[:, 0], positive[:, -1]
    if kind == "mask" and np.concatenate(sides).mean() > _ROUND:
        notes.append("the mark covers most of the photo's edge: if the thing is what is black, use invert")
    elif kind == "mask" and any(side.any() for side in sides):
        notes.append("the thing is cut off by the photo's edge: a view of all of it makes a better reference")
    return tuple(notes)
