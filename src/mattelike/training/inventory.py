"""The data folder as items with pixels, and a pack made of them.

Layout: ``<set>/<group>/<id>.jpg`` with its mask or matte in ``<id>.png``; a ``<set>/*.tar`` with the same
inside; ``<id>.webp`` with the matte as its fourth channel. A ``manifest.json`` beside a set states the
licence of every photo.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mattelike import photos, resampling
from mattelike.components import bounds
from mattelike.figures import levels
from mattelike.framing import Window
from mattelike.training import pack
from mattelike.training.groups import Item, Truth, kind_of, split_by_photo
from mattelike.training.sample_pixels import one_channel

# Public tests, never to be learnt from: ICM-57 and PerSeg are made of dreambooth, davis16 is the video test.
TESTS = ("davis16", "dreambooth")
# Items so named may be pictures of the AIM-500 test set.
TEST_PREFIX = "aim_"
# Photos free of doubt, and groups whose authors gave them away with an alpha of their own making.
CLEAN = frozenset({"caltech101", "feral_cats", "fluent3d", "grocery_groups", "wallpaper_photos"})
CLEAN_GROUPS = frozenset({"matting_demos/am2k_animal", "matting_demos/portrait"})
# Creative Commons BY and BY-SA, no known restrictions, work of the US government; numbers as COCO's.
CLEAN_LICENCES = frozenset({4, 5, 7, 8})
SOFT = frozenset({"caltech101", "fluent3d", "imagenet_samples", "matting_demos"})
# Longest side of what is kept: fine edges and backgrounds deserve more than hard masks.
SIDE, LARGE_SIDE = 400, 512


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes somewhere: a file, or a member of a tar."""

    path: Path
    member: str = ""

    def read(self) -> bytes:
        """The bytes."""
        if not self.member:
            return self.path.read_bytes()
        return _members(self.path)[self.member]


@dataclass(frozen=True, slots=True)
class Entry:
    """One item and where its pixels are.

    Attributes:
        item: What it is.
        image: The photo, or the cut-out with its own alpha.
        truth: Its mask or matte; None for a background or a cut-out.
    """

    item: Item
    image: Stored
    truth: Stored | None


def listed(root: Path, labels: Path | None = None) -> list[Entry]:
    """Everything in a data folder that may be learnt from or validated on, split, in order of name.

    Args:
        root: The data folder.
        labels: Folder with pseudo-labels, ``<set>/<group>/<id>.png``, of photos that have no truth of their
            own (`mattelike.training.pseudo`).

    Raises:
        FileNotFoundError: No such folder.
    """
    found: list[Entry] = []
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and path.name not in TESTS):
        licences = _licences(folder)
        for group, name, image, truth in _stored(folder):
            guess = None if truth else _labelled(labels, folder.name, group, name)
            truth = truth or guess
            if not name.startswith(TEST_PREFIX):
                item = _item(folder.name, group, name, truth is not None or _cut_out(image), licences)
                # A pseudo-label has learnt from all that its model did.
                item = replace(item, clean=item.clean and guess is None)
                found.append(Entry(item, image, truth))
    split = {item.name: item for item in split_by_photo([entry.item for entry in found])}
    return [Entry(split[e.item.name], e.image, e.truth) for e in found if e.item.name in split]


def reserved(root: Path) -> list[Stored]:
    """The photos of a data folder that are kept for tests alone."""
    kept = [image for name in TESTS if (root / name).is_dir() for _, _, image, _ in _stored(root / name)]
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and path.name not in TESTS):
        kept += [image for _, name, image, _ in _stored(folder) if name.startswith(TEST_PREFIX)]
    return kept


def pixels(entry: Entry) -> NDArray[np.uint8]:
    """The photo's own pixels and its alpha, uint8 ``(h, w, 4)``; alpha is 0 where there is none.

    Raises:
        PhotoError: A file that cannot be read.
    """
    photo = photos.read(entry.image.read(), name=entry.item.name)
    if _cut_out(entry.image):
        alpha = one_channel(photo)
        rgb = photos.to_srgb(photo)
        around = bounds(alpha)
        assert around is not None, f"{entry.item.name}: a cut-out of nothing"
        inside = Window(*around).slices
        return _levels(rgb[inside], alpha[inside])
    size = shrunk(photo.height, photo.width, side_of(entry.item))
    rgb = photos.to_srgb(photo, size)
    if entry.truth is None:
        return _levels(rgb, np.zeros(size, np.float32))
    alpha = one_channel(photos.read(entry.truth.read(), name=entry.item.name))
    return _levels(rgb, resampling.area(alpha, size))


