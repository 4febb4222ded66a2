"""From mattes to frames as encoders take them: planes of YUV in the clip's own colours, alpha beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mattelike.mattes import Background, Matte
from mattelike.values import Float32, Pixels
from mattelike.video import engine
from mattelike.video.clips import BT709, Clip, Colours
from mattelike.video.reading import SCALER
from mattelike.video.targets import Coding, Picture

BLOCK = 16
"""Side of the blocks whose mean colour is laid round a thing, in pixels: what encoders work on."""

LIMITED, FULL = 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """One picture of a matte, before it is coded.

    Attributes:
        pixels: uint8 or uint16 ``(h, w, 3)``; None where alpha alone is wanted.
        alpha: float32 ``(h, w)``; None where the picture is opaque.
    """

    pixels: Pixels | None
    alpha: Float32 | None


def drawn(matte: Matte, picture: Picture, background: Background | None) -> Drawn:
    """What is to be shown of a matte.

    Under alpha 0 a cut-out has, near the thing, the thing's colours: chroma is stored for several pixels
    together and coders work in blocks, so anything else there would bleed into the edge.
    """
    if picture == "alpha":
        return Drawn(None, matte.alpha)
    if picture == "composite":
        return Drawn(matte.composite((255, 255, 255) if background is None else background), None)
    return Drawn(padded(matte.foreground(), matte.alpha), matte.alpha)


def padded(pixels: Pixels, alpha: Float32) -> Pixels:
    """Colours continued for a block or two into what is transparent; black beyond.

    Args:
        pixels: ``(h, w, 3)``, colours of the thing.
        alpha: float32 ``(h, w)``.
    """
    height, width = alpha.shape
    rows, columns = -(-height // BLOCK), -(-width // BLOCK)
    room = np.zeros((rows * BLOCK, columns * BLOCK, 4), np.float32)
    room[:height, :width, :3] = pixels * alpha[..., None]
    room[:height, :width, 3] = alpha
    blocks = room.reshape(rows, BLOCK, columns, BLOCK, 4).sum(axis=(1, 3))
    around = np.pad(blocks, ((1, 1), (1, 1), (0, 0)))
    wide = sum(around[i : i + rows, j : j + columns] for i in range(3) for j in range(3))
    near = wide + np.float32(8) * blocks
    colours = (near[..., :3] / np.maximum(near[..., 3:], np.float32(1e-3))).round().astype(pixels.dtype)
    laid = colours.repeat(BLOCK, 0).repeat(BLOCK, 1)[:height, :width]
    return np.where((alpha > 0)[..., None], pixels, laid)


def coded(shown: Drawn, coding: Coding, clip: Clip) -> Any:
    """A picture as a frame of an encoder's pixel format, tagged with its colours.

    Returns:
        An ``av.VideoFrame``.
    """
    if coding.encoder == "exr":
        return _linear(shown, coding)
    colours = colours_of(clip)
    if shown.pixels is None:
        assert shown.alpha is not None
        frame = _gray(shown.alpha, coding)
    else:
        frame = _coloured(shown.pixels, coding, colours)
        if shown.alpha is not None:
            _fill(frame, 3, shown.alpha, 0.0, 1.0)
    frame.color_primaries, frame.color_trc = colours.primaries, colours.transfer
    frame.colorspace, frame.color_range = colours.matrix, LIMITED
    return frame


def colours_of(clip: Clip) -> Colours:
    """The tags of what is written: the clip's; RGB and matrices the scaler lacks become BT.709."""
    matrix = clip.colours.matrix
    known = matrix in SCALER or matrix == Colours().matrix
    return Colours(clip.colours.primaries, clip.colours.transfer, matrix if known else BT709)


def even(pixels: NDArray[Any]) -> NDArray[Any]:
    """Rows and columns made even by repeating the last."""
    height, width = pixels.shape[:2]
    margins = [(0, height % 2), (0, width % 2), *([(0, 0)] * (pixels.ndim - 2))]
    return np.pad(pixels, margins, mode="edge") if height % 2 or width % 2 else pixels


def _coloured(pixels: Pixels, coding: Coding, colours: Colours) -> Any:
    av = engine.library()
    if coding.encoder == "libx264":
        pixels = even(pixels)
    matrix = SCALER.get(colours.matrix, 5 if min(pixels.shape[:2]) <= 576 else 1)
    rgb = av.VideoFrame.from_ndarray(
        np.ascontiguousarray(pixels), format="rgb48le" if pixels.dtype == np.uint16 else "rgb24"
    )
    return rgb.reformat(
        format=coding.pixels, dst_colorspace=matrix, dst_color_range="MPEG", interpolation="BICUBIC"
    )


def _gray(alpha: Float32, coding: Coding) -> Any:
    """Alpha as luma of the limited range, which every player stretches back."""
    av = engine.library()
    if coding.encoder == "libx264":
        alpha = even(alpha)
    frame = av.VideoFrame(alpha.shape[1], alpha.shape[0], coding.pixels)
    top = (1 << frame.format.components[0].bits) - 1
    step = (top + 1) // 256
    _fill(frame, 0, alpha, 16 * step / top, 235 * step / top)
    for number in (1, 2):
        plane = frame.planes[number]
        level = np.full((plane.height, plane.width), 128 * step / top, np.float32)
        _fill(frame, number, level, 0.0, 1.0)
    return frame


def _fill(frame: Any, number: int, values: Float32, black: float, white: float) -> None:
    """Writes a plane: 0 becomes the level `black`, 1 the level `white`, both as shares of the highest."""
    plane = frame.planes[number]
    bits = frame.format.components[number].bits
    kind = np.dtype("<u2") if bits > 8 else np.dtype("u1")
    top = (1 << bits) - 1
    room = np.frombuffer(plane, kind).reshape(plane.height, plane.line_size // kind.itemsize)
    levels = np.floor((black + (white - black) * values) * np.float32(top) + np.float32(0.5))
    room[:, : plane.width] = levels.astype(kind)


def _linear(shown: Drawn, coding: Coding) -> Any:
    """Light itself, premultiplied, as is the custom of EXR."""
    av = engine.library()
    source = shown.alpha if shown.pixels is None else shown.pixels
    assert source is not None
    frame = av.VideoFrame(source.shape[1], source.shape[0], coding.pixels)
    if shown.pixels is None:
        planes = [shown.alpha]
    else:
        share = shown.pixels.astype(np.float32) / np.float32(np.iinfo(shown.pixels.dtype).max)
        light = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        if shown.alpha is not None:
            light *= shown.alpha[..., None]
        planes = [light[..., 1], light[..., 2], light[..., 0]]  # FFmpeg's order is G, B, R
        planes += [] if shown.alpha is None else [shown.alpha]
    for plane, values in zip(frame.planes, planes, strict=True):
        assert values is not None
        room = np.frombuffer(plane, "<f4").reshape(plane.height, plane.line_size // 4)
        room[:, : plane.width] = values
    return frame
