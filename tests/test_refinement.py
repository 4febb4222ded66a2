"""Refinement: true edges, solid things stay solid, no seams, bounded memory, a reason when it cannot."""

from __future__ import annotations

import io
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pymatting
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from mattelike.errors import PhotoError, SettingsError
from mattelike.models.refiner import edge_network
from mattelike.refinement import closed_form, grids, guided, refine, trimap
from mattelike.refinement.grids import enlarged
from mattelike.refinement.levels import BAND, decided
from mattelike.refinement.solver import descend, relax
from mattelike.refinement.windows import Windows, box
from mattelike.values import Float32, Pixels
from tests import scenes
from tests.scenes import MAKERS, Scene


def unit(scene: Scene) -> Float32:
    """The scene's picture as float32 in [0, 1]."""
    return scene.pixels.astype(np.float32) / np.iinfo(scene.pixels.dtype).max


def sad(alpha: Float32, truth: Float32) -> float:
    return float(np.abs(alpha - truth).sum())


def coarse_of(scene: Scene, factor: int = 4, seed: int = 0) -> Float32:
    """What a model would say at a fraction of the size: blurred, noisy at the edges."""
    shrunk = ndimage.gaussian_filter(scenes.shrink(scene.alpha, factor), 0.8)
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shrunk.shape), 1.5)
    return np.clip(shrunk + 0.8 * noise * shrunk * (1 - shrunk), 0, 1).astype(np.float32)


# --- windows -----------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 17), st.integers(1, 17), st.integers(0, 9))
def test_box_sums_are_those_of_a_convolution(height: int, width: int, radius: int) -> None:
    values = np.random.default_rng(height * 31 + width).random((2, height, width))
    side = 2 * radius + 1
    slow = [ndimage.convolve(plane, np.ones((side, side)), mode="constant") for plane in values]
    np.testing.assert_allclose(box(values, radius), slow, rtol=1e-12)


@pytest.mark.parametrize("radius", [1, 2])
def test_guided_filter_is_least_squares_in_every_window(radius: int) -> None:
    draw = np.random.default_rng(0)
    image, alpha = draw.random((7, 8, 3)).astype(np.float32), draw.random((7, 8)).astype(np.float32)
    eps, total, count = 1e-3, np.zeros((7, 8)), np.zeros((7, 8))
    for row in range(7):
        for column in range(8):
            at = np.s_[max(row - radius, 0) : row + radius + 1, max(column - radius, 0) : column + radius + 1]
            colours, values = image[at].reshape(-1, 3).astype(float), alpha[at].ravel().astype(float)
            centred = colours - colours.mean(axis=0)
            covariance = centred.T @ centred / len(values) + eps * np.eye(3)
            slope = np.linalg.solve(covariance, centred.T @ (values - values.mean()) / len(values))
            total[at] += (centred @ slope + values.mean()).reshape(total[at].shape)
            count[at] += 1
    np.testing.assert_allclose(guided(image, alpha, radius, eps), total / count, atol=2e-5)


def test_laplacian_is_pymattings_matrix() -> None:
    scene = scenes.disc(20, 24)
    eps = 1e-5
    matrix = pymatting.cf_laplacian(unit(scene).astype(np.float64), epsilon=9 * eps, radius=1)
    alpha = np.random.default_rng(0).random((20, 24)).astype(np.float32)
    ours = Windows.of(np.moveaxis(unit(scene), -1, 0), 1, eps).laplacian(alpha)
    theirs = (matrix @ alpha.ravel()).reshape(alpha.shape)
    # PyMatting has no windows that reach over the border.
    np.testing.assert_allclose(ours[2:-2, 2:-2], theirs[2:-2, 2:-2], atol=1e-3)


def test_laplacian_is_symmetric_positive_and_blind_to_constants() -> None:
    draw = np.random.default_rng(1)
    windows = Windows.of(draw.random((3, 15, 13)).astype(np.float32), 1, 1e-4)
    one, other = (draw.random((15, 13)).astype(np.float32) for _ in range(2))
    assert np.vdot(one, windows.laplacian(other)) == pytest.approx(
        np.vdot(other, windows.laplacian(one)), rel=1e-3
    )
    assert np.vdot(one, windows.laplacian(one)) > 0
    assert np.abs(windows.laplacian(np.full((15, 13), 0.7, np.float32))).max() < 1e-4
    # What `relax` relies on: divided by the size of the windows, no eigenvalue is above 1.
    assert np.vdot(one, windows.laplacian(one)) <= np.vdot(one, one * windows.count)