def build(root: Path, folder: Path, labels: Path | None = None) -> pack.Pack:
    """Writes the pack of a data folder, perhaps with pseudo-labels, and opens it."""
    pack.write(folder, ((entry.item, pixels(entry)) for entry in listed(root, labels)))
    return pack.load(folder)


def side_of(item: Item) -> int:
    """Longest side at which an item is kept."""
    return LARGE_SIDE if item.truth == "none" or item.source == "matting_demos" else SIDE


def shrunk(height: int, width: int, side: int) -> tuple[int, int]:
    """Height and width with no side longer than `side`; never enlarged."""
    scale = min(1.0, side / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


# --- likeness ----------------------------------------------------------------------------------------


def fingerprint(rgb: NDArray[np.uint8]) -> int:
    """64 bits of a photo that stay nearly the same when it is scaled, recompressed or relit.

    Whether each cell of a 9 x 8 grid is brighter than its right neighbour ("dHash").

    Args:
        rgb: uint8 ``(h, w, 3)``.
    """
    gray = resampling.area(rgb.mean(axis=2), (8, 9))
    bits = (gray[:, 1:] > gray[:, :-1]).reshape(-1)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def alike(one: Sequence[int], other: Sequence[int], distance: int = 4) -> list[tuple[int, int]]:
    """Pairs of positions whose fingerprints differ in at most `distance` bits."""
    first, second = (np.array(values, np.uint64) for values in (one, other))
    apart = np.bitwise_count(first[:, None] ^ second[None, :])
    return [(int(i), int(j)) for i, j in np.argwhere(apart <= distance)]


# --- layouts -----------------------------------------------------------------------------------------

_Found = tuple[str, str, Stored, Stored | None]


def _stored(folder: Path) -> Iterator[_Found]:
    """Group, id, picture and truth of every item of one set."""
    for archive in sorted(folder.glob("*.tar")):
        names = _members(archive)
        for name in sorted(n for n in names if n.endswith(".jpg")):
            truth = name.removesuffix(".jpg") + ".png"
            path = Path(name)
            yield path.parent.name, path.stem, Stored(archive, name), _member(archive, truth)
    for group in sorted(path for path in folder.iterdir() if path.is_dir()):
        for image in sorted([*group.glob("*.jpg"), *group.glob("*.webp")]):
            truth_file = image.with_suffix(".png")
            yield group.name, image.stem, Stored(image), Stored(truth_file) if truth_file.is_file() else None


def _item(source: str, group: str, name: str, marked: bool, licences: dict[str, int]) -> Item:
    truth: Truth = "none"
    if marked:
        truth = "alpha" if source in SOFT else "mask"
    return Item(
        name=f"{source}/{group}/{name}",
        source=source,
        kind=kind_of(source, group, name) if marked else f"{source}/{name}",
        truth=truth,
        domain="render" if source == "fluent3d" else "photo",
        photo=_photo(source, group, name),
        clean=_clean(source, group, licences.get(f"{group}/{name}")),
    )


def _photo(source: str, group: str, name: str) -> str:
    """The photograph an item shows; two sets cut several items from one."""
    if source == "coco_crops":
        return f"coco/{name}"
    if source == "ccp_clothing":
        return f"ccp/{name.split('_')[0]}"
    return f"{source}/{group}/{name}"


def _clean(source: str, group: str, licence: int | None) -> bool:
    if licence is not None:
        return licence in CLEAN_LICENCES
    return source in CLEAN or f"{source}/{group}" in CLEAN_GROUPS


def _licences(folder: Path) -> dict[str, int]:
    path = folder / "manifest.json"
    if not path.is_file():
        return {}
    items = json.loads(path.read_text(encoding="utf-8"))["items"]
    return {name: int(about["licence_id"]) for name, about in items.items()}


def _labelled(labels: Path | None, source: str, group: str, name: str) -> Stored | None:
    """The pseudo-label of a photo, where there is one."""
    path = None if labels is None else labels / source / group / f"{name}.png"
    return Stored(path) if path is not None and path.is_file() else None


def _cut_out(image: Stored) -> bool:
    return image.path.suffix == ".webp"


def _levels(rgb: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.uint8]:
    both = np.concatenate([rgb, alpha[..., None]], axis=2)
    return levels(both)


@cache
def _members(archive: Path) -> dict[str, bytes]:
    """All files in a tar; read once, since members are asked for one by one."""
    with tarfile.open(archive) as tar:
        opened = ((member.name, tar.extractfile(member)) for member in tar.getmembers())
        return {name: file.read() for name, file in opened if file is not None}


def _member(archive: Path, name: str) -> Stored | None:
    return Stored(archive, name) if name in _members(archive) else None
