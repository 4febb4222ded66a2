"""What is written is what was meant, in every format."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mattelike import photos
from mattelike.errors import OutputError, UsageError
from mattelike.values import Photo

from .pictures import exif_with, file_of, opened, picture, ramp_16, wide_profile

LOSSLESS = [".png", ".tif", ".webp"]
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a/></x:xmpmeta>'


def soft_alpha(height: int = 24, width: int = 36) -> np.ndarray:
    """0 on the left, 1 on the right, everything between."""
    return np.clip(np.linspace(-0.2, 1.2, width, dtype=np.float32), 0, 1)[None].repeat(height, 0)


def source(**options: object) -> Photo:
    """A photo that says much about itself."""
    image = Image.fromarray(picture())
    data = file_of(
        image, "JPEG", exif=exif_with(1), icc_profile=wide_profile(), dpi=(300, 300), xmp=XMP, **options
    )
    return photos.read(data)


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("colour", [0, 255, 77])
def test_trap_53_over_any_colour_the_cutout_is_the_true_composite(suffix: str, colour: int) -> None:
    colours, alpha = picture(), soft_alpha()
    image = opened(photos.encode(colours, suffix, alpha=alpha)).convert("RGBA")
    rgba = np.asarray(image).astype(np.float64)
    shown = rgba[..., 3:] / 255 * rgba[..., :3] + (1 - rgba[..., 3:] / 255) * colour
    true = alpha[..., None].astype(np.float64) * colours + (1 - alpha[..., None].astype(np.float64)) * colour
    assert np.abs(shown - true).max() <= 1


def test_premultiplied_over_any_colour_is_the_true_composite() -> None:
    colours, alpha = picture().astype(np.float64), soft_alpha().astype(np.float64)[..., None]
    multiplied = np.floor(alpha * colours + 0.5).astype(np.uint8)
    rgba = np.asarray(opened(photos.encode(multiplied, alpha=soft_alpha(), premultiplied=True))).astype(float)
    shown = rgba[..., :3] + (1 - rgba[..., 3:] / 255) * 200
    assert np.abs(shown - (alpha * colours + (1 - alpha) * 200)).max() <= 1


@pytest.mark.parametrize("depth", [8, 16])
def test_trap_54_rounded_half_up_once_and_both_ends_are_reached(depth: int) -> None:
    top = 2**depth - 1
    levels = np.arange(0, top + 1, 1 if depth == 8 else 37)
    for shift in (-0.4, 0.0, 0.4):
        alpha = np.clip((levels + shift) / top, 0, 1).astype(np.float32)[None]
        read = photos.read(photos.encode(alpha=alpha, depth=depth)).pixels[0, :, 0]
        np.testing.assert_array_equal(read, levels)
    random = np.random.default_rng(1).random((64, 64), dtype=np.float32)
    read = photos.read(photos.encode(alpha=random, depth=depth)).pixels[..., 0]
    assert abs((read - random.astype(np.float64) * top).mean()) < 0.05
    ends = photos.read(photos.encode(alpha=np.float32([[0, 1]]), depth=depth)).pixels[0, :, 0]
    assert list(ends) == [0, top]


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_trap_55_colour_under_alpha_0_is_0_or_kept_by_option(suffix: str, dtype: type) -> None:
    pixels = np.full((4, 6, 3), 200, dtype) * (257 if dtype is np.uint16 else 1)
    alpha = np.zeros((4, 6), np.float32)
    alpha[:, 3:] = 0.5
    hidden = photos.read(photos.encode(pixels, suffix, alpha=alpha))
    assert (hidden.pixels[:, :3] == 0).all()
    assert (hidden.pixels[:, 3:] > 190).all()
    kept = photos.read(photos.encode(pixels, suffix, alpha=alpha, keep_hidden=True))
    assert (kept.pixels > 190).all()


def test_trap_06_sixteen_bits_of_colour_and_alpha() -> None:
    alpha = np.linspace(0.01, 1, 8 * 64, dtype=np.float32).reshape(8, 64)
    for suffix in (".png", ".tif"):
        photo = photos.read(photos.encode(ramp_16(), suffix, alpha=alpha))
        assert photo.alpha is not None and photo.alpha.dtype == np.uint16
        np.testing.assert_array_equal(photo.pixels, ramp_16())
        np.testing.assert_array_equal(photo.alpha, np.floor(alpha * np.float32(65535) + np.float32(0.5)))
    eight = photos.read(photos.encode(ramp_16(), ".webp", alpha=alpha))
    assert eight.depth == 8
    assert np.abs(eight.pixels - ramp_16() / 257).max() <= 0.5


def test_avif_keeps_twelve_bits_and_alpha() -> None:
    alpha = soft_alpha(8, 64)
    photo = photos.read(photos.encode(ramp_16(), ".avif", alpha=alpha, keep_hidden=True, quality=100))
    assert photo.depth == 16 and photo.alpha is not None
    assert np.abs(photo.pixels / 65535 - ramp_16() / 65535).mean() < 0.01
    assert np.abs(photo.alpha / 65535 - alpha).max() < 0.01


def test_trap_47_gray_in_gray_and_alpha_out() -> None:
    gray = picture()[..., :1].repeat(3, 2)
    for suffix in (".png", ".tif"):
        data = photos.encode(gray, suffix, alpha=np.ones((24, 36), np.float32), gray=True)
        assert opened(data).mode == "LA"
        np.testing.assert_array_equal(photos.read(data).pixels, gray)
    with pytest.raises(UsageError, match="equal channels"):
        photos.encode(picture(), alpha=soft_alpha(), gray=True)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1)])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".avif", ".jpg"])
def test_trap_43_tiny_pictures_are_written(size: tuple[int, int], suffix: str) -> None:
    pixels = np.full((*size, 3), 90, np.uint8)
    assert photos.read(photos.encode(pixels, suffix)).pixels.shape == (*size, 3)
    assert photos.read(photos.encode(alpha=np.ones(size, np.float32), suffix=suffix)).height == size[0]
    if suffix != ".jpg":
        half = np.full(size, 0.5, np.float32)
        assert photos.read(photos.encode(pixels, suffix, alpha=half)).alpha is not None


@pytest.mark.parametrize("suffix", [".png", ".webp", ".avif", ".jpg", ".tif"])
def test_trap_01_metadata_goes_along_and_the_orientation_is_1(suffix: str) -> None:
    photo = source()
    again = photos.read(photos.encode(photo.pixels, suffix, photo=photo))
    assert again.profile == wide_profile()
    assert again.metadata.xmp == XMP
    if suffix not in (".webp", ".avif"):
        assert again.metadata.dpi == pytest.approx((300, 300), abs=0.01)
    if suffix != ".tif":
        assert again.metadata.exif is not None
        exif = Image.Exif()
        exif.load(again.metadata.exif)
        assert exif[0x112] == 1
        assert exif[0x10F] == "Maker"
        assert exif.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
        assert exif.get_ifd(0x8825)[1] == "N"


def test_strip_leaves_only_the_profile() -> None:
    photo = source()
    again = photos.read(photos.encode(photo.pixels, photo=photo, strip=True, note="kept"))
    assert again.profile == wide_profile()
    assert (again.metadata.exif, again.metadata.xmp, again.metadata.dpi) == (None, None, None)


def test_no_metadata_is_made_up() -> None:
    info = opened(photos.encode(picture(), ".jpg")).info
    assert "exif" not in info and "icc_profile" not in info and "xmp" not in info


def test_an_alpha_takes_no_profile_of_colour() -> None:
    again = photos.read(photos.encode(alpha=soft_alpha(), photo=source()))
    assert again.profile is None and again.metadata.exif is not None and again.gray


def test_note_is_a_text_chunk() -> None:
    image = opened(photos.encode(picture(), note="model=embedded; name=Kätzchen"))
    assert image.text["mattelike"] == r"model=embedded; name=K\xe4tzchen"  # type: ignore[attr-defined]


def test_jpeg_has_no_alpha_and_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.png or \.webp, or choose a background"):
        photos.write_cutout(tmp_path / "x.jpg", picture(), soft_alpha())
    assert list(tmp_path.iterdir()) == []
    photos.write_rgb(tmp_path / "x.JPG", picture())
    assert np.abs(photos.read(tmp_path / "x.JPG").pixels.astype(int) - picture()).max() < 10


def test_lossy_webp_is_smaller() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert len(photos.encode(noise, ".webp", quality=50)) < len(photos.encode(noise, ".webp")) / 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"pixels": picture(), "suffix": ".bmp"}, "use .png"),
        ({"pixels": picture(), "suffix": ""}, "without suffix"),
        ({"pixels": picture()[..., :2]}, "uint8 or uint16"),
        ({"pixels": picture(), "alpha": soft_alpha(3, 3)}, "resize one"),
        ({"alpha": soft_alpha() * np.float32(1.5)}, "between 0 and 1"),
        ({"alpha": soft_alpha() * np.float32(np.nan)}, "between 0 and 1"),
        ({"alpha": soft_alpha(), "depth": 12}, "8 or 16"),
        ({"pixels": picture(), "quality": 0, "suffix": ".jpg"}, "1 to 100"),
        ({}, "needs pixels"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        photos.encode(**arguments)


def test_webp_has_a_longest_side() -> None:
    with pytest.raises(OutputError, match="16383"):
        photos.encode(np.zeros((1, 16384, 3), np.uint8), ".webp")


def test_open_files_are_written_to(tmp_path: Path) -> None:
    buffer = BytesIO()
    photos.write_cutout(buffer, picture(), soft_alpha())
    assert buffer.getvalue() == photos.encode(picture(), alpha=soft_alpha())
    photos.write_alpha(buffer := BytesIO(), soft_alpha(), suffix=".tif")
    assert buffer.getvalue()[:4] in (b"II*\0", b"MM\0*")
    with (tmp_path / "x.webp").open("wb") as file:
        photos.write_rgb(file, picture())
    assert photos.header(tmp_path / "x.webp").format == "webp"


def test_a_file_is_its_encoding(tmp_path: Path) -> None:
    photo = source()
    for suffix in (".png", ".webp"):
        path = tmp_path / f"x{suffix}"
        photos.write_cutout(path, picture(), soft_alpha(), photo=photo)
        assert path.read_bytes() == photos.encode(picture(), suffix, alpha=soft_alpha(), photo=photo)
