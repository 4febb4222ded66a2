"""Builds the pack the edge network learns from: cut-outs with exact alpha, and backgrounds.

python recipes/refiner_pack.py DATA OUT [--drawn 900] [--composition ROOT [--backgrounds FOLDER]]

Cut-outs are straight colour and alpha; composites of them over backgrounds have an exact alpha whatever
photo the cut-out came from. Four sources: things drawn by script, rendered things, published mattes, and
hard masks made soft by the closed form (pymatting, development only) where it agrees with the multi-level
solver, and for the pictures of ``recipes/refiner_validation.json``, whose truth no change of ours may move.
Who has Composition-1k, or a set kept like it, adds it with its own split; it is not fetched.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pymatting
from numpy.typing import NDArray

from mattelike import foreground, photos, refinement, resampling
from mattelike.figures import levels
from mattelike.training import inventory, pack, refining_drawing, refining_published
from mattelike.training.groups import Item, families
from mattelike.training.sample_pixels import one_channel
from mattelike.values import Float32

BACKGROUNDS = ("wallpaper_photos", "bsds500_photos", "grocery_groups")
# Kept for validation beside the held-out kinds: every n-th published matte and background, by its name.
EVERY = {"matting_demos": 5, "background": 8}
# Masks good enough to start from, and which of them: every n-th.
MASKS = {"animals5": 1, "imagenet_samples": 1, "flowers17": 2, "feral_cats": 1, "humans": 2, "ecssd": 3}
FINE = frozenset({"dog", "cat", "bear", "monkey", "hoofed", "rodent", "bird", "flower", "person"})
# Half-width of the band that is solved, as a share of the longer side.
BAND = 0.025
# Largest mean difference of the two solvers in the band.
AGREE = 0.09
LIST = Path(__file__).parent / "refiner_validation.json"

Row = tuple[Item, NDArray[np.uint8]]


def held(item: Item, group: str) -> bool:
    """Whether an item is kept for validation."""
    return item.split == "validation" or zlib.crc32(item.name.encode()) % EVERY[group] == 0


def row(item: Item, source: str, rgb: Float32, alpha: Float32, *, validation: bool) -> Row:
    """One row of the pack."""
    truth = "none" if source == "background" else "alpha"
    split = "validation" if validation else "train"
    kept = Item(item.name, source, item.kind, truth, item.domain, item.photo, item.clean, split)  # type: ignore[arg-type]
    return kept, levels(np.dstack([rgb, alpha]))


def front(rgb: Float32, alpha: Float32) -> Float32:
    """Colours of the thing alone; those of the photo where it is not."""
    return foreground.foreground(levels(rgb), alpha, keep_hidden=True).astype(np.float32) / 255


def backgrounds(entries: Sequence[inventory.Entry]) -> Iterator[Row]:
    """Photos to put behind things, at their own size up to 800 pixels."""
    for entry in entries:
        if entry.item.source in BACKGROUNDS:
            photo = photos.read(entry.image.read(), name=entry.item.name)
            rgb = photos.to_srgb(photo, inventory.shrunk(photo.height, photo.width, 800))
            nothing = np.zeros(rgb.shape[:2], np.float32)
            yield row(entry.item, "background", rgb, nothing, validation=held(entry.item, "background"))


def renders(entries: Sequence[inventory.Entry]) -> Iterator[Row]:
    """Every second rendered thing."""
    for number, entry in enumerate(e for e in entries if e.item.source == "fluent3d"):
        if number % 2 == 0 or entry.item.split == "validation":
            rgba = inventory.pixels(entry).astype(np.float32) / 255
            yield row(
                entry.item,
                "render",
                rgba[..., :3],
                rgba[..., 3],
                validation=entry.item.split == "validation",
            )


def published(entries: Sequence[inventory.Entry]) -> Iterator[Row]:
    """Published mattes: as cut-outs, and as the photos they are of."""
    for entry in entries:
        if entry.item.source == "matting_demos" and entry.truth is not None:
            rgb = photos.to_srgb(photos.read(entry.image.read(), name=entry.item.name))
            alpha = one_channel(photos.read(entry.truth.read(), name=entry.item.name))
            alpha = foreground.snap(alpha, 0.02, 0.98)
            validation = held(entry.item, "matting_demos")
            yield row(entry.item, "published", front(rgb, alpha), alpha, validation=validation)
            yield row(entry.item, "photo", rgb, alpha, validation=validation)


def solved(entries: Sequence[inventory.Entry]) -> Iterator[Row]:
    """Masks made soft, where two solvers agree; those that are validated on were accepted once for all."""
    listed = {each["thing"] for each in json.loads(LIST.read_text(encoding="utf-8"))}
    for source, every in MASKS.items():
        mine = [e for e in entries if e.item.source == source and e.truth is not None]
        for entry in mine[::every]:
            known = families().get(entry.item.kind, frozenset())
            if source == "imagenet_samples" and not known & FINE:
                continue
            rgba = inventory.pixels(entry).astype(np.float32) / 255
            rgb, mask = np.ascontiguousarray(rgba[..., :3]), np.ascontiguousarray(rgba[..., 3])
            alpha = softened(rgb, mask, check=entry.item.name not in listed)
            if alpha is not None:
                validation = entry.item.split == "validation"
                yield row(entry.item, "solved", front(rgb, alpha), alpha, validation=validation)


def softened(rgb: Float32, mask: Float32, *, check: bool) -> Float32 | None:
    """The closed form from a mask's trimap, or None where another solver, with `check`, says otherwise."""
    band = max(4, round(BAND * max(mask.shape)))
    trimap = refinement.trimap(mask, radius=band)
    unknown = trimap == 0.5
    if not ((trimap == 0).any() and (trimap == 1).any() and unknown.any()):
        return None
    one = pymatting.estimate_alpha_cf(rgb.astype(np.float64), trimap.astype(np.float64))
    if check:
        # Doubted all over the band, so that the mask itself is no opinion.
        doubt = unknown.astype(np.float32)
        other = refinement.refine(levels(rgb), mask, band=band, uncertainty=doubt).alpha
        if float(np.abs(one - other)[unknown].mean()) > AGREE:
            return None
    return foreground.snap(one.astype(np.float32), 0.05, 0.95)


