"""Animations and files with several pages, every picture of them a photo (trap 9)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from mattelike import photos
from tests.batch.rooms import picture
from tests.cli.conftest import Call

MARKED = ("--like", "like.png", "--mask", "mask.png")


def animated(path: Path, count: int = 3) -> None:
    frames = [Image.fromarray(picture(seed)) for seed in range(count)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize("suffix", ["gif", "tiff", "webp", "png"])
def test_trap_09_all_frames_are_photos_and_are_done_once(room: Path, call: Call, suffix: str) -> None:
    animated(room / f"photos/x.{suffix}")
    result = call("matte", "photos", *MARKED, "-o", "out", "--all-frames")
    assert result.exit_code == 0, result.output
    for index in (1, 2, 3):
        assert photos.header(room / f"out/x.frame-{index}.matte.png").width == 96
    assert not (room / "out/x.png").exists() and (room / "out/0.png").exists()
    records = [json.loads(line) for line in (room / "out/report.jsonl").read_text().splitlines()]
    assert sorted(each["frame"] for each in records if "frame" in each) == [0, 1, 2]
    assert len(records) == 7
    again = call("matte", "photos", *MARKED, "-o", "out", "--all-frames")
    assert again.exit_code == 0 and "7 unchanged" in again.output
    (room / "out/x.frame-2.png").unlink()
    mended = call("matte", "photos", *MARKED, "-o", "out", "--all-frames")
    assert "6 unchanged" in mended.output and (room / "out/x.frame-2.png").exists()


def test_trap_09_only_takes_up_frames(room: Path, call: Call) -> None:
    animated(room / "photos/x.gif")
    call("matte", "photos/x.gif", *MARKED, "-o", "out", "--all-frames")
    result = call("matte", "-o", "out", "--only", "present,unsure,absent", "--json")
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert sorted(each["frame"] for each in told if "source" in each) == [0, 1, 2]


def test_trap_09_all_frames_of_one_file_need_a_folder(room: Path, call: Call) -> None:
    animated(room / "photos/x.gif")
    result = call("matte", "photos/x.gif", *MARKED, "-o", "x.png", "--all-frames")
    assert result.exit_code == 2 and "--all-frames needs a folder" in result.output
