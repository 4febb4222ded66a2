"""``mattelike refine``: a mask or trimap from elsewhere becomes an alpha."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mattelike import Mask, photos
from tests.cli.conftest import Call
from tests.toy_model import toy


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A red disc on blue with a soft edge: photo, mask, small mask, trimap."""
    rows, columns = np.mgrid[:120, :160]
    away = np.hypot(rows - 60, columns - 80)
    alpha = np.clip((40 - away) / 3 + 0.5, 0, 1)[..., None]
    write(tmp_path / "photo.png", np.array([200, 30, 30]) * alpha + np.array([20, 40, 180]) * (1 - alpha))
    write(tmp_path / "mask.png", 255 * (away < 41))
    write(tmp_path / "small.png", 255 * (away < 41)[::2, ::2])
    write(tmp_path / "trimap.png", np.where(away < 34, 255, np.where(away < 46, 128, 0)))
    write(tmp_path / "tall.png", np.zeros((160, 120)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, levels: np.ndarray) -> None:
    levels = levels if levels.ndim == 3 else levels[..., None].repeat(3, 2)
    photos.write_rgb(path, np.round(levels).astype(np.uint8))


def read(path: str) -> np.ndarray:
    return photos.read(path).pixels[..., 0] / 255


@pytest.mark.parametrize("refiner", ["learned", "closed-form"])
@pytest.mark.parametrize("mask", ["mask.png", "small.png", "trimap.png"])
def test_any_mask_or_trimap_becomes_an_alpha_at_the_photos_size(
    folder: Path, call: Call, mask: str, refiner: str
) -> None:
    done = call("refine", "photo.png", mask, "-o", "out.png", "--refiner", refiner)
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "" and "out.png" in done.stderr
    alpha = read("out.png")
    assert alpha.shape == (120, 160)
    rows, columns = np.mgrid[:120, :160]
    truth = np.clip((40 - np.hypot(rows - 60, columns - 80)) / 3 + 0.5, 0, 1)
    assert np.abs(alpha - truth).mean() < 0.012
    assert alpha[60, 80] == 1 and alpha[0, 0] == 0


def test_a_cutout_is_straight_and_has_no_fringe(folder: Path, call: Call) -> None:
    assert call("refine", "photo.png", "trimap.png", "-o", "out.png", "--emit", "cutout").exit_code == 0
    cut = photos.read("out.png")
    assert cut.alpha is not None and cut.alpha.max() == 255 and cut.alpha.min() == 0
    assert np.abs(cut.pixels[cut.alpha == 255].astype(int) - [200, 30, 30]).max() <= 12


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("tall.png",), "do not have the shape"),
        (("photo.png",), "is in colour"),
        (("small.png", "--as", "trimap"), "as large as its photo"),
        (("trimap.png", "--band", "3"), "--band is for masks"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(
    folder: Path, call: Call, arguments: tuple[str, ...], words: str
) -> None:
    done = call("refine", "photo.png", *arguments, "-o", "out.png")
    assert done.exit_code != 0
    message = str(done.exception or "") + done.stderr
    assert words in message
    assert not Path("out.png").exists()


def test_trap_56_a_mask_of_nothing_is_told_and_stays(folder: Path, call: Call) -> None:
    write(folder / "empty.png", np.zeros((120, 160)))
    done = call("refine", "photo.png", "empty.png", "-o", "out.png")
    assert done.exit_code == 0 and "nothing in this photo is surely the thing" in done.stderr
    assert read("out.png").max() == 0


def test_matte_takes_either_refiner_by_name(room: Path, call: Call) -> None:
    for refiner in ("learned", "closed-form"):
        like = ("--like", "like.png", "--mask", "mask.png")
        done = call("matte", "photos/0.png", *like, "-o", refiner, "--refiner", refiner)
        assert done.exit_code == 0, done.stderr
    one, other = (read(f"{refiner}/0.matte.png") for refiner in ("learned", "closed-form"))
    assert one.shape == other.shape and np.abs(one - other).mean() < 0.05
    assert call("matte", "photos/0.png", *like, "-o", "x", "--refiner", "magic").exit_code == 2


def test_none_is_the_same_as_false(room: Path) -> None:
    finder = toy()
    context = finder.encode("like.png", Mask("mask.png"))
    plain = finder.matte("photos/0.png", context, refine="none").alpha
    assert np.array_equal(plain, finder.matte("photos/0.png", context, refine=False).alpha)
