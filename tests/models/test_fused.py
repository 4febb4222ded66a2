"""Diffusion and DINO tokens side by side: the cosine of two fused tokens is the mean of their two cosines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.contracts.test_models import small_fusion
from tests.models import tiny_sd

import mattelike as ml
from mattelike.errors import ModelNotFoundError, SettingsError, UsageError
from mattelike.models.fused import FusedModel


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fused")


@pytest.fixture(scope="module")
def both(room: Path) -> FusedModel:
    found = small_fusion(room)
    assert isinstance(found, FusedModel)
    return found


def cosines(tokens: np.ndarray) -> np.ndarray:
    flat = tokens[0].reshape(tokens.shape[1], -1)
    flat = flat / np.linalg.norm(flat, axis=0)
    return flat.T @ flat


def test_the_cosine_of_fused_tokens_is_the_mean_of_both(both: FusedModel) -> None:
    image = tiny_sd.picture(1)
    fused = both.features(image, "target").tokens
    assert fused.shape == (1, 32 + 32, 8, 8)
    diffused = both.extractor.tokens(image, "target", 5)
    seen = both.other.features(both._for_dino(image, (8, 8)), "target").tokens
    np.testing.assert_allclose(cosines(fused), (cosines(diffused) + cosines(seen)) / 2, atol=1e-5)


def test_dino_sees_the_same_picture_one_patch_a_cell(both: FusedModel) -> None:
    seen = both._for_dino(np.zeros((1, 3, 64, 128), np.float32), (4, 8))
    assert seen.shape == (1, 3, 4 * 14, 8 * 14)
    # Middle gray, the way DINO is given it.
    np.testing.assert_allclose(
        seen[0, :, 0, 0], (0.5 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225], rtol=1e-5
    )


def test_mattes_of_any_size_through_the_two_verbs(both: FusedModel, tmp_path: Path) -> None:
    predictor = ml.Predictor(both)
    pixels = ((tiny_sd.picture(1, (90, 130))[0].transpose(1, 2, 0) + 1) * 127.5).astype(np.uint8)
    mask = np.zeros((90, 130), np.bool_)
    mask[30:60, 45:85] = True
    context = predictor.encode(
        [(pixels, ml.Mask(mask))], negatives=[(pixels[::-1].copy(), ml.Points([(5, 5)]))]
    )
    context.save(tmp_path / "both.context")
    assert context.settings == both.card.settings != ""
    matte = predictor.matte(pixels, ml.Context.load(tmp_path / "both.context"), refine=False)
    assert matte.alpha.shape == (90, 130)
    assert np.array_equal(matte.alpha, predictor.matte(pixels, context, refine=False).alpha)


def test_what_is_missing_is_said(room: Path, both: FusedModel) -> None:
    with pytest.raises(ModelNotFoundError, match="nowhere"):
        ml.load("sd21+dino", device="cpu", source=room / "sd", dino_source="nowhere")
    with pytest.raises(SettingsError, match="no setting 'timestpe'"):
        ml.load("sd21+dino", timestpe=1)
    with pytest.raises(UsageError, match="\\[-1, 1\\]"):
        both.features(tiny_sd.picture(1) * 3, "target")
