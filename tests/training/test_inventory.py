"""A data folder becomes items with pixels; what is kept for tests never does."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from mattelike import photos
from mattelike.training import inventory
from tests.scenes import disc


def put(folder: Path, name: str, *, height: int = 60, width: int = 80, seed: int = 0) -> None:
    """A photo and its mask."""
    scene = disc(height, width, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    photos.write_rgb(folder / f"{name}.jpg", scene.pixels)
    photos.write_alpha(folder / f"{name}.png", scene.alpha)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small set of every layout."""
    root = tmp_path_factory.mktemp("data")
    put(root / "animals5" / "deer", "000", height=300, width=900)
    put(root / "animals5" / "tiger", "000", seed=1)
    put(root / "coco_crops" / "zebra", "7", seed=2)
    put(root / "coco_crops" / "bus", "7", seed=2)
    put(root / "coco_crops" / "bus", "8", seed=3)
    put(root / "coco_crops" / "bus", "9", seed=3)
    licences = {"zebra/7": 4, "bus/7": 4, "bus/8": 5, "bus/9": 1}
    table = {"items": {name: {"licence_id": number} for name, number in licences.items()}}
    (root / "coco_crops" / "manifest.json").write_text(json.dumps(table))
    put(root / "matting_demos" / "am2k_animal", "sample1", height=700, width=700)
    put(root / "matting_demos" / "mixed", "aim_1")
    put(root / "dreambooth" / "dog", "00")
    put(root / "davis16" / "camel", "00000")
    (root / "wallpaper_photos" / "popos").mkdir(parents=True)
    photos.write_rgb(root / "wallpaper_photos" / "popos" / "sea.jpg", disc(60, 80, seed=5).pixels)
    scene = disc(64, 64)
    (root / "fluent3d" / "nature_food").mkdir(parents=True)
    photos.write_cutout(root / "fluent3d" / "nature_food" / "lemon.webp", scene.pixels, scene.alpha)
    packed = root / "packed" / "ecssd" / "ungrouped"
    put(packed, "0001", seed=6)
    (root / "ecssd").mkdir()
    with tarfile.open(root / "ecssd" / "ecssd-00.tar", "w") as tar:
        for file in sorted(packed.iterdir()):
            data = file.read_bytes()
            about = tarfile.TarInfo(f"ecssd/ungrouped/{file.name}")
            about.size = len(data)
            tar.addfile(about, io.BytesIO(data))
            file.unlink()
    return root


@pytest.fixture(scope="module")
def entries(root: Path) -> dict[str, inventory.Entry]:
    return {entry.item.name: entry for entry in inventory.listed(root)}


def test_every_layout_is_found(entries: dict[str, inventory.Entry]) -> None:
    assert set(entries) == {
        "animals5/deer/000",
        "animals5/tiger/000",
        "coco_crops/bus/8",
        "coco_crops/bus/9",
        "coco_crops/zebra/7",
        "ecssd/ungrouped/0001",
        "fluent3d/nature_food/lemon",
        "matting_demos/am2k_animal/sample1",
        "wallpaper_photos/popos/sea",
    }
    truths = {name: entry.item.truth for name, entry in entries.items()}
    assert truths["animals5/deer/000"] == truths["ecssd/ungrouped/0001"] == "mask"
    assert truths["fluent3d/nature_food/lemon"] == truths["matting_demos/am2k_animal/sample1"] == "alpha"
    assert truths["wallpaper_photos/popos/sea"] == "none"
    assert entries["fluent3d/nature_food/lemon"].item.domain == "render"


def test_trap_103_a_photo_is_on_one_side_of_the_split_only(entries: dict[str, inventory.Entry]) -> None:
    # coco_crops/bus/7 is cut from the photo of coco_crops/zebra/7, and zebras are held out.
    assert "coco_crops/bus/7" not in entries
    splits = {name: entry.item.split for name, entry in entries.items()}
    assert {name for name, split in splits.items() if split == "validation"} == {
        "animals5/tiger/000",
        "coco_crops/zebra/7",
    }


def test_clean_is_what_is_free_of_doubt(entries: dict[str, inventory.Entry]) -> None:
    clean = {name for name, entry in entries.items() if entry.item.clean}
    assert clean == {
        "coco_crops/bus/8",
        "coco_crops/zebra/7",
        "fluent3d/nature_food/lemon",
        "matting_demos/am2k_animal/sample1",
        "wallpaper_photos/popos/sea",
    }


