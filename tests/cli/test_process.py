"""The command line as a process: hostile folders, kills, Ctrl-C, pipes, what it prints."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from mattelike import photos
from mattelike.errors import MissingExtraError, PhotoError
from tests.batch.rooms import contents, picture, write
from tests.cli.conftest import ROOT, program, run_program

LIKE = ("--like", "like.png", "--mask", "mask.png")


def hostile(folder: Path) -> tuple[set[str], set[str]]:
    """Files as people have them; names of the good and of the bad."""
    good = {
        "a b.png",
        "new\nline.png",
        "\N{CAT FACE}.webp",
        "-rf.png",
        "x.png",
        "X.PNG",
        "x.webp",
        "n" * 250 + ".png",
    }
    for index, name in enumerate(sorted(good)):
        write(folder / name, index)
    (folder / "wrong.jpg").write_bytes(photos.encode(picture(1), ".png"))
    (folder / os.fsdecode(b"caf\xe9.png")).write_bytes(photos.encode(picture(2), ".png"))
    write(folder / "folder.jpg/deep.tif", 3)
    write(folder / "1x1.png", size=(30, 30))
    whole = photos.encode(picture(4), ".jpg")
    (folder / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("hello")
    (folder / "raw.nef").write_bytes(b"MM\0*" + bytes(64))
    (folder / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    bomb = bytearray(photos.encode(picture(5), ".png"))
    bomb[16:24] = (60000).to_bytes(4, "big") * 2
    (folder / "bomb.png").write_bytes(bomb)
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "dangling.png").symlink_to(folder / "nothing")
    os.mkfifo(folder / "pipe.png")
    good |= {"wrong.jpg", os.fsdecode(b"caf\xe9.png"), "deep.tif", "1x1.png"}
    return good, {"half.jpg", "empty.png", "text.png", "raw.nef", "drawing.svg", "bomb.png"}


def test_a_hostile_folder_is_done_as_far_as_it_can_be(room: Path) -> None:
    good, bad = hostile(room / "hostile")
    done = run_program("matte", "hostile", *LIKE, "-o", "out")
    said = done.stderr.decode()
    assert done.returncode == 1, said
    assert done.stdout == b"" and "Traceback" not in said
    failed = [line for line in said.splitlines() if line.startswith("failed: ")]
    assert len(failed) == len(bad)
    for name in bad:
        assert sum(f"hostile/{name}" in line for line in failed) == 1, (name, said)
    assert f"{len(good) + len(bad)} photos: {len(good)} present" in said
    assert len(list((room / "out").rglob("*.matte.png"))) == len(good)
    assert "index.html" in said and (room / "out/index.html").read_text(encoding="utf-8")
    again = run_program("matte", "hostile", *LIKE, "-o", "out")
    assert again.returncode == 1 and f"{len(good)} unchanged" in again.stderr.decode()


def test_every_kind_of_file_is_done_or_named_in_one_line(room: Path) -> None:
    """Turned, CMYK, palettes, 1 to 16 bits, floats, animations, pages, AVIF, HEIC; raw, drawings, bombs."""
    good, bad = set(), set()
    for path in (ROOT / "tests/corpus").iterdir():
        if path.suffix == ".context":
            continue
        (room / "kinds").mkdir(exist_ok=True)
        (room / "kinds" / path.name).write_bytes(path.read_bytes())
        try:
            photos.read(path)
            good.add(path.name)
        except (PhotoError, MissingExtraError):
            bad.add(path.name)
    assert len(good) >= 15 and {"bomb.png", "raw.nef", "drawing.svg"} <= bad
    done = run_program("matte", "kinds", *LIKE, "-o", "out", "--no-sheet")
    said = done.stderr.decode()
    assert done.returncode == 1 and "Traceback" not in said and done.stdout == b""
    failed = [line for line in said.splitlines() if line.startswith("failed: ")]
    assert len(failed) == len(bad), said
    for name in bad:
        assert sum(f"kinds/{name}:" in line for line in failed) == 1, (name, said)
    assert len(list((room / "out").glob("*.matte.png"))) == len(good)
    for name in good:  # where a stem is shared, the old suffix stays
        outputs = [f"{name}.matte.png", f"{Path(name).stem}.matte.png"]
        assert any((room / "out" / output).is_file() for output in outputs), name


def halves(folder: Path) -> list[Path]:
    """Pictures that are there under their own name and cannot be read whole."""
    broken = []
    for path in folder.rglob("*"):
        if path.suffix in (".png", ".jpg", ".webp"):
            try:
                photos.read(path)
            except (photos.reading.PhotoError, OSError):
                broken.append(path)
    return broken


@pytest.mark.parametrize(("count", "kills"), [(8, 2), pytest.param(60, 20, marks=pytest.mark.slow)])
def test_trap_74_killed_at_any_moment_and_gone_on_with(room: Path, count: int, kills: int) -> None:
    for index in range(4, count):
        write(room / f"photos/{index}.png", index)
    assert run_program("matte", "photos", *LIKE, "-o", "whole").returncode == 0
    moments = random.Random(kills)
    command, environment = program("matte", "photos", *LIKE, "-o", "out", seconds="0.05")
    for _ in range(kills):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 90
        wanted = len(list((room / "out").glob("*.matte.png"))) + 1 if (room / "out").exists() else 1
        while (
            len(list((room / "out").glob("*.matte.png"))) < min(wanted, count - 1)
            and time.monotonic() < deadline
        ):
            time.sleep(0.01)
        time.sleep(moments.random() * 0.1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert halves(room / "out") == []
    done = run_program("matte", "photos", *LIKE, "-o", "out")
    assert done.returncode == 0 and "unchanged" in done.stderr.decode()
    assert contents(room / "out").keys() == contents(room / "whole").keys()
    assert {n: b for n, b in contents(room / "out").items() if n != "index.html"} == {
        n: b for n, b in contents(room / "whole").items() if n != "index.html"
    }


def interrupted(room: Path, signals: int) -> tuple[int, str]:
    command, environment = program("matte", "photos", *LIKE, "-o", "out", seconds="0.4")
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 90
    while not list((room / "out").glob("0.matte.png")) and time.monotonic() < deadline:
        time.sleep(0.02)
    for _ in range(signals):
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
    said = process.communicate(timeout=90)[1].decode()
    return process.returncode, said


def test_trap_75_ctrl_c_once_finishes_and_saves(room: Path) -> None:
    for index in range(4, 10):
        write(room / f"photos/{index}.png", index)
    code, said = interrupted(room, 1)
    assert code == 130 and "Traceback" not in said
    assert "finishing what is begun" in said and "run the same command again" in said
    count = len((room / "out/report.jsonl").read_text().splitlines())
    assert 1 <= count < 10 and (room / "out/index.html").is_file()
    again = run_program("matte", "photos", *LIKE, "-o", "out")
    assert again.returncode == 0 and f"{count} unchanged" in again.stderr.decode()


def test_trap_75_ctrl_c_twice_stops_at_once(room: Path) -> None:
    for index in range(4, 10):
        write(room / f"photos/{index}.png", index)
    code, said = interrupted(room, 2)
    assert code == 130 and "Traceback" not in said
    assert halves(room / "out") == [] and not list((room / "out").rglob("*.part"))


def test_trap_72_ctrl_c_while_the_model_is_loaded_ends_at_once(room: Path) -> None:
    command, environment = program("matte", "photos", *LIKE, "-o", "out")
    environment["TOY_LOADING"] = "120"
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    waited(room / "loading")
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[1].decode()
    assert process.returncode == 130 and "Traceback" not in said and "interrupted" in said
    assert not (room / "out/report.jsonl").exists()


def test_watching_does_what_arrives(room: Path) -> None:
    for index in range(1, 4):
        (room / f"photos/{index}.png").unlink()
    command, environment = program("matte", "photos", *LIKE, "-o", "out", "--watch")
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    try:
        waited(room / "out/0.png")
        write(room / "photos/late.png", 8)
        waited(room / "out/late.matte.png")
        waited(room / "out/report.jsonl")
    finally:
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=90)[1].decode()
    assert process.returncode == 130, said
    assert "Traceback" not in said


def waited(path: Path) -> None:
    deadline = time.monotonic() + 90
    while not path.is_file():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.05)


def test_a_reader_that_has_heard_enough_is_no_error(room: Path) -> None:
    command, environment = program("models", "list", "--json")
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    assert process.communicate(timeout=60)[1] == b""


def test_the_real_model_from_the_command_line(room: Path, examples: Path) -> None:
    """The main job, with nothing replaced: two processes, the model in the wheel, photos of real things."""
    photo, mask = examples / "photos/chow/01.jpg", examples / "marks/chow.png"
    args = ("--like", str(photo), "--mask", str(mask), "-o", "out", "--workers", "2", "--first", "2")
    done = run_program("matte", str(examples / "photos/chow"), *args, toy_model=False)
    assert done.returncode == 0, done.stderr.decode()
    assert "2 photos: 2 present" in done.stderr.decode()
    cutout = photos.read("out/01.png")
    assert cutout.alpha is not None and 0.2 < (cutout.alpha > 127).mean() < 0.6


@pytest.mark.parametrize(("device", "says"), [("cuda", "not available"), ("abacus", "no device named")])
def test_trap_66_a_device_that_is_not_there_is_exit_2(room: Path, device: str, says: str) -> None:
    done = run_program("matte", "photos", *LIKE, "--device", device, "-o", "out", toy_model=False)
    assert done.returncode == 2 and says in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1


def test_trap_77_a_photo_at_which_nothing_moves_is_given_up_after_the_time_that_was_set(room: Path) -> None:
    command, environment = program("matte", "photos", *LIKE, "-o", "out", "--first", "2", seconds="600")
    environment["MATTELIKE_TIMEOUT"] = "1"
    done = subprocess.run(command, env=environment, capture_output=True, timeout=120, check=False)
    said = done.stderr.decode()
    assert done.returncode == 1 and "Traceback" not in said
    for name in ("0.png", "1.png"):
        (line,) = [line for line in said.splitlines() if name in line]
        assert "not done after 1 s" in line and "--timeout" in line
    again = run_program("matte", "photos", *LIKE, "-o", "out", "--first", "2", "--timeout", "60")
    assert again.returncode == 0, again.stderr.decode()
    assert (room / "out/0.png").is_file() and (room / "out/1.png").is_file()


@pytest.mark.parametrize("marked", [LIKE, ("--mask", "mask.png")], ids=["like", "itself"])
def test_trap_77_a_single_photo_has_a_limit_too_if_one_is_given(room: Path, marked: tuple[str, ...]) -> None:
    run = ("matte", "like.png", *marked, "-o", "one.png")
    command, environment = program(*run, "--timeout", "1", seconds="600")
    if marked == LIKE:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=120, check=False)
        said = done.stderr.decode()
        assert done.returncode == 1 and "Traceback" not in said and not (room / "one.png").exists()
        assert sum("not done after 1 s" in line for line in said.splitlines()) == 1
    limited = run_program(*run, "--timeout", "60")
    assert limited.returncode == 0, limited.stderr.decode()
    within = (room / "one.png").read_bytes()
    assert run_program(*run).returncode == 0
    assert (room / "one.png").read_bytes() == within
