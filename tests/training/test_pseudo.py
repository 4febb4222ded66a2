"""Pseudo-labels: learnt from where answers agree, left out where they differ."""

from __future__ import annotations

import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import mattelike
from mattelike import photos
from mattelike.training import episodes, inventory, pseudo, synthesis
from mattelike.values import Photo
from tests.scenes import disc
from tests.training.toys import toy_pack

RECIPES = Path(__file__).parents[2] / "recipes"


def test_only_what_all_answers_have_is_foreground() -> None:
    one, other = np.zeros((4, 6), np.float32), np.zeros((4, 6), np.float32)
    one[:, :3], other[:, 1:4] = 0.9, 0.7
    found = pseudo.label([one, other])
    assert found[0].tolist() == [127, 255, 255, 127, 0, 0]
    assert pseudo.agreement(found) == 0.5
    assert pseudo.agreement(pseudo.label([0 * one, 0 * one])) == 0


def test_what_is_unsure_is_not_learnt_from() -> None:
    found = np.zeros((40, 40), np.uint8)
    found[:, :20], found[:, 14:26] = pseudo.FOREGROUND, pseudo.UNSURE
    alpha = torch.from_numpy(found).float() / 255
    trusted = synthesis.trust(alpha, "mask", 1)
    assert trusted[:, 15:25].sum() == 0
    assert trusted[:, :12].all()
    assert trusted[:, 28:].all()


def test_opinions_are_those_of_the_photo_and_of_its_mirror_image() -> None:
    scene = disc(96, 128, seed=2)
    predictor = mattelike.load("imagenet", threads=1)
    context = predictor.encode(scene.pixels, mattelike.Mask(scene.alpha > 0.5))
    straight, mirrored = pseudo.opinions(predictor, Photo(scene.pixels), [context])
    assert straight.shape == mirrored.shape == scene.alpha.shape
    # The disc lies off the middle: an opinion that was not mirrored back would miss it.
    assert pseudo.agreement(pseudo.label([straight, mirrored])) > 0.8
    assert not np.array_equal(straight, mirrored)


def test_a_pack_takes_labels_of_photos_without_a_truth_of_their_own(tmp_path: Path) -> None:
    root, labels = tmp_path / "data", tmp_path / "labels"
    scene = disc(40, 60, seed=1)
    for name in ("00", "01"):
        (root / "grocery_groups" / "plum").mkdir(parents=True, exist_ok=True)
        photos.write_rgb(root / "grocery_groups" / "plum" / f"{name}.jpg", scene.pixels)
    (labels / "grocery_groups" / "plum").mkdir(parents=True)
    photos.write_alpha(labels / "grocery_groups" / "plum" / "01.png", scene.alpha)
    plain, labelled = inventory.listed(root), inventory.listed(root, labels)
    assert [entry.item.truth for entry in plain] == ["none", "none"]
    assert [entry.item.truth for entry in labelled] == ["none", "mask"]
    assert labelled[1].item.kind == "plum"
    # What is free of doubt does not learn from the answers of a model that is not.
    assert [entry.item.clean for entry in labelled] == [True, False]
    assert inventory.pixels(labelled[1])[..., 3].max() == 255


def test_pairs_with_pseudo_labels_come_up_as_often_as_asked(tmp_path: Path) -> None:
    made = episodes.library(toy_pack(tmp_path), False)
    groups = dict(made.groups)
    kind = next(kind for kind, places in groups.items() if len(places) > 1)
    groups[kind] = [replace(p, item=replace(p.item, source=episodes.PSEUDO)) for p in groups[kind]]
    settings = episodes.EpisodeSettings(sides=(64,), pseudo=1.0)
    chosen = episodes.Episodes(replace(made, groups=groups), settings, 1)
    for seed in range(8):
        pair = chosen.real_pair(64, torch.Generator().manual_seed(seed))
        assert all(any(layer.kind == kind for layer in picture.layers) for picture in pair)


def test_the_committed_labels_are_three_valued_and_none_was_refused() -> None:
    marks = json.loads((RECIPES / "labels" / "marks.json").read_text(encoding="utf-8"))
    found = sorted((RECIPES / "labels").rglob("*.png"))
    assert found
    for path in found:
        group = path.relative_to(RECIPES / "labels").parent.as_posix()
        assert group in marks["groups"]
        assert f"{group}/{path.stem}" not in marks["refused"]
        values = np.unique(photos.read(path).pixels)
        assert set(values.tolist()) <= {pseudo.BACKGROUND, pseudo.UNSURE, pseudo.FOREGROUND}
        assert pseudo.FOREGROUND in values


@pytest.mark.parametrize("corners", [[(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)]])
def test_a_polygon_is_what_lies_inside_it(corners: list[tuple[float, float]]) -> None:
    recipe = runpy.run_path(str(RECIPES / "pseudo_labels.py"))
    inside = recipe["polygon"](np.array(corners), 8, 12)
    expected = np.zeros((8, 12), bool)
    expected[2:6, 3:9] = True
    assert np.array_equal(inside, expected)
