"""Numbers people give for places on a photo, and the pixels they mean.

At the doors a place is ``(x, y)``: pixels of the upright photo, percentages such as ``"41%"``, or fractions
of width and height. Behind them it is ``[row, column]``. A place outside the photo is refused by name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Real
from typing import Any, Literal, TypeAlias

from mattelike.errors import PromptError

Coordinate: TypeAlias = float | int | str
Unit: TypeAlias = Literal["pixel", "fraction"]
Rectangle: TypeAlias = tuple[int, int, int, int]

_LEAST_BOX = 2  # pixels; a thinner box is a slip of the hand
_LARGE = 64  # a longer photo on which all coordinates lie in 0..1 was hardly marked in pixels
_DIGITS = 6  # 29 % of 100 pixels is pixel 29, whatever binary fractions make of it


def parse(text: str, count: int, form: str) -> list[Coordinate]:
    """Split ``"1,2"`` or ``"10%,20%"`` into numbers and percentages.

    Args:
        text: As typed.
        count: How many numbers there must be.
        form: What the text should look like, for the message.

    Raises:
        PromptError: Another count, or something that is no number.
    """
    parts = [part.strip() for part in text.split(",")]
    try:
        numbers = [float(part.removesuffix("%")) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise PromptError(f"cannot read {text!r}: {form}")
    return [part if part.endswith("%") else number for part, number in zip(parts, numbers, strict=True)]


def pixel_of(point: Any, unit: Unit | None, height: int, width: int, name: str) -> tuple[int, int]:
    """The pixel under a point.

    Args:
        point: ``(x, y)``.
        unit: What plain numbers count; None is pixels.
        height: Rows of the photo.
        width: Columns of the photo.
        name: What to call the photo in messages.

    Returns:
        ``(row, column)``. The far edge itself, 100 %, belongs to the last pixel.

    Raises:
        PromptError: Not a pair of finite numbers, or outside the photo.
    """
    x, y = _numbers(point, 2, "a point is a pair (x, y), and points are a list of them")
    across, down = _length(x, width, unit), _length(y, height, unit)
    column = _pixel(across, width, _relative(x, unit))
    row = _pixel(down, height, _relative(y, unit))
    if 0 <= row < height and 0 <= column < width:
        return row, column
    swapped = 0 <= across < height and 0 <= down < width and not (_relative(x, unit) or _relative(y, unit))
    hint = f"; did you mean ({y}, {x})? x, to the right, comes first" if swapped else ""
    raise PromptError(f"point ({x}, {y}) lies outside {name}, {_bounds(height, width, unit)}{hint}")


def rectangle_of(
    edges: Any, unit: Unit | None, height: int, width: int, name: str
) -> tuple[Rectangle, tuple[str, ...]]:
    """The pixels inside a box.

    Args:
        edges: ``(x0, y0, x1, y1)``; the far edges are the first column and row outside.
        unit: What plain numbers count; None is pixels.
        height: Rows of the photo.
        width: Columns of the photo.
        name: What to call the photo in messages.

    Returns:
        ``(top, left, bottom, right)``, half open, edges rounded to whole pixels; and notes.

    Raises:
        PromptError: Not finite, reaching outside the photo, or thinner than two pixels.
    """
    x0, y0, x1, y1 = _numbers(edges, 4, "a box is (x0, y0, x1, y1)")
    shown = f"box ({x0}, {y0}, {x1}, {y1})"
    across = _length(x0, width, unit), _length(x1, width, unit)
    down = _length(y0, height, unit), _length(y1, height, unit)
    if not (_within(across, width) and _within(down, height)):
        plain = not any(_relative(edge, unit) for edge in (x0, y0, x1, y1))
        swapped = plain and _within(across, height) and _within(down, width)
        hint = "; x and y look exchanged: a box is (x0, y0, x1, y1)" if swapped else ""
        raise PromptError(f"{shown} reaches outside {name}, {_bounds(height, width, unit)}{hint}")
    left, right = sorted(math.floor(edge + 0.5) for edge in across)
    top, bottom = sorted(math.floor(edge + 0.5) for edge in down)
    if right - left < _LEAST_BOX or bottom - top < _LEAST_BOX:
        raise PromptError(
            f"{shown} is {right - left} x {bottom - top} pixels on {name}: "
            f"draw it around the thing, at least {_LEAST_BOX} x {_LEAST_BOX}"
        )
    turned = across[0] > across[1] or down[0] > down[1]
    notes = (f"the edges of {shown} came in reverse order and were exchanged",) if turned else ()
    return (top, left, bottom, right), notes


def ask_unit(values: Iterable[Any], unit: Unit | None, height: int, width: int) -> None:
    """Refuse numbers that are all in 0..1 on a photo of some size, unless their unit was said.

    Raises:
        PromptError: Taken as pixels, all of them would lie in one corner pixel or next to it.
    """
    listed = list(values)
    small = all(isinstance(value, Real) and 0 <= float(value) <= 1 for value in listed)
    if unit is None and listed and small and max(height, width) > _LARGE:
        raise PromptError(
            f"coordinates {', '.join(str(value) for value in listed[:4])} are all within 0..1 on a photo of "
            f"{width} x {height} pixels: pass unit='fraction' or unit='pixel', or use percentages such as 41%"
        )


def _numbers(values: Any, count: int, form: str) -> list[Any]:
    """So many coordinates, or a message that shows what came instead."""
    try:
        numbers = list(values)
    except TypeError:
        numbers = []
    if len(numbers) != count or isinstance(values, str):
        raise PromptError(f"cannot read {values!r}: {form}")
    return [number if isinstance(number, str) else _plain(number) for number in numbers]


def _plain(number: Any) -> int | float:
    """A Python number, whole if it is whole, so that messages show what was typed."""
    try:
        value = float(number)
    except (TypeError, ValueError):
        raise PromptError(
            f"coordinate {number!r} is no number: use pixels, or percentages such as 41%"
        ) from None
    if not math.isfinite(value):
        raise PromptError(f"coordinate {value} is not finite: use pixels, or percentages such as 41%")
    return int(value) if value.is_integer() else value


def _relative(coordinate: Coordinate, unit: Unit | None) -> bool:
    return isinstance(coordinate, str) or unit == "fraction"


def _length(coordinate: Coordinate, size: int, unit: Unit | None) -> float:
    """A coordinate in pixels along an axis of `size` pixels."""
    if isinstance(coordinate, str):
        if not coordinate.strip().endswith("%"):
            raise PromptError(f"coordinate {coordinate!r} is text: use numbers, or percentages such as '41%'")
        try:
            return _plain(coordinate.strip().removesuffix("%")) * size / 100
        except PromptError:
            raise PromptError(f"coordinate {coordinate!r} is no percentage: use one such as '41%'") from None
    return float(coordinate * size if unit == "fraction" else coordinate)


def _pixel(length: float, size: int, relative: bool) -> int:
    pixel = math.floor(round(length, _DIGITS))
    return size - 1 if relative and pixel == size == length else pixel


def _within(span: tuple[float, float], size: int) -> bool:
    return min(span) >= 0 and max(span) <= size


def _bounds(height: int, width: int, unit: Unit | None) -> str:
    measured = "in fractions of its size (0 to 1)" if unit == "fraction" else "in pixels"
    return f"which is {width} x {height} pixels (x, y {measured})"
