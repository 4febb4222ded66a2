"""What a file shows is what a `Photo` holds."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from mattelike import photos
from mattelike.errors import MissingExtraError, PhotoError, UnsupportedPhotoError
from mattelike.values import Photo

from .pictures import bomb, chunked, exif_with, file_of, lying, opened, picture, ramp_16, wide_profile

RGB = Image.fromarray(picture())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_trap_01_every_orientation_is_carried_out(kind: str, orientation: int) -> None:
    exact = {"lossless": True} if kind == "WEBP" else {}
    photo = photos.read(file_of(lying(RGB, orientation), kind, exif=exif_with(orientation), **exact))
    np.testing.assert_array_equal(photo.pixels, picture())


@pytest.mark.parametrize("orientation", [2, 5, 6])
def test_trap_01_the_tag_is_reset_and_the_rest_of_exif_stays(orientation: int, tmp_path: Path) -> None:
    data = file_of(lying(RGB, orientation), "JPEG", exif=exif_with(orientation), quality=95, subsampling=0)
    photo = photos.read(data)
    assert np.abs(photo.pixels.astype(int) - picture()).max() < 12
    assert photo.metadata.exif is not None
    exif = Image.Exif()
    exif.load(photo.metadata.exif)
    assert exif[0x112] == 1
    assert exif[0x10F] == "Maker"
    header = photos.header(data)
    assert (header.width, header.height) == (36, 24)


def test_trap_01_a_thumbnail_that_would_still_lie_is_dropped() -> None:
    block = bytearray(exif_with(6).tobytes())
    assert photos.read(file_of(RGB, "JPEG", exif=bytes(block))).metadata.exif is not None
    count = int.from_bytes(block[14:16], "big")
    end = 16 + 12 * count
    block[end : end + 4] = (8).to_bytes(4, "big")  # a second directory, where the thumbnail would be
    kept = photos.read(file_of(RGB, "JPEG", exif=bytes(block))).metadata.exif
    assert kept is not None
    assert kept[end : end + 4] == bytes(4)


def test_trap_02_cmyk_without_a_profile_is_converted_and_said() -> None:
    ink = np.zeros((8, 8, 4), np.uint8)
    ink[:, :4, 1:3] = 255  # magenta and yellow: red
    photo = photos.read(file_of(Image.fromarray(ink, "CMYK"), "TIFF"))
    assert photo.pixels.shape == (8, 8, 3)
    assert photo.pixels[0, 0, 0] > 180 > 90 > photo.pixels[0, 0, 2]
    assert photo.pixels[0, 7].min() > 245
    assert photo.profile is None
    assert "generic" in photo.notes[0]
    assert opened(photos.encode(photo.pixels, photo=photo)).mode == "RGB"


def test_trap_02_an_adobe_cmyk_jpeg_is_not_inverted() -> None:
    ink = np.zeros((16, 16, 4), np.uint8)
    photo = photos.read(file_of(Image.fromarray(ink, "CMYK"), "JPEG", quality=95))
    assert photo.pixels.min() > 240  # no ink is white


def test_trap_02_cmyk_goes_through_its_own_profile() -> None:
    import pyvips

    profile = bytes(pyvips.Operation.call("profile_load", "cmyk"))
    ink = np.full((8, 8, 4), [200, 30, 10, 0], np.uint8)
    image = Image.fromarray(ink, "CMYK")
    for photo in (
        photos.read(file_of(image, "TIFF", icc_profile=profile)),
        photos.read(file_of(image, "JPEG", icc_profile=profile, quality=100)),
    ):
        assert photo.notes == ()
        assert photo.profile is None
        assert photo.pixels[0, 0, 2] > photo.pixels[0, 0, 0]


def test_trap_03_palette_with_transparency_becomes_colour_and_alpha() -> None:
    image = RGB.quantize(16)
    photo = photos.read(file_of(image, "PNG", transparency=0))
    index = np.asarray(image)
    assert photo.alpha is not None
    np.testing.assert_array_equal(photo.alpha == 0, index == 0)
    expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(photo.pixels[index != 0], expected[index != 0])


@pytest.mark.parametrize(("mode", "key"), [("L", 7), ("RGB", (3, 0, 2))])
def test_trap_03_a_transparent_colour_becomes_alpha(mode: str, key: object) -> None:
    array = picture().copy()
    array[0, 0] = (3, 0, 2)
    image = Image.fromarray(array) if mode == "RGB" else Image.fromarray(np.full((4, 4), 7, np.uint8))
    photo = photos.read(file_of(image, "PNG", transparency=key))
    assert photo.alpha is not None
    assert photo.alpha[0, 0] == 0
    assert photo.gray == (mode == "L")


def test_trap_03_gif_with_transparency() -> None:
    frame = Image.new("P", (6, 4), 0)
    frame.putpalette([0, 0, 0, 250, 10, 20])
    frame.putpixel((2, 1), 1)
    photo = photos.read(file_of(frame, "GIF", transparency=0))
    assert photo.alpha is not None
    assert photo.alpha[1, 2] == 255
    assert photo.alpha[0, 0] == 0
    assert tuple(photo.pixels[1, 2]) == (250, 10, 20)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_trap_04_alpha_is_kept_beside_the_colours(kind: str) -> None:
    rgba = np.dstack([picture(), np.tile(np.arange(36, dtype=np.uint8) * 7, (24, 1))])
    exact = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    data = file_of(Image.fromarray(rgba), kind, **exact)
    photo = photos.read(data)
    assert photo.alpha is not None
    np.testing.assert_array_equal(photo.alpha, rgba[..., 3])
    np.testing.assert_array_equal(photo.pixels, rgba[..., :3])
    assert photos.read(data, ignore_alpha=True).alpha is None


def test_trap_05_gray_with_alpha() -> None:
    la = np.dstack([np.full((5, 6), 90, np.uint8), np.full((5, 6), 120, np.uint8)])
    photo = photos.read(file_of(Image.fromarray(la), "PNG"))
    assert photo.gray
    assert photo.alpha is not None
    assert photo.alpha.max() == 120
    assert (photo.pixels == 90).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_trap_05_one_bit_is_black_and_white(kind: str) -> None:
    bits = np.indices((9, 11)).sum(0) % 2 == 1
    photo = photos.read(file_of(Image.fromarray(bits), kind))
    np.testing.assert_array_equal(photo.pixels[..., 0], bits * 255)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_trap_05_dark_sixteen_bits_stay_dark(kind: str) -> None:
    dark = np.arange(100, dtype=np.uint16).reshape(10, 10)
    photo = photos.read(file_of(Image.fromarray(dark), kind))
    assert photo.depth == 16
    np.testing.assert_array_equal(photo.pixels[..., 1], dark)


def test_trap_05_float_tiff_by_its_declared_range() -> None:
    half = np.full((4, 4), 0.25, np.float32)
    photo = photos.read(file_of(Image.fromarray(half), "TIFF"))
    assert photo.pixels[0, 0, 0] == np.floor(0.25 * 65535 + 0.5)
    with pytest.raises(PhotoError, match="between 0 and 1, found 0 to 25"):
        photos.read(file_of(Image.fromarray(half * np.arange(4, dtype=np.float32) / 3 * 100), "TIFF"))


def test_trap_05_signed_integers_have_no_declared_white() -> None:
    image = Image.fromarray(np.arange(16, dtype=np.int32).reshape(4, 4))
    with pytest.raises(UnsupportedPhotoError, match="declared white"):
        photos.read(file_of(image, "TIFF"))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_trap_06_sixteen_bits_of_colour_stay(suffix: str) -> None:
    photo = photos.read(photos.encode(ramp_16(), suffix))
    assert photo.depth == 16
    np.testing.assert_array_equal(photo.pixels, ramp_16())


def pq_avif(transfer: int = 16) -> tuple[bytes, np.ndarray]:
    """A 10-bit AVIF, declared to be BT.2020 and PQ."""
    import pyvips

    gray = np.linspace(0, 1023, 64).round().astype(np.uint16) << 6
    array = np.ascontiguousarray(np.broadcast_to(gray[None, :, None], (16, 64, 3)))
    image = pyvips.Image.new_from_memory(array, 64, 16, 3, "ushort").copy(interpretation="rgb16")
    data = image.heifsave_buffer(compression="av1", bitdepth=10, lossless=True)
    at = data.find(b"colrnclx") + 8
    return data[:at] + bytes([0, 9, 0, transfer]) + data[at + 4 :], gray >> 6


@pytest.mark.parametrize("transfer", [16, 18])
def test_trap_07_hdr_is_kept_in_16_bits_and_tone_mapped_for_the_model_only(transfer: int) -> None:
    data, ten_bits = pq_avif(transfer)
    photo = photos.read(data)
    assert photo.depth == 16
    assert photo.pixels.max() == 65535  # white of 10 bits is white of 16
    np.testing.assert_allclose(photo.pixels[0, :, 1] / 65535, ten_bits / 1023, atol=3e-3)
    assert any("HDR" in note for note in photo.notes)
    seen = photos.to_srgb(photo)
    assert np.isfinite(seen).all() and seen.min() >= 0 and seen.max() <= 1
    assert (np.diff(seen[0, :, 1]) >= -1e-3).all()
    if transfer == 16:  # 203 candela per square metre is code 0.5807 and must look like paper white
        code = np.abs(photo.pixels[0, :, 1] / 65535 - 0.5807).argmin()
        assert 0.9 < seen[0, code, 1] < 1


def test_trap_07_hdr_is_written_as_png_only_and_read_back_as_hdr() -> None:
    photo = photos.read(pq_avif()[0])
    again = photos.read(photos.encode(photo.pixels, photo=photo))
    assert again.metadata.cicp == (9, 16, 0, 1)
    np.testing.assert_array_equal(photos.to_srgb(again), photos.to_srgb(photo))
    with pytest.raises(ValueError, match="HDR"):
        photos.encode(photo.pixels, ".tif", photo=photo)


def test_trap_08_a_wide_profile_is_kept_and_the_model_sees_srgb() -> None:
    green = np.zeros((8, 8, 3), np.uint8)
    green[..., 1] = 255
    photo = photos.read(file_of(Image.fromarray(green), "PNG", icc_profile=wide_profile()))
    assert photo.profile == wide_profile()
    np.testing.assert_array_equal(photo.pixels, green)
    seen = photos.to_srgb(photo, (4, 4))
    np.testing.assert_allclose(seen[0, 0], [1, 0, 0], atol=0.02)
    assert opened(photos.encode(photo.pixels, photo=photo)).info["icc_profile"] == wide_profile()


def test_trap_08_a_damaged_profile_is_ignored_and_said() -> None:
    photo = photos.read(file_of(RGB, "PNG", icc_profile=b"not a profile" * 20))
    assert photo.profile is None
    broken = wide_profile()[:140] + bytes(400)
    photo = photos.read(file_of(RGB, "JPEG", icc_profile=broken))
    assert photo.profile is None
    assert "ignored" in photo.notes[0]


def test_trap_08_gray_with_an_rgb_profile_is_gray_in_srgb() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    gray = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    photo = photos.read(file_of(gray, "JPEG", icc_profile=srgb, quality=100))
    assert photo.gray and photo.profile is None
    assert np.abs(photo.pixels[..., 0].astype(int) - np.asarray(gray)).max() <= 3


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "WEBP", "PNG"])
def test_trap_09_first_page_and_a_note(kind: str) -> None:
    first, second = Image.new("RGB", (8, 6), (200, 10, 10)), Image.new("RGB", (8, 6), (10, 10, 200))
    options = {"lossless": True} if kind == "WEBP" else {}
    data = file_of(first, kind, save_all=True, append_images=[second], **options)
    photo = photos.read(data)
    assert photo.pixels.shape == (6, 8, 3)
    assert photo.pixels[0, 0, 0] > 190
    assert "first of several" in photo.notes[0]
    assert photos.header(data).pages == 2


@pytest.mark.parametrize(
    ("name", "kind", "found"), [("x.jpg", "PNG", "png"), ("x.png", "JPEG", "jpeg"), ("x", "WEBP", "webp")]
)
def test_trap_13_content_counts_and_not_the_suffix(tmp_path: Path, name: str, kind: str, found: str) -> None:
    path = tmp_path / name
    path.write_bytes(file_of(RGB, kind))
    photo = photos.read(path)
    assert photo.metadata.format == found == photos.header(path).format
    assert photo.name == str(path)


@pytest.mark.parametrize(
    "name",
    [
        "with space.png",
        "new\nline.png",
        "🐈.png",
        "-v.png",
        "a[page=2].png",
        "x" * 251 + ".png",
        b"\xff\xfe.png",
    ],
)
def test_trap_14_any_name_is_read_and_written(tmp_path: Path, name: str | bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    photos.write_rgb(path, picture())
    photo = photos.read(str(path))
    np.testing.assert_array_equal(photo.pixels, picture())
    assert photos.header(path).width == 36
    path.write_bytes(b"")
    with pytest.raises(PhotoError) as caught:
        photos.read(path)
    assert "\n" not in str(caught.value) and str(caught.value).isprintable()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (3, 3)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_trap_43_tiny_pictures(size: tuple[int, int], kind: str) -> None:
    photo = photos.read(file_of(Image.new("RGB", size[::-1], (9, 200, 30)), kind))
    assert (photo.height, photo.width) == size
    for wanted in ((1, 1), (7, 5)):
        assert photos.to_srgb(photo, wanted).shape == (*wanted, 3)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_trap_47_gray_black_and_white(value: int) -> None:
    photo = photos.read(file_of(Image.new("L", (7, 5), value), "PNG"))
    assert photo.gray
    np.testing.assert_allclose(photos.to_srgb(photo, (3, 4)), value / 255, atol=1e-6)


def test_trap_48_tiff_that_declares_premultiplied_colours_is_made_straight_once() -> None:
    alpha = np.full((4, 4), 0.5, np.float32)
    data = photos.encode(np.full((4, 4, 3), 100, np.uint8), ".tif", alpha=alpha, premultiplied=True)
    assert opened(data).tag_v2[338] == (1,)  # type: ignore[attr-defined]
    photo = photos.read(data)
    assert photo.alpha is not None
    assert np.abs(photo.pixels.astype(int) - 199).max() <= 1


# --- from memory -------------------------------------------------------------------------------------


def test_a_photo_is_returned_as_it_is() -> None:
    photo = photos.read(picture())
    assert photos.read(photo) is photo


def test_arrays_of_every_kind() -> None:
    rgb = picture()
    assert photos.read(rgb).pixels.base is rgb or np.shares_memory(photos.read(rgb).pixels, rgb)
    gray = photos.read(rgb[..., 0])
    assert gray.gray and gray.pixels.shape == (24, 36, 3)
    assert photos.read(rgb[..., :1]).gray
    with_alpha = photos.read(rgb[..., :2])
    assert with_alpha.gray and with_alpha.alpha is not None
    rgba = photos.read(np.dstack([rgb, rgb[..., 0]]))
    assert rgba.alpha is not None and rgba.pixels.flags["C_CONTIGUOUS"]
    assert photos.read(rgb[..., 0] > 100).pixels.max() == 255
    assert photos.read(ramp_16().astype(">u2")).pixels.dtype == np.uint16
    np.testing.assert_array_equal(photos.read(rgb[::-1]).pixels, rgb[::-1])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_become_sixteen_bits(dtype: type) -> None:
    photo = photos.read((picture() / 255).astype(dtype))
    assert photo.depth == 16
    np.testing.assert_allclose(photo.pixels / 257, picture(), atol=0.2 if dtype is np.float16 else 0)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((4, 4, 5), np.uint8), "1 to 4"),
        (np.zeros(4, np.uint8), "1 to 4"),
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
        (np.zeros((4, 4), np.int64), "uint8, uint16"),
        (np.full((4, 4), 2.0), "between 0 and 1"),
        (np.full((4, 4), np.nan), "between 0 and 1"),
    ],
)
def test_trap_05_arrays_without_a_declared_range_are_refused(array: np.ndarray, words: str) -> None:
    with pytest.raises(PhotoError, match=words):
        photos.read(array)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "RGBa", "YCbCr", "I;16"])
def test_pillow_images_of_every_mode(mode: str) -> None:
    image = Image.fromarray(ramp_16()[..., 0]) if mode == "I;16" else RGB.convert("RGBA").convert(mode)
    photo = photos.read(image)
    assert (photo.height, photo.width) == (image.height, image.width)
    assert (photo.alpha is not None) == (mode in ("LA", "RGBA", "RGBa"))
    assert photo.depth == (16 if mode == "I;16" else 8)
    assert photo.gray == (mode in ("1", "L", "LA", "I;16"))


def test_pillow_and_file_are_the_same_photo() -> None:
    data = file_of(lying(RGB, 6), "JPEG", exif=exif_with(6), icc_profile=wide_profile(), dpi=(300, 300))
    ours, theirs = photos.read(data), photos.read(Image.open(BytesIO(data)))
    assert np.abs(ours.pixels.astype(int) - theirs.pixels).max() <= 4  # two JPEG decoders
    assert ours.profile == theirs.profile == wide_profile()
    assert ours.metadata.dpi == theirs.metadata.dpi == (300, 300)
    assert theirs.metadata.exif is not None and theirs.metadata.format == "jpeg"


def test_trap_05_pillow_modes_i_and_f() -> None:
    assert photos.read(Image.fromarray(np.full((3, 3), 500, np.int32))).pixels.max() == 500
    with pytest.raises(PhotoError, match="0 to 65535"):
        photos.read(Image.fromarray(np.full((3, 3), 70000, np.int32)))
    with pytest.raises(PhotoError, match="between 0 and 1"):
        photos.read(Image.fromarray(np.full((3, 3), 200, np.float32)))


def test_bytes_take_the_name_given() -> None:
    assert photos.read(file_of(RGB, "PNG"), name="standard input").name == "standard input"
    with pytest.raises(PhotoError, match="standard input: text"):
        photos.read(b"hello", name="standard input")
    with pytest.raises(PhotoError, match="not int"):
        photos.read(3)


def test_trap_11_the_limit_comes_before_the_pixels() -> None:
    with pytest.raises(ValueError, match="40000 x 40000"):
        photos.read(bomb())
    with pytest.raises(ValueError, match="limit of 100"):
        photos.read(Image.new("RGB", (20, 20)), max_pixels=100)


# --- HEIC --------------------------------------------------------------------------------------------


def heic(**options: object) -> bytes:
    """A HEIC file, where the extra can write one."""
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = BytesIO()
    pillow_heif.from_pillow(RGB.resize((64, 48))).save(buffer, quality=95, **options)
    return buffer.getvalue()


def test_trap_07_heic_through_its_extra(tmp_path: Path) -> None:
    path = tmp_path / "x.heic"
    path.write_bytes(heic(exif=exif_with(1).tobytes()))
    photo = photos.read(path)
    assert (photo.height, photo.width) == (48, 64)
    assert photo.metadata.format == "heic"
    assert photo.metadata.exif is not None
    assert np.abs(photo.pixels.astype(int) - np.asarray(RGB.resize((64, 48)))).mean() < 6
    header = photos.header(path)
    assert (header.width, header.height) == (64, 48)
    with pytest.raises(PhotoError, match="damaged"):
        photos.read(path.read_bytes()[:400])


def test_trap_07_heic_without_its_extra_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    start = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
    with pytest.raises(MissingExtraError, match=r"pip install 'mattelike\[heic\]'"):
        photos.read(start)


def test_a_photo_with_no_resolution_has_none() -> None:
    for kind in ("JPEG", "PNG", "TIFF", "WEBP"):
        photo: Photo = photos.read(file_of(RGB, kind))
        assert photo.metadata.dpi is None, kind


def test_trap_09_apng_chunk_alone_is_enough() -> None:
    plain = file_of(RGB, "PNG")
    animated = plain[:33] + chunked(b"acTL", (2).to_bytes(4, "big") + bytes(4)) + plain[33:]
    assert photos.header(animated).pages == 2
    assert photos.header(plain).pages == 1
