"""Arrays at another size, exactly: area averages, bilinear enlargement, nearest, and cells all or partly set.

Everything is separable and works along one axis at a time, in bands of rows, so that the memory needed
beside input and output stays small however large a photo is. Pixel ``i`` is the interval ``[i, i + 1)`` and
its value sits in the middle (what other libraries call ``align_corners=False``).

A *grid* of cells may reach beyond the picture (padding): its `extent` says how many cells, as an exact
fraction, the picture itself spans in each direction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mattelike.values import Bool, Float32

Size = tuple[int, int]
Extent = tuple[Fraction, Fraction]

_BAND = 1 << 18  # values worked on at a time: 1 MB of float32, which stays in the cache
_FEW = 16  # pixels of a cell that are added one after the other, for many cells at a time


@dataclass(frozen=True, slots=True)
class _Cell:
    """One cell along one axis: it touches pixels ``start..stop-1`` and owns ``first..stop-1``.

    A pixel is owned by the one cell that holds its upper left corner. `head` and `tail` are the parts of
    the first and last touched pixel that lie inside; `length` is the whole length in pixels.
    """

    start: int
    first: int
    stop: int
    head: float
    tail: float
    length: float


@lru_cache(64)
def _cells(pixels: int, cells: int, extent: Fraction) -> tuple[_Cell, ...]:
    """The cells along one axis, cut off where the picture ends. Integers, so that no edge is ever rounded."""
    return tuple(_cut(pixels, cells, extent))


def _cut(pixels: int, cells: int, extent: Fraction) -> Iterator[_Cell]:
    scale, unit = extent.numerator, pixels * extent.denominator  # an edge is index * unit / scale pixels
    for index in range(cells):
        low, high = (min(edge * unit, pixels * scale) for edge in (index, index + 1))
        start, first, stop = low // scale, -(-low // scale), -(-high // scale)
        head, tail = 1 - (low - start * scale) / scale, 1 - (stop * scale - high) / scale
        yield _Cell(start, first, stop, head, tail, (high - low) / scale)


def _extent(grid: Size, extent: Extent | None) -> Extent:
    return extent if extent is not None else (Fraction(grid[0]), Fraction(grid[1]))


def _turned(array: NDArray[Any]) -> NDArray[Any]:
    """Rows and columns exchanged, contiguous, so that one routine along rows serves both axes."""
    return np.ascontiguousarray(array.swapaxes(0, 1))


def _mean_rows(array: NDArray[Any], cells: int, extent: Fraction) -> Float32:
    means = np.zeros((cells, *array.shape[1:]), np.float32)
    if extent == cells and len(array) % cells == 0 and len(array) <= _FEW * cells:
        return _mean_of_whole_rows(array, means)
    for index, cell in enumerate(_cells(array.shape[0], cells, extent)):
        if cell.length == 0:
            continue
        if cell.stop - cell.start == 1:
            means[index] = array[cell.start]
            continue
        total = array[cell.start : cell.stop].sum(axis=0, dtype=np.float64)
        total -= np.multiply(array[cell.start], 1 - cell.head, dtype=np.float64)
        total -= np.multiply(array[cell.stop - 1], 1 - cell.tail, dtype=np.float64)
        means[index] = total / cell.length
    return means


def _mean_of_whole_rows(array: NDArray[Any], means: Float32) -> Float32:
    """`_mean_rows` where every cell is the same whole number of pixels, many cells at a time."""
    each = len(array) // len(means)
    step = max(1, _BAND // max(1, means[0].size))
    for top in range(0, len(means), step):
        band = array[top * each : (top + step) * each]
        total = band[::each].astype(np.float64)
        for offset in range(1, each):
            total += band[offset::each]
        means[top : top + step] = total / each
    return means


def area(array: NDArray[Any], grid: Size, extent: Extent | None = None) -> Float32:
    """Average of each cell of a grid, weighted by the exact area of every pixel in it.

    Args:
        array: ``(h, w)`` or ``(h, w, c)``, bool, integer or float.
        grid: ``(rows, columns)`` of cells.
        extent: How many cells the picture spans; by default the grid is laid over all of it. A cell that
            reaches over the edge is averaged over the part inside; one outside altogether is 0.

    Returns:
        float32 ``(rows, columns[, c])``. A constant stays that constant to the last bit.
    """
    down, across = _extent(grid, extent)
    return _turned(_mean_rows(_turned(_mean_rows(array, grid[0], down)), grid[1], across))


def _all_rows(mask: Bool, cells: int, extent: Fraction) -> Bool:
    bands = (mask[c.start : c.stop].all(axis=0) & (c.length > 0) for c in _cells(len(mask), cells, extent))
    return np.stack(list(bands))


def _any_rows(mask: Bool, cells: int, extent: Fraction) -> Bool:
    return np.stack([mask[c.first : c.stop].any(axis=0) for c in _cells(len(mask), cells, extent)])


def all_set(mask: Bool, grid: Size, extent: Extent | None = None) -> Bool:
    """Which cells are covered entirely: no unset pixel reaches into them. Same arguments as `area`."""
    down, across = _extent(grid, extent)
    return _turned(_all_rows(_turned(_all_rows(mask, grid[0], down)), grid[1], across))


def any_set(mask: Bool, grid: Size, extent: Extent | None = None) -> Bool:
    """Which cells own a set pixel. Same arguments as `area`.

    A pixel belongs to one cell only, ``(row * rows // h, column * columns // w)``, so a single pixel
    always gives a single cell; on a grid finer than the picture the cells between stay unset.
    """
    down, across = _extent(grid, extent)
    return _turned(_any_rows(_turned(_any_rows(mask, grid[0], down)), grid[1], across))


def nearest(array: NDArray[Any], size: Size) -> NDArray[Any]:
    """The pixel under the middle of each new pixel; for labels and masks, whose values must not mix."""
    rows, columns = ((2 * np.arange(n) + 1) * m // (2 * n) for n, m in zip(size, array.shape, strict=False))
    picked: NDArray[Any] = array[rows[:, None], columns[None, :]]
    return picked


def bilinear(array: NDArray[Any], rows: NDArray[Any], columns: NDArray[Any]) -> Float32:
    """Values between pixels; beyond the edge those of the edge, at whole numbers the very ones.

    Args:
        array: ``(h, w)`` or ``(h, w, c)``, of bytes or float32.
        rows: Places, floats of any shape; here 0 is the middle of the first pixel.
        columns: The same shape.

    Returns:
        float32, the shape of `rows` ``[, c]``; in memory one plane a channel, which is what arithmetic likes.
    """
    height, width = array.shape[:2]
    rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    top, left = rows.astype(np.intp), columns.astype(np.intp)
    down, right = (rows - top).astype(np.float32), (columns - left).astype(np.float32)
    start = top * width + left
    beside, below = left < width - 1, np.where(top < height - 1, width, 0)
    cells = array.reshape(height * width, -1)

    def along(at: NDArray[np.intp]) -> Float32:
        first, second = _planes(cells.take(at, axis=0)), _planes(cells.take(at + beside, axis=0))
        second -= first
        second *= right
        second += first
        return second

    upper, lower = along(start), along(start + below)
    lower -= upper
    lower *= down
    lower += upper
    return np.moveaxis(lower, 0, -1) if array.ndim == 3 else lower[0]


def _planes(values: NDArray[Any]) -> Float32:
    """Channels first, in memory too."""
    return np.ascontiguousarray(np.moveaxis(values, -1, 0), np.float32)


def _enlarge_rows(array: NDArray[Any], rows: int) -> Float32:
    """Bilinear along axis 0: ``a + t (b - a)``, which leaves constants and the range [0, 1] intact."""
    height = array.shape[0]
    place = np.clip((np.arange(rows) + 0.5) * (height / rows) - 0.5, 0, height - 1)
    above = place.astype(np.intp)
    below = np.minimum(above + 1, height - 1)
    weight = (place - above).astype(np.float32).reshape(-1, *[1] * (array.ndim - 1))
    enlarged = np.empty((rows, *array.shape[1:]), np.float32)
    step = max(1, _BAND // max(1, enlarged[0].size))
    for top in range(0, rows, step):
        band = slice(top, top + step)
        upper = array[above[band]].astype(np.float32, copy=False)
        lower = array[below[band]].astype(np.float32, copy=False)
        np.subtract(lower, upper, out=lower)
        lower *= weight[band]
        np.add(upper, lower, out=enlarged[band])
    return enlarged


def _resize_rows(array: NDArray[Any], rows: int) -> NDArray[Any]:
    if rows == array.shape[0]:
        return array
    return _mean_rows(array, rows, Fraction(rows)) if rows < array.shape[0] else _enlarge_rows(array, rows)


def resize(array: NDArray[Any], size: Size) -> Float32:
    """A picture or map at another size: area averages where it shrinks, bilinear where it grows.

    Args:
        array: ``(h, w)`` or ``(h, w, c)``, any real dtype; its range is kept, nothing is normalised.
        size: ``(height, width)`` wanted.

    Returns:
        float32 ``(height, width[, c])``; a new array. Values never leave [0, 1] if they start inside.
    """
    if size == array.shape[:2]:
        return array.astype(np.float32)
    height, width = size
    if height <= array.shape[0]:  # the cheaper order: shrink before the other axis, enlarge after it
        resized = _turned(_resize_rows(_turned(_resize_rows(array, height)), width))
    else:
        resized = _resize_rows(_turned(_resize_rows(_turned(array), width)), height)
    return resized.astype(np.float32, copy=False)
