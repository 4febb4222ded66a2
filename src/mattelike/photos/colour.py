"""Colours and sizes: what a model sees of a photo, backgrounds that fit, alpha taken out of colours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mattelike import resampling
from mattelike.errors import SettingsError, UsageError
from mattelike.photos import cicp, engine
from mattelike.photos.engine import Image
from mattelike.values import Float32, Photo, Pixels

Size = tuple[int, int]

_STRIP = 1 << 20


def to_srgb(photo: Photo, size: Size | None = None) -> Float32:
    """What a model sees: sRGB of a given size.

    The photo is resized first, in its own depth, and the small picture is then brought to sRGB, so that
    beside the result a few MB are needed, however large the photo is. Where it shrinks, by Lanczos-3 over box
    averages, without aliasing; where it grows, bilinear. An existing alpha plays no part: the colours are
    those that are stored, also where they are transparent. HDR is tone-mapped. The same pixels give the same
    result, bit for bit, whether they come from a file or an array.

    Args:
        photo: Any photo.
        size: ``(height, width)`` wanted; the photo's own by default.

    Returns:
        float32 ``(height, width, 3)`` in [0, 1]; three equal channels for a gray photo.

    Raises:
        SettingsError: A size below 1.
    """
    height, width = size if size is not None else (photo.height, photo.width)
    if height < 1 or width < 1:
        raise SettingsError(f"a size must be at least 1 x 1, got {height} x {width}")
    image = shrunk(engine.wrapped(photo.pixels), (min(height, photo.height), min(width, photo.width)))
    if photo.profile is not None:
        image = engine.attach(image, icc_profile_data=photo.profile)
        image = image.icc_transform("srgb", embedded=True, depth=16)
    levels = engine.unwrapped(image)
    seen = levels.astype(np.float32)
    seen /= np.float32(np.iinfo(levels.dtype).max)
    if photo.metadata.cicp is not None:
        seen = cicp.to_srgb(seen, photo.metadata.cicp)
    return seen if seen.shape[:2] == (height, width) else resampling.resize(seen, (height, width))


def shrunk(image: Image, size: Size) -> Image:
    """An image of a size that is nowhere larger than its own."""
    height, width = size
    if (image.height, image.width) == size:
        return image
    deep = image.format == "ushort"
    # Whole numbers are resized with weights of 12 bits: right to half a level of 8 bits, but off by up to a
    # hundred levels of 16, so those go through floats.
    exact = image.cast("float") if deep else image
    small = exact.resize(width / image.width, vscale=height / image.height, kernel="lanczos3")
    if deep:
        small = (small + 0.5).floor().cast("ushort").copy(interpretation=image.interpretation)
    return small.crop(0, 0, width, height)


def covering(background: Photo, photo: Photo) -> Pixels:
    """A background cut and scaled to lie behind a photo: same size, depth and colour space.

    It keeps its proportions and covers all; what is too much is cut off on both sides alike. An alpha of its
    own is ignored.

    Args:
        background: Any photo.
        photo: The photo it will lie behind.

    Returns:
        ``(h, w, 3)`` in the dtype of ``photo.pixels``.

    Raises:
        UsageError: One is HDR and the other is not, or another HDR.
    """
    if background.metadata.cicp != photo.metadata.cicp:
        raise UsageError(
            f"{background.name or 'the background'}: cannot lie behind {photo.name or 'the photo'}: "
            "one of them is HDR, or another HDR; convert one of them"
        )
    height, width = photo.height, photo.width
    scale = max(height / background.height, width / background.width)
    rows = min(background.height, max(1, round(height / scale)))
    columns = min(background.width, max(1, round(width / scale)))
    top, left = (background.height - rows) // 2, (background.width - columns) // 2
    image = engine.wrapped(background.pixels).crop(left, top, columns, rows)
    image = shrunk(image, (min(height, rows), min(width, columns)))
    image = _enlarged(image, (height, width))
    if background.profile != photo.profile:
        image = _reprofiled(image, background.profile, photo.profile)
    result: Pixels = _in_depth(image, photo.depth)
    return result


def _enlarged(image: Image, size: Size) -> Image:
    """Bilinear, pixel centres in the middle of pixels (``align_corners=False``)."""
    height, width = size
    if (image.height, image.width) == size:
        return image
    across, down = width / image.width, height / image.height
    # libvips's own `resize` enlarges half a new pixel off; `affine` with this offset is exact.
    return image.affine(
        [across, 0, 0, down],
        odx=(across - 1) / 2,
        ody=(down - 1) / 2,
        oarea=[0, 0, width, height],
        extend="copy",
    )


def _reprofiled(image: Image, source: bytes | None, target: bytes | None) -> Image:
    """From one RGB space to another, 16 bits; None is sRGB."""
    deep = {"depth": 16}
    if source is None:
        image = image.icc_import(input_profile="srgb")
    else:
        image = engine.attach(image, icc_profile_data=source).icc_import(embedded=True)
    if target is None:
        return image.icc_export(output_profile="srgb", **deep)
    return engine.attach(image, icc_profile_data=target).icc_export(**deep)


def _in_depth(image: Image, depth: int) -> Pixels:
    if image.format == "uchar" and depth == 16:
        image = image.cast("ushort") * 257
    elif image.format == "ushort" and depth == 8:
        image = image.linear(1 / 257, 0.5).floor()
    pixels: Pixels = engine.unwrapped(image.cast("ushort" if depth == 16 else "uchar"))
    return pixels


def unpremultiply(photo: Photo) -> Photo:
    """A photo whose colours were stored multiplied by its alpha, made straight: divided once (trap 48).

    Do this only when you know it: files that declare it (TIFF) are made straight as they are read.

    Args:
        photo: With an alpha.

    Returns:
        The same photo; colours rounded half up, white at most, and 0 where alpha is 0.

    Raises:
        UsageError: When it has no alpha.
    """
    if photo.alpha is None:
        raise UsageError(f"{photo.name or 'the photo'}: has no alpha, its colours cannot be premultiplied")
    top = np.iinfo(photo.pixels.dtype).max
    straight = np.zeros_like(photo.pixels)
    step = max(1, _STRIP // photo.width)
    for start in range(0, photo.height, step):
        rows = slice(start, start + step)
        alpha = photo.alpha[rows, :, None].astype(np.uint64)
        scaled = (2 * top * photo.pixels[rows].astype(np.uint64) + alpha) // np.maximum(2 * alpha, 1)
        straight[rows] = np.where(alpha > 0, np.minimum(scaled, top), 0)
    return replace(photo, pixels=straight)
