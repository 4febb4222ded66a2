"""The main job from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mattelike import photos
from mattelike.cli.options import colour
from mattelike.contexts import Context
from tests.batch.rooms import contents, picture, red_mask
from tests.cli.conftest import Call

LIKE = ("--like", "like.png", "--mask", "mask.png")


def test_a_folder_with_a_reference(room: Path, call: Call) -> None:
    done = call("matte", "photos", *LIKE, "-o", "out")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == ""
    assert "4 photos: 4 present" in done.stderr and "out/index.html" in done.stderr
    made = {path.name for path in (room / "out").iterdir()}
    assert made == {
        *(f"{i}.png" for i in range(4)),
        *(f"{i}.matte.png" for i in range(4)),
        "index.html",
        "report.jsonl",
        "_sheet",
    }
    cutout = photos.read("out/2.png")
    assert cutout.alpha is not None
    assert np.mean((cutout.alpha > 127) == red_mask(picture(2))) > 0.9


def test_a_second_run_leaves_everything_as_it_is(room: Path, call: Call) -> None:
    call("matte", "photos", *LIKE, "-o", "out")
    before = contents(room / "out")
    again = call("matte", "photos", *LIKE, "-o", "out")
    assert "4 unchanged" in again.stderr
    assert contents(room / "out") == before
    other = call("matte", "photos", "--like", "like.png", "--box", "5%,5%,60%,80%", "-o", "out")
    assert "unchanged" not in other.stderr  # another reference is another question


def test_marks_of_every_form(room: Path, call: Call) -> None:
    rows, columns = np.nonzero(red_mask(picture(99)))
    x, y = int(columns.mean()), int(rows.mean())
    box = f"{columns.min()},{rows.min()},{columns.max() + 1},{rows.max() + 1}"
    for marks in (
        ("--point", f"{x},{y}", "--negative-point", "90,60"),
        ("--point", f"{100 * x / 96}%,{100 * y / 64}%"),
        ("--box", box),
        ("--scribble", "mask.png"),
        ("--mask", "mask.png", "--negative-point", "90,60"),
    ):
        done = call("matte", "photos/1.png", "--like", "like.png", *marks, "-o", "out", "--overwrite")
        assert done.exit_code == 0, (marks, done.stderr)
        matte = photos.read("out/1.matte.png").pixels[..., 0]
        assert np.mean((matte > 127) == red_mask(picture(1))) > 0.9, marks


def test_marks_on_the_one_photo_itself(room: Path, call: Call) -> None:
    assert call("matte", "like.png", "--mask", "mask.png", "-o", "cat.png").exit_code == 0
    assert photos.read("cat.png").alpha is not None
    assert {path.name for path in room.glob("cat*")} == {"cat.png", "cat.matte.png"}
    assert not list(room.glob("*.html")) and not list(room.glob("report*"))


def test_a_context_saved_with_mark(room: Path, call: Call) -> None:
    assert call("mark", "like.png", "--mask", "mask.png", "-o", "red.context").exit_code == 0
    assert call("matte", "photos", "-c", "red.context", "-o", "out").exit_code == 0
    call("matte", "photos", *LIKE, "-o", "same")
    for index in range(4):
        assert (room / f"out/{index}.png").read_bytes() == (room / f"same/{index}.png").read_bytes()


def test_everything_that_can_be_emitted(room: Path, call: Call) -> None:
    emits = "cutout,alpha,foreground,premultiplied,composite,trimap,uncertainty"
    done = call("matte", "photos/0.png", *LIKE, "--emit", emits, "--background", "#00f", "-o", "out")
    assert done.exit_code == 0, done.stderr
    names = {path.name for path in (room / "out").glob("0.*")}
    assert names == {"0.png", *(f"0.{e}.png" for e in ("matte", *emits.split(",")[2:]))}
    corner = photos.read("out/0.composite.png").pixels[-1, -1]
    assert corner.tolist() == [0, 0, 255]


def test_a_background_replaces_the_cutout(room: Path, call: Call) -> None:
    done = call("matte", "photos/0.png", *LIKE, "-bgc", "white", "--format", "jpg", "-o", "out")
    assert done.exit_code == 0, done.stderr
    assert {path.name for path in (room / "out").glob("0.*")} == {"0.jpg", "0.matte.png"}
    done = call("matte", "photos/0.png", *LIKE, "--background", "photos/3.png", "-o", "out2")
    assert done.exit_code == 0 and photos.read("out2/0.png").alpha is None


def test_only_the_mask_in_rembg_s_way(room: Path, call: Call) -> None:
    assert call("matte", "photos/0.png", *LIKE, "-om", "-o", "mask-of-0.png").exit_code == 0
    assert photos.read("mask-of-0.png").gray
    assert call("matte", "photos/0.png", *LIKE, "-om", "-o", "out").exit_code == 0
    assert {path.name for path in (room / "out").glob("0*")} == {"0.matte.png"}


@pytest.mark.parametrize("args", [("--crop",), ("--crop", "10"), ("--crop", "25%"), ("--crop=5%",)])
def test_crop_takes_a_margin_or_none(room: Path, call: Call, args: tuple[str, ...]) -> None:
    done = call("matte", *LIKE, *args, "photos/0.png", "-o", "out")
    assert done.exit_code == 0, done.stderr
    assert photos.read("out/0.png").width < 96


def test_first_and_dry_run(room: Path, call: Call) -> None:
    done = call("matte", "photos", *LIKE, "--first", "2", "--dry-run", "-o", "out")
    assert done.exit_code == 0 and not (room / "out").exists()
    assert done.stdout.splitlines() == [
        "photos/0.png -> out/0.png, out/0.matte.png",
        "photos/1.png -> out/1.png, out/1.matte.png",
    ]


def test_json_is_one_object_a_photo_and_one_for_all(room: Path, call: Call) -> None:
    (room / "photos/bad.png").write_text("no")
    done = call("matte", "photos", *LIKE, "-o", "out", "--json")
    assert done.exit_code == 1
    *lines, last = map(json.loads, done.stdout.splitlines())
    assert len(lines) == 5
    assert [line["result"] for line in lines].count("present") == 4
    (failed,) = [line for line in lines if line["result"] == "failed"]
    assert failed["error"].startswith("photos/bad.png: ")
    assert all(Path(name).is_file() for line in lines for name in line["outputs"])
    assert last["summary"]["failed"] == 1 and last["summary"]["exit_code"] == 1


def test_standard_input_and_output(room: Path, call: Call) -> None:
    done = call("matte", "-", *LIKE, "-o", "-", stdin=(room / "photos/0.png").read_bytes())
    assert done.exit_code == 0, done.stderr
    assert photos.read(done.stdout_bytes).alpha is not None
    done = call("matte", "photos/0.png", *LIKE, "-om", "-o", "-", "--format", "webp")
    assert photos.header(done.stdout_bytes).format == "webp"


def test_a_reference_from_standard_input(room: Path, call: Call) -> None:
    marks = ("--like", "-", "--mask", "mask.png")
    done = call("matte", "photos", *marks, "-o", "out", stdin=(room / "like.png").read_bytes())
    assert done.exit_code == 0, done.stderr


USAGE = [
    (("photos", "-o", "out"), "what to look for"),
    (("photos", "--like", "like.png", "-o", "out"), "nothing is marked on like.png"),
    (("photos", "--point", "1,2", "-o", "out"), "which photo are the marks on"),
    (("nowhere", *LIKE, "-o", "out"), "no such file or folder"),
    (("*.nothing", *LIKE, "-o", "out"), "no file fits this pattern"),
    ((*LIKE, "-o", "out"), "which photos?"),
    (("photos", *LIKE, "-o", "one.png"), "one.png is one file"),
    (("photos/0.png", *LIKE, "-o", "x.jpg"), "JPEG cannot be transparent"),
    (("photos", *LIKE, "--format", "jpg", "-o", "out"), "JPEG cannot be transparent"),
    (("photos", *LIKE, "--emit", "glitter", "-o", "out"), "glitter"),
    (("photos", *LIKE, "--background", "chartreusish", "-o", "out"), "chartreusish"),
    (("photos", *LIKE, "--largest", "--instances", "-o", "out"), "exclude each other"),
    (("photos", "--like", "gone.png", "--point", "1,2", "-o", "out"), "gone.png: no such file"),
    (("photos", "--like", "like.png", "--point", "500,2", "-o", "out"), "500"),
    (("photos", "--like", "like.png", "--point", "here", "-o", "out"), "a point is X,Y"),
    (("photos", *LIKE, "--crop=much", "-o", "out"), "crop margin"),
    (("photos", *LIKE, "--more-like", "like.png", "-o", "out"), "--only"),
    (("photos", "--context", "like.png", "-o", "out"), "not a mattelike context"),
    (("photos", *LIKE, "--set", "novalue", "-o", "out"), "KEY=VALUE"),
    (("photos/0.png", *LIKE, "-o", "photos/0.png"), "is the photo itself"),
    (("photos", *LIKE, "-o", "like.png/out"), "cannot write there"),
    (("photos", *LIKE, "--no-such-flag"), "No such option"),
]


@pytest.mark.parametrize(("args", "says"), USAGE)
def test_what_cannot_be_meant_is_exit_2_and_says_why(
    room: Path, call: Call, args: tuple[str, ...], says: str
) -> None:
    done = call("matte", *args)
    assert done.exit_code == 2, (done.stdout, done.stderr)
    assert says in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (room / "out").exists()


def test_only_unsure_with_a_further_reference(room: Path, call: Call) -> None:
    call("matte", "photos", *LIKE, "-o", "out")
    report = room / "out/report.jsonl"
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    for line, result in zip(lines, ("unsure", "absent", "present", "present"), strict=True):
        line["result"] = result
    report.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = call(
        "matte",
        "--only",
        "unsure,absent",
        "--more-like",
        "photos/0.png",
        "--point",
        "12,16",
        "-o",
        "out",
        "--json",
    )
    assert done.exit_code == 0, done.stderr
    *redone, _ = map(json.loads, done.stdout.splitlines())
    assert {Path(line["source"]).name for line in redone} == {"0.png", "1.png"}
    assert Context.load("out/_sheet/run.context").references == 2
    # What was bettered by hand stays when the first command is given once more.
    assert "4 unchanged" in call("matte", "photos", *LIKE, "-o", "out").stderr


def test_only_repeats_the_last_run_and_nothing_else(room: Path, call: Call) -> None:
    assert call("matte", "--only", "unsure", "-o", "nowhere").exit_code == 2
    call("matte", "photos", *LIKE, "--crop", "-om", "-o", "out")
    before = contents(room / "out")
    changed = call("matte", "--only", "present", "--largest", "-o", "out")
    assert changed.exit_code == 2 and "leave --largest out" in changed.stderr
    assert "nothing to do" in call("matte", "--only", "absent", "-o", "out").stderr
    assert call("matte", "--only", "present", "-o", "out").exit_code == 0
    assert contents(room / "out") == before


@pytest.mark.parametrize("text", ["red", "RED", "#f00", "#ff0000", "255,0,0", "255 0 0", "255,0,0,255"])
def test_colours_are_read_as_people_write_them(text: str) -> None:
    assert colour(text) == "255,0,0"


def test_the_help_shows_every_option_under_a_heading(call: Call) -> None:
    said = call("matte", "--help").stdout
    for name in ("--overwrite", "--skip-existing", "--like", "--emit", "--json", "--device", "--help"):
        assert f"{name}" in said
    assert said.index("What to look for:") < said.index("Where to:") < said.index("How to work:")


def test_premultiplied_photos_are_divided_once(room: Path, call: Call) -> None:
    half = (picture(1) * 0.5).astype(np.uint8)
    photos.write_cutout("half.png", half, np.full((64, 96), 0.5, np.float32))
    found = []
    for flags in ((), ("--unpremultiply",)):
        done = call("matte", "half.png", *LIKE, *flags, "--keep-absent", "-o", "out")
        assert done.exit_code == 0, done.stderr
        found.append(photos.read("out/half.matte.png").pixels[..., 0][red_mask(picture(1))].mean())
    dark, divided = found
    assert dark < 100 < divided < 140  # dark red is not what was marked; red is, times the alpha it had
