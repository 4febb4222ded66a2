"""Everything but the main job."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mattelike import photos
from mattelike.cli import VERBS
from mattelike.contexts import Context
from tests.cli.conftest import Call

LIKE = ("--like", "like.png", "--mask", "mask.png")


def test_help_names_every_verb(call: Call) -> None:
    done = call("--help")
    assert done.exit_code == 0
    assert all(verb in done.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "train"])
def test_every_verb_explains_itself(call: Call, verb: str) -> None:
    done = call(verb, "--help")
    assert done.exit_code == 0
    assert "Usage:" in done.stdout


def test_no_such_verb(call: Call) -> None:
    done = call("remove")
    assert done.exit_code == 2 and "No such command" in done.stderr


def test_mark_joins_references_and_negatives(room: Path, call: Call) -> None:
    assert call("mark", "like.png", "--mask", "mask.png", "-o", "a.context").exit_code == 0
    assert (
        call("mark", "photos/1.png", "--point", "12,16", "--add", "a.context", "-o", "b.context").exit_code
        == 0
    )
    args = ("mark", "photos/2.png", "--point", "90,60", "--negative", "--add", "b.context", "-o", "b.context")
    done = call(*args, "--json")
    assert json.loads(done.stdout) == {
        "context": "b.context",
        "model": "toy",
        "references": 3,
        "negative": 1,
        "notes": [],
    }
    whole = Context.load("b.context")
    assert [Path(t.name).name for t in whole.thumbnails] == ["like.png", "1.png", "2.png"]
    assert [t.negative for t in whole.thumbnails] == [False, False, True]
    assert call("matte", "photos", "-c", "b.context", "-o", "out").exit_code == 0


def test_a_context_of_negatives_alone_looks_for_nothing(room: Path, call: Call) -> None:
    call("mark", "like.png", "--mask", "mask.png", "--negative", "-o", "no.context")
    done = call("matte", "photos", "-c", "no.context", "-o", "out")
    assert done.exit_code == 2 and "only what is not meant" in done.stderr


def test_mark_draws_a_grid_of_coordinates(room: Path, call: Call) -> None:
    done = call("mark", "like.png", "--grid", "-o", "grid.png")
    assert done.exit_code == 0
    grid = photos.read("grid.png")
    assert (grid.width, grid.height) == (192, 128)  # small photos are enlarged
    assert photos.header(call("mark", "like.png", "--grid", "-o", "-").stdout_bytes).format == "png"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("mark", "like.png", "--mask", "mask.png"), "where to?"),
        (("mark", "like.png", "-o", "x.context"), "nothing is marked"),
        (("mark", "nowhere.png", "--point", "1,1", "-o", "x.context"), "no such file"),
        (("mark", "like.png", "--mask", "mask.png", "-o", "no/x.context"), "cannot write the context"),
        (
            ("mark", "like.png", "--mask", "mask.png", "--add", "mask.png", "-o", "x"),
            "not a mattelike context",
        ),
        (("mark", "like.png", "--invert", "--point", "1,1", "-o", "x"), "--mask"),
    ],
)
def test_mark_says_what_is_wrong(room: Path, call: Call, args: tuple[str, ...], says: str) -> None:
    done = call(*args)
    assert (done.exit_code, says in done.stderr) == (2, True), done.stderr


def test_explain_draws_every_step(room: Path, call: Call) -> None:
    done = call("explain", "photos/1.png", *LIKE, "-o", "why.png", "--side", "64")
    assert done.exit_code == 0, done.stderr
    picture = photos.read("why.png")
    assert picture.height == 64 + 52
    assert picture.width == 6 * 96 + 7 * 12  # reference, target, S, S', alpha, cut-out


def test_explain_observes_one_photo(room: Path, call: Call) -> None:
    args = ("explain", "like.png", "--observe", "--mask", "mask.png", "-o")
    assert call(*args, "one.png").exit_code == 0
    assert call(*args, "two.png", "--seed", "0").exit_code == 0
    assert call(*args, "three.png", "--seed", "1").exit_code == 0
    one, two, three = (photos.read(f"{name}.png").pixels for name in ("one", "two", "three"))
    assert np.array_equal(one, two) and not np.array_equal(one, three)
    assert call("explain", "like.png", "--observe", *LIKE).exit_code == 2


def test_models_are_listed_verified_and_found(call: Call) -> None:
    listed = json.loads(call("models", "list", "--json").stdout)
    assert {"embedded", "dino", "sd21"} <= {model["name"] for model in listed}
    shipped = [model for model in listed if model["folder"]]
    assert call("models", "verify").exit_code == 0
    for model in shipped:
        assert call("models", "path", model["name"]).stdout.strip() == model["folder"]
    assert call("models", "path", "nothing").exit_code == 2
    assert call("models", "path", "dino").exit_code == 1


def test_damaged_model_files_are_found(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mattelike.cli import installed

    (tmp_path / "card.json").write_text('{"name": "embedded", "stride": 16, "channels": 8, "sha256": "00"}')
    (tmp_path / "features.onnx").write_bytes(b"no")
    monkeypatch.setattr(installed, "weights_folder", lambda name: tmp_path)
    done = call("models", "verify", "embedded")
    assert done.exit_code == 1 and "not those of the card" in done.stdout


def test_doctor_names_versions_device_models_folders(call: Call) -> None:
    done = call("doctor", "--json")
    found = json.loads(done.stdout)
    assert {"mattelike", "python", "numpy", "onnxruntime", "libvips"} <= set(found["versions"])
    assert "cpu" in found["device"]["in use"]
    assert set(found["folders"]) == {"package", "home", "hub", "here"}
    assert done.exit_code == (1 if found["wrong"] else 0)
    assert "versions" in call("doctor").stdout


def test_trap_65_two_runtimes_at_once_are_found(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from mattelike.cli import checkup

    real = checkup._version
    monkeypatch.setattr(checkup, "_version", lambda name: "1.0" if name == "onnxruntime-gpu" else real(name))
    done = call("doctor", "--json")
    wrong = json.loads(done.stdout)["wrong"]
    assert done.exit_code == 1
    assert any("both installed" in line for line in wrong) and any("no GPU is used" in line for line in wrong)