# --- closed form -------------------------------------------------------------------------------------


@pytest.mark.parametrize("maker", [scenes.disc, scenes.hair], ids=["disc", "hair"])
def test_closed_form_is_as_good_as_pymattings(maker: Callable[..., Scene]) -> None:
    scene = maker(96, 96, seed=4)
    known = trimap(scene.alpha, radius=4)
    ours = closed_form(unit(scene), known)
    theirs = pymatting.estimate_alpha_cf(
        unit(scene).astype(np.float64), known.astype(np.float64), laplacian_kwargs={"epsilon": 9e-6}
    )
    assert sad(ours, scene.alpha) <= 1.1 * sad(theirs, scene.alpha) + 1
    assert np.abs(ours - theirs).mean() < 0.005


def test_closed_form_keeps_what_is_known() -> None:
    scene = scenes.net(64, 64)
    known = trimap(scene.alpha, radius=1)
    alpha = closed_form(unit(scene), known)
    assert np.array_equal(alpha[known != 0.5], known[known != 0.5])
    assert alpha.dtype == np.float32 and alpha.min() >= 0 and alpha.max() <= 1


def test_relaxing_goes_where_descending_goes() -> None:
    scene = scenes.disc(48, 48, softness=4)
    windows = Windows.of(np.ascontiguousarray(np.moveaxis(unit(scene), -1, 0)), 1, 1e-5)
    known = trimap(scene.alpha, radius=2)
    far = descend(windows, known, known == 0.5, 300, 0.0)
    near = relax(windows, known, known == 0.5, 60)
    assert np.abs(near - far).mean() < 0.1 * np.abs(known - far).mean()


# --- trimaps -----------------------------------------------------------------------------------------


def test_trimap_has_three_values_and_a_band_of_the_radius() -> None:
    alpha = np.zeros((30, 40), np.float32)
    alpha[:, 20:] = 1
    known = trimap(alpha, radius=3)
    assert np.array_equal(known[0], np.repeat(np.float32([0, 0.5, 1]), [17, 6, 17]))
    assert np.array_equal(np.unique(trimap(scenes.disc_alpha(60, 60))), np.float32([0, 0.5, 1]))


def test_trimap_may_be_all_unknown_trap_56() -> None:
    assert (trimap(np.full((9, 9), 0.5, np.float32)) == 0.5).all()


@pytest.mark.parametrize("wrong", [{"radius": -1}, {"floor": 0.9, "ceiling": 0.1}, {"ceiling": 1.5}])
def test_trimap_refuses_nonsense(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="impossible"):
        trimap(np.zeros((3, 3), np.float32), **wrong)  # type: ignore[arg-type]


# --- refine ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "share"), [("disc", 0.3), ("hair", 0.5)])
def test_edges_follow_the_photo(name: str, share: float) -> None:
    scene = MAKERS[name](256, 320, seed=2)
    coarse = coarse_of(scene)
    refined = refine(scene.pixels, coarse)
    assert refined.reason == ""
    assert refined.alpha.dtype == np.float32 and refined.alpha.shape == scene.alpha.shape
    assert refined.alpha.min() >= 0 and refined.alpha.max() <= 1
    assert sad(refined.alpha, scene.alpha) <= share * sad(enlarged(coarse, 256, 320), scene.alpha)


def test_a_coarse_alpha_of_full_size_is_refined_too() -> None:
    scene = scenes.disc(128, 128, seed=5)
    blurred = ndimage.gaussian_filter(scene.alpha, 3)
    assert sad(refine(scene.pixels, blurred, band=6).alpha, scene.alpha) < 0.4 * sad(blurred, scene.alpha)


