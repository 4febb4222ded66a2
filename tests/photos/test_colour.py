"""What a model sees, and what lies behind a cut-out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mattelike import photos
from mattelike.errors import SettingsError, UsageError
from mattelike.values import Photo
from tests.memory import PEAK_BYTES

from .pictures import file_of, picture, ramp_16, wide_profile


def test_own_size_is_exact() -> None:
    photo = photos.read(picture())
    np.testing.assert_array_equal(photos.to_srgb(photo), picture() / np.float32(255))
    np.testing.assert_array_equal(photos.to_srgb(photos.read(ramp_16())), ramp_16() / np.float32(65535))


@pytest.mark.parametrize("size", [(10, 13), (24, 20), (48, 72), (10, 72), (48, 13), (1, 1)])
def test_file_and_array_look_the_same_bit_for_bit_with_any_number_of_threads(size: tuple[int, int]) -> None:
    array, file = photos.read(picture()), photos.read(file_of(Image.fromarray(picture()), "PNG"))
    seen = photos.to_srgb(array, size)
    assert seen.shape == (*size, 3) and seen.dtype == np.float32
    np.testing.assert_array_equal(seen, photos.to_srgb(file, size))
    import pyvips

    before = pyvips.concurrency_get()
    photos.set_threads(1)
    np.testing.assert_array_equal(seen, photos.to_srgb(array, size))
    photos.set_threads(before)


@pytest.mark.parametrize("size", [(30, 77), (7, 200), (64, 64), (150, 1000)])
def test_pixels_stay_where_they_are(size: tuple[int, int]) -> None:
    """A ramp over the whole picture is the same ramp at any size (``align_corners=False``)."""
    ramp = np.broadcast_to((np.arange(300) + 0.5) / 300, (100, 300))
    photo = photos.read(ramp)
    seen = photos.to_srgb(photo, size)[..., 0]
    inner = slice(size[1] // 10 + 3, -size[1] // 10 - 3)
    expected = (np.arange(size[1]) + 0.5) / size[1]
    assert np.abs(seen - expected)[:, inner].max() < 0.1 / size[1]


@pytest.mark.parametrize("size", [(24, 24), (33, 40), (500, 500)])
def test_constants_stay_constant(size: tuple[int, int]) -> None:
    photo = photos.read(np.full((100, 200, 3), 137, np.uint8))
    np.testing.assert_allclose(photos.to_srgb(photo, size), np.float32(137) / np.float32(255), atol=1e-7)


def test_shrinking_does_not_alias() -> None:
    checks = (np.indices((512, 512)).sum(0) % 2 * 255).astype(np.uint8)
    stripes = np.tile((np.arange(512) % 3 == 0) * np.uint8(255), (512, 1))
    for fine, mean in ((checks, 0.5), (stripes, 1 / 3)):
        seen = photos.to_srgb(photos.read(fine), (60, 61))
        assert np.abs(seen - mean).max() < 0.05


def test_alpha_plays_no_part() -> None:
    rgba = np.dstack([picture(), np.zeros((24, 36), np.uint8)])
    np.testing.assert_array_equal(
        photos.to_srgb(photos.read(rgba), (9, 9)), photos.to_srgb(photos.read(picture()), (9, 9))
    )


def test_sizes_below_one_are_refused() -> None:
    with pytest.raises(SettingsError, match="at least 1 x 1"):
        photos.to_srgb(photos.read(picture()), (0, 4))


# --- straight colours --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_trap_48_premultiplied_colours_are_divided_once(dtype: type) -> None:
    top = np.iinfo(dtype).max
    random = np.random.default_rng(4)
    colours = random.integers(0, top + 1, (40, 50, 3)).astype(np.float64)
    alpha = random.integers(0, top + 1, (40, 50))
    alpha[:5], alpha[-5:] = 0, top
    stored = np.floor(colours * (alpha / top)[..., None] + 0.5).astype(dtype)
    straight = photos.unpremultiply(Photo(stored, alpha.astype(dtype)))
    known = alpha > 0
    error = np.abs(straight.pixels[known] - colours[known]) * (alpha[known] / top)[:, None]
    assert error.max() <= 1
    assert (straight.pixels[~known] == 0).all()
    np.testing.assert_array_equal(straight.pixels[-5:], stored[-5:])
    with pytest.raises(UsageError, match="no alpha"):
        photos.unpremultiply(photos.read(picture()))


# --- backgrounds -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(24, 36), (48, 72), (12, 18), (100, 36), (24, 400), (1, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_background_covers_the_photo(size: tuple[int, int], dtype: type) -> None:
    photo = Photo(np.zeros((*size, 3), dtype))
    behind = photos.covering(photos.read(picture()), photo)
    assert behind.shape == photo.pixels.shape and behind.dtype == dtype
    if size == (24, 36):
        np.testing.assert_array_equal(behind, picture().astype(dtype) * (257 if dtype is np.uint16 else 1))


def test_a_background_is_cut_in_the_middle_and_keeps_its_proportions() -> None:
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 255
    behind = photos.covering(photos.read(wide), Photo(np.zeros((40, 40, 3), np.uint8)))
    assert behind[:, 2:-2].min() == 255


def test_trap_08_a_background_takes_the_colour_space_of_the_photo() -> None:
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255
    behind = photos.covering(photos.read(red), Photo(np.zeros((8, 8, 3), np.uint8), profile=wide_profile()))
    np.testing.assert_allclose(behind[0, 0], [0, 255, 0], atol=4)  # its red is called green there
    back = photos.covering(Photo(behind, profile=wide_profile()), Photo(np.zeros((4, 4, 3), np.uint8)))
    np.testing.assert_allclose(back[0, 0], [255, 0, 0], atol=4)


# --- memory ------------------------------------------------------------------------------------------

FULL_SIZE = f"""
import sys
import numpy as np
from mattelike import photos
{PEAK_BYTES}
base = peak_bytes()
photo = photos.read(sys.argv[1])
photos.to_srgb(photo, (576, 768))
alpha = np.zeros((photo.height, photo.width), np.float32)
alpha[:, 1000:3000] = 0.7
photos.write_cutout(sys.argv[2], photo.pixels, alpha, photo=photo)
print((peak_bytes() - base) / (photo.width * photo.height))
"""


def test_trap_45_twelve_megapixels_need_few_bytes_a_pixel(tmp_path: Path) -> None:
    rows, columns = np.mgrid[0:3000, 0:4000].astype(np.uint16)
    array = np.dstack([rows // 12, columns // 16, (rows ^ columns) >> 4]).astype(np.uint8)
    photos.write_rgb(tmp_path / "big.jpg", array)
    done = subprocess.run(
        [sys.executable, "-c", FULL_SIZE, str(tmp_path / "big.jpg"), str(tmp_path / "out.png")],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    # The photo 3, alpha 4, its levels 1, and a few MB of strips.
    assert float(done.stdout) < 14
