"""Pages and frames of files that hold several pictures (trap 9)."""

from __future__ import annotations

import zlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mattelike import photos
from mattelike.errors import BrokenPhotoError, PhotoError, PhotoTooLargeError
from mattelike.values import Photo


def pictures(count: int, mode: str = "RGBA", size: tuple[int, int] = (14, 10)) -> list[Image.Image]:
    """Noise, each differing from the one before in a part only, as animations do."""
    rng = np.random.default_rng(count)
    pixels = rng.integers(0, 256, (size[1], size[0], 4), np.uint8)
    pixels[..., 3] = 255 * (pixels[..., 3] > 99)
    made = []
    for index in range(count):
        pixels = pixels.copy()
        pixels[index : index + 4, 2 : 6 + index] = (*rng.integers(0, 256, 3), 255)
        if index % 2:
            pixels[6:9, 3:12, 3] = 0
        made.append(Image.fromarray(pixels if mode == "RGBA" else pixels[..., :3]).convert(mode))
    return made


def file_of(frames: list[Image.Image], kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def straight(photo: Photo) -> np.ndarray:
    """RGBA, colours of what cannot be seen being 0."""
    alpha = photo.alpha if photo.alpha is not None else np.full(photo.pixels.shape[:2], 255, np.uint8)
    return np.dstack([np.where(alpha[..., None] > 0, photo.pixels, 0), alpha])


def as_shown(data: bytes, index: int) -> np.ndarray:
    """The same by Pillow."""
    image = Image.open(BytesIO(data))
    image.seek(index)
    pixels = np.asarray(image.convert("RGBA"))
    return np.where(pixels[..., 3:] > 0, pixels, 0)


@pytest.mark.parametrize("disposal", [0, 1, 2])
@pytest.mark.parametrize("blending", [0, 1])
def test_trap_09_frames_of_an_animated_png_are_as_pillow_shows_them(disposal: int, blending: int) -> None:
    data = file_of(pictures(4), "PNG", disposal=disposal, blend=blending, duration=50)
    assert photos.header(data).pages == 4
    for index in range(4):
        ours = straight(photos.read(data, frame=index))
        assert (ours == as_shown(data, index)).all(), index


def test_trap_09_half_transparent_frames_are_laid_over_one_another_straight() -> None:
    """Pillow writes such files, and shows them with their alpha multiplied once more."""
    below, above = Image.new("RGBA", (4, 4), (200, 0, 100, 128)), Image.new("RGBA", (4, 4), (0, 100, 40, 64))
    data = file_of([below, above], "PNG", disposal=0, blend=1, duration=50)
    photo = photos.read(data, frame=1)
    alpha = 64 / 255 + 128 / 255 * (1 - 64 / 255)
    colour = (64 * np.array([0, 100, 40]) + 128 * (1 - 64 / 255) * np.array([200, 0, 100])) / 255 / alpha
    assert photo.alpha is not None and photo.alpha[1, 1] == round(alpha * 255)
    assert np.abs(photo.pixels[1, 1] - colour).max() <= 0.5


@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_trap_09_frames_of_animated_pngs_of_other_kinds(mode: str) -> None:
    data = file_of(pictures(3, mode), "PNG", duration=50)
    for index in range(3):
        photo = photos.read(data, frame=index)
        assert (straight(photo) == as_shown(data, index)).all()
        assert photo.alpha is None and photo.gray == (mode == "L") and not photo.notes


@pytest.mark.parametrize(("kind", "options"), [("TIFF", {}), ("GIF", {}), ("WEBP", {"lossless": True})])
def test_trap_09_any_page_or_frame_can_be_asked_for(kind: str, options: dict[str, object]) -> None:
    data = file_of(pictures(3, "RGB"), kind, **options)
    assert photos.header(data).pages == 3
    for index in range(3):
        photo = photos.read(data, frame=index)
        assert (straight(photo) == as_shown(data, index)).all()
        assert not any("first of several" in note for note in photo.notes)


def test_trap_09_pages_of_a_tiff_may_differ_in_size() -> None:
    data = file_of([Image.new("RGB", (8, 6), "red"), Image.new("L", (5, 9), 77)], "TIFF")
    assert photos.read(data, frame=0).pixels.shape == (6, 8, 3)
    second = photos.read(data, frame=1)
    assert second.pixels.shape == (9, 5, 3) and second.gray and (second.pixels == 77).all()
    assert (photos.header(data, 1).width, photos.header(data, 1).height) == (5, 9)
    with pytest.raises(PhotoTooLargeError, match="5 x 9"):
        photos.read(data, frame=1, max_pixels=40)


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "WEBP", "PNG", "JPEG"])
def test_trap_09_a_frame_that_is_not_there_is_refused(kind: str) -> None:
    data = (
        file_of(pictures(2, "RGB"), kind)
        if kind != "JPEG"
        else photos.encode(np.zeros((3, 3, 3), "uint8"), ".jpg")
    )
    for frame in (2, 7):
        with pytest.raises(BrokenPhotoError):
            photos.read(data, frame=frame)


@given(st.data())
def test_trap_09_damaged_animated_pngs_are_refused_or_read(data: st.DataObject) -> None:
    whole = bytearray(file_of(pictures(3), "PNG", duration=50))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(8, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(9, len(whole)))
    for frame in (0, 2):
        try:
            photos.read(bytes(whole[:cut]), frame=frame, max_pixels=1 << 20)
        except PhotoError as error:
            assert "\n" not in str(error)


def test_trap_11_a_second_header_does_not_outgrow_the_limit() -> None:
    """What is held against the limit is the first; a canvas of the second would take 2.4 GB."""
    data = file_of(pictures(2, "RGB"), "PNG")
    header = bytearray(data[8:33])
    header[8:12] = (1 << 26).to_bytes(4, "big")
    header[21:25] = zlib.crc32(header[4:21]).to_bytes(4, "big")
    end = data.index(b"fdAT") - 4
    damaged = data[:end] + bytes(header) + data[end:]
    with pytest.raises(BrokenPhotoError, match="second header"):
        photos.read(damaged, frame=1)
