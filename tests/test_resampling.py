from __future__ import annotations

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mattelike.resampling import all_set, any_set, area, bilinear, nearest, resize

sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))
seeds = st.integers(0, 2**32 - 1)


def slow_area(array, grid, extent):
    """Area averages from the definition: overlap of every pixel with every cell, in exact fractions."""

    def weights(pixels, cells, span):
        table = np.zeros((cells, pixels))
        for cell in range(cells):
            low, high = cell * pixels / span, (cell + 1) * pixels / span
            for pixel in range(pixels):
                table[cell, pixel] = max(Fraction(0), min(high, pixel + 1) - max(low, pixel))
        sums = table.sum(axis=1, keepdims=True)
        return np.divide(table, sums, out=np.zeros_like(table), where=sums > 0)

    down, across = (weights(p, g, e) for p, g, e in zip(array.shape, grid, extent, strict=True))
    return down @ array @ across.T


@given(
    seeds, st.tuples(st.integers(1, 9), st.integers(1, 9)), st.tuples(st.integers(1, 9), st.integers(1, 9))
)
def test_area_is_the_exact_average_whether_or_not_sizes_divide(seed, shape, grid):
    random = np.random.default_rng(seed)
    array = random.random(shape)
    extent = tuple(Fraction(int(random.integers(1, 6 * g + 1)), 6) for g in grid)
    np.testing.assert_allclose(area(array, grid, extent), slow_area(array, grid, extent), atol=3e-7)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("times", [1, 2, 3, 16, 17])
def test_area_of_whole_pixels_is_their_mean_of_every_depth(dtype, times):
    picture = (np.random.default_rng(times).random((5 * times, 3 * times, 4)) * 255).astype(dtype)
    blocks = picture.reshape(5, times, 3, times, 4).astype(np.float64)
    np.testing.assert_allclose(area(picture, (5, 3)), blocks.mean(axis=(1, 3)), rtol=1e-6)


@given(seeds, sizes, st.sampled_from([(), (1,), (4,)]), st.sampled_from([np.uint8, np.uint16, np.float32]))
def test_values_between_pixels_are_those_around_each_by_its_nearness(seed, size, channels, dtype):
    random = np.random.default_rng(seed)
    array = (random.random((*size, *channels)) * 200).astype(dtype)
    places = random.uniform(-2, 42, (2, 5, 7))
    found = bilinear(array, *places)
    assert found.dtype == np.float32 and found.shape == (5, 7, *channels)
    down, across = (
        np.clip(1 - np.abs(np.clip(each, 0, n - 1)[..., None] - np.arange(n)), 0, None)
        for each, n in zip(places, size, strict=True)
    )
    np.testing.assert_allclose(found, np.einsum("abr,abc,rc...->ab...", down, across, array), rtol=1e-5)
    rows, columns = (random.integers(0, n, 9) for n in size)
    np.testing.assert_array_equal(bilinear(array, rows.astype(np.float64), columns), array[rows, columns])


@given(seeds, sizes, st.tuples(st.integers(1, 12), st.integers(1, 12)))
def test_cells_all_set_and_any_set_bound_the_average(seed, shape, grid):
    mask = np.random.default_rng(seed).random(shape) < 0.8
    share = area(mask, grid)
    np.testing.assert_array_equal(all_set(mask, grid), share == 1)
    if grid[0] <= shape[0] and grid[1] <= shape[1]:
        assert (any_set(mask, grid) <= (share > 0)).all()
        assert (all_set(mask, grid) <= any_set(mask, grid)).all()


def test_one_missing_pixel_of_four_million_is_not_rounded_away():
    mask = np.ones((2048, 2048), bool)
    mask[1000, 1000] = False
    assert not all_set(mask, (1, 1)).any()


@given(st.floats(0, 1, width=32), sizes, sizes)
def test_a_constant_stays_that_constant_to_the_last_bit(value, source, size):
    resized = resize(np.full(source, value, np.float32), size)
    assert resized.shape == size
    np.testing.assert_array_equal(resized, np.float32(value))


@given(seeds, sizes, sizes)
def test_values_in_zero_to_one_stay_inside(seed, source, size):
    resized = resize(np.random.default_rng(seed).random(source, np.float32).round(1), size)
    assert resized.min() >= 0 and resized.max() <= 1


@given(sizes, sizes)
def test_enlarging_agrees_with_another_bilinear(source, factor):
    from PIL import Image

    size = source[0] + factor[0], source[1] + factor[1]
    array = np.random.default_rng(0).random(source, np.float32)
    other = np.asarray(Image.fromarray(array).resize(size[::-1], Image.Resampling.BILINEAR))
    np.testing.assert_allclose(resize(array, size), other, atol=1e-5)


def test_colours_and_every_depth_are_resized_alike():
    picture = np.random.default_rng(0).integers(0, 256, (30, 20, 3), np.uint8)
    for size in [(7, 9), (60, 9), (7, 60), (60, 60), (30, 20)]:
        wide = resize(picture, size)
        assert wide.dtype == np.float32 and wide.shape == (*size, 3)
        np.testing.assert_allclose(wide, resize(picture.astype(np.float32), size), atol=1e-4)
        np.testing.assert_array_equal(wide[..., 1], resize(picture[..., 1], size))


def test_a_resized_array_is_never_the_original():
    original = np.zeros((1, 5), np.float32)
    assert not np.shares_memory(resize(original, (1, 5)), original)
    assert not np.shares_memory(resize(original, (2, 5)), original)


def test_nearest_keeps_labels_and_picks_the_middle():
    np.testing.assert_array_equal(nearest(np.array([[0, 7]]), (1, 4)), [[0, 0, 7, 7]])
    np.testing.assert_array_equal(nearest(np.array([[1, 2, 3]]), (1, 1)), [[2]])


@pytest.mark.parametrize("size", [(2000, 3000), (3000, 500), (400, 3000)])
def test_trap_45_memory_beside_the_result_is_bounded(size):
    array = np.zeros((768, 1024), np.float32)
    tracemalloc.start()
    resized = resize(array, size)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - resized.nbytes <= 8 * max(resized.size, array.size) + 4e6
