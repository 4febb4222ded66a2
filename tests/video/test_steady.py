"""Steady mattes: what the frame before may do for a frame, and what it must not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from mattelike.metrics.video import dtssd, messddt
from mattelike.models import Coarse
from mattelike.predictor import Glance
from mattelike.video.motion import flow, followed
from mattelike.video.steady import Memory, steadied
from tests.scenes import moving_disc, texture
from tests.toy_model import toy
from tests.video.reel import context

SIZE = 96, 160
FRAMES = 16


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A textured disc that moves over a texture that moves the other way: frames and their truth."""
    return moving_disc(
        FRAMES, ((0.9, 0.2, 0.2), (0.5, 0.3, 0.1)), ((0.1, 0.5, 0.3), (0.3, 0.4, 0.8)), cell=11, size=SIZE
    )


def flickering(truths: np.ndarray, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """What a model might say that is unsure of other places in every frame, and says so."""
    draw = np.random.default_rng(seed)
    said, doubts = [], []
    for truth in truths:
        blotches = texture(*SIZE, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), cell=12, seed=int(draw.integers(1 << 30)))
        doubt = np.where(blotches[..., 0] > 0.62, 0.3, 0.01).astype(np.float32)
        said.append(np.clip(truth + np.where(doubt > 0.1, 0.45 - truth, 0) * 0.8, 0, 1).astype(np.float32))
        doubts.append(doubt)
    return np.stack(said), np.stack(doubts)


def glances(pixels: np.ndarray, said: np.ndarray, doubts: np.ndarray) -> list[Glance]:
    first = toy().glance(pixels[0], context())
    model = replace(first.frame, content=SIZE, seen=SIZE)
    return [
        replace(first, photo=replace(first.photo, pixels=p), frame=model, coarse=Coarse(a, u, 0.9))
        for p, a, u in zip(pixels, said, doubts, strict=True)
    ]


def through(glances: list[Glance]) -> tuple[np.ndarray, list[bool]]:
    memory, found, cuts = Memory(), [], []
    for glance in glances:
        steady = steadied(memory, glance)
        memory = steady.memory
        found.append(steady.glance.coarse.alpha)
        cuts.append(steady.cut)
    return np.stack(found), cuts


def steadier(answer: np.ndarray, alone: np.ndarray, truths: np.ndarray) -> bool:
    """At most 0.7 of the flicker of frame by frame, and no further from the truth."""
    flicker = dtssd(answer, truths) <= 0.7 * dtssd(alone, truths)
    return bool(flicker and np.abs(answer - truths).mean() <= np.abs(alone - truths).mean())


def test_doubt_that_comes_and_goes_is_settled_by_the_frame_before() -> None:
    pixels, truths = scene()
    said, doubts = flickering(truths)
    answer, cuts = through(glances(pixels, said, doubts))
    assert not any(cuts)
    assert steadier(answer, said, truths)
    assert messddt(answer, truths) < messddt(said, truths)


def test_a_frozen_or_blurred_matte_does_not_pass_for_steady() -> None:
    _, truths = scene()
    said, _ = flickering(truths)
    assert not steadier(np.repeat(said[:1], FRAMES, 0), said, truths)
    blurred = np.stack([said[max(0, t - 5) : t + 1].mean(axis=0) for t in range(FRAMES)])
    assert not steadier(blurred, said, truths)
    assert not steadier(np.zeros_like(said), said, truths)


def test_trap_92_nothing_is_carried_over_a_cut() -> None:
    pixels, truths = scene()
    said, doubts = flickering(truths)
    pixels[8:] = 255 - pixels[8:, ::-1]
    answer, cuts = through(glances(pixels, said, doubts))
    assert cuts == [t == 8 for t in range(FRAMES)]
    assert np.array_equal(answer[8], said[8])


def test_equal_frames_give_equal_mattes_bit_for_bit() -> None:
    pixels, truths = scene()
    said, doubts = flickering(truths)
    same = glances(pixels[:1].repeat(4, 0), said[:1].repeat(4, 0), doubts[:1].repeat(4, 0))
    answer, _ = through(same)
    assert all(np.array_equal(each, said[0]) for each in answer)


def test_motion_is_found_where_there_is_something_to_hold_on_to() -> None:
    before = texture(80, 120, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), cell=9, seed=3)[..., 0]
    now = np.roll(before, (2, 5), (0, 1))
    motion = flow(now, before)[:, 16:-16, 16:-16]
    assert abs(float(np.median(motion[0])) + 2) < 0.1
    assert abs(float(np.median(motion[1])) + 5) < 0.1
    assert not flow(before, before).any()
    assert np.array_equal(followed(before, flow(before, before)), before)


def test_memory_goes_to_a_file_and_back(tmp_path: Path) -> None:
    pixels, truths = scene()
    said, doubts = flickering(truths)
    steady = steadied(Memory(), glances(pixels, said, doubts)[0])
    steady.memory.save(tmp_path / "000000.npz")
    again = Memory.load(tmp_path / "000000.npz")
    for name in ("seen", "alpha", "variance", "presence"):
        assert np.array_equal(getattr(again, name), getattr(steady.memory, name))
    Memory().save(tmp_path / "000001.npz")
    assert Memory.load(tmp_path / "000001.npz").seen is None
