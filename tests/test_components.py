"""Connected parts against scipy's, on shapes that are easy to get wrong."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from mattelike import components


@given(arrays(np.bool_, st.tuples(st.integers(1, 14), st.integers(1, 14))))
def test_parts_are_those_of_scipy(mask):
    labels, count = components.label(mask)
    expected, expected_count = ndimage.label(mask)
    assert count == expected_count
    pairs = set(zip(labels.ravel().tolist(), expected.ravel().tolist(), strict=True))
    assert len(pairs) == count + (not mask.all())


@given(arrays(np.bool_, st.tuples(st.integers(1, 14), st.integers(1, 14))))
def test_holes_are_those_of_scipy_unless_they_are_large(mask):
    enclosed = ndimage.binary_fill_holes(mask) & ~mask
    np.testing.assert_array_equal(components.holes(mask, mask.size), enclosed)
    labels, _ = ndimage.label(~mask)
    small = enclosed & (np.bincount(labels.ravel())[labels] <= 2)
    np.testing.assert_array_equal(components.holes(mask, 2), small)
    assert not components.holes(mask, mask.size, ~mask).any()


@given(arrays(np.bool_, st.tuples(st.integers(1, 14), st.integers(1, 14))))
def test_bounds_are_those_of_scipy(mask):
    found = ndimage.find_objects(mask.astype(int))
    expected = tuple((s[0].start, s[1].start, s[0].stop, s[1].stop) for s in found)
    assert components.bounds(mask) == (expected[0] if expected else None)


def test_a_spiral_is_one_part():
    mask = np.zeros((9, 9), bool)
    mask[0, :] = mask[:, 8] = mask[8, :] = mask[2:, 0] = mask[2, :7] = mask[2:7, 6] = mask[6, 2:7] = True
    assert components.label(mask)[1] == ndimage.label(mask)[1]


def test_sizes_count_pixels():
    labels, count = components.label(np.array([[1, 1, 0, 1], [0, 0, 0, 1]], bool))
    assert components.sizes(labels, count).tolist() == [2, 2]


def test_nothing_has_no_parts():
    labels, count = components.label(np.zeros((3, 4), bool))
    assert count == 0
    assert not labels.any()
