"""One file of decoded pixels to train from, and its index.

``pack.bin`` holds the pixels of all items one after the other, uint8 ``(h, w, 4)``: red, green, blue and
alpha. ``pack.json`` says where each begins. The file is memory-mapped, so that several processes share it
and opening costs nothing. Nothing but torch and numpy is needed to train from it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mattelike.training.groups import Item

VERSION = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item's pixels lie in the file."""

    item: Item
    offset: int
    height: int
    width: int


@dataclass(frozen=True, slots=True, eq=False)
class Pack:
    """An open pack.

    Attributes:
        places: Every item and where it lies.
        pixels: All bytes, memory-mapped.
        sha256: Hash of the index, which holds a hash of every item.
    """

    places: tuple[Place, ...]
    pixels: NDArray[np.uint8]
    sha256: str

    def rgba(self, place: Place) -> Tensor:
        """Pixels of one item: float32 ``(4, h, w)`` in [0, 1]."""
        end = place.offset + place.height * place.width * 4
        flat = np.array(self.pixels[place.offset : end])
        grid = torch.from_numpy(flat).reshape(place.height, place.width, 4)
        return grid.permute(2, 0, 1).float() / 255


def write(folder: Path, items: Iterator[tuple[Item, NDArray[np.uint8]]]) -> None:
    """Writes a pack.

    Args:
        folder: Where ``pack.bin`` and ``pack.json`` go; made if need be.
        items: Items with their pixels, uint8 ``(h, w, 4)``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    offset = 0
    with (folder / "pack.bin").open("wb") as file:
        for item, pixels in items:
            height, width, _ = pixels.shape
            data = np.ascontiguousarray(pixels).tobytes()
            file.write(data)
            digest = hashlib.sha256(data).hexdigest()[:16]
            rows.append(
                {**asdict(item), "offset": offset, "height": height, "width": width, "sha256": digest}
            )
            offset += len(data)
    text = json.dumps({"version": VERSION, "items": rows}, indent=0)
    (folder / "pack.json").write_text(text, encoding="utf-8")


def load(folder: Path) -> Pack:
    """Opens a pack.

    Raises:
        ValueError: Another version, or a file that is shorter than its index says.
    """
    text = (folder / "pack.json").read_text(encoding="utf-8")
    index = json.loads(text)
    if index["version"] != VERSION:
        raise ValueError(f"{folder}: pack version {index['version']}, not {VERSION}; build it again")
    places = tuple(_place(row) for row in index["items"])
    pixels = np.memmap(folder / "pack.bin", dtype=np.uint8, mode="r")
    last = places[-1]
    if pixels.size != last.offset + last.height * last.width * 4:
        raise ValueError(f"{folder}: pack.bin is not as long as pack.json says; build it again")
    return Pack(places, pixels, hashlib.sha256(text.encode()).hexdigest())


def chosen(pack: Pack, *, split: str = "train", clean: bool = False) -> Sequence[Place]:
    """Items of one split; with `clean`, only those free of doubt."""
    return [p for p in pack.places if p.item.split == split and (p.item.clean or not clean)]


def _place(row: dict[str, Any]) -> Place:
    names = Item.__slots__
    item = Item(**{name: row[name] for name in names})
    return Place(item, row["offset"], row["height"], row["width"])