def test_only_the_band_is_touched_trap_51() -> None:
    scene = scenes.disc(256, 256, softness=2)
    halo = ndimage.gaussian_filter(unit(scene), (2, 2, 0))
    sharpened = np.clip(unit(scene) + 1.5 * (unit(scene) - halo), 0, 1)
    alpha = refine((255 * sharpened).astype(np.uint8), scenes.shrink(scene.alpha, 4), band=2).alpha
    y, x = np.mgrid[:256, :256] - 127.5
    away = np.abs(np.hypot(x, y) - 0.3 * 256)
    assert np.isin(alpha[away > 20], (0, 1)).all()
    assert np.array_equal(alpha[away > 20] == 1, scene.alpha[away > 20] == 1)


def compressed(pixels: Pixels, quality: int = 30) -> Pixels:
    """As a camera would store it: blocks of 8, colour at half the size, ringing round every edge."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg", quality=quality, subsampling="4:2:0")
    return np.asarray(Image.open(file))


def sharpened(pixels: Pixels, amount: float = 1.5) -> Pixels:
    """With a light and a dark rim along every edge, as cameras and editors draw it."""
    values = pixels.astype(np.float32)
    rims = values + amount * (values - ndimage.gaussian_filter(values, (2, 2, 0)))
    return np.clip(rims, 0, 255).astype(np.uint8)


DAMAGES: dict[str, Callable[[Pixels], Pixels]] = {
    "blocks": compressed,
    "halo": sharpened,
    "both": lambda pixels: compressed(sharpened(pixels)),
}


@pytest.mark.parametrize("learned", [False, True], ids=["closed-form", "learned"])
@pytest.mark.parametrize(("maker", "share"), [("disc", 0.25), ("hair", 0.7)])
@pytest.mark.parametrize("damage", DAMAGES)
def test_blocks_and_halos_stay_within_the_band_of_the_edge_trap_51(
    damage: str, maker: str, share: float, learned: bool
) -> None:
    scene = MAKERS[maker](256, 320)
    network = edge_network(1) if learned else None
    coarse = coarse_of(scene)
    clean = refine(scene.pixels, coarse, network=network).alpha
    alpha = refine(DAMAGES[damage](scene.pixels), coarse, network=network).alpha
    away = ndimage.distance_transform_edt((scene.alpha == 0) | (scene.alpha == 1))
    beyond = away > 4 * (BAND + 1)  # the coarse alpha is a fourth of the size
    assert beyond.mean() > 0.2
    assert np.array_equal(alpha[beyond], scene.alpha[beyond])  # no ghost of a block, no ring of a halo
    assert np.array_equal(alpha[beyond], clean[beyond])
    assert sad(alpha, scene.alpha) <= share * sad(enlarged(coarse, 256, 320), scene.alpha)


def test_a_solid_thing_gets_no_veil_trap_50() -> None:
    scene = scenes.disc(256, 256, softness=3, seed=1)
    solid = ndimage.binary_erosion(scene.alpha == 1, iterations=3)
    empty = ndimage.binary_erosion(scene.alpha == 0, iterations=3)
    veiled = np.clip(coarse_of(scene) * 0.97, 0, 1).astype(np.float32)
    alpha = refine(scene.pixels, veiled).alpha
    assert alpha[solid].mean() > 0.998
    assert alpha[empty].mean() < 0.002


def test_what_is_doubted_is_solved_again() -> None:
    scene = scenes.disc(192, 192, seed=3)
    coarse = scenes.shrink(scene.alpha, 4)
    coarse[20:28, 20:28] = 0  # a hole in the middle of the disc
    doubt = np.zeros_like(coarse)
    believed = refine(scene.pixels, coarse, uncertainty=doubt).alpha
    doubt[14:34, 14:34] = 0.5
    corrected = refine(scene.pixels, coarse, uncertainty=doubt).alpha
    assert believed[96, 96] == 0
    assert sad(corrected, scene.alpha) < 0.3 * sad(believed, scene.alpha)


def test_a_veil_whose_doubt_is_all_or_nothing_takes_a_side_and_glass_stays() -> None:
    """Half of a shirt is nobody's answer: either it belongs to the thing or not (a veil in the result)."""
    coarse = np.zeros((96, 96), np.float32)
    coarse[:40] = 1
    coarse[60:90, 10:40], coarse[60:90, 50:90] = 0.3, 0.3
    coin, glass = (slice(66, 84), slice(16, 34)), (slice(66, 84), slice(56, 84))
    doubt = np.zeros_like(coarse)
    doubt[:, :45] = 2 * (coarse * (1 - coarse))[:, :45]
    doubt[:, 45:] = 0.02
    found = decided(coarse, doubt)
    assert found[coin].max() < 0.1
    assert np.abs(found - coarse)[glass].max() < 0.02, "it is sure of 0.3"
    assert np.array_equal(decided(coarse, np.zeros_like(coarse)), coarse)
    flipped = decided(1 - coarse, doubt)
    assert np.allclose(flipped, 1 - found, atol=1e-6), "for and against are treated alike"


