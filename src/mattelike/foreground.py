"""Colours under a partial alpha: the F of equation 1, ``I = alpha F + (1 - alpha) B``.

A photo shows, where its alpha is partial, a mixture of the thing and of what was behind it. Pasted elsewhere
as it is, the old background glows round the thing. `foreground` takes it out.

The method is that of Germer et al. 2020, "Fast Multi-Level Foreground Estimation": F and B together minimise,
at every pixel, ``|alpha F + (1 - alpha) B - I|^2`` plus differences to the four neighbours, weighted by
how much alpha changes there, and each level of a pyramid starts from the answer of the next coarser one. Here
a level is relaxed by Jacobi steps on blocks that touch the partial band, each with a margin as wide as the
number of steps: a block's answer is then, bit for bit, that of the whole picture, so there are no seams.

Colours are mixed as they are stored, in the photo's own gamma-encoded space, as picture editors and the
published mattes do; nothing here converts to linear light.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mattelike.errors import PhotoError, SettingsError
from mattelike.values import Bool, Float32, Pixels

SOLID = np.float32(1 - 1 / 510)
"""At this alpha and above a pixel is the thing alone: 8 bits cannot tell it from 1."""

BLOCK = 128
"""Side of the blocks that are worked on, in pixels; even, so that blocks of two levels line up."""

STRIP = 1 << 20
"""Pixels composited at a time."""

REGULARISATION = np.float32(1e-5)
SMALL_SIDE = 32
SMALL_STEPS = 10
STEPS = 4
GRADIENT = np.float32(0.3)
"""Weight of a change of alpha. The paper's 1 fits I less well where alpha is right, 0.1 trusts alpha too much
where it is wrong: on scenes with known F the error at 0.3 is 0.75 and 1.03 times that at 1."""

Half = NDArray[np.float16]
Colour = Sequence[int | float]
Region = tuple[int, int, int, int]


def foreground(pixels: Pixels, alpha: Float32, *, keep_hidden: bool = False, block: int = BLOCK) -> Pixels:
    """Colours of the thing alone: F of equation 1, at every pixel where alpha is not 0.

    Beyond its input and output it needs about 7 bytes a pixel, whatever the size.

    Args:
        pixels: uint8 or uint16 ``(h, w, 3)``.
        alpha: float32 ``(h, w)`` in [0, 1].
        keep_hidden: Keep the photo's colours where alpha is 0, instead of black (trap 55).
        block: Side of the working blocks, even; changes memory and speed, never the answer.

    Returns:
        ``(h, w, 3)`` in the dtype of `pixels`, not premultiplied. Where alpha is at least ``1 - 1/510`` it is
        the photo's own colour, bit for bit.

    Raises:
        PhotoError: When `pixels` and `alpha` do not fit together.
        SettingsError: When `block` is odd or not positive.
    """
    _check(pixels, alpha)
    if block < 2 or block % 2:
        raise SettingsError(f"foreground: block must be even and positive, got {block}")
    result = pixels.copy()
    if not keep_hidden:
        _hide(result, alpha)
    height, width = alpha.shape
    mixed = [region for region in _blocks(height, width, block) if _mixed(alpha[_at(region)]).any()]
    if not mixed:
        return result
    coarse = _coarse_colours(pixels, alpha)
    top = np.iinfo(pixels.dtype).max
    for region in mixed:
        outer = _widened(region, STEPS, height, width)
        front = _solved(_planes(pixels, alpha, outer), _doubled(coarse, outer), region, outer, STEPS)[0]
        estimate = np.floor(np.moveaxis(front, 0, -1) * top + np.float32(0.5)).astype(pixels.dtype)
        np.copyto(result[_at(region)], estimate, where=_mixed(alpha[_at(region)])[..., None])
    return result


def premultiply(pixels: Pixels, alpha: Float32) -> Pixels:
    """``alpha F``, rounded half up in the depth of `pixels`: the picture over black.

    Args:
        pixels: uint8 or uint16 ``(h, w, 3)``, such as what `foreground` returns.
        alpha: float32 ``(h, w)`` in [0, 1].

    Raises:
        PhotoError: When `pixels` and `alpha` do not fit together.
    """
    return composite(pixels, alpha, (0, 0, 0))


def composite(front: Pixels, alpha: Float32, background: Colour | Pixels) -> Pixels:
    """Equation 1: lay `front` over a colour or a picture; the result is opaque (trap 53).

    Args:
        front: uint8 or uint16 ``(h, w, 3)``, not premultiplied.
        alpha: float32 ``(h, w)`` in [0, 1].
        background: Three numbers in the units of `front` (0 to 255, or 0 to 65535), or a picture of the same
            size and dtype.

    Returns:
        ``(h, w, 3)`` in the dtype of `front`, rounded half up. Alpha 1 gives `front` bit for bit, alpha 0
        gives `background`.

    Raises:
        PhotoError: When sizes or dtypes differ, or the colour is not three numbers in range.
    """
    _check(front, alpha)
    behind = _background(front, background)
    result = np.empty_like(front)
    rows = max(1, STRIP // max(front.shape[1], 1))
    for start in range(0, front.shape[0], rows):
        strip = slice(start, start + rows)
        under = (behind if behind.ndim == 1 else behind[strip]).astype(np.float32)
        # Integers up to 65535 are exact in float32, so both ends, under + 0 and under + (front - under), are.
        mixed = under + alpha[strip, :, None] * (front[strip] - under)
        result[strip] = np.floor(mixed + np.float32(0.5)).astype(front.dtype)
    return result


def snap(alpha: Float32, floor: float = 0.05, ceiling: float = 0.95) -> Float32:
    """Take the veil off: what is nearly 0 becomes 0, what is nearly 1 becomes 1 (trap 50).

    What lies between is stretched, so that a soft edge stays smooth and no contour line appears.

    Args:
        alpha: float32 ``(h, w)`` in [0, 1].
        floor: At or below this, 0.
        ceiling: At or above this, 1.

    Raises:
        SettingsError: Unless ``0 <= floor < ceiling <= 1``.
    """
    if not 0 <= floor < ceiling <= 1:
        raise SettingsError(f"snap: need 0 <= floor < ceiling <= 1, got {floor} and {ceiling}")
    stretched: Float32 = (alpha - np.float32(floor)) / np.float32(ceiling - floor)
    return stretched.clip(0, 1)


# --- checks ------------------------------------------------------------------------------------------


def _check(pixels: Pixels, alpha: Float32) -> None:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype not in (np.uint8, np.uint16):
        raise PhotoError(f"expected uint8 or uint16 (h, w, 3), got {pixels.dtype} {pixels.shape}")
    if alpha.shape != pixels.shape[:2]:
        raise PhotoError(f"alpha is {alpha.shape} but the picture is {pixels.shape[:2]}: resize one of them")


def _background(front: Pixels, background: Colour | Pixels) -> NDArray[np.generic]:
    behind = np.asarray(background)
    if behind.ndim == 1:
        top = np.iinfo(front.dtype).max
        if behind.shape != (3,) or behind.min() < 0 or behind.max() > top:
            raise PhotoError(f"a background colour is three numbers from 0 to {top}, got {background}")
    elif behind.shape != front.shape or behind.dtype != front.dtype:
        raise PhotoError(
            f"the background is {behind.dtype} {behind.shape} but the picture {front.dtype} {front.shape}: "
            "bring it to the same size and depth"
        )
    return behind


def _hide(pixels: Pixels, alpha: Float32) -> None:
    """Blacken, in place, what alpha hides; row by row, since a mask as index costs 16 bytes a pixel."""
    for row, opacity in zip(pixels, alpha, strict=True):
        row[opacity <= 0] = 0


# --- the pyramid -------------------------------------------------------------------------------------


def _mixed(alpha: Float32) -> Bool:
    return (alpha > 0) & (alpha < SOLID)


def _at(region: Region) -> tuple[slice, slice]:
    return slice(region[0], region[1]), slice(region[2], region[3])


def _blocks(height: int, width: int, side: int) -> Iterator[Region]:
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield top, min(top + side, height), left, min(left + side, width)


def _planes(pixels: Pixels, alpha: Float32, region: Region) -> Float32:
    """Red, green, blue and alpha of a region, float32 ``(4, h, w)`` in [0, 1]."""
    planes = np.empty((4, region[1] - region[0], region[3] - region[2]), np.float32)
    planes[:3] = np.moveaxis(pixels[_at(region)], -1, 0)
    planes[:3] *= np.float32(1 / np.iinfo(pixels.dtype).max)
    planes[3] = alpha[_at(region)]
    return planes


def _halved(planes: Float32) -> Float32:
    """Means of 2 x 2 cells, ``(4, ceil(h / 2), ceil(w / 2))``; an odd edge is repeated."""
    if planes.shape[1] % 2:
        planes = np.concatenate([planes, planes[:, -1:]], axis=1)
    if planes.shape[2] % 2:
        planes = np.concatenate([planes, planes[:, :, -1:]], axis=2)
    rows = planes[:, ::2] + planes[:, 1::2]
    return (rows[..., ::2] + rows[..., 1::2]) * np.float32(0.25)


def _half_size(size: tuple[int, ...], read: Callable[[Region], Float32]) -> Half:
    """The next coarser level ``(4, ceil(h / 2), ceil(w / 2))`` of one that is read block by block."""
    height, width = size
    level = np.empty((4, (height + 1) // 2, (width + 1) // 2), np.float16)
    for region in _blocks(height, width, 4 * BLOCK):
        cells = _halved(read(region))
        top, left = region[0] // 2, region[2] // 2
        level[:, top : top + cells.shape[1], left : left + cells.shape[2]] = cells
    return level


def _part(level: Half, region: Region) -> Float32:
    part: Float32 = level[..., *_at(region)].astype(np.float32)
    return part


def _pyramid(pixels: Pixels, alpha: Float32) -> list[Half]:
    """Levels ``(4, h, w)`` from half the size down to one pixel. Half precision: they only start a level."""
    levels = [_half_size(alpha.shape, partial(_planes, pixels, alpha))]
    while max(levels[-1].shape[1:]) > 1:
        levels.append(_half_size(levels[-1].shape[1:], partial(_part, levels[-1])))
    return levels


def _mean_colours(level: Half) -> Half:
    """One F and one B for the whole picture, ``(2, 3, 1, 1)``: means of what is almost thing or ground."""
    height, width = level.shape[1:]
    sums = np.zeros((2, 4))
    for region in _blocks(height, width, 4 * BLOCK):
        part = _part(level, region)
        for one, share in zip(sums, (part[3], 1 - part[3]), strict=True):
            weight = share**8 + REGULARISATION
            one += [*(part[:3] * weight).sum(axis=(1, 2)), weight.sum()]
    return (sums[:, :3] / sums[:, 3:]).astype(np.float16)[..., None, None]


def _coarse_colours(pixels: Pixels, alpha: Float32) -> Half:
    """F and B, ``(2, 3, ceil(h / 2), ceil(w / 2))``: the answer one level above the full size."""
    levels = _pyramid(pixels, alpha)
    colours = _mean_colours(levels[0])
    while levels:
        level = levels.pop()
        height, width = level.shape[1:]
        steps = SMALL_STEPS if max(height, width) <= SMALL_SIDE else STEPS
        finer = np.empty((2, 3, height, width), np.float16)
        for region in _blocks(height, width, BLOCK):
            outer = _widened(region, steps, height, width)
            finer[..., *_at(region)] = _solved(
                _part(level, outer), _doubled(colours, outer), region, outer, steps
            )
        colours = finer
    return colours


def _widened(region: Region, margin: int, height: int, width: int) -> Region:
    top, left = max(region[0] - margin, 0), max(region[2] - margin, 0)
    return top, min(region[1] + margin, height), left, min(region[3] + margin, width)


def _doubled(coarse: Half, region: Region) -> Float32:
    """The part of the next finer level that `region` covers, each coarse cell repeated 2 x 2."""
    top, bottom, left, right = region
    rows, columns = np.arange(top, bottom) // 2, np.arange(left, right) // 2
    part = coarse[..., rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
    doubled: Float32 = np.take(np.take(part, rows - rows[0], axis=-2), columns - columns[0], axis=-1)
    return doubled


# --- one block of one level --------------------------------------------------------------------------


def _solved(planes: Float32, start: Float32, region: Region, outer: Region, steps: int) -> Float32:
    """F and B ``(2, 3, h, w)`` of `region`, from the planes and first guesses of `outer` round it."""
    image, alpha = planes[:3], planes[3]
    colours = _pinned(start, image, alpha)
    if _mixed(alpha).any():
        colours = _relaxed(colours, image, alpha, steps)
    top, left = region[0] - outer[0], region[2] - outer[2]
    return colours[..., top : top + region[1] - region[0], left : left + region[3] - region[2]]


def _pinned(colours: Float32, image: Float32, alpha: Float32) -> Float32:
    """Where a pixel is all thing or all ground one of its colours is its own; the other stays as it was."""
    np.copyto(colours[0], image, where=alpha >= SOLID)
    np.copyto(colours[1], image, where=alpha <= 0)
    return colours


def _relaxed(colours: Float32, image: Float32, alpha: Float32, steps: int) -> Float32:
    """Jacobi steps of the 2 x 2 system of every pixel, solved in closed form.

    With s the sum of the weights to the neighbours, and F', B' their weighted means, the system of Germer et
    al. has the answer ``F = F' + alpha r / q`` and ``B = B' + (1 - alpha) r / q``, where ``r = I - alpha F' -
    (1 - alpha) B'`` and ``q = alpha^2 + (1 - alpha)^2 + s``: no cancellation, however small s.
    """
    down = REGULARISATION + GRADIENT * np.abs(alpha[1:] - alpha[:-1])
    across = REGULARISATION + GRADIENT * np.abs(alpha[:, 1:] - alpha[:, :-1])
    total = np.full_like(alpha, REGULARISATION)
    total[1:] += down
    total[:-1] += down
    total[:, 1:] += across
    total[:, :-1] += across
    shares = down / total[1:], down / total[:-1], across / total[:, 1:], across / total[:, :-1]
    own = REGULARISATION / total
    rest = 1 - alpha
    gain = 1 / (alpha * alpha + rest * rest + total)
    gains = np.stack([alpha * gain, rest * gain])[:, None]
    for _ in range(steps):
        means = own * colours
        means[..., 1:, :] += shares[0] * colours[..., :-1, :]
        means[..., :-1, :] += shares[1] * colours[..., 1:, :]
        means[..., 1:] += shares[2] * colours[..., :-1]
        means[..., :-1] += shares[3] * colours[..., 1:]
        residual = image - alpha * means[0] - rest * means[1]
        colours = _pinned(np.clip(means + gains * residual, 0, 1), image, alpha)
    return colours