def test_trap_104_what_is_kept_for_tests_is_named_and_left_out(root: Path) -> None:
    reserved = {image.path.relative_to(root).as_posix() for image in inventory.reserved(root)}
    assert reserved == {"davis16/camel/00000.jpg", "dreambooth/dog/00.jpg", "matting_demos/mixed/aim_1.jpg"}


def test_pixels_are_the_photos_own_at_the_size_that_is_kept(
    root: Path, entries: dict[str, inventory.Entry]
) -> None:
    wide = inventory.pixels(entries["animals5/deer/000"])
    assert wide.shape == (133, 400, 4)
    assert wide.dtype == np.uint8
    assert inventory.pixels(entries["matting_demos/am2k_animal/sample1"]).shape == (512, 512, 4)
    small = inventory.pixels(entries["animals5/tiger/000"])
    read = photos.read(root / "animals5" / "tiger" / "000.jpg")
    assert np.array_equal(small[..., :3], read.pixels)
    truth = disc(60, 80, seed=1).alpha
    assert np.abs(small[..., 3] / 255 - truth).max() < 0.01
    assert not inventory.pixels(entries["wallpaper_photos/popos/sea"])[..., 3].any()


def test_a_cut_out_is_cropped_to_what_is_there(entries: dict[str, inventory.Entry]) -> None:
    cut = inventory.pixels(entries["fluent3d/nature_food/lemon"])
    alpha = disc(64, 64).alpha
    rows = np.flatnonzero(np.floor(alpha * 255 + 0.5).any(axis=1))
    assert cut.shape[0] == rows[-1] - rows[0] + 1
    assert cut[..., 3].any(axis=1).all()
    assert cut[..., 3].any(axis=0).all()


def test_a_pack_is_built_and_opens(root: Path, tmp_path: Path) -> None:
    built = inventory.build(root, tmp_path)
    assert [place.item for place in built.places] == [entry.item for entry in inventory.listed(root)]


def test_trap_103_a_photo_is_known_again_though_scaled_and_compressed(tmp_path: Path) -> None:
    scenes = [disc(240, 320, seed=seed).pixels for seed in range(6)]
    prints = [inventory.fingerprint(pixels) for pixels in scenes]
    again = []
    for number, pixels in enumerate(scenes):
        photos.write_rgb(tmp_path / f"{number}.jpg", pixels, quality=60)
        small = photos.to_srgb(photos.read(tmp_path / f"{number}.jpg"), (120, 160))
        again.append(inventory.fingerprint((small * 255).astype(np.uint8)))
    assert inventory.alike(prints, again) == [(i, i) for i in range(6)]


@pytest.mark.shared
def test_A8_no_file_of_a_test_set_is_trained_on(shared: Path) -> None:
    entries = inventory.listed(shared / "data")
    names = {entry.item.name for entry in entries}
    assert not any(name.startswith(("dreambooth/", "davis16/")) or "/aim_" in name for name in names)
    reserved = {hashlib.sha256(image.read()).digest() for image in inventory.reserved(shared / "data")}
    assert len(reserved) > 250
    assert (
        not {hashlib.sha256(e.image.read()).digest() for e in entries if e.item.split == "train"} & reserved
    )
    kept = {entry.item.photo for entry in entries if entry.item.split == "validation"}
    assert not {entry.item.photo for entry in entries if entry.item.split == "train"} & kept


@pytest.mark.shared
@pytest.mark.slow
def test_A8_no_photo_that_is_trained_on_looks_like_one_kept_for_tests_or_validation(shared: Path) -> None:
    entries = [e for e in inventory.listed(shared / "data") if e.item.domain == "photo"]
    prints = [inventory.fingerprint(inventory.pixels(e)[..., :3]) for e in entries]
    trained = [p for p, e in zip(prints, entries, strict=True) if e.item.split == "train"]
    held = [p for p, e in zip(prints, entries, strict=True) if e.item.split == "validation"]
    reserved = [photos.read(image.read()).pixels for image in inventory.reserved(shared / "data")]
    assert inventory.alike(trained, [*held, *map(inventory.fingerprint, reserved)]) == []