def test_what_is_doubted_and_left_half_open_by_its_colours_takes_a_side_and_glass_stays() -> None:
    """The rim of a tray under a vase of its colour: the network was let go and the colours do not know."""
    share = np.full((128, 128), 0.3, np.float32)
    share[:, :40], share[:, 50:] = 1, 0
    thing, ground = np.array([200, 60, 40]), np.array([40, 90, 200])
    noise = np.random.default_rng(0).normal(0, 2, (128, 128, 3))
    pixels = (share[..., None] * thing + (1 - share[..., None]) * ground + noise).round().astype(np.uint8)
    middle, doubt = (slice(16, 112), slice(43, 47)), np.zeros_like(share)
    glass = refine(pixels, share, uncertainty=doubt).alpha
    assert np.abs(glass[middle] - share[middle]).max() < 0.08, "it is sure of 0.3"
    doubt[:, 38:52] = 0.3
    assert refine(pixels, share, uncertainty=doubt).alpha[middle].mean() < 0.05
    assert np.abs(refine(pixels, share).alpha[middle] - share[middle]).max() < 0.08, "nobody doubts it"


def test_the_edge_of_a_thing_does_not_take_a_side_before_its_colours_were_asked() -> None:
    ramp = np.clip((np.arange(64, dtype=np.float32) - 30) / 8, 0, 1)[None].repeat(64, 0)
    doubt = 2 * ramp * (1 - ramp)
    assert np.array_equal(decided(ramp, doubt), ramp)


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
def test_tiles_leave_no_seam_trap_45(maker: Callable[..., Scene]) -> None:
    scene = maker(180, 150, seed=6)
    coarse = coarse_of(scene, 6)
    whole = refine(scene.pixels, coarse, tile=1024).alpha
    for tile in (33, 64):
        assert np.array_equal(refine(scene.pixels, coarse, tile=tile).alpha, whole)


@pytest.mark.parametrize(
    ("value", "words"), [(0.0, "surely the thing"), (0.5, "surely the thing"), (1.0, "surely background")]
)
def test_nothing_sure_is_said_and_nothing_invented_trap_56(value: float, words: str) -> None:
    pixels = scenes.disc(60, 80).pixels
    refined = refine(pixels, np.full((15, 20), value, np.float32))
    assert words in refined.reason
    assert (refined.alpha == value).all()


def test_a_thing_thinner_than_the_band_is_still_refined_trap_56() -> None:
    scene = scenes.net(192, 192, pitch=24)
    coarse = scenes.shrink(scene.alpha, 2)
    refined = refine(scene.pixels, coarse, band=8)
    assert refined.reason == ""
    assert sad(refined.alpha, scene.alpha) < sad(enlarged(coarse, 192, 192), scene.alpha)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 3), (2, 50), (97, 61)])