def drawings(entries: Sequence[inventory.Entry], count: int) -> Iterator[Row]:
    """Things drawn in the colours of photos; the last 30 are kept for validation."""
    with_colours = [e for e in entries if e.item.split == "train" and e.item.source != "fluent3d"]
    side = refining_drawing.SIDE
    for seed in range(count + 30):
        rng = np.random.default_rng(seed)
        entry = with_colours[int(rng.integers(len(with_colours)))]
        rgb = photos.to_srgb(photos.read(entry.image.read(), name=entry.item.name))
        cut = min(rgb.shape[:2])
        texture = resampling.resize(rgb[:cut, :cut], (side, side))
        rgba = refining_drawing.drawn(texture, rng)
        clean = entry.item.clean
        item = Item(f"drawn/{seed:04}", "drawn", f"drawn/{seed:04}", "alpha", "render", "", clean)
        yield row(item, "drawn", rgba[..., :3], rgba[..., 3], validation=seed >= count)


def main() -> None:
    """Writes the pack and prints what is in it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with one folder a data set")
    parser.add_argument("out", type=Path, help="folder for pack.bin and pack.json")
    parser.add_argument("--drawn", type=int, default=900, help="things to draw for training")
    parser.add_argument("--composition", type=Path, help="folder with Training_set and Test_set")
    parser.add_argument("--backgrounds", type=Path, help="folder of photos to lay its things over")
    given = parser.parse_args()
    entries = inventory.listed(given.data)

    def rows() -> Iterator[Row]:
        yield from backgrounds(entries)
        yield from published(entries)
        yield from renders(entries)
        yield from drawings(entries, given.drawn)
        yield from solved(entries)
        if given.composition:
            yield from refining_published.rows(given.composition, given.backgrounds)

    pack.write(given.out, rows())
    built = pack.load(given.out)
    counts = Counter((place.item.source, place.item.split) for place in built.places)
    for (source, split), count in sorted(counts.items()):
        print(f"{source:12} {split:10} {count:5}")
    print(f"{len(built.places)} items, {built.pixels.size / 2**20:.0f} MiB, {built.sha256[:12]}")


if __name__ == "__main__":
    main()
