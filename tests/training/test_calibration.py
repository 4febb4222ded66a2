"""Presence as a probability."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from mattelike.training.validation import calibration
from mattelike.training.validation.calibration import Calibration, fitted, reliability, sigmoid
from mattelike.training.validation.questions import Question
from mattelike.training.validation.scoring import Score


def answers(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A network three times too sure of itself, and too hopeful."""
    draw = np.random.default_rng(seed)
    true_logit = draw.normal(0, 2, count)
    truth = (draw.random(count) < sigmoid(true_logit)).astype(np.float64)
    return sigmoid(3 * true_logit + 2), truth


def test_a_network_too_sure_of_itself_is_brought_back() -> None:
    found = fitted(*answers(6000))
    said, truth = answers(4000, seed=1)
    before, after = reliability(said, truth), reliability(found.of(said), truth)
    assert found.scale == pytest.approx(1 / 3, abs=0.03)
    assert found.shift == pytest.approx(-2 / 3, abs=0.1)
    assert after.gap < 0.03 < before.gap
    assert after.brier < before.brier
    # The order of the answers stays.
    assert after.auroc == pytest.approx(before.auroc)


def test_both_kinds_of_photo_count_the_same_however_many_there_are() -> None:
    said, truth = answers(4000)
    rare = np.concatenate([np.flatnonzero(truth == 0), np.flatnonzero(truth == 1)[:400]])
    whole, few = fitted(said, truth), fitted(said[rare], truth[rare])
    assert few.scale == pytest.approx(whole.scale, abs=0.05)
    assert few.shift == pytest.approx(whole.shift, abs=0.2)


def test_the_words_leave_few_photos_on_the_wrong_side() -> None:
    said, truth = answers(6000)
    found = fitted(said, truth)
    probability = found.of(said)
    assert (probability[truth == 1] < found.absent_below).mean() == pytest.approx(0.02, abs=0.005)
    assert (probability[truth == 0] >= found.present_from).mean() == pytest.approx(0.05, abs=0.005)
    assert found.absent_below <= found.present_from


def test_answers_that_are_always_right_have_a_finite_scale_and_nothing_unsure() -> None:
    said = np.array([0.01, 0.02, 0.03, 0.97, 0.98, 0.99])
    found = fitted(said, np.array([0.0, 0, 0, 1, 1, 1]))
    assert np.isfinite([found.scale, found.shift]).all()
    assert found.absent_below == found.present_from
    assert (found.of(said) >= found.present_from).tolist() == [False] * 3 + [True] * 3


def test_the_fit_is_the_likeliest_though_most_answers_are_beyond_doubt() -> None:
    # As a network answers that is too sure of itself: most logits are far out, some on the wrong side.
    random = np.random.default_rng(0)
    said = sigmoid(np.concatenate([random.normal(1, 3, 190), random.normal(8, 6, 100)]))
    truth = np.repeat([0.0, 1.0], [190, 100])
    counts = np.array([(truth == side).sum() for side in (0, 1)])[truth.astype(int)]
    aim = np.where(truth == 1, (counts + 1) / (counts + 2), 1 / (counts + 2))  # Platt's

    def loss(line: np.ndarray) -> float:
        z = line[0] * calibration.logit(said) + line[1]
        return float(((np.logaddexp(0, z) - aim * z) / counts).sum())

    found = fitted(said, truth)
    expected = minimize(loss, [1.0, 0.0]).x
    assert [found.scale, found.shift] == pytest.approx(expected, abs=1e-3)


def test_photos_of_one_sort_cannot_be_fitted() -> None:
    with pytest.raises(ValueError, match="photos that lack it"):
        fitted(np.array([0.5, 0.6]), np.array([1.0, 1.0]))


def test_nothing_is_changed_by_default() -> None:
    said = np.array([0.1, 0.5, 0.9])
    assert Calibration().of(said) == pytest.approx(said)


def test_no_kind_is_on_both_sides() -> None:
    scores = [
        Score(Question("presence", kind, (), "t"), "mask", 1, 0, 0.5, False)
        for kind in ("ant", "bee", "cat", "dog", "emu", "ant")
    ]
    fit, judge = calibration.halves(scores)
    assert {s.question.kind for s in fit} == {"ant", "cat", "emu"}
    assert {s.question.kind for s in judge} == {"bee", "dog"}


def test_a_gap_is_the_mean_distance_of_what_was_said_from_what_came_true() -> None:
    said, truth = np.array([0.9, 0.9, 0.1, 0.1]), np.array([1.0, 0, 0, 0])
    assert reliability(said, truth).gap == pytest.approx(0.25)
