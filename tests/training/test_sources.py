"""Data as others lay it out, and who is whose reference."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mattelike.errors import PhotoError, UsageError
from mattelike.training import pairing, sample_pixels, sources
from mattelike.training.pairing import Pairs
from mattelike.training.sources import Sample


def png(path: Path, array: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def colours(height: int = 4, width: int = 6) -> Any:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def grey(value: int = 128, height: int = 4, width: int = 6) -> Any:
    return np.full((height, width), value, np.uint8)


def samples(*groups: int) -> list[Sample]:
    return [
        Sample(f"{group}/{member}", str(group), Path("i.jpg"), Path("a.png"))
        for group, count in enumerate(groups)
        for member in range(count)
    ]


# --- layouts --------------------------------------------------------------------------------------------


def test_A25_the_index_of_the_release(tmp_path: Path) -> None:
    png(tmp_path / "image" / "cat1.jpg", colours())
    png(tmp_path / "alpha" / "cat1.png", grey())
    png(tmp_path / "trimap" / "cat1.png", grey())
    png(tmp_path / "oi" / "image" / "0a1b.jpg", colours())
    png(tmp_path / "oi" / "alpha" / "0a1b_dog_2.png", grey(200))
    common = {"class": "animal", "HalfOrFull": "full"}
    index = tmp_path / "index.json"
    table = {
        "cat1.jpg": {**common, "dataset_name": "ICM57", "sub_class": None},
        "0a1b_dog_2": {
            **common, "dataset_name": "open-images-v7", "sub_class": "dog",
            "instance_area_ratio": [0.2, 0.05],
        },
    }  # fmt: skip
    index.write_text(json.dumps(table))
    dog, cat = sources.from_index(index, {"ICM57": tmp_path, "open-images-v7": tmp_path / "oi"})
    assert (cat.group, cat.kind, cat.trimap) == (
        "animal-None-full",
        "matting",
        tmp_path / "trimap" / "cat1.png",
    )
    assert (dog.group, dog.kind, dog.image.name) == ("animal-dog-full", "segmentation", "0a1b.jpg")
    assert dog.areas == (0.2, 0.05)
    assert set(np.unique(sample_pixels.loaded(dog).alpha)) == {1.0}
    with pytest.raises(UsageError, match="no folder was given"):
        sources.from_index(index, {"ICM57": tmp_path})
    index.write_text("[]")
    with pytest.raises(UsageError, match="not an index"):
        sources.from_index(index, tmp_path)


def test_A25_a_folder_of_groups(tmp_path: Path) -> None:
    for group in ("cup", "dog"):
        for name in ("a", "b"):
            png(tmp_path / group / "image" / f"{name}.jpg", colours())
            png(tmp_path / group / "alpha" / f"{name}.png", grey())
    (tmp_path / "dog" / "references.txt").write_text("b.jpg\n")
    found = sources.from_folders(tmp_path)
    assert [(s.name, s.group, s.is_reference) for s in found] == [
        ("cup/a.jpg", "cup", False), ("cup/b.jpg", "cup", False),
        ("dog/a.jpg", "dog", False), ("dog/b.jpg", "dog", True),
    ]  # fmt: skip
    (tmp_path / "dog" / "alpha" / "a.png").unlink()
    with pytest.raises(UsageError, match="no such file"):
        sources.from_folders(tmp_path)
    with pytest.raises(UsageError, match="no group in it"):
        sources.from_folders(tmp_path / "dog")


def test_A25_a_table(tmp_path: Path) -> None:
    png(tmp_path / "x.jpg", colours())
    png(tmp_path / "x.png", grey())
    table = tmp_path / "data.csv"
    header = "group,image,alpha,trimap,kind,is_reference\n"
    table.write_text(header + "g,x.jpg,x.png,,,1\ng,x.jpg,x.png,x.png,segmentation,\n")
    one, two = sources.from_csv(table)
    assert (one.kind, one.is_reference, one.trimap) == ("matting", True, None)
    assert (two.kind, two.is_reference, two.trimap) == ("segmentation", False, tmp_path / "x.png")
    for row, message in (("g,,x.png,,,", "line 2: no image"), ("g,x.jpg,x.png,,mask,", "kind is 'mask'")):
        table.write_text(header + row)
        with pytest.raises(UsageError, match=message):
            sources.from_csv(table)
    table.write_text(header + "g,y.jpg,x.png,,,")
    with pytest.raises(UsageError, match="is not there"):
        sources.from_csv(table)


def test_A25_published_layouts(tmp_path: Path) -> None:
    png(tmp_path / "original" / "o_1.jpg", colours())
    png(tmp_path / "mask" / "o_1.png", grey())
    (found,) = sources.from_layout(tmp_path, "aim-500", {"o_1": "dog"})
    assert (found.group, found.alpha) == ("dog", tmp_path / "mask" / "o_1.png")
    with pytest.raises(UsageError, match="without groups"):
        sources.from_layout(tmp_path, "aim-500")
    with pytest.raises(UsageError, match="no layout"):
        sources.from_layout(tmp_path, "coco")


# --- pixels ---------------------------------------------------------------------------------------------


def test_A25_alphas_of_8_and_16_bits_and_pictures_of_every_mode(tmp_path: Path) -> None:
    image = png(tmp_path / "i.png", colours())
    deep = tmp_path / "deep.png"
    Image.fromarray(np.full((4, 6), 0x8001, np.uint16)).save(deep)
    eight = png(tmp_path / "eight.png", grey(51))
    rgba = png(tmp_path / "rgba.png", np.dstack([colours(), grey(102)]))
    sample = Sample("s", "g", image, eight)
    assert sample_pixels.loaded(sample).alpha == pytest.approx(0.2)
    assert sample_pixels.loaded(replace(sample, alpha=deep)).alpha == pytest.approx(0x8001 / 65535, abs=1e-6)
    assert sample_pixels.loaded(replace(sample, alpha=rgba)).alpha == pytest.approx(0.4)
    for picture in (rgba, png(tmp_path / "grey.png", grey(255))):
        found = sample_pixels.loaded(replace(sample, image=picture)).image
        assert found.shape == (4, 6, 3)
        assert found.min() >= -1 and found.max() <= 1
    turned = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(colours(6, 4)).save(turned, exif=exif)
    assert sample_pixels.loaded(replace(sample, image=turned)).image.shape == (4, 6, 3)
    with pytest.raises(PhotoError, match="6 x 4 pixels"):
        sample_pixels.loaded(replace(sample, image=png(tmp_path / "big.png", colours(8, 8))))


def test_A25_the_three_levels_of_a_trimap() -> None:
    levels = np.array([[0, 84, 85, 169, 170, 255]], np.float32) / np.float32(255)
    assert sample_pixels.three_levels(levels).tolist() == [[0, 0, 0.5, 0.5, 1, 1]]


# --- references -----------------------------------------------------------------------------------------


def test_A25_a_group_of_one_needs_allow_self() -> None:
    with pytest.raises(UsageError, match="has one picture"):
        Pairs(samples(3, 1))
    pairs = Pairs(samples(3, 1), allow_self=True)
    reference, target = pairs.pair(0, 3)
    assert reference is target


def test_A25_a_reference_is_never_its_target() -> None:
    pairs = Pairs(samples(2, 5, 3), seed=4)
    drawn = [pairs.pair(epoch, number) for epoch in range(100) for number in range(len(pairs))]
    assert len(drawn) == 1000
    assert all(r is not t and r.group == t.group for r, t in drawn)
    used = {r.name for r, t in drawn if t.name == "1/0"}
    assert used == {"1/1", "1/2", "1/3", "1/4"}
    released = Pairs(samples(2), seed=4, allow_self="pairs")
    chosen = {released.pair(epoch, 0)[0].name for epoch in range(50)}
    assert chosen == {"0/0", "0/1"}


def test_A25_the_fixed_reference_is_the_marked_one_else_the_first() -> None:
    plain = Pairs(samples(3), policy="fixed")
    assert [plain.pair(5, n)[0].name for n in range(3)] == ["0/1", "0/0", "0/0"]
    marked = Pairs(pairing.as_references(samples(3), ["0/2"]), policy="fixed")
    assert [marked.pair(0, n)[0].name for n in range(3)] == ["0/2", "0/2", "0/0"]


class Numbered(torch.utils.data.Dataset[str]):
    """The pairs of an epoch as a data set."""

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, number: int) -> str:
        return self.pairs.pair(1, number)[0].name


def test_A25_the_number_of_workers_changes_nothing() -> None:
    data = Numbered(Pairs(samples(4, 3, 5), seed=2))
    runs = [
        [
            name
            for batch in torch.utils.data.DataLoader(data, batch_size=2, num_workers=workers)
            for name in batch
        ]
        for workers in (0, 1, 2)
    ]
    assert runs[0] == runs[1] == runs[2]


def test_A26_nearly_all_tiny_things_are_left_out() -> None:
    assert pairing.keep_probability(0.1) == pytest.approx(0.0529, abs=1e-4)
    assert pairing.keep_probability(0.3) == pairing.keep_probability(0.9) == 1
    many = [replace(s, areas=(0.4, 0.1)) for s in samples(100_000)]
    kept = pairing.without_small(many, seed=1)
    assert len(kept) / 1e5 == pytest.approx(0.0529, abs=0.003)
    assert kept == pairing.without_small(many, seed=1)
    large = [replace(s, areas=(0.3,)) for s in samples(1000)] + samples(10)
    assert len(pairing.without_small(large)) == 1010


def test_a_split_is_fixed_by_its_seed_and_tested_pictures_are_refused(tmp_path: Path) -> None:
    first, second = pairing.split(samples(10), 0.8, seed=1)
    assert (len(first), len(second)) == (8, 2)
    assert pairing.split(samples(10)[::-1], 0.8, seed=1) == (first, second)
    assert {s.name for s in first} | {s.name for s in second} == {s.name for s in samples(10)}
    one, same = png(tmp_path / "a.png", colours()), png(tmp_path / "b.png", colours())
    train = [Sample("a", "g", one, one)]
    test = [Sample("b", "g", same, same)]
    with pytest.raises(UsageError, match="test set"):
        pairing.without_overlap(train, test)
    assert pairing.without_overlap(train, test, allow=True) == train


def test_cut_off_things_are_told_from_whole_ones() -> None:
    alpha = np.zeros((50, 60), np.uint8)
    alpha[10:30, 10:30] = 255
    assert pairing.half_or_full(alpha) == "full"
    alpha[20:30, 0] = 255
    assert pairing.half_or_full(alpha) == "half"
