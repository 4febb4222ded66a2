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
) -> tuple[np.ndarray, edges.Past]:
    past: edges.Past = ()
    found = []
    for number, (frame, alpha) in enumerate(zip(pixels, said, strict=True)):
        answer, past = edges.steadied(() if number in cuts else past, frame, alpha)
        found.append(answer)
    return np.stack(found), past


def steadier(answer: np.ndarray) -> bool:
    """At most nine tenths of the flicker of frame by frame, and no further from the truth."""
    flicker = dtssd(answer, TRUTHS) <= 0.9 * dtssd(SAID, TRUTHS)
    return bool(flicker and np.abs(answer - TRUTHS).mean() <= np.abs(SAID - TRUTHS).mean())


def test_an_edge_that_wavers_is_settled_closer_to_the_truth_and_what_is_held_is_bounded() -> None:
    answer, past = through(PIXELS, SAID)
    assert steadier(answer)
    assert np.array_equal(answer[0], SAID[0])
    assert len(past) == edges.HELD


def test_a_frozen_or_blurred_matte_does_not_pass_the_same_test() -> None:
    assert not steadier(np.repeat(SAID[:1], FRAMES, 0))
    assert not steadier(np.stack([SAID[max(0, t - 5) : t + 1].mean(axis=0) for t in range(FRAMES)]))


def test_a_frame_after_a_cut_is_unchanged_bit_for_bit() -> None:
    answer, past = through(PIXELS[:3], SAID[:3], cuts=(2,))
    assert not np.array_equal(answer[1], SAID[1])
    assert np.array_equal(answer[2], SAID[2])
    assert len(past) == 1


def test_still_frames_are_unchanged_bit_for_bit() -> None:
    answer, _ = through(PIXELS[:1].repeat(3, 0), SAID[:1].repeat(3, 0))
    assert all(np.array_equal(each, SAID[0]) for each in answer)


def test_a_thing_that_is_gone_leaves_nothing_behind() -> None:
    said = SAID[:4].copy()
    said[2:] = 0
    assert not through(PIXELS[:4], said)[0][2:].any()


def test_a_thing_is_not_seen_through_what_passes_in_front_of_it() -> None:
    pixels, said = PIXELS[:6].copy(), TRUTHS[:6].copy()
    for t in range(6):
        hidden = slice(20 + 8 * t, 32 + 8 * t)
        pixels[t, :, hidden], said[t, :, hidden] = 90, 0
    answer, _ = through(pixels, said)
    assert max(float(answer[t, :, 23 + 8 * t : 29 + 8 * t].max()) for t in range(6)) < 0.1


def test_large_frames_are_held_in_smaller_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edges, "HELD_PIXELS", 3 * SIZE[0] * SIZE[1])
    assert len(through(PIXELS[:5], SAID[:5])[1]) == 3


def test_what_is_held_goes_to_a_file_and_back(tmp_path: Path) -> None:
    _, past = through(PIXELS[:3], SAID[:3])
    edges.save(past, tmp_path / "000000.held.npz")
    again = edges.load(tmp_path / "000000.held.npz")
    kept, loaded = (edges.steadied(each, PIXELS[3], SAID[3])[0] for each in (past, again))
    assert np.array_equal(kept, loaded)
    edges.save((), tmp_path / "000001.held.npz")
    assert edges.load(tmp_path / "000001.held.npz") == ()


def test_the_motions_of_a_thing_and_of_its_ground_are_told_apart() -> None:
    thing, ground = motions(View(PIXELS[5], TRUTHS[5]), View(PIXELS[4], TRUTHS[4]), np.eye(3))
    middle = np.array([48.0 + 5, 50 + 15, 1])
    assert np.abs((thing @ middle - middle)[:2] - [-1, -3]).max() < 0.1
    assert np.abs((ground @ middle - middle)[:2] - [0, 1]).max() < 0.1
