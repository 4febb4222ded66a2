"""One convention for what lies between two colours: stored, gamma-encoded values are mixed (trap 52).

Mixing in linear light would give white and black in equal parts as 188 instead of 128. Whatever lays a matte
over something must agree, or a preview would show another edge than the file has; and alpha is a share of a
pixel, which no gamma bends, in files, prompts or scores.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image

from mattelike import figures, photos
from mattelike.evaluation import scoring
from mattelike.evaluation.protocols import named
from mattelike.foreground import composite, premultiply
from mattelike.mattes import Matte
from mattelike.training.validation.report import GRAY, over_gray
from mattelike.values import Float32, Guidance, Photo
from mattelike.video import pictures

SIDE = 40
HALF = 128  # 0.5 * 255, rounded half up; linear light would give 188
EMPTY = np.zeros((1, 1), np.float32)
GUIDANCE = Guidance(EMPTY[None], ("similarity",), EMPTY, EMPTY, 1.0)


def half() -> Float32:
    """Solid on the left, half covered in the middle, nothing on the right."""
    alpha = np.zeros((SIDE, SIDE), np.float32)
    alpha[:, :15], alpha[:, 15:25] = 1, 0.5
    return alpha


def white(level: int = 255) -> Photo:
    return Photo(np.full((SIDE, SIDE, 3), level, np.uint8))


def matte() -> Matte:
    """A white thing on white, so that its colours are known: white, whatever alpha is."""
    return Matte(alpha=half(), photo=white(), presence=1.0, status="present", guidance=GUIDANCE)


def saved(path: Path, emit: str) -> np.ndarray:
    matte().save(path, emit, background=(0, 0, 0) if emit == "composite" else None)  # type: ignore[arg-type]
    return np.asarray(Image.open(path))


def laid_by_another_program(path: Path) -> np.ndarray:
    """The cut-out over black, as libvips lays it."""
    matte().save(path, "cutout")
    laid = pyvips.Image.new_from_file(str(path)).flatten(background=[0, 0, 0])
    return np.asarray(laid)


def film(path: Path) -> np.ndarray:
    pixels = pictures.drawn(matte(), "composite", (0, 0, 0)).pixels
    assert pixels is not None
    return pixels


OVER_BLACK: dict[str, Callable[[Path], np.ndarray]] = {
    "composite": lambda path: composite(white().pixels, half(), (0, 0, 0)),
    "over a picture": lambda path: composite(white().pixels, half(), white(0).pixels),
    "premultiplied": lambda path: premultiply(white().pixels, half()),
    "Matte.composite": lambda path: matte().composite((0, 0, 0)),
    "Matte.composite over a photo": lambda path: matte().composite(white(0)),
    "Matte.premultiplied": lambda path: matte().premultiplied(),
    "a composite's file": lambda path: saved(path, "composite"),
    "a premultiplied file": lambda path: saved(path, "premultiplied")[..., :3],
    "a cut-out in another program": laid_by_another_program,
    "a composite of a clip": film,
}


@pytest.mark.parametrize("way", OVER_BLACK)
def test_trap_52_everything_that_lays_a_matte_over_black_mixes_stored_values(
    way: str, tmp_path: Path
) -> None:
    laid = OVER_BLACK[way](tmp_path / "laid.png")
    assert laid.dtype == np.uint8 and laid.shape == (SIDE, SIDE, 3)
    assert (laid[:, :15] == 255).all() and (laid[:, 25:] == 0).all()
    assert (laid[:, 15:25] == HALF).all()


@pytest.mark.parametrize(("preview", "ground"), [("squares", None), ("gray", GRAY)])
def test_trap_52_previews_show_what_a_composite_over_their_ground_is(
    preview: str, ground: float | None
) -> None:
    black = white(0).pixels
    if ground is None:
        shown = figures.over_squares(black, half())
        behind = figures.over_squares(black, np.zeros((SIDE, SIDE), np.float32))
    else:
        shown = figures.levels(over_gray(black, half()))
        behind = figures.levels(np.full((SIDE, SIDE, 3), ground, np.float32))
    assert np.abs(shown.astype(int) - composite(black, half(), behind)).max() <= 1


def bent(path: Path, gamma: float) -> None:
    """Has a PNG say that its levels are to be bent, in a gAMA chunk."""
    data = path.read_bytes()
    body = b"gAMA" + struct.pack(">I", round(gamma * 100_000))
    chunk = struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body))
    path.write_bytes(data[:33] + chunk + data[33:])


@pytest.mark.parametrize("gamma", [None, 0.45455, 1.0])
def test_trap_52_no_gamma_bends_alpha_on_its_way_to_a_score(tmp_path: Path, gamma: float | None) -> None:
    """Half coverage is 128 in a matte's file and scored as 128 / 255, whatever the file's header says."""
    for folder in ("pred", "true"):
        (tmp_path / folder).mkdir()
    matte().save(tmp_path / "pred/a.png", "alpha")
    levels = np.asarray(Image.open(tmp_path / "pred/a.png"))
    assert (levels[:, 15:25] == HALF).all()
    if gamma is not None:
        bent(tmp_path / "pred/a.png", gamma)
    Image.fromarray(np.where(half() > 0.75, 255, 0).astype(np.uint8)).save(tmp_path / "true/a.png")
    found = scoring.paired(tmp_path / "pred", tmp_path / "true")
    (row,) = scoring.scored(found, "ours", named("native"), None)
    share = 10 / SIDE  # of the picture is half covered, where the truth has nothing
    assert row.values["mad"] == pytest.approx(share * HALF / 255, rel=1e-6)
    assert row.values["mse"] == pytest.approx(share * (HALF / 255) ** 2, rel=1e-6)


def test_trap_52_a_photo_keeps_its_own_gamma_and_is_mixed_in_it(tmp_path: Path) -> None:
    """Values of a photo with a profile are mixed as they are stored; the profile goes along."""
    colour = np.broadcast_to(np.uint8([220, 40, 90]), (SIDE, SIDE, 3))
    wide = pyvips.Image.new_from_array(colour.copy()).copy(interpretation="srgb")
    wide.icc_transform("p3", input_profile="srgb").write_to_file(str(tmp_path / "wide.png"))
    photo = photos.read(tmp_path / "wide.png")
    assert photo.profile
    whole = Matte(alpha=half(), photo=photo, presence=1.0, status="present", guidance=GUIDANCE)
    whole.save(tmp_path / "out.png", "composite", background=(0, 0, 0))
    again = photos.read(tmp_path / "out.png")
    assert again.profile == photo.profile
    expected = np.floor(photo.pixels[0, 0].astype(np.float32) / 2 + 0.5)
    assert np.array_equal(again.pixels[:, 15:25], np.broadcast_to(expected, (SIDE, 10, 3)))
