"""Small data for the training of IconMatting: discs, one colour a group, in the layouts that are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mattelike import photos


def picture(
    seed: int, colour: int, size: tuple[int, int] = (150, 170), soft: float = 6.0
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A disc of a colour on noise, and its alpha: uint8 ``(h, w, 3)`` and ``(h, w)``."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[0], : size[1]]
    row, column = (rng.uniform(0.4, 0.6) * length for length in size)
    distance = np.hypot(rows - row, columns - column)
    alpha = np.clip((min(size) / 3 - distance) / soft + 0.5, 0, 1)
    shade = np.random.default_rng(1000 + colour).uniform(60, 250, 3)
    behind = rng.uniform(0, 120, (*size, 3))
    rgb = alpha[..., None] * shade + (1 - alpha[..., None]) * behind
    return rgb.astype(np.uint8), np.round(255 * alpha).astype(np.uint8)


def written(path: Path, pixels: NDArray[np.uint8]) -> None:
    """A picture as a file; alphas are gray."""
    path.parent.mkdir(parents=True, exist_ok=True)
    photos.write_rgb(path, pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2))


def groups(root: Path, count: int = 2, members: int = 2) -> Path:
    """A folder of groups."""
    for group in range(count):
        for member in range(members):
            rgb, alpha = picture(10 * group + member, group)
            written(root / f"group{group}" / "image" / f"{member}.png", rgb)
            written(root / f"group{group}" / "alpha" / f"{member}.png", alpha)
    return root


def published(root: Path, image: str, alpha: str, count: int, trimap: str = "", *, first: int = 0) -> Path:
    """A published data set, one folder of pictures and one of alphas."""
    for number in range(first, first + count):
        rgb, truth = picture(number, number % 2)
        written(root / image / f"p{number}.png", rgb)
        written(root / alpha / f"p{number}.png", truth)
        if trimap:
            band = np.where(truth >= 250, 255, np.where(truth <= 5, 0, 128)).astype(np.uint8)
            written(root / trimap / f"p{number}.png", band)
    return root