def test_any_size_comes_back_trap_43(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    coarse = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    alpha = refine(pixels, coarse).alpha
    assert alpha.shape == size
    assert np.isfinite(alpha).all()


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_flat_picture_keeps_what_is_sure_trap_47(level: int) -> None:
    pixels = np.full((160, 160, 3), level, np.uint8)
    coarse = scenes.disc_alpha(64, 64, softness=2)
    alpha = refine(pixels, coarse).alpha
    assert alpha[80, 80] == 1 and alpha[0, 0] == 0
    assert np.isfinite(alpha).all()
    assert np.abs(alpha - enlarged(coarse, 160, 160)).mean() < 0.1


def test_depth_does_not_matter_trap_6() -> None:
    eight = scenes.disc(128, 128)
    sixteen = eight.pixels.astype(np.uint16) * 257
    coarse = coarse_of(eight)
    assert np.abs(refine(eight.pixels, coarse).alpha - refine(sixteen, coarse).alpha).max() < 0.02


def test_what_does_not_fit_is_refused() -> None:
    pixels, coarse = np.zeros((8, 8, 3), np.uint8), np.zeros((4, 4), np.float32)
    with pytest.raises(PhotoError, match="uncertainty"):
        refine(pixels, coarse, uncertainty=np.zeros((3, 4), np.float32))
    with pytest.raises(PhotoError, match="finite"):
        refine(pixels, np.full((4, 4), np.nan, np.float32))
    with pytest.raises(PhotoError, match="uint8 or uint16"):
        refine(pixels[..., :1].copy(), coarse)
    with pytest.raises(SettingsError, match="band"):
        refine(pixels, coarse, band=-1)
    with pytest.raises(PhotoError, match="resize"):
        guided(np.zeros((4, 4, 3), np.float32), np.zeros((4, 5), np.float32), 1)
    with pytest.raises(SettingsError, match="steps"):
        closed_form(np.zeros((4, 4, 3), np.float32), coarse, steps=-1)


def traced_peak(height: int, width: int) -> tuple[int, float]:
    """Bytes beyond input and output that a big photo with a soft edge needs, and seconds it takes."""
    small = scenes.disc(height // 8, width // 8, softness=4)
    pixels = np.repeat(np.repeat(small.pixels, 8, axis=0), 8, axis=1)
    start = time.perf_counter()
    tracemalloc.start()
    alpha = refine(pixels, small.alpha).alpha
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak - alpha.nbytes, time.perf_counter() - start


def test_memory_is_bounded_trap_45() -> None:
    extra, _ = traced_peak(1200, 1600)
    fixed = 40 * 2**20  # the working tile and the coarsest level
    assert extra - fixed <= 10 * 1200 * 1600


@pytest.mark.slow
def test_fifty_megapixels_in_ten_bytes_each_trap_45() -> None:
    extra, seconds = traced_peak(5800, 8696)
    assert extra <= 10 * 5800 * 8696
    assert seconds < 60


@pytest.mark.parametrize("picture", ["photo", "gray", "flat", "one hue"])
def test_sums_of_whole_numbers_lose_next_to_nothing_to_float32(picture: str) -> None:
    random = np.random.default_rng(5)
    whole = random.integers(0, 256, (3, 24, 31)).astype(np.float32)
    if picture == "gray":
        whole[:] = whole[0]
    if picture == "flat":
        whole[:] = 255 - (whole < 8)
    if picture == "one hue":
        whole = np.rint(whole[:1] * np.array([1, 0.5, 0.25], np.float32)[:, None, None])
    planes = whole / np.float32(255)
    alpha = random.uniform(0, 1, (24, 31)).astype(np.float32)
    by_float64 = Windows.of(planes, 1, 1e-6)
    by_float32 = Windows.of(planes, 1, 1e-6, 255)
    assert np.allclose(by_float32.smoothed(alpha), by_float64.smoothed(alpha), atol=5e-3)
    assert np.allclose(by_float32.laplacian(alpha), by_float64.laplacian(alpha), atol=5e-2)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(1, 1), (1, 8), (7, 2), (9, 13), (130, 258)])
def test_a_half_is_the_rounded_mean_of_two_by_two(size: tuple[int, int], dtype: type[np.integer]) -> None:
    top = np.iinfo(dtype).max
    pixels = np.random.default_rng(0).integers(0, top, (*size, 3), endpoint=True).astype(dtype)
    even = np.pad(pixels, ((0, size[0] % 2), (0, size[1] % 2), (0, 0)), mode="edge").astype(np.int64)
    sums = even[::2, ::2] + even[::2, 1::2] + even[1::2, ::2] + even[1::2, 1::2]
    np.testing.assert_array_equal(grids.halved(pixels), (sums + 2) // 4)


@pytest.mark.parametrize("size", [(2, 3), (7, 5), (1, 4)])
def test_doubling_by_slices_is_bilinear(size: tuple[int, int]) -> None:
    values = np.random.default_rng(1).uniform(-1, 1, (2, *size)).astype(np.float32)
    rows, columns = (grids.places(0, 2 * side, 2.0) for side in size)
    by_slices = grids.doubled(grids.doubled(values, -1), -2)
    assert np.allclose(by_slices, grids.sampled(values, rows, columns), atol=1e-6)
