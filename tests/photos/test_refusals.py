"""What is no photo is refused in one line, at once, whatever it is."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mattelike import photos
from mattelike.errors import (
    BrokenPhotoError,
    PhotoError,
    PhotoTooLargeError,
    SettingsError,
    UnsupportedPhotoError,
)

from .pictures import bomb, file_of, picture

NOISE = Image.fromarray(np.random.default_rng(5).integers(0, 256, (64, 64, 3), np.uint8))


def refused(source: object, error: type[Exception], words: str, **options: object) -> str:
    """One printable line that says `words`."""
    with pytest.raises(error, match=words) as caught:
        photos.read(source, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message and message.isprintable()
    return message


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "GIF", "AVIF"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_trap_10_truncated_files_fail(tmp_path: Path, kind: str, share: float) -> None:
    data = file_of(NOISE, kind)
    path = tmp_path / "cut.img"
    path.write_bytes(data[: int(len(data) * share)])
    assert str(path) in refused(path, BrokenPhotoError, "damaged or cut short")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "GIF"])
def test_trap_10_truncated_files_are_taken_if_allowed_and_say_so(kind: str) -> None:
    data = file_of(NOISE.resize((256, 256), Image.Resampling.NEAREST), kind)
    whole = photos.read(data, allow_truncated=True)
    assert whole.notes == ()
    photo = photos.read(data[: int(len(data) * 0.6)], allow_truncated=True)
    assert photo.pixels.shape == whole.pixels.shape
    np.testing.assert_array_equal(photo.pixels[0], whole.pixels[0])
    assert any("missing parts are filled" in note for note in photo.notes)


def test_trap_10_nothing_to_be_saved_fails_even_if_allowed() -> None:
    refused(file_of(NOISE, "WEBP")[:500], BrokenPhotoError, "damaged", allow_truncated=True)
    refused(file_of(NOISE, "JPEG")[:20], BrokenPhotoError, "damaged", allow_truncated=True)


def test_trap_10_flipped_bytes_in_a_png_fail() -> None:
    data = bytearray(file_of(NOISE, "PNG"))
    data[len(data) // 2] ^= 0xFF
    refused(bytes(data), BrokenPhotoError, "damaged")


def test_trap_11_a_bomb_is_refused_from_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    refused(bomb(), PhotoTooLargeError, "40000 x 40000 pixels are more than the limit of 300000000")
    small = file_of(Image.new("L", (30, 30)), "PNG")
    refused(small, PhotoTooLargeError, "limit of 899", max_pixels=899)
    assert photos.read(small, max_pixels=900).width == 30
    monkeypatch.setenv("MATTELIKE_MAX_PIXELS", "100")
    refused(small, PhotoTooLargeError, "limit of 100")
    assert photos.read(small, max_pixels=900).width == 30
    assert photos.header(bomb()).width == 40000


@pytest.mark.parametrize("value", ["many", "-1", "0", "1e9"])
def test_trap_11_a_limit_must_make_sense(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("MATTELIKE_MAX_PIXELS", value)
    with pytest.raises(SettingsError, match="MATTELIKE_MAX_PIXELS"):
        photos.read(b"\x89PNG")
    with pytest.raises(SettingsError, match="max_pixels"):
        photos.read(b"\x89PNG", max_pixels=0)


def test_trap_12_empty_missing_folder_and_text(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    refused(tmp_path / "empty.jpg", BrokenPhotoError, "empty.jpg: the file is empty")
    (tmp_path / "x.jpg").mkdir()
    refused(tmp_path / "x.jpg", PhotoError, "x.jpg: a folder")
    (tmp_path / "text.png").write_text("I am no picture.\n")
    refused(tmp_path / "text.png", UnsupportedPhotoError, "text.png: text, not a picture")
    refused(tmp_path / "none.png", PhotoError, "no such file")
    refused(tmp_path / "text.png" / "x", PhotoError, "no such file")
    refused("a\0b", PhotoError, "zero byte")
    refused(b"", BrokenPhotoError, "empty")
    refused(bytes(3000), UnsupportedPhotoError, "zero bytes")


def test_trap_17_special_files_never_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    refused(tmp_path / "pipe.png", PhotoError, "a pipe")
    (tmp_path / "link.png").symlink_to(tmp_path / "pipe.png")
    refused(tmp_path / "link.png", PhotoError, "a pipe")
    (tmp_path / "round.png").symlink_to(tmp_path / "round.png")
    refused(tmp_path / "round.png", PhotoError, "circles")
    refused("/dev/zero", PhotoError, "a device")
    with pytest.raises(PhotoError, match="a pipe"):
        photos.header(tmp_path / "pipe.png")


def test_trap_17_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s.png")
        refused("s.png", PhotoError, "a socket")


def tiff_with(tags: dict[int, int]) -> bytes:
    """A TIFF of one directory with these tags and no pixels."""
    entries = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in sorted(tags.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + bytes(200)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(100), "raw"),
        (tiff_with({256: 4, 50706: 1}), "raw"),
        (tiff_with({256: 4, 262: 32803}), "raw"),
        (tiff_with({256: 4, 259: 34713}), "raw"),
        (tiff_with({254: 1, 330: 8}), "raw"),
        (b"FUJIFILMCCD-RAW 0201", "RAF"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "CR3"),
        (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"%PDF-1.7\n", "PDF"),
        (b"BM\x8a\0\0\0", "BMP"),
        (b"8BPS\0\1", "Photoshop"),
        (b"P6\n3 2\n255\n", "Netpbm"),
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
        (b"v/1\x01\2\0\0\0", "EXR"),
        (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41", "film"),
        (b"\x1aE\xdf\xa3", "film"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\x07\x08\x09nothing known", "known format"),
    ],
)
def test_trap_22_other_formats_are_named_with_what_to_do(tmp_path: Path, data: bytes, words: str) -> None:
    refused(data, UnsupportedPhotoError, words)
    (tmp_path / "x.bin").write_bytes(data)
    with pytest.raises(UnsupportedPhotoError, match=words):
        photos.header(tmp_path / "x.bin")


def test_trap_22_raw_by_its_name_when_its_tags_do_not_tell(tmp_path: Path) -> None:
    (tmp_path / "x.NEF").write_bytes(file_of(NOISE, "TIFF"))
    refused(tmp_path / "x.NEF", UnsupportedPhotoError, "develop")


def test_no_file_stays_open_and_nothing_is_cached(tmp_path: Path) -> None:
    import pyvips

    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "AVIF"):
        path = tmp_path / f"x.{kind.lower()}"
        path.write_bytes(file_of(NOISE, kind))
        before = photos.read(path).pixels
        assert path not in open_files()
        path.write_bytes(file_of(Image.new("RGB", (64, 64)), kind))
        assert photos.read(path).pixels.max() < before.max()
    assert pyvips.cache_get_size() == 0


def open_files() -> set[Path]:
    """What this process holds open."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that lists the folder
            found.add(descriptor.readlink())
    return found


def test_threads_must_be_at_least_one() -> None:
    import pyvips

    before = pyvips.concurrency_get()
    photos.set_threads(1)
    assert pyvips.concurrency_get() == 1
    photos.set_threads(before)
    with pytest.raises(SettingsError, match="1 or more"):
        photos.set_threads(0)


def test_random_bytes_never_escape_the_tree_of_errors() -> None:
    random = np.random.default_rng(3)
    starts = [
        file_of(Image.fromarray(picture()), kind) for kind in ("PNG", "JPEG", "TIFF", "GIF", "WEBP", "AVIF")
    ]
    for start in starts:
        for _ in range(15):
            data = bytearray(start)
            for place in random.integers(4, len(data), 8):
                data[place] = random.integers(0, 256)
            try:
                photos.read(bytes(data), allow_truncated=bool(random.integers(0, 2)))
            except PhotoError as error:
                assert str(error).isprintable()
