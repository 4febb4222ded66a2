"""Steady edges: what the motion of a thing over its ground may tell, and what must stay as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mattelike.metrics.video import dtssd
from mattelike.video import edges
from mattelike.video.registration import View, motions
from tests.scenes import moving_disc

SIZE = 96, 160
FRAMES = 9


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A red disc that moves over a ground of light and shade that moves less: frames and their truth."""
    return moving_disc(
        FRAMES, ((0.9, 0.2, 0.2), (0.7, 0.1, 0.1)), ((0.0, 0.1, 0.2), (0.9, 1.0, 0.9)), cell=9, size=SIZE
    )


PIXELS, TRUTHS = scene()


def wavering(seed: int = 3) -> np.ndarray:
    """The disc's alpha as a model might give it: too wide here, too narrow there, as it comes."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    said = []
    for t in range(FRAMES):
        down, across = y - 48 - t, x - 50 - 3 * t
        angle = np.arctan2(down, across)
        off = sum(np.sin(waves * angle + draw.uniform(0, 2 * np.pi)) for waves in (5, 8, 11))
        said.append(np.clip(26.5 + 0.6 * off - np.hypot(down, across), 0, 1))
    return np.stack(said).astype(np.float32)


SAID = wavering()


def through(
    pixels: np.ndarray, said: np.ndarray, cuts: tuple[int, ...] = ()
) -> tuple[np.ndarray, edges.Window]:
    window = edges.Window()
    found: list[np.ndarray] = []
    for number, (frame, alpha) in enumerate(zip(pixels, said, strict=True)):
        if number in cuts:
            found += edges.ended(window)
            window = edges.Window()
        answers, window = edges.extended(window, frame, alpha)
        found += answers
        assert len(found) + window.waiting == number + 1
    return np.stack([*found, *edges.ended(window)]), window


def steadier(answer: np.ndarray) -> bool:
    """At most nine tenths of the flicker of frame by frame, and no further from the truth."""
    flicker = dtssd(answer, TRUTHS) <= 0.9 * dtssd(SAID, TRUTHS)
    return bool(flicker and np.abs(answer - TRUTHS).mean() <= np.abs(SAID - TRUTHS).mean())


def test_an_edge_that_wavers_is_settled_closer_to_the_truth_and_what_is_held_is_bounded() -> None:
    answer, window = through(PIXELS, SAID)
    assert steadier(answer)
    assert window.waiting == edges.AHEAD
    assert len(window.shots) == FRAMES <= edges.BEFORE + edges.AHEAD
    assert len(through(PIXELS[:1].repeat(14, 0), SAID[:1].repeat(14, 0))[1].shots) == (
        edges.BEFORE + edges.AHEAD
    )


def test_frames_after_a_frame_tell_of_it_as_those_before_do() -> None:
    """The first frame of a scene has none before it; it used to stay as it was."""
    answer, _ = through(PIXELS, SAID)
    off = [np.abs(each[0] - TRUTHS[0]).mean() for each in (answer, SAID)]
    assert off[0] < off[1]


def test_a_frozen_or_blurred_matte_does_not_pass_the_same_test() -> None:
    assert not steadier(np.repeat(SAID[:1], FRAMES, 0))
    assert not steadier(np.stack([SAID[max(0, t - 5) : t + 1].mean(axis=0) for t in range(FRAMES)]))


def test_nothing_is_taken_from_beyond_a_cut() -> None:
    """To the bit: two scenes one after the other are as each alone."""
    answer, window = through(PIXELS[:6], SAID[:6], cuts=(2,))
    assert np.array_equal(answer[:2], through(PIXELS[:2], SAID[:2])[0])
    assert np.array_equal(answer[2:], through(PIXELS[2:6], SAID[2:6])[0])
    assert not np.array_equal(answer[2], through(PIXELS[:6], SAID[:6])[0][2])
    assert len(window.shots) == 4


def test_still_frames_are_unchanged_bit_for_bit() -> None:
    answer, _ = through(PIXELS[:1].repeat(3, 0), SAID[:1].repeat(3, 0))
    assert all(np.array_equal(each, SAID[0]) for each in answer)


def test_a_thing_that_is_gone_leaves_nothing_behind() -> None:
    said = SAID[:4].copy()
    said[2:] = 0
    assert not through(PIXELS[:4], said)[0][2:].any()


@pytest.mark.parametrize(("frames", "pace"), [(6, 8), (9, 8), (9, 5)])
def test_a_thing_is_not_seen_through_what_passes_in_front_of_it(frames: int, pace: int) -> None:
    pixels, said = PIXELS[:frames].copy(), TRUTHS[:frames].copy()
    for t in range(frames):
        hidden = slice(20 + pace * t, 32 + pace * t)
        pixels[t, :, hidden], said[t, :, hidden] = 90, 0
    answer, _ = through(pixels, said)
    assert max(float(answer[t, :, 23 + pace * t : 29 + pace * t].max()) for t in range(frames)) < 0.1


@pytest.mark.parametrize(("pixels", "held"), [(3, 2), (2, 1), (1, 1)])
def test_large_frames_are_held_in_smaller_numbers(
    pixels: int, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three frames together one waits; of two, the least, none does."""
    monkeypatch.setattr(edges, "HELD_PIXELS", pixels * SIZE[0] * SIZE[1])
    answer, window = through(PIXELS[:5], SAID[:5])
    assert len(window.shots) == held
    assert not np.array_equal(answer[2], SAID[2])


def test_what_is_held_goes_to_a_file_and_back_but_for_the_frames_that_wait(tmp_path: Path) -> None:
    """A run that goes on looks at those again, and answers the same."""
    window = edges.Window()
    for frame, alpha in zip(PIXELS[:6], SAID[:6], strict=True):
        _, window = edges.extended(window, frame, alpha)
    edges.save(window, tmp_path / "000000.held.npz")
    again = edges.load(tmp_path / "000000.held.npz")
    assert (len(again.shots), again.waiting) == (len(window.shots) - window.waiting, 0)
    went_on = [window, again]
    found: list[list[np.ndarray]] = [[], []]
    for number in range(6 - window.waiting, 9):
        for way, first in enumerate((6, 0)):
            if number >= first:
                answers, went_on[way] = edges.extended(went_on[way], PIXELS[number], SAID[number])
                found[way] += answers
    assert len(found[0]) == len(found[1]) == 3
    assert all(np.array_equal(one, other) for one, other in zip(*found, strict=True))
    edges.save(edges.Window(), tmp_path / "000001.held.npz")
    assert edges.load(tmp_path / "000001.held.npz").shots == ()


def test_the_motions_of_a_thing_and_of_its_ground_are_told_apart() -> None:
    thing, ground = motions(View(PIXELS[5], TRUTHS[5]), View(PIXELS[4], TRUTHS[4]), np.eye(3))
    middle = np.array([48.0 + 5, 50 + 15, 1])
    assert np.abs((thing @ middle - middle)[:2] - [-1, -3]).max() < 0.1
    assert np.abs((ground @ middle - middle)[:2] - [0, 1]).max() < 0.1
