"""The public mini benchmark: exact alphas, every split, the same on every machine."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mattelike import photos
from mattelike.errors import UsageError
from mattelike.evaluation.mini.building import LARGE, SMALL, build
from mattelike.evaluation.mini.canvas import Pose
from mattelike.evaluation.mini.more_things import MORE
from mattelike.evaluation.mini.things import KINDS, thing
from tests.evaluation.benches import TINY, tiny


def test_it_has_every_split_and_both_relations(built: Path) -> None:
    with (built / "benchmark.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert Counter(row["split"] for row in rows) == {
        "references": 6,
        "scenes": 3,
        "absent": 3,
        "photo-to-render": 2,
    }
    assert {row["group"]: row["relation"] for row in rows} == {
        "fish": "category",
        "mushroom": "category",
        "sloth": "instance",
    }
    for row in rows:
        alpha = photos.read(built / row["alpha"]).pixels
        assert (alpha.max() == 0) == (row["split"] == "absent")


def test_building_it_again_gives_the_same_files(built: Path, tmp_path: Path, examples: Path) -> None:
    tiny(tmp_path, examples)
    names = sorted(path.relative_to(built) for path in built.rglob("*.*"))
    assert names == sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.*"))
    for name in names:
        assert (built / name).read_bytes() == (tmp_path / name).read_bytes(), name


@pytest.mark.parametrize("kind", (*KINDS, *MORE))
@pytest.mark.parametrize("style", ["photo", "render"])
def test_a_thing_has_colours_under_its_alpha_and_soft_edges(kind: str, style: str) -> None:
    pose = Pose(40, 44, 26, 0.2, True)
    drawn = thing((KINDS | MORE)[kind], style, 84, pose, np.random.default_rng(3))  # type: ignore[arg-type]
    alpha = drawn[..., 3]
    assert drawn.dtype == np.float32 and drawn.shape == (84, 84, 4)
    assert drawn.min() >= 0 and alpha.max() <= 1 and alpha.max() > 0.7
    assert (drawn[..., :3] <= alpha[..., None] + 1e-6).all()
    assert ((alpha > 0.02) & (alpha < 0.98)).mean() > 0.005
    border = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
    assert border.max() == 0, "nothing reaches beyond its size"


def test_two_of_a_kind_differ_and_a_seed_repeats() -> None:
    pose = Pose(32, 32, 20)
    one, two, again = (thing(KINDS["fish"], "photo", 64, pose, np.random.default_rng(n)) for n in (1, 2, 1))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, two)


def test_the_editions_are_what_the_script_says() -> None:
    assert (SMALL.side, LARGE.side) == (256, 640)
    assert len(SMALL.kinds) == 8 and len(SMALL.cuts) == 3
    assert len(LARGE.kinds) == 12 and LARGE.kinds[:8] == SMALL.kinds


def cut_out(path: Path, level: int, size: int = 30) -> None:
    """A gray disc on nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    down, across = np.indices((size, size)) - (size - 1) / 2
    alpha = np.clip(size / 3 - np.hypot(down, across), 0, 1).astype(np.float32)
    photo = photos.read(np.full((size, size, 3), level, np.uint8))
    photos.write_cutout(path, photo.pixels, alpha)


def test_a_folder_of_cut_outs_becomes_groups(tmp_path: Path, examples: Path) -> None:
    own = tmp_path / "own"
    for number, level in enumerate((0, 0, 255, 255)):
        cut_out(own / "disc" / f"{number}.png", level, size=30 + 80 * (number == 3))
    cut_out(own / "lamp" / "0.png", 120)
    edition = replace(TINY, kinds=("fish",), cuts=())
    with build(tmp_path / "out", examples, edition, own=own).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["group"]: row["relation"] for row in rows} == {
        "fish": "category",
        "disc": "category",
        "lamp": "instance",
    }
    for row in rows:
        if row["group"] == "disc" and row["split"] != "absent":
            alpha = photos.read(tmp_path / "out" / row["alpha"]).pixels[..., 0]
            inside = photos.read(tmp_path / "out" / row["image"]).pixels[alpha == 255].mean()
            assert (inside < 90) == (row["split"] == "references"), "others are shown than are asked for"


def test_trap_96_what_is_no_cut_out_is_named(tmp_path: Path, examples: Path) -> None:
    with pytest.raises(UsageError, match="no such folder of cut-outs"):
        build(tmp_path / "out", examples, TINY, own=tmp_path / "own")
    (tmp_path / "own").mkdir()
    with pytest.raises(UsageError, match="a folder a kind"):
        build(tmp_path / "out", examples, TINY, own=tmp_path / "own")
    cut_out(tmp_path / "own" / "fish" / "0.png", 9)
    with pytest.raises(UsageError, match="of that name already"):
        build(tmp_path / "out", examples, TINY, own=tmp_path / "own")
    (tmp_path / "own" / "fish").rename(tmp_path / "own" / "carp")
    photos.write_rgb(tmp_path / "own" / "carp" / "1.png", np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(UsageError, match=r"1\.png: not a cut-out"):
        build(tmp_path / "out", examples, TINY, own=tmp_path / "own")


def test_trap_96_without_the_example_photos_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"in a checkout, from its examples/"):
        build(tmp_path / "out", tmp_path)
