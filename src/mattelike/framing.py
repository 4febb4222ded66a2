"""The geometry between a photo and what a model sees of it: fit, pad, tile, look closer, and exactly back.

A `Frame` is decided from two numbers, the height and width of a photo, and holds for everything that is laid
over that photo: its pixels, its marks, the maps that come out. Nothing is ever stretched; padding is at the
bottom and at the right, so that position 0 is the same place everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mattelike import resampling
from mattelike.components import bounds
from mattelike.errors import SettingsError, UsageError
from mattelike.resampling import Extent, Size
from mattelike.values import Bool, Float32, RoI

# Shortest side a photo is shown at, in pixels, where it has that many.
SMALLEST = 64
# How large a photo is shown that is looked at from afar, as a share of the size models see it at.
FAR = 9 / 16


@dataclass(frozen=True, slots=True)
class Frame:
    """How one photo is shown to a model. All sizes are ``(height, width)`` in pixels.

    Attributes:
        source: Size of the photo.
        content: Size it is scaled to; the same proportions to within a pixel.
        seen: Size the model gets: `content` padded at the bottom and right to a multiple.
    """

    source: Size
    content: Size
    seen: Size

    def extent(self, grid: Size) -> Extent:
        """Cells of a feature grid over `seen` that the photo itself spans, down and across, exactly."""
        down, across = (Fraction(g * c, s) for g, c, s in zip(grid, self.content, self.seen, strict=True))
        return down, across


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of pixels, half open: rows ``top..bottom-1``, columns ``left..right-1``."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """What to index an ``(h, w, ...)`` array with."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def scaled(self, grid: Size, size: Size) -> Window:
        """The window over a picture of `size` that covers what this one covers of the same at `grid`."""
        (rows, columns), (height, width) = grid, size
        return Window(
            self.top * height // rows,
            self.left * width // columns,
            -(-self.bottom * height // rows),
            -(-self.right * width // columns),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """One tile of a picture, and how much it counts where it overlaps its neighbours.

    Attributes:
        window: Where it lies.
        down: float32 ``(height,)``, its weight along the rows.
        across: float32 ``(width,)``, its weight along the columns.
    """

    window: Window
    down: Float32 = field(repr=False)
    across: Float32 = field(repr=False)

    @property
    def weight(self) -> Float32:
        """float32 ``(height, width)`` in (0, 1]; over all tiles of a picture, 1 at every pixel."""
        return self.down[:, None] * self.across[None, :]


def fit(
    height: int, width: int, *, side: int, multiple: int, minimum: int = SMALLEST, enlarge: int | float = 2
) -> Frame:
    """Decide how a photo of this size is shown.

    The longest side becomes `side`. Two kinds of photo are treated apart. Small ones are enlarged at most
    `enlarge` times, because made-up pixels tell a model nothing and only cost time. Elongated ones would be
    left with hardly any pixels across: their short side is kept at `minimum` by letting the long one grow
    beyond `side`, up to ``side**2 / minimum``, so that no photo costs more than a square one.

    Args:
        height: Rows of the photo.
        width: Columns of the photo.
        side: Longest side wanted, in pixels.
        multiple: Both sides of what is seen are multiples of this, usually the largest stride of a model.
        minimum: Shortest side to keep for elongated photos.
        enlarge: Largest magnification; 1 never enlarges.

    Raises:
        SettingsError: A size below 1, or `minimum` above `side`.
    """
    if min(height, width, side, multiple, minimum) < 1 or enlarge <= 0:
        raise SettingsError(
            f"cannot fit {width} x {height} pixels to side={side}, multiple={multiple}, minimum={minimum}, "
            f"enlarge={enlarge}: sizes start at 1"
        )
    if minimum > side:
        raise SettingsError(f"minimum={minimum} is more than side={side}: lower one or raise the other")
    long, short = max(height, width), min(height, width)
    scale = min(Fraction(side, long), Fraction(enlarge))
    if short * scale < minimum:
        longest = _up(side, multiple) ** 2 // _up(minimum, multiple) // multiple * multiple
        wider = min(Fraction(minimum, short), Fraction(longest, long), Fraction(enlarge))
        scale = max(scale, wider)
    content = max(1, round(height * scale)), max(1, round(width * scale))
    return Frame((height, width), content, (_up(content[0], multiple), _up(content[1], multiple)))


def _up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def pad(image: NDArray[Any], frame: Frame) -> NDArray[Any]:
    """Reflect a picture at its bottom and right edge until it has the size the model sees.

    Args:
        image: ``(h, w)`` or ``(h, w, c)`` at ``frame.content``, any dtype.
        frame: From `fit`.

    Returns:
        The same dtype at ``frame.seen``. A side of one pixel is repeated, there being nothing to reflect.

    Raises:
        UsageError: `image` has another size than ``frame.content``.
    """
    _expect(image, frame.content, "the picture to pad")
    margins = [(0, s - c) for s, c in zip(frame.seen, frame.content, strict=True)]
    return np.pad(image, margins + [(0, 0)] * (image.ndim - 2), mode="reflect")


def apply(image: NDArray[Any], frame: Frame) -> Float32:
    """Scale and pad a whole photo or map to what the model sees.

    Args:
        image: ``(H, W)`` or ``(H, W, c)`` at ``frame.source``, any real dtype; ranges are kept.
        frame: From `fit`.

    Returns:
        float32 at ``frame.seen``.

    Raises:
        UsageError: `image` has another size than ``frame.source``.
    """
    _expect(image, frame.source, "the photo")
    padded: Float32 = pad(resampling.resize(image, frame.content), frame)
    return padded


def undo(seen: NDArray[Any], frame: Frame) -> Float32:
    """Take a map back from what the model sees to the photo's own size: cut the padding off, and resize.

    Enlargement is bilinear, shrinking averages areas (`resampling.resize`); beside the result it needs a few
    MB and the map at full width, whatever the photo's size.

    Args:
        seen: ``(h, w)`` or ``(h, w, c)`` at ``frame.seen``.
        frame: From `fit`.

    Returns:
        float32 at ``frame.source``. Constants stay what they are; values in [0, 1] stay inside.

    Raises:
        UsageError: `seen` has another size than ``frame.seen``.
    """
    _expect(seen, frame.seen, "the map")
    return resampling.resize(seen[: frame.content[0], : frame.content[1]], frame.source)


def _expect(array: NDArray[Any], size: Size, what: str) -> None:
    if array.shape[:2] != size:
        raise UsageError(
            f"{what} is {array.shape[1]} x {array.shape[0]} pixels but its frame says {size[1]} x {size[0]}: "
            "use the frame made from the same photo"
        )


def normalise(srgb: Float32, mean: Sequence[float], std: Sequence[float]) -> Float32:
    """What a network is fed: channels first, mean subtracted, divided by the deviation.

    Args:
        srgb: float32 ``(h, w, 3)`` in [0, 1].
        mean: Three numbers, per channel, of a `ModelCard`.
        std: Three numbers, per channel.

    Returns:
        float32 ``(1, 3, h, w)``, contiguous.
    """
    planes = np.empty((1, len(mean), *srgb.shape[:2]), np.float32)
    # Channel by channel: an eighth of the time of all three at once.
    for channel, (plane, middle, width) in enumerate(zip(planes[0], mean, std, strict=True)):
        np.subtract(srgb[..., channel], np.float32(middle), out=plane)
        plane /= np.float32(width)
    return planes


def tiles(height: int, width: int, size: int, overlap: int) -> tuple[Tile, ...]:
    """Cover a picture with overlapping tiles whose weights blend them without a seam.

    The tiles are spread evenly, so real overlaps may be larger than asked. A tile's weight falls off linearly
    towards each side where a neighbour takes over; where only one tile lies, it is 1.

    Args:
        height: Rows of the picture.
        width: Columns of the picture.
        size: Side of a tile; a picture smaller than that in a direction has one shorter tile there.
        overlap: Least overlap of neighbours, in pixels, below `size`.

    Returns:
        The tiles in raster order. Blend with ``total[t.window.slices] += t.weight * part``.

    Raises:
        SettingsError: Sizes below 1, or an overlap that leaves no room to advance.
    """
    if min(height, width, size) < 1 or not 0 <= overlap < size:
        raise SettingsError(
            f"cannot tile {width} x {height} pixels with size={size}, overlap={overlap}: "
            "sizes start at 1 and the overlap must be smaller than the tile"
        )
    rows, columns = _strips(height, size, overlap), _strips(width, size, overlap)
    return tuple(
        Tile(Window(top, left, top + len(down), left + len(across)), down, across)
        for top, down in rows
        for left, across in columns
    )


def _strips(length: int, size: int, overlap: int) -> list[tuple[int, Float32]]:
    """Start and weight of the tiles along one axis; the weights sum to 1 at each pixel."""
    size = min(size, length)
    count = 1 + math.ceil((length - size) / (size - overlap)) if length > size else 1
    starts = [round(index * (length - size) / max(1, count - 1)) for index in range(count)]
    inside = np.arange(size) + 0.5
    total = np.zeros(length)
    slopes = []
    for start in starts:
        slope = np.full(size, float(size))
        if start > 0:
            slope = np.minimum(slope, inside)
        if start + size < length:
            slope = np.minimum(slope, size - inside)
        total[start : start + size] += slope
        slopes.append(slope)
    return [
        (start, (slope / total[start : start + size]).astype(np.float32))
        for start, slope in zip(starts, slopes, strict=True)
    ]


def crop_box(positive: Bool, margin: int | float = 1, *, least: int = 64) -> Window:
    """A window around a mark, with surroundings enough to tell the thing from what it is not.

    Each side of the marked rectangle gets `margin` times its longer side of context; the window is made
    square, shifted back inside where it reaches over the edge, and cut off only where the photo is smaller.

    Args:
        positive: bool ``(h, w)`` with at least one pixel set.
        margin: Context on each side, in longer sides of the mark.
        least: Smallest side of the window, so that a speck is not blown up out of recognition.

    Raises:
        UsageError: Nothing is marked.
    """
    marked = bounds(positive)
    if marked is None:
        raise UsageError("cannot crop to a mark: nothing is marked")
    spans = (marked[0], marked[2]), (marked[1], marked[3])
    longer = max(stop - start for start, stop in spans)
    side = max(least, math.ceil(longer * (1 + 2 * margin)))
    (top, bottom), (left, right) = (
        _around(*span, side, length) for span, length in zip(spans, positive.shape, strict=True)
    )
    return Window(top, left, bottom, right)


def _around(start: int, stop: int, side: int, length: int) -> tuple[int, int]:
    side = min(side, length)
    first = min(max((start + stop - side) // 2, 0), length - side)
    return first, first + side


def close_up(roi: RoI, *, share: float = 0.5, margin: int | float = 0.3, least: int = 64) -> Window | None:
    """Should this reference be looked at through a crop, and which?

    A thing that fills little of its photo is a few tokens, or none, when the whole photo is scaled to a
    model's size; seen through a crop it is many. Only masks and boxes say how large the thing is, so points
    and scribbles never ask for a crop; nor does a mark whose pieces lie so far apart that the window would
    hold most of the photo, for it would gain next to nothing.

    Args:
        roi: What is marked.
        share: Part of the photo's area that the window may be at most.
        margin: Context, as in `crop_box`. The least that still shows what lies round the thing: with half
            or twice as much, overlap on small things of the public validation is a point less.
        least: Smallest side of the window, as in `crop_box`.

    Returns:
        The window to look through, for the photo and the RoI alike, or None to look at the whole photo.
    """
    if roi.kind not in ("mask", "box") or not roi.positive.any():
        return None
    window = crop_box(roi.positive, margin, least=least)
    seen = (window.bottom - window.top) * (window.right - window.left)
    return window if seen <= share * roi.positive.size else None
