"""Votes: a region that flickers is told by the frames around it; what all frames say stays."""

from __future__ import annotations

import numpy as np

from mattelike.video import edges
from tests.video.test_edges import PIXELS, SAID, TRUTHS, through


def error(answer: np.ndarray, number: int, where: tuple[slice, slice]) -> float:
    return float(np.abs(answer[number] - TRUTHS[number])[where].mean())


def test_a_part_that_is_lost_in_one_frame_is_found_again() -> None:
    said, hole = SAID.copy(), (slice(46, 56), slice(56, 68))
    said[4][hole] = 0
    assert error(said, 4, hole) == 1
    assert error(through(PIXELS, said)[0], 4, hole) < 0.2


def test_a_piece_of_the_ground_that_is_taken_along_in_one_frame_is_left_out() -> None:
    said, piece = SAID.copy(), (slice(10, 20), slice(120, 132))
    said[4][piece] = 1
    assert error(through(PIXELS, said)[0], 4, piece) < 0.2


def test_what_is_missing_in_every_frame_stays_missing() -> None:
    """Nothing but answers is counted: a hole that moves with the thing is one."""
    said = SAID.copy()
    for t in range(len(said)):
        said[t, 44 + t : 52 + t, 46 + 3 * t : 54 + 3 * t] = 0
    answer, _ = through(PIXELS, said)
    assert answer[4, 50:54, 60:64].max() < 0.2


def test_where_another_thing_comes_the_frames_before_are_not_asked() -> None:
    """It looks like nothing that was there: its colours agree with no frame before it."""
    pixels, said = PIXELS.copy(), SAID.copy()
    piece = (slice(8, 24), slice(120, 140))
    for t in range(5, len(said)):
        pixels[t][piece] = (10, 240, 10)
        said[t][piece] = 1
    answer, _ = through(pixels, said)
    assert answer[5][12:20, 124:136].min() > 0.8


def test_a_frame_alone_is_what_it_was() -> None:
    [answer] = edges.ended(edges.extended(edges.Window(), PIXELS[0], SAID[0])[1])
    assert np.array_equal(answer, SAID[0])
