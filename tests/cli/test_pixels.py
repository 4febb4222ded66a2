"""What photos are, from the file to the results, through the whole command line."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mattelike import photos, predictor
from tests.batch.rooms import picture, red_mask, write
from tests.cli.conftest import Call
from tests.photos.pictures import exif_with, file_of, lying, opened, wide_profile

LIKE = ("--like", "like.png", "--mask", "mask.png")


def middle() -> str:
    """A click on the thing of the reference, in pixels as it is shown."""
    rows, columns = np.nonzero(red_mask(picture(99)))
    return f"{int(columns.mean())},{int(rows.mean())}"


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_trap_01_marks_on_a_turned_reference_are_where_one_sees_them(
    room: Path, call: Call, orientation: int
) -> None:
    image = Image.fromarray(picture(99))
    turned = file_of(lying(image, orientation), "PNG", exif=exif_with(orientation))
    (room / "turned.png").write_bytes(turned)
    for name in ("like", "turned"):
        done = call("matte", "photos/1.png", "--like", f"{name}.png", "--point", middle(), "-o", f"by-{name}")
        assert done.exit_code == 0, done.stderr
    assert (room / "by-turned/1.matte.png").read_bytes() == (room / "by-like/1.matte.png").read_bytes()


@pytest.mark.parametrize("orientation", [1, 6])
def test_trap_01_06_08_turned_photos_keep_profile_and_exif(room: Path, call: Call, orientation: int) -> None:
    image = lying(Image.fromarray(picture(1)), orientation)
    data = file_of(image, "PNG", exif=exif_with(orientation), icc_profile=wide_profile())
    (room / "p.png").write_bytes(data)
    done = call("matte", "p.png", *LIKE, "--keep-absent", "-o", "out")
    assert done.exit_code == 0, done.stderr
    cutout = opened((room / "out/p.png").read_bytes())
    assert cutout.size == (96, 64) and cutout.info["icc_profile"] == wide_profile()
    assert cutout.getexif()[0x112] == 1 and cutout.getexif()[0x10F] == "Maker"
    assert photos.header("out/p.matte.png").width == 96


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_trap_06_sixteen_bits_in_are_sixteen_bits_out(room: Path, call: Call, suffix: str) -> None:
    deep = picture(1).astype(np.uint16) * 256 + 77
    (room / f"deep{suffix}").write_bytes(photos.encode(deep, suffix))
    done = call(
        "matte", f"deep{suffix}", *LIKE, "--format", "png" if suffix == ".png" else "tiff", "-o", "out"
    )
    assert done.exit_code == 0, done.stderr
    (path,) = [each for each in (room / "out").glob("deep.*") if "matte" not in each.name]
    cutout, matte = photos.read(path), photos.read(room / f"out/deep.matte{path.suffix}")
    assert cutout.alpha is not None and cutout.alpha.dtype == cutout.pixels.dtype == np.uint16
    solid = cutout.alpha == 65535
    assert solid.any() and np.array_equal(cutout.pixels[solid], deep[solid])
    assert matte.depth == 16 and np.array_equal(matte.pixels[..., 0], cutout.alpha)


def test_trap_04_ignore_alpha_takes_the_colours_only(room: Path, call: Call) -> None:
    photos.write_cutout("half.png", picture(1), np.full((64, 96), 0.5, np.float32))
    levels = []
    for flags in ((), ("--ignore-alpha",)):
        assert call("matte", "half.png", *LIKE, *flags, "-o", "out").exit_code == 0
        levels.append(int(photos.read("out/half.matte.png").pixels.max()))
    assert levels == [128, 255]


def test_trap_07_heic_without_its_extra_is_a_failed_photo(
    room: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    shutil.copy(Path(__file__).parents[1] / "corpus/rgb.heic", room / "photos/x.heic")
    done = call("matte", "photos", *LIKE, "-o", "out")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("failed:")]
    assert done.exit_code == 1 and "photos/x.heic" in line and "mattelike[heic]" in line
    assert "4 present" in done.stderr


def test_trap_10_a_truncated_photo_is_taken_if_allowed_and_marked(room: Path, call: Call) -> None:
    whole = photos.encode(picture(1, size=(256, 256)), ".jpg")
    (room / "photos/cut.jpg").write_bytes(whole[: len(whole) * 2 // 3])
    assert call("matte", "photos", *LIKE, "-o", "out").exit_code == 1
    done = call("matte", "photos", *LIKE, "--allow-truncated", "-o", "out")
    assert done.exit_code == 0, done.stderr
    assert photos.header("out/cut.matte.png").width == 256
    records = [json.loads(line) for line in (room / "out/report.jsonl").read_text().splitlines()]
    (record,) = [each for each in records if each["source"].endswith("cut.jpg")]
    assert any("missing parts are filled" in note for note in record["notes"])
    assert "missing parts are filled" in (room / "out/index.html").read_text(encoding="utf-8")


def test_trap_14_after_two_dashes_nothing_is_an_option(room: Path, call: Call) -> None:
    write(room / "-rf.png", 1)
    done = call("matte", *LIKE, "-o", "out", "--", "-rf.png")
    assert done.exit_code == 0, done.stderr
    assert (room / "out/-rf.png").is_file()


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions as Unix has them")
@pytest.mark.parametrize("output", ["like.png/out", "like.png/out/one.png", "/proc/none/out"])
def test_trap_18_where_nothing_can_be_written_no_model_is_loaded(
    room: Path, call: Call, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    monkeypatch.setattr(predictor, "load", lambda *a, **b: pytest.fail("the model was loaded"))
    done = call("matte", "photos/0.png", *LIKE, "-o", output)
    assert done.exit_code == 2 and done.stderr.count("\n") == 1, done.stderr


def test_trap_44_a_thing_in_a_panorama_of_20_to_1_is_found_where_it_is(room: Path, call: Call) -> None:
    wide = picture(0, things=0, size=(64, 1280))
    wide[20:44, 1000:1024] = picture(99)[red_mask(picture(99))].mean(axis=0)
    photos.write_rgb("wide.png", wide)
    done = call("matte", "wide.png", *LIKE, "--keep-absent", "-o", "out")
    assert done.exit_code == 0, done.stderr
    rows, columns = np.nonzero(photos.read("out/wide.matte.png").pixels[..., 0] > 127)
    assert photos.header("out/wide.png").width == 1280
    assert abs(columns.mean() - 1011.5) < 4 and abs(rows.mean() - 31.5) < 4
    assert 200 < len(rows) < 1200
