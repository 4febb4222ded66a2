"""Colours in a drawing: which pixels were painted.

A painted drawing has one paint on black or white, with shades between at the edges of its strokes; more
paints than one could mean several things, and then nothing is guessed: the error lists them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mattelike.errors import PromptError
from mattelike.values import Bool

FEW = 64  # a drawing with more levels or colours than this is not made of flat areas
PATCH = 16  # pixels of a level whose four neighbours have it too; fewer are specks, not an area
NOISE = 12 / 255  # how far JPEG bends black and white

_ROWS = 512  # rows looked at together, where wider numbers for a whole picture would cost too much memory
_CLOSE = 32  # how far JPEG bends a painted colour, of 255


def white_of(levels: NDArray[Any]) -> float:
    """The level that means white."""
    return float(np.iinfo(levels.dtype).max) if levels.dtype.kind == "u" else 1.0


def bands(levels: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """A picture in bands of rows, from the top."""
    for top in range(0, levels.shape[0], _ROWS):
        yield levels[top : top + _ROWS]


def even_pixels(levels: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Levels of the pixels whose four neighbours have the same one, band by band."""
    for top in range(0, levels.shape[0] - 2, _ROWS):
        band = levels[top : top + _ROWS + 2]
        middle = band[1:-1, 1:-1]
        even = (middle == band[:-2, 1:-1]) & (middle == band[2:, 1:-1])
        even &= (middle == band[1:-1, :-2]) & (middle == band[1:-1, 2:])
        yield middle[even]


def is_gray(colours: NDArray[Any]) -> bool:
    """Do the channels agree, to within what JPEG does to a gray picture?"""
    slack = NOISE * white_of(colours)
    return all((_most(band) - _least(band)).max() <= slack for band in bands(colours))


def _most(colours: NDArray[Any]) -> NDArray[Any]:
    """Largest channel of each pixel; channel by channel, because numpy is slow along so short an axis."""
    return reduce(np.maximum, np.moveaxis(colours, -1, 0))


def _least(colours: NDArray[Any]) -> NDArray[Any]:
    """Smallest channel of each pixel."""
    return reduce(np.minimum, np.moveaxis(colours, -1, 0))


def eight_bits(colours: NDArray[Any]) -> NDArray[np.uint8]:
    """Colours of any depth in 0 to 255."""
    if colours.dtype == np.uint8:
        return colours
    return np.round(colours * (255 / white_of(colours))).astype(np.uint8)


def _packed(colours: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """One number a colour; two channels are gray and alpha, of which only gray comes here."""
    red, green, blue = (colours[..., i % colours.shape[2]].astype(np.uint32) for i in range(3))
    return np.asarray(red << 16 | green << 8 | blue, np.uint32)


def _palette(codes: Iterable[NDArray[np.uint32]], least: int = 1) -> list[tuple[int, ...]]:
    """The colours that come at least so often, sorted; it stops one beyond what flat areas would need."""
    counts: Counter[int] = Counter()
    for band in codes:
        flat = band.ravel()
        starts = np.flatnonzero(np.diff(flat, prepend=~flat[:1]))  # of runs, far fewer than pixels
        found, run = np.unique(flat[starts], return_inverse=True)
        times = np.bincount(run, np.diff(starts, append=flat.size), found.size)
        counts.update(dict(zip(found.tolist(), times.astype(np.int64).tolist(), strict=True)))
        if len(counts) > FEW:
            break
    return [(c >> 16, c >> 8 & 255, c & 255) for c, count in sorted(counts.items()) if count >= least]


def _is_ground(colour: tuple[int, ...]) -> bool:
    """Is this the black or white that a drawing is painted on, as JPEG may leave it?"""
    return max(colour) <= NOISE * 255 or min(colour) >= (1 - NOISE) * 255


def refuse_two_paints(colours: NDArray[Any], alpha: NDArray[Any], name: str, choose: str) -> None:
    """A transparent layer is read by its alpha, unless a few flat colours on it must mean something too."""
    palette = _palette([_packed(eight_bits(colours))[alpha == alpha.max()]])
    if 2 <= len(palette) <= FEW:
        raise PromptError(
            f"{name} is a transparent layer painted in {len(palette)} colours: "
            f"{choose} among {listed(palette)}, or pass its alpha channel alone"
        )


def painted(
    colours: NDArray[np.uint8], label: int | tuple[int, ...] | None, name: str, choose: str
) -> Bool | NDArray[np.uint8]:
    """How strongly each pixel is painted.

    Args:
        colours: uint8 ``(h, w, 3)``.
        label: The ``(r, g, b)`` that is meant, or None for the one paint there is.
        name: What to call the drawing in messages.
        choose: What to do about several paints, for the message.

    Returns:
        bool ``(h, w)``, pixels of the colour asked for; or uint8 ``(h, w)``, 255 where the paint is pure.

    Raises:
        PromptError: Several paints, or a photo by mistake, or no such colour.
    """
    codes = _packed(colours)
    palette = _palette(bands(codes))
    flat = len(palette) <= FEW
    if isinstance(label, tuple):
        if flat and label not in palette:
            raise PromptError(f"{name} has no colour {label}: it has {listed(palette)}")
        close = 0 if flat else _CLOSE
        chosen: Bool = np.logical_and.reduce(
            [np.abs(colours[..., i].astype(np.int16) - label[i]) <= close for i in range(3)]
        )
        return chosen
    areas = [c for c in _palette(even_pixels(codes), PATCH) if not _is_ground(c)] if flat else []
    strength = _strength(colours) if len(areas) < 2 and label is None else None
    if strength is not None:
        return strength
    if flat:
        raise PromptError(f"{name} is painted in several colours: {choose} among {listed(areas or palette)}")
    raise PromptError(
        f"{name} has more than {FEW} colours that are no shades of one paint and looks like a photo: "
        "save the drawing in black and white, or name the painted colour with label=(r, g, b)"
    )


def _strength(colours: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """How strongly each pixel is painted, 0 to 255, if all are shades between the ground and one paint.

    The ground is black or white, whichever there is more of. Edges of brushes and JPEG make such shades.
    """
    black = np.count_nonzero(_most(colours) < _CLOSE)
    white = np.count_nonzero(_least(colours) > 255 - _CLOSE)
    if black == white == 0:
        return None
    away = 255 - colours if white > black else colours
    strength = _most(away)
    paint = away.reshape(-1, 3)[int(strength.argmax())].astype(np.float32)
    paint /= paint.max()
    for band, amount in zip(bands(away), bands(strength), strict=True):
        if any(np.abs(band[..., i] - amount * paint[i]).max() > _CLOSE for i in range(3)):
            return None
    shades = np.round(np.arange(256) * (255 / strength.max())).clip(0, 255).astype(np.uint8)
    graded: NDArray[np.uint8] = shades[strength]
    return graded


def listed(choices: Iterable[object], most: int = 10) -> str:
    """The first choices, for a message."""
    names = [str(choice) for choice in choices]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
