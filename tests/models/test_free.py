"""The head without training: noisy guidance in, an alpha that follows the photo out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from tests import scenes
from tests.scenes import Scene

from mattelike.models.free import HIGHEST, LOWEST, free_alpha, threshold
from mattelike.values import Float32

STRIDE = 16


def guidance(alpha: Float32, seed: int = 0, noise: float = 0.08) -> tuple[Float32, Float32]:
    """Similarity as frozen features give it: blurred, noisy, of low contrast; and a step of propagation."""
    cells = ndimage.gaussian_filter(scenes.shrink(alpha, STRIDE), 0.7)
    grain = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=cells.shape), 0.8)
    seen = np.clip(0.25 + 0.45 * cells + noise * grain / grain.std(), 0, 1)
    return seen.astype(np.float32), ndimage.gaussian_filter(seen, 0.8).astype(np.float32)


def image_of(scene: Scene) -> Float32:
    return scene.pixels.astype(np.float32) / 255


def overlap(alpha: Float32, truth: Float32) -> float:
    found, real = alpha > 0.5, truth > 0.5
    return float((found & real).sum() / (found | real).sum())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_alpha_follows_the_photo_not_the_grid(seed: int) -> None:
    scene = scenes.disc(256, 320, softness=3, seed=seed)
    similarity, propagated = guidance(scene.alpha, seed)
    alpha = free_alpha(image_of(scene), similarity, propagated)
    assert alpha.shape == scene.alpha.shape and alpha.dtype == np.float32
    assert alpha.min() >= 0 and alpha.max() <= 1
    assert overlap(alpha, scene.alpha) > 0.93
    bare = np.kron(similarity > 0.5, np.ones((STRIDE, STRIDE)))
    assert overlap(alpha, scene.alpha) > overlap(bare, scene.alpha)


def test_a_part_the_matching_missed_is_found_by_what_it_hangs_together_with() -> None:
    scene = scenes.disc(256, 256, softness=3, seed=3)
    similarity, propagated = guidance(scene.alpha, noise=0.03)
    for values in (similarity, propagated):
        values[7:9, 7:9] = 0.3
    alpha = free_alpha(image_of(scene), similarity, propagated)
    assert alpha[7 * STRIDE : 9 * STRIDE, 7 * STRIDE : 9 * STRIDE].mean() > 0.9


def test_a_small_second_thing_with_good_evidence_stays_trap_41() -> None:
    y, x = np.mgrid[:256, :256]
    alpha = np.clip(np.maximum(60 - np.hypot(y - 90, x - 90), 36 - np.hypot(y - 208, x - 208)), 0, 1)
    alpha = alpha.astype(np.float32)
    front, back = scenes.plain(256, 256, (0.8, 0.2, 0.1)), scenes.plain(256, 256, (0.1, 0.3, 0.7))
    scene = scenes.pack(alpha, front, back)
    found = free_alpha(image_of(scene), *guidance(alpha, noise=0.03))
    assert found[90, 90] == 1 and found[208, 208] == 1


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_no_evidence_is_an_empty_alpha_trap_39(value: float) -> None:
    flat = np.full((8, 8), value, np.float32)
    assert not free_alpha(image_of(scenes.disc(128, 128)), flat, flat).any()


def test_evidence_everywhere_is_a_full_alpha() -> None:
    full = np.ones((8, 8), np.float32)
    assert (free_alpha(image_of(scenes.disc(128, 128)), full, full) == 1).all()


@pytest.mark.parametrize("size", [(16, 16), (16, 64), (112, 98)])
def test_small_pictures_and_other_strides_trap_46(size: tuple[int, int]) -> None:
    draw = np.random.default_rng(0)
    grid = max(1, size[0] // 14), max(1, size[1] // 14)
    alpha = free_alpha(
        draw.random((*size, 3), dtype=np.float32), *(draw.random(grid, dtype=np.float32) for _ in range(2))
    )
    assert alpha.shape == size
    assert np.isfinite(alpha).all()


def test_a_gray_picture_stays_finite_trap_47() -> None:
    alpha = scenes.disc_alpha(128, 128)
    assert np.isfinite(free_alpha(np.full((128, 128, 3), 0.5, np.float32), *guidance(alpha))).all()


def test_threshold_splits_two_heaps_and_stays_in_its_bounds() -> None:
    heaps = np.repeat(np.float32([0.35, 0.75]), 50)[None]
    assert 0.35 < threshold(heaps) < 0.75
    assert threshold(heaps / 10) == pytest.approx(LOWEST)
    assert threshold(np.full((4, 4), 0.9, np.float32)) == pytest.approx(HIGHEST)
