"""Published composition sets (Composition-1k and those kept like it) as rows of the edge network's pack.

Such a set holds foregrounds, their alphas and, apart from them, photos to lay them over; it has a split of
its own, which is kept::

    ROOT/Training_set/**/fg/NAME.jpg     foreground, colours of the thing everywhere
    ROOT/Training_set/**/alpha/NAME.jpg  its alpha
    ROOT/Test_set/**/fg, alpha           what is kept for validation
    BACKGROUNDS/NAME.jpg                 photos

Lists beside the two folders, or in them, narrow either: ``training_fg_names.txt``, ``test_fg_names.txt``,
``training_bg_names.txt``, ``test_bg_names.txt``, a file name a line. Only local files are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mattelike import photos, resampling
from mattelike.errors import UsageError
from mattelike.figures import levels
from mattelike.training.groups import Item, Split, Truth
from mattelike.training.inventory import shrunk
from mattelike.training.sample_pixels import one_channel
from mattelike.training.sources import IMAGES

SIDE, GROUND_SIDE = 1024, 800
"""Longest sides of what is kept."""

FOLDERS: dict[Split, tuple[str, str]] = {
    "train": ("Training_set", "training"),
    "validation": ("Test_set", "test"),
}
"""Folder of each part, and what its lists' names begin with."""

Row = tuple[Item, NDArray[np.uint8]]


def rows(root: Path, backgrounds: Path | None = None) -> Iterator[Row]:
    """Foregrounds of both parts, then backgrounds, as uint8 ``(h, w, 4)``, straight.

    Args:
        root: Folder of the set.
        backgrounds: Folder of photos to lay things over; None where the pack has others. Which are for
            validation the lists say; without lists all are for training.

    Raises:
        UsageError: No foreground at all, one without an alpha of its size, a listed file that is missing, or
            one file in both parts.
    """
    pairs = {split: foregrounds(root, split) for split in FOLDERS}
    if not pairs["train"]:
        raise UsageError(f"{root}: no foregrounds in Training_set/**/fg")
    _apart({split: [fg.name for fg, _ in found] for split, found in pairs.items()}, root)
    for split, found in pairs.items():
        for fg, alpha in found:
            yield _thing(root, fg, alpha, split)
    if backgrounds is not None:
        yield from _grounds(root, backgrounds)


def foregrounds(root: Path, split: Split) -> list[tuple[Path, Path]]:
    """Foreground and alpha of every thing of a part, by name.

    Raises:
        UsageError: A foreground has no alpha, or a listed one is missing.
    """
    folder, prefix = FOLDERS[split]
    found = sorted(p for p in (root / folder).glob("**/fg/*") if p.suffix.lower() in IMAGES)
    wanted = _listed(root, folder, f"{prefix}_fg_names.txt")
    if wanted is not None:
        missing = sorted(wanted - {p.name for p in found})
        if missing:
            raise UsageError(f"{root / folder}: {missing[0]} is listed but in no folder fg")
        found = [p for p in found if p.name in wanted]
    return [(path, _alpha_of(path)) for path in found]


def _alpha_of(fg: Path) -> Path:
    folder = fg.parent.parent / "alpha"
    for suffix in IMAGES:
        if (path := folder / f"{fg.stem}{suffix}").is_file():
            return path
    raise UsageError(f"{fg}: has no alpha in {folder}")


def _listed(root: Path, folder: str, name: str) -> frozenset[str] | None:
    """File names of a list; None where there is no list."""
    for path in (root / folder / name, root / name):
        if path.is_file():
            lines = path.read_text(encoding="utf-8").split("\n")
            return frozenset(line.strip() for line in lines if line.strip())
    return None


def _apart(names: dict[Split, list[str]], where: Path) -> None:
    """Refuses a file that is both learnt from and tested on."""
    both = sorted(set(names["train"]) & set(names["validation"]))
    if both:
        raise UsageError(f"{where}: {both[0]} is in the training set and in the test set")


def _thing(root: Path, fg: Path, alpha: Path, split: Split) -> Row:
    front, matte = photos.read(fg), photos.read(alpha)
    if (front.height, front.width) != (matte.height, matte.width):
        raise UsageError(
            f"{alpha}: {matte.width} x {matte.height} pixels, "
            f"its foreground has {front.width} x {front.height}"
        )
    size = shrunk(front.height, front.width, SIDE)
    rgb = photos.to_srgb(front, size)
    # An alpha is linear: it is made smaller as numbers, not as colours.
    share = resampling.area(one_channel(matte), size)
    name = f"{root.name}/{fg.relative_to(root).with_suffix('').as_posix()}"
    return _row(name, "published", "alpha", split, levels(np.dstack([rgb, share])))


def _grounds(root: Path, folder: Path) -> Iterator[Row]:
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGES)
    kept = {split: _listed(root, part, f"{prefix}_bg_names.txt") for split, (part, prefix) in FOLDERS.items()}
    _apart({split: sorted(names or ()) for split, names in kept.items()}, root)
    test = kept["validation"] or frozenset()
    for path in found:
        split: Split = "validation" if path.name in test else "train"
        if split == "train" and kept["train"] is not None and path.name not in kept["train"]:
            continue
        photo = photos.read(path)
        rgb = photos.to_srgb(photo, shrunk(photo.height, photo.width, GROUND_SIDE))
        rgba = levels(np.dstack([rgb, np.zeros(rgb.shape[:2], np.float32)]))
        yield _row(f"{folder.name}/{path.stem}", "background", "none", split, rgba)


def _row(name: str, source: str, truth: Truth, split: Split, rgba: NDArray[np.uint8]) -> Row:
    """Such sets are licensed for research: nothing of them is `clean`."""
    return Item(name, source, name, truth, "photo", name, False, split), rgba
