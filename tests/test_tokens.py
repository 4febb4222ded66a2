from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mattelike.framing import fit
from mattelike.tokens import coverage, fringe, pool
from mattelike.values import RoI

side = st.integers(1, 90)
cells = st.integers(1, 30)


def marked(shape, rows, columns, kind="mask"):
    positive = np.zeros(shape, bool)
    positive[rows, columns] = True
    return RoI(positive, ~positive if kind in ("mask", "box") else np.zeros(shape, bool), kind)


def test_A8_a_mask_of_300_pixels_covers_18_and_touches_20_cells_a_side():
    roi = marked((768, 768), slice(200, 500), slice(200, 500))
    least, _ = pool(roi, (48, 48), "min")
    most, _ = pool(roi, (48, 48), "max")
    assert least.sum() == 18**2
    assert most.sum() == 20**2
    rows, columns = np.nonzero(most)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (12, 31, 12, 31)


def test_A9_one_click_is_one_token_and_none_under_strict_min():
    roi = marked((768, 768), 300, 300, "points")
    positive, negative = pool(roi, (48, 48))
    assert positive.dtype == negative.dtype == np.float32
    assert np.argwhere(positive).tolist() == [[18, 18]]
    assert not negative.any()
    assert not pool(roi, (48, 48), "min")[0].any()


@given(side, side, cells, cells, st.data())
def test_A9_one_click_survives_any_grid(height, width, rows, columns, data):
    row = data.draw(st.integers(0, height - 1))
    column = data.draw(st.integers(0, width - 1))
    for kind in ("points", "scribbles"):
        positive, _ = pool(marked((height, width), row, column, kind), (rows, columns))
        assert np.argwhere(positive).tolist() == [[row * rows // height, column * columns // width]]


def test_trap_34_a_stroke_one_pixel_wide_survives_fifty_megapixels():
    roi = marked((6000, 8400), 3000, slice(1000, 5000), "scribbles")
    positive, _ = pool(roi, (30, 42))
    assert np.argwhere(positive).tolist() == [[15, column] for column in range(5, 25)]


@given(side, side, cells, cells, st.integers(0, 2**32 - 1))
def test_a_mask_always_keeps_a_token(height, width, rows, columns, seed):
    random = np.random.default_rng(seed)
    positive = random.random((height, width)) < random.random() ** 3
    positive[random.integers(height), random.integers(width)] = True
    weights, _ = pool(RoI(positive, ~positive), (rows, columns))
    assert weights.any()
    assert set(np.unique(weights)) <= {0, 1}


def test_a_mask_falls_back_to_half_covered_cells_then_to_the_best_one():
    half, _ = pool(marked((32, 32), slice(8, 24), slice(0, 12)), (2, 2))  # 8 x 12 of 16 x 16 in two cells
    assert half.tolist() == [[1, 0], [0, 0]]  # 0.375 each: neither half, the first of the best
    half, _ = pool(marked((32, 32), slice(4, 28), slice(0, 12)), (2, 2))  # 12 x 12: 0.5625 each
    assert half.tolist() == [[1, 0], [1, 0]]


def test_background_of_a_nearly_full_mask_is_not_invented():
    everything = marked((64, 64), slice(None), slice(0, 63))
    positive, negative = pool(everything, (4, 4))
    assert positive[:, :3].all() and not negative.any()


@given(side, side, cells, cells, st.integers(0, 2**32 - 1))
def test_average_weights_sum_to_the_marked_area(height, width, rows, columns, seed):
    mask = np.random.default_rng(seed).random((height, width)) < 0.5
    share, _ = pool(RoI(mask, ~mask), (rows, columns), "average")
    assert share.mean() == pytest.approx(mask.mean(), abs=1e-5)
    np.testing.assert_array_equal(share, coverage(mask, (rows, columns)))


def test_soft_masks_are_averaged_too():
    ramp = np.tile(np.arange(8, dtype=np.float32) / 7, (4, 1))
    np.testing.assert_allclose(coverage(ramp, (1, 2)), [[6 / 28, 22 / 28]], atol=1e-6)


def test_padding_of_the_frame_belongs_to_nobody():
    frame = fit(300, 700, side=512, multiple=32)  # 219 rows in 224
    grid = (frame.seen[0] // 4, frame.seen[1] // 4)
    extent = frame.extent(grid)
    assert extent == (Fraction(219, 4), Fraction(128))
    positive, negative = pool(marked((300, 700), slice(None), slice(0, 350)), grid, extent=extent)
    assert positive[:55, :64].all() and not positive[:, 64:].any()
    assert negative[:55, 64:].all() and not negative[:, :64].any()
    assert not positive[55:].any() and not negative[55:].any()


def test_a_click_lands_on_the_cell_that_shows_it_in_a_padded_frame():
    frame = fit(333, 500, side=512, multiple=32)
    grid = (frame.seen[0] // 16, frame.seen[1] // 16)
    positive, _ = pool(marked((333, 500), 332, 499, "points"), grid, extent=frame.extent(grid))
    last = [(size - 1) // 16 for size in frame.content]
    assert np.argwhere(positive).tolist() == [last]


def test_what_touches_a_thing_and_is_not_of_it_is_its_fringe() -> None:
    weights = np.zeros((6, 7), np.float32)
    weights[2:4, 2:5] = 1
    weights[2, 5] = 0.4
    found = fringe(weights)
    around = np.zeros_like(found)
    around[1:5, 1:6] = True
    around[2:4, 2:5] = False
    assert (found == around).all()


def test_a_thing_smaller_than_half_a_cell_has_a_fringe_and_no_thing_has_none() -> None:
    weights = np.zeros((5, 5), np.float32)
    assert not fringe(weights).any()
    weights[0, 0] = 0.3
    assert np.argwhere(fringe(weights)).tolist() == [[0, 1], [1, 0], [1, 1]]
    assert not fringe(np.ones((3, 3), np.float32)).any()
