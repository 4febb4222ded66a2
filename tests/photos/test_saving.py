"""A file is whole, or it is not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mattelike import photos
from mattelike.errors import OutputError

from .pictures import picture

NOISE = np.random.default_rng(2).integers(0, 256, (200, 300, 3), np.uint8)


def fails(path: Path | str, words: str, pixels: np.ndarray = NOISE) -> None:
    """Writing raises one line that says `words`."""
    with pytest.raises(OutputError, match=words) as caught:
        photos.write_rgb(path, pixels)
    assert str(caught.value).isprintable()


def test_no_temporary_file_stays(tmp_path: Path) -> None:
    photos.write_rgb(tmp_path / "x.png", NOISE)
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.png"]


def test_an_old_file_is_replaced_and_the_umask_is_respected(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(b"old")
    before = os.umask(0o027)
    try:
        photos.write_rgb(path, picture())
    finally:
        os.umask(before)
    np.testing.assert_array_equal(photos.read(path).pixels, picture())
    assert path.stat().st_mode & 0o777 == 0o640


def test_trap_18_a_missing_folder(tmp_path: Path) -> None:
    fails(tmp_path / "none" / "x.png", "the folder does not exist")
    (tmp_path / "file").touch()
    fails(tmp_path / "file" / "x.png", "a file, not a folder")
    (tmp_path / "x.png").mkdir()
    fails(tmp_path / "x.png", "is a folder")
    fails(tmp_path / "a\0b.png", "zero byte")
    fails(tmp_path / ("y" * 300 + ".png"), "too long")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_trap_18_a_folder_that_must_not_be_written_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    fails(tmp_path / "x.png", "not allowed")


CROWDED = """
import resource, sys
from pathlib import Path
import numpy as np
from mattelike import photos
from mattelike.errors import OutputError
noise = np.random.default_rng(2).integers(0, 256, (200, 300, 3), np.uint8)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
for suffix in (".png", ".tif", ".webp", ".jpg"):
    try:
        photos.write_rgb(Path(sys.argv[1]) / f"x{suffix}", noise)
    except OutputError as error:
        print(suffix, str(error).isprintable(), error)
"""


def test_trap_19_a_write_that_breaks_off_leaves_nothing_and_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", CROWDED, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [[s, "True"] for s in (".png", ".tif", ".webp", ".jpg")]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"x.png": b"old"}
    assert done.stderr == ""


@pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="only some systems have a disk that is always full"
)
def test_trap_19_a_full_disk_is_named() -> None:
    fails("/dev/full", "the disk is full")
    assert Path("/dev/full").is_char_device()


def test_a_device_is_written_to_and_not_replaced() -> None:
    photos.write_rgb("/dev/null", picture())
    assert Path("/dev/null").is_char_device()


def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: Path, __: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        photos.write_rgb(tmp_path / "x.png", picture())
    assert list(tmp_path.iterdir()) == []
