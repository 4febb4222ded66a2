"""The two verbs on the research model: nothing outside it knows which model it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.models import tiny_sd

import mattelike as ml
from mattelike import photos
from mattelike.contexts import Context
from mattelike.errors import ContextError, PromptError, SettingsError


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small diffusion model."""
    return tiny_sd.save(tmp_path_factory.mktemp("sd"))


@pytest.fixture(scope="module")
def predictor(room: Path) -> ml.Predictor:
    settings = {"side": 128, "ensemble_size": 2}
    return ml.load("sd21", device="cpu", source=room, weights="untrained", settings=settings)


def photo(seed: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    picture = tiny_sd.picture(seed, size)[0].transpose(1, 2, 0)
    return ((picture + 1) * 127.5).astype(np.uint8)


def disc(size: tuple[int, int]) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    found: NDArray[np.bool_] = (rows - size[0] / 2) ** 2 + (columns - size[1] / 2) ** 2 < (min(size) / 3) ** 2
    return found


def test_marks_of_every_form_give_mattes_at_the_photos_own_size(predictor: ml.Predictor) -> None:
    reference, target = photo(1, (100, 140)), photo(2, (150, 90))
    prompts = [
        ml.Mask(disc((100, 140))),
        ml.Points([(70, 50)], negative=[(5, 5)]),
        ml.Box(30, 20, 110, 80),
    ]
    for prompt in prompts:
        context = predictor.encode(reference, prompt)
        matte = predictor.matte(target, context, refine=False)
        assert matte.alpha.shape == (150, 90)
        assert np.isfinite(matte.alpha).all()
        assert matte.status == "unsure"


def test_A17_a_saved_context_gives_the_same_matte_bit_for_bit(
    predictor: ml.Predictor, tmp_path: Path
) -> None:
    context = predictor.encode(photo(1, (100, 140)), ml.Mask(disc((100, 140))))
    context.save(tmp_path / "disc.context")
    target = photo(2, (90, 90))
    fresh = predictor.matte(target, context, refine=False).alpha
    kept = predictor.matte(target, Context.load(tmp_path / "disc.context"), refine=False).alpha
    assert np.array_equal(fresh, kept)


def test_several_references_and_negatives(predictor: ml.Predictor) -> None:
    pairs = [(photo(seed, (100, 100)), ml.Mask(disc((100, 100)))) for seed in (1, 2)]
    context = predictor.encode(pairs, negatives=[(photo(3, (100, 100)), ml.Mask(disc((100, 100))))])
    assert context.references == 3
    assert predictor.matte(photo(4, (100, 100)), context, refine=False).alpha.shape == (100, 100)


def test_A35_marks_without_meaning_are_refused(predictor: ml.Predictor) -> None:
    reference = photo(1, (100, 100))
    with pytest.raises(PromptError):
        predictor.encode(reference, ml.Mask(np.zeros((100, 100), np.bool_)))
    with pytest.raises(PromptError):
        predictor.encode(reference, ml.Mask(np.ones((50, 100), np.bool_)))
    with pytest.raises(PromptError):
        predictor.encode(reference, ml.Points([(500, 20)]))


def test_trap_42_a_context_of_another_model_is_refused(predictor: ml.Predictor) -> None:
    other = Context(
        np.ones((1, 4), np.float16), np.ones(1, np.float16), np.zeros(1, np.int16), "embedded", "x"
    )
    with pytest.raises(ContextError, match="made by the model"):
        predictor.matte(photo(1, (64, 64)), other)


def test_A42_the_effective_settings_are_in_every_result(predictor: ml.Predictor, tmp_path: Path) -> None:
    context = predictor.encode(photo(1, (100, 100)), ml.Mask(disc((100, 100))))
    matte = predictor.matte(photo(2, (100, 100)), context, refine=False)
    context.save(tmp_path / "disc.context")
    for written in (context.settings, matte.settings, Context.load(tmp_path / "disc.context").settings):
        settings = json.loads(written)
        assert (settings["timestep"], settings["ensemble_size"], settings["side"]) == (200, 2, 128)
    matte.save(tmp_path / "disc.png", "alpha")
    with Image.open(tmp_path / "disc.png") as image:
        assert image.text["mattelike-settings"] == matte.settings  # type: ignore[attr-defined]


@pytest.mark.parametrize(("reuse", "runs"), [("true", 1), ("false", 2)])
def test_A18_a_photo_that_is_its_own_reference_is_looked_at_once(room: Path, reuse: str, runs: int) -> None:
    settings = {"side": 128, "ensemble_size": 1, "reuse_self": reuse}
    own = ml.load("sd21", device="cpu", source=room, weights="untrained", settings=settings)
    calls = {"unet": 0, "encoder": 0}

    def counted(name: str) -> Any:
        def count(module: object, given: object) -> None:
            calls[name] += 1

        return count

    frozen = own.model.extractor.backbone  # type: ignore[attr-defined]
    frozen.unet.register_forward_pre_hook(counted("unet"))
    frozen.vae.encoder.register_forward_pre_hook(counted("encoder"))
    matte = own.matte(photo(1, (100, 140)), ml.Mask(disc((100, 140))), refine=False)
    assert calls == {"unet": runs, "encoder": runs}
    assert matte.alpha.shape == (100, 140)


def test_settings_are_options_one_by_one(room: Path) -> None:
    found = ml.load("sd21", device="cpu", source=room, weights="untrained", side=64, timestep="100")
    assert json.loads(found.card.settings)["timestep"] == 100
    with pytest.raises(SettingsError, match="no setting 'timstep'"):
        ml.load("sd21", device="cpu", source=room, weights="untrained", timstep=100)


def test_A28_the_releases_rounding_is_that_of_its_files(
    room: Path, predictor: ml.Predictor, tmp_path: Path
) -> None:
    chosen = {"side": 128, "ensemble_size": 2, "png_rounding": "floor"}
    floor = ml.load("sd21", device="cpu", source=room, weights="untrained", settings=chosen)
    reference, target = photo(1, (100, 100)), photo(2, (100, 100))
    context = predictor.encode(reference, ml.Mask(disc((100, 100))))
    alpha = predictor.matte(target, context, refine=False).alpha
    written = {}
    for name, each in (("round", predictor), ("floor", floor)):
        each.matte(target, context, refine=False).save(tmp_path / f"{name}.png", "alpha")
        written[name] = photos.read(tmp_path / f"{name}.png").pixels[..., 0]
    assert np.array_equal(written["round"], np.floor(alpha * np.float32(255) + np.float32(0.5)))
    assert np.array_equal(written["floor"], np.floor(alpha * np.float32(255)))
    assert not np.array_equal(written["round"], written["floor"])
