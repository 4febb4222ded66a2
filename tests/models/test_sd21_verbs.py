"""`mattelike matte | explain --model sd21` as typed, on small random weights; what is missing is one line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from tests.models import tiny_sd

import mattelike as ml
from mattelike import photos
from mattelike.cli import main
from mattelike.models import sd21, sd21_extractor


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small diffusion model, three photos, a mask."""
    folder = tmp_path_factory.mktemp("verbs")
    tiny_sd.save(folder / "sd")
    (folder / "photos").mkdir()
    for seed in range(3):
        pixels = ((tiny_sd.picture(seed, (100, 120))[0].transpose(1, 2, 0) + 1) * 127.5).astype(np.uint8)
        photos.write_rgb(folder / "photos" / f"{seed}.png", pixels)
    mask = np.zeros((100, 120, 3), np.uint8)
    mask[30:70, 40:80] = 255
    photos.write_rgb(folder / "mask.png", mask)
    return folder


def run(room: Path, *args: object, source: str = "sd", weights: str = "untrained") -> Result:
    chosen = ["--model", "sd21", "--device", "cpu", "--set", f"source={room / source}"]
    chosen += ["--set", f"weights={weights}", "--set", "side=128", "--set", "ensemble_size=1"]
    return CliRunner().invoke(main, [*(str(arg) for arg in args), *chosen])


def marked(room: Path) -> tuple[object, ...]:
    return "--like", room / "photos" / "0.png", "--mask", room / "mask.png"


def test_matte_writes_a_matte_for_every_photo(room: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = ("matte", room / "photos", *marked(room), "-o", out, "--workers", 1, "--keep-absent", "--json")
    result = run(room, *asked)
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(rows) == 3 + 1
    assert {path.name for path in out.glob("*.png")} == {
        f"{seed}.{what}" for seed in range(3) for what in ("png", "matte.png")
    }
    # The effective settings are in every result: pictures, report, lines for machines; but for --strip.
    report = [json.loads(line) for line in (out / "report.jsonl").read_text().splitlines()]
    told = [json.loads(text(path)["mattelike-settings"]) for path in out.glob("*.png")]
    for settings in (*told, *(row["settings"] for row in (*report, *rows[:-1]))):
        assert (settings["side"], settings["ensemble_size"], settings["timestep"]) == (128, 1, 200)
    one = tmp_path / "one.png"
    again = run(room, "matte", room / "photos" / "1.png", *marked(room), "-o", one, "--strip")
    assert again.exit_code == 0
    assert "mattelike-settings" not in text(one)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with every run of the U-Net."""
    found: list[str] = []
    plain = sd21_extractor.Extractor.look

    def counted(self: Any, *given: Any) -> Any:
        found.append("look")
        return plain(self, *given)

    monkeypatch.setattr(sd21_extractor.Extractor, "look", counted)
    return found


@pytest.mark.parametrize("output", ["one.png", "folder"])
def test_A18_a_photo_marked_itself_is_looked_at_once(
    room: Path, tmp_path: Path, looks: list[str], output: str
) -> None:
    photo, mask = room / "photos" / "1.png", room / "mask.png"
    asked = ("matte", photo, "--mask", mask, "-o", tmp_path / output, "--workers", 1)
    result = run(room, *asked)
    assert result.exit_code == 0, result.output
    assert looks == ["look"]
    # And is what the call from Python gives.
    predictor = ml.load(
        "sd21", source=room / "sd", device="cpu", weights="untrained", side=128, ensemble_size=1
    )
    wanted = predictor.matte(photo, ml.Mask(mask))
    wanted.save(tmp_path / "wanted.png")
    made = tmp_path / output if output == "one.png" else tmp_path / output / "1.png"
    assert np.array_equal(photos.read(made).alpha, photos.read(tmp_path / "wanted.png").alpha)


@pytest.mark.parametrize(("like", "count"), [(True, 2), (False, 1)])
def test_explaining_looks_at_every_photo_once(
    room: Path, tmp_path: Path, looks: list[str], like: bool, count: int
) -> None:
    marks = marked(room) if like else ("--mask", room / "mask.png")
    result = run(room, "explain", room / "photos" / "1.png", *marks, "-o", tmp_path / "3.png")
    assert result.exit_code == 0, result.output
    assert len(looks) == count


def text(path: Path) -> dict[str, str]:
    with Image.open(path) as image:
        found: dict[str, str] = image.text  # type: ignore[attr-defined]
    return found


def test_explain_draws_figure_3_and_figure_10(room: Path, tmp_path: Path) -> None:
    target = room / "photos" / "1.png"
    assert run(room, "explain", target, *marked(room), "-o", tmp_path / "3.png").exit_code == 0
    seen = run(room, "explain", target, "--observe", "--mask", room / "mask.png", "-o", tmp_path / "10.png")
    assert seen.exit_code == 0
    # Figure 3: reference, target, S, S' at both scales, alpha, cut-out; figure 10: the photo and both scales.
    widths = [photos.read(tmp_path / f"{number}.png").width for number in (3, 10)]
    panel = 12 + round(320 * 120 / 100)
    assert abs(widths[1] - (12 + 3 * panel)) <= 3
    assert widths[0] > 6 * panel


@pytest.mark.parametrize(
    ("source", "weights", "says"),
    [
        ("nowhere", "untrained", "no such folder"),
        ("sd", "", "sd21 brings no head; give weights=FILE"),
        ("sd", "none.safetensors", "none.safetensors: no such weights"),
        ("photos", "untrained", "scheduler_config.json: missing"),
    ],
)
def test_what_is_missing_is_one_line_that_says_what_to_do(
    room: Path, tmp_path: Path, source: str, weights: str, says: str
) -> None:
    asked = ("matte", room / "photos" / "1.png", *marked(room), "-o", tmp_path / "one.png")
    result = run(room, *asked, source=source, weights=weights)
    assert result.exit_code == 2
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_missing_hub_is_one_line(room: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATTELIKE_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    asked = ["matte", room / "photos" / "1.png", *marked(room), "-o", tmp_path / "one.png"]
    given = [*(str(part) for part in asked), "--model", "sd21", "--set", "weights=untrained"]
    result = CliRunner().invoke(main, given)
    assert result.exit_code == 2
    assert "stabilityai/stable-diffusion-2-1" in result.stderr
    assert "MATTELIKE_OFFLINE" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("name", ["sd21", "sd21+dino"])
def test_a_missing_extra_is_one_line_with_the_command(
    room: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    monkeypatch.setattr(sd21, "find_spec", lambda package: None if package == "diffusers" else True)
    asked = ["matte", room / "photos" / "1.png", *marked(room), "-o", tmp_path / "one.png", "--model", name]
    result = CliRunner().invoke(main, [str(part) for part in asked])
    assert result.exit_code == 2
    assert f"the model '{name}' needs diffusers: pip install 'mattelike[sd]'" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
