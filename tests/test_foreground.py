"""Colours under a partial alpha: right, free of the old background, without seams, in bounded memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pymatting
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mattelike.errors import PhotoError, SettingsError
from mattelike.foreground import SOLID, composite, foreground, premultiply, snap
from mattelike.values import Float32, Pixels
from tests import scenes
from tests.scenes import MAKERS, Scene

BACKGROUNDS = {"black": (0, 0, 0), "white": (255, 255, 255), "green": (13, 204, 26), "blue": (20, 30, 230)}


def colour_error(scene: Scene, colours: Float32) -> float:
    """Mean error of F in the mixed band, as far as it can be seen: weighted by alpha; in levels of 8 bits."""
    away = np.abs(colours - scene.front).mean(axis=-1) * scene.alpha
    return float(255 * away[scene.mixed].mean())


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("seed", [0, 1])
def test_no_worse_than_pymatting(maker: Callable[..., Scene], seed: int) -> None:
    scene = maker(144, 171, seed=seed)
    oracle = pymatting.estimate_foreground_ml(scene.pixels / 255, scene.alpha.astype(np.float64))
    ours = foreground(scene.pixels, scene.alpha) / np.float32(255)
    assert colour_error(scene, ours) <= 1.1 * colour_error(scene, oracle)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_solid_pixels_are_the_photos_own_and_hidden_ones_are_defined_trap_55(depth: scenes.Depth) -> None:
    scene = scenes.disc(90, 110, depth=depth)
    hidden, solid = scene.alpha == 0, scene.alpha >= SOLID
    colours = foreground(scene.pixels, scene.alpha)
    assert colours.dtype == depth
    assert np.array_equal(colours[solid], scene.pixels[solid])
    assert not colours[hidden].any()
    kept = foreground(scene.pixels, scene.alpha, keep_hidden=True)
    assert np.array_equal(kept[hidden], scene.pixels[hidden])
    assert np.array_equal(kept[~hidden], colours[~hidden])


def test_sixteen_bits_are_not_squeezed_through_eight_trap_6() -> None:
    eight, sixteen = (scenes.disc(96, 96, softness=10, depth=depth) for depth in (np.uint8, np.uint16))
    fine = foreground(sixteen.pixels, sixteen.alpha)
    assert np.unique(fine[sixteen.mixed] % 257).size > 100
    coarse = foreground(eight.pixels, eight.alpha)
    assert colour_error(sixteen, fine / np.float32(65535)) <= colour_error(eight, coarse / np.float32(255))


@pytest.mark.parametrize("name", BACKGROUNDS)
def test_no_fringe_of_the_old_background_trap_49(name: str) -> None:
    scene = scenes.red_on_green()
    cut = composite(foreground(scene.pixels, scene.alpha), scene.alpha, BACKGROUNDS[name])
    new = np.float32(BACKGROUNDS[name]) / 255
    truth = scene.alpha[..., None] * scene.front + (1 - scene.alpha[..., None]) * new
    assert np.abs(cut - 255 * truth).max() <= 2
    naive = composite(scene.pixels, scene.alpha, BACKGROUNDS[name])
    if name != "green":
        assert np.abs(naive - 255 * truth).max() > 20, "the scene has no fringe to take out"


@settings(max_examples=25)
@given(seed=st.integers(0, 2**16), background=st.tuples(*[st.integers(0, 255)] * 3))
def test_right_colours_over_any_colour_are_the_true_composite(seed: int, background: tuple[int, ...]) -> None:
    draw = np.random.default_rng(seed)
    front = draw.random((12, 9, 3), dtype=np.float32)
    alpha = draw.random((12, 9), dtype=np.float32)
    truth = alpha[..., None] * front * 255 + (1 - alpha[..., None]) * np.float32(background)
    cut = composite(np.floor(front * 255 + 0.5).astype(np.uint8), alpha, background)
    assert np.abs(cut - truth).max() <= 1 + 1e-3


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_both_ends_of_alpha_are_exact_and_the_result_opaque_trap_53(depth: scenes.Depth) -> None:
    draw = np.random.default_rng(0)
    top = np.iinfo(depth).max
    front, behind = (draw.integers(0, top + 1, (40, 30, 3)).astype(depth) for _ in range(2))
    ones, zeros = np.ones((40, 30), np.float32), np.zeros((40, 30), np.float32)
    assert np.array_equal(composite(front, ones, behind), front)
    assert np.array_equal(composite(front, zeros, behind), behind)
    assert (composite(front, zeros, (1, 2, top)) == (1, 2, top)).all()
    assert composite(front, ones, behind).shape == (40, 30, 3)


def test_halves_round_up_without_bias_trap_54() -> None:
    alpha = np.full((1, 256), 0.5, np.float32)
    front = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    halves = premultiply(front, alpha)[0, :, 0]
    assert np.array_equal(halves, (np.arange(256) + 1) // 2)
    ramp = np.linspace(0, 1, 100_001, dtype=np.float32)[None]
    white = np.full((1, ramp.size, 3), 255, np.uint8)
    levels = premultiply(white, ramp)[0, :, 0]
    assert levels[0] == 0 and levels[-1] == 255
    assert abs((levels - 255 * ramp[0]).mean()) < 0.01


def test_blending_happens_in_the_stored_gamma_encoded_values_trap_52() -> None:
    gray = composite(np.full((1, 1, 3), 255, np.uint8), np.full((1, 1), 0.5, np.float32), (0, 0, 0))
    assert gray[0, 0, 0] == 128


def test_snap_takes_off_the_veil_and_stays_smooth_trap_50() -> None:
    alpha = np.linspace(0, 1, 1001, dtype=np.float32)[None]
    snapped = snap(alpha, 0.05, 0.92)
    assert (snapped[alpha <= 0.05] == 0).all()
    assert (snapped[alpha >= 0.92] == 1).all()
    steps = np.diff(snapped[0])
    assert steps.min() >= 0 and steps.max() < 0.002
    assert np.array_equal(snap(alpha, 0.0, 1.0), alpha)


@pytest.mark.parametrize("bounds", [(0.5, 0.5), (-0.1, 0.9), (0.2, 1.1)])
def test_snap_refuses_impossible_bounds(bounds: tuple[float, float]) -> None:
    with pytest.raises(SettingsError, match="floor < ceiling"):
        snap(np.zeros((2, 2), np.float32), *bounds)


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
def test_blocks_leave_no_seam_trap_45(maker: Callable[..., Scene]) -> None:
    scene = maker(211, 187)
    whole = foreground(scene.pixels, scene.alpha, block=512)
    for block in (16, 50, 128):
        assert np.array_equal(foreground(scene.pixels, scene.alpha, block=block), whole)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (3, 3), (2, 33)])
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_tiny_pictures_trap_43(size: tuple[int, int], value: float) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    colours = foreground(pixels, np.full(size, value, np.float32))
    assert colours.shape == pixels.shape
    if value == 1:
        assert np.array_equal(colours, pixels)


@pytest.mark.parametrize("level", [0, 255])
def test_a_flat_picture_keeps_its_colour_trap_47(level: int) -> None:
    pixels = np.full((40, 50, 3), level, np.uint8)
    alpha = scenes.disc_alpha(40, 50)
    assert (foreground(pixels, alpha)[alpha > 0] == level).all()


def test_what_does_not_fit_is_refused() -> None:
    pixels, alpha = np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5), np.float32)
    with pytest.raises(PhotoError, match="resize"):
        foreground(pixels, alpha.T.copy())
    with pytest.raises(PhotoError, match="three numbers"):
        composite(pixels, alpha, (0, 0, 256))
    with pytest.raises(PhotoError, match="same size and depth"):
        composite(pixels, alpha, np.zeros((4, 5, 3), np.uint16))
    with pytest.raises(SettingsError, match="even"):
        foreground(pixels, alpha, block=7)


def large(height: int, width: int) -> tuple[Pixels, Float32]:
    """A picture with a band of about 3 %."""
    alpha = scenes.disc_alpha(height, width, softness=0.017 * width)
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return pixels, alpha


def test_memory_is_bounded_trap_45() -> None:
    pixels, alpha = large(1500, 2000)
    tracemalloc.start()
    foreground(pixels, alpha)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    fixed = 16 * 2**20  # a few working blocks, whatever the size
    assert peak - pixels.nbytes - fixed <= 10 * alpha.size


@pytest.mark.slow
def test_twelve_megapixels_in_three_seconds_and_fifty_in_ten_bytes_each_trap_45() -> None:
    pixels, alpha = large(3000, 4000)
    start = time.perf_counter()
    foreground(pixels, alpha)
    assert time.perf_counter() - start <= 3
    pixels, alpha = large(5800, 8700)
    tracemalloc.start()
    foreground(pixels, alpha)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - pixels.nbytes <= 10 * alpha.size
