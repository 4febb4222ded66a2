"""Pieces of an answer: strays go, things of the kind stay."""

from __future__ import annotations

import numpy as np
import pytest

from mattelike.pieces import strays
from mattelike.similarity import EVIDENCE
from mattelike.values import Float32

STRIDE, GRID = 16, (8, 12)


def maps(contrast: Float32, lead: Float32) -> Float32:
    """Evidence of one head, all of it nothing but these two."""
    found = np.zeros((len(EVIDENCE), *GRID), np.float32)
    found[EVIDENCE.index("contrast")], found[EVIDENCE.index("thing_lead")] = contrast, lead
    return found


def answer(*pieces: tuple[tuple[int, int, int], float, float]) -> tuple[Float32, Float32]:
    """Squares of cells at (row, column, side), each with its contrast and its lead; alpha with a soft rim."""
    alpha = np.zeros((GRID[0] * STRIDE, GRID[1] * STRIDE), np.float32)
    contrast, lead = np.zeros(GRID, np.float32), np.zeros(GRID, np.float32)
    for (row, column, side), one, other in pieces:
        cells = slice(row, row + side), slice(column, column + side)
        contrast[cells], lead[cells] = one, other
        top, left, bottom, right = (STRIDE * n for n in (row, column, row + side, column + side))
        alpha[top - 3 : bottom + 3, left - 3 : right + 3] = 0.1
        alpha[top:bottom, left:right] = 1
    return alpha, maps(contrast, lead)


def test_a_piece_that_is_less_like_the_reference_is_a_stray_with_its_soft_rim():
    alpha, evidence = answer(((1, 1, 4), 0.9, 0.8), ((2, 8, 2), 0.6, 0.3))
    found = strays(alpha, evidence)
    assert found is not None
    assert np.array_equal(found, (alpha > 0) & (np.arange(alpha.shape[1]) > 7 * STRIDE))


@pytest.mark.parametrize(
    ("contrast", "lead"), [(0.95, 0.3), (0.6, 0.6), (0.9, 0.8)], ids=["attended", "in the lead", "its equal"]
)
def test_a_second_thing_of_the_kind_stays(contrast, lead):
    assert strays(*answer(((1, 1, 4), 0.9, 0.8), ((2, 8, 2), contrast, lead))) is None


def test_the_larger_piece_goes_when_the_smaller_is_what_was_asked_for():
    alpha, evidence = answer(((1, 1, 2), 0.9, 0.9), ((2, 6, 3), 0.4, 0.1))
    found = strays(alpha, evidence)
    assert found is not None
    assert found[:, 6 * STRIDE :].any() and not found[:, : 4 * STRIDE].any()


def test_one_piece_and_none_have_no_strays():
    assert strays(*answer(((1, 1, 4), 0.1, 0.1))) is None
    assert strays(*answer()) is None


def test_an_answer_smaller_than_its_cells_cover_is_read_where_it_lies():
    alpha, evidence = answer(((1, 1, 4), 0.9, 0.8), ((2, 8, 2), 0.6, 0.3))
    found = strays(alpha[:-7, :-13], evidence)
    assert found is not None
    assert np.array_equal(found, strays(alpha, evidence)[:-7, :-13])
