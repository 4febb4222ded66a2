"""Composition-1k, kept as its authors hand it out: foregrounds, alphas, backgrounds, their own split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mattelike import photos
from mattelike.errors import UsageError

torch = pytest.importorskip("torch")

from mattelike.training import pack, refining_published  # noqa: E402
from mattelike.training.refining_samples import composite, library  # noqa: E402


def saved(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    photos.write_rgb(path, pixels.astype(np.uint8))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two things to learn from, one to test on, three backgrounds of which one is for tests."""
    folder = tmp_path / "composition"
    ramp = np.repeat(np.linspace(0, 255, 60).round()[None, :, None], 40, axis=0).repeat(3, axis=2)
    for part, names in (("Training_set/Other", ("a", "b")), ("Test_set/Adobe", ("c",))):
        for name in names:
            saved(folder / part / "fg" / f"{name}.png", np.full((40, 60, 3), 90))
            saved(folder / part / "alpha" / f"{name}.png", ramp)
    for number in range(3):
        saved(folder / "bg" / f"{number}.png", np.full((50, 50, 3), 40 * number))
    (folder / "Test_set" / "test_bg_names.txt").write_text("2.png\n")
    return folder


def test_foregrounds_alphas_and_backgrounds_keep_the_split_of_the_set(root: Path, tmp_path: Path) -> None:
    pack.write(tmp_path / "pack", refining_published.rows(root, root / "bg"))
    opened = pack.load(tmp_path / "pack")
    split = {place.item.name.rsplit("/", 1)[1]: place.item.split for place in opened.places}
    assert split == {"a": "train", "b": "train", "c": "validation"} | {
        "0": "train",
        "1": "train",
        "2": "validation",
    }
    assert not any(place.item.clean for place in opened.places)
    thing = opened.rgba(next(p for p in opened.places if p.item.name.endswith("/a")))
    assert np.allclose(thing[3, 0].numpy(), np.linspace(0, 1, 60), atol=1 / 255)
    stock = library(opened, split="validation")
    made = composite(stock, "published", 64, torch.Generator().manual_seed(0))
    assert made.rgb.shape == (3, 64, 64) and float(made.alpha.max()) > 0


def test_a_list_narrows_the_foregrounds(root: Path) -> None:
    (root / "training_fg_names.txt").write_text("b.png\n")
    names = [item.name for item, _ in refining_published.rows(root)]
    assert names == ["composition/Training_set/Other/fg/b", "composition/Test_set/Adobe/fg/c"]
    (root / "training_fg_names.txt").write_text("b.png\nz.png\n")
    with pytest.raises(UsageError, match=r"z\.png is listed"):
        list(refining_published.rows(root))


def test_a_large_foreground_and_its_alpha_shrink_alike(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refining_published, "SIDE", 30)
    assert next(iter(refining_published.rows(root)))[1].shape == (20, 30, 4)


def test_what_does_not_fit_is_refused_by_name(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no foregrounds"):
        list(refining_published.rows(tmp_path / "bare"))
    saved(root / "Training_set/Other/alpha/a.png", np.zeros((40, 61, 3)))
    with pytest.raises(UsageError, match="61 x 40"):
        list(refining_published.rows(root))
    (root / "Training_set/Other/alpha/a.png").unlink()
    with pytest.raises(UsageError, match="has no alpha"):
        list(refining_published.rows(root))


def test_a_thing_of_both_parts_is_refused(root: Path) -> None:
    for folder in ("fg", "alpha"):
        saved(root / "Test_set/Adobe" / folder / "b.png", np.full((40, 60, 3), 128))
    with pytest.raises(UsageError, match=r"b\.png is in the training set and in the test set"):
        list(refining_published.rows(root))
