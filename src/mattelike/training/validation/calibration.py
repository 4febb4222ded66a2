"""Presence as a probability: one scale for all references, fitted on some held-out kinds, judged on others.

A network's presence is sure of itself in training, on kinds it knows. Two numbers turn its logit into a
probability for kinds it never saw (Platt 1999): ``sigmoid(scale * logit + shift)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mattelike.metrics import auroc
from mattelike.training.validation.scoring import Score

Float64 = NDArray[np.float64]

# A probability of exactly 0 or 1 has no logit.
EDGE = 1e-6
# Share of the photos that show the kind which may be called absent, and the other way round.
MISSED, INVENTED = 0.02, 0.05
BINS = 10


@dataclass(frozen=True, slots=True)
class Calibration:
    """What turns a network's presence into a probability, and the words said of it.

    Attributes:
        scale: Factor of the logit.
        shift: What is added to it.
        absent_below: Probability below which a photo is called absent: 2 % of those that show the kind are.
        present_from: Probability from which it is called present: 5 % of those that lack the kind are.
    """

    scale: float = 1.0
    shift: float = 0.0
    absent_below: float = 0.25
    present_from: float = 0.6

    def of(self, presence: Float64) -> Float64:
        """The probability, from what the network says."""
        probability: Float64 = sigmoid(self.scale * logit(presence) + self.shift)
        return probability


@dataclass(frozen=True, slots=True)
class Reliability:
    """How far what is said comes true.

    Attributes:
        auroc: Whether present lies above absent.
        brier: Mean squared error of the probability.
        gap: Expected calibration error: mean distance between what was said and what came true, over bins.
        bins: ``(mean of what was said, share that came true, answers)`` of every bin that has any.
    """

    auroc: float
    brier: float
    gap: float
    bins: tuple[tuple[float, float, int], ...]


def sigmoid(x: Float64) -> Float64:
    """The logistic function."""
    result: Float64 = 1 / (1 + np.exp(-x))
    return result


def logit(p: Float64) -> Float64:
    """Its inverse, for p in [0, 1]."""
    p = np.clip(p, EDGE, 1 - EDGE)
    result: Float64 = np.log(p / (1 - p))
    return result


def halves(scores: Sequence[Score]) -> tuple[list[Score], list[Score]]:
    """Answers to fit on, and answers to judge by: no kind is in both."""
    kinds = sorted({s.question.kind for s in scores})
    first = set(kinds[::2])
    return (
        [s for s in scores if s.question.kind in first],
        [s for s in scores if s.question.kind not in first],
    )


def presences(scores: Sequence[Score]) -> tuple[Float64, Float64]:
    """What was said of every answer, and the truth, 0 or 1."""
    said = np.array([s.presence for s in scores], np.float64)
    return said, np.array([s.question.present for s in scores], np.float64)


def fitted(said: Float64, truth: Float64) -> Calibration:
    """The calibration of answers.

    Args:
        said: What the network said, ``(n,)`` in [0, 1].
        truth: 0 or 1, ``(n,)``, both there.

    Raises:
        ValueError: Only present, or only absent kinds: nothing can be fitted.
    """
    if not 0 < truth.mean() < 1:
        raise ValueError("presence is fitted on photos that show the kind and photos that lack it")
    scale, shift = _logistic(logit(said), truth)
    probability = sigmoid(scale * logit(said) + shift)
    absent = float(np.quantile(probability[truth == 1], MISSED))
    present = float(np.quantile(probability[truth == 0], 1 - INVENTED))
    # Where the two overlap, everything between them is unsure; where they do not, the middle divides.
    if present < absent:
        absent = present = (absent + present) / 2
    return Calibration(scale, shift, absent, present)


def _logistic(x: Float64, truth: Float64, steps: int = 50) -> tuple[float, float]:
    """Scale and shift of the likeliest logistic curve, by Newton's method; both sides count the same.

    Truth is taken a little inwards, as Platt does, so that a perfect separation has a finite answer.
    """
    counts = np.array([(truth == 0).sum(), (truth == 1).sum()], np.float64)
    aims = np.array([1 / (counts[0] + 2), (counts[1] + 1) / (counts[1] + 2)])
    aim = aims[truth.astype(int)]
    weight = (0.5 / counts)[truth.astype(int)]
    design = np.stack([x, np.ones_like(x)], axis=1)
    found = np.array([1.0, 0.0])

    def loss(at: Float64) -> float:
        z = design @ at
        return float((weight * (np.logaddexp(0, z) - aim * z)).sum())

    for _ in range(steps):
        p = sigmoid(design @ found)
        slope = design.T @ (weight * (p - aim))
        bend = (design * (weight * p * (1 - p))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(bend, slope)
        # Where the curve is flat a full step overshoots, and the next one back: half of it, then, and again.
        while loss(found - step) > loss(found) and np.abs(step).max() > 1e-9:
            step = step / 2
        found = found - step
    return float(found[0]), float(found[1])


def reliability(probability: Float64, truth: Float64) -> Reliability:
    """How far probabilities ``(n,)`` come true."""
    at = np.minimum((probability * BINS).astype(int), BINS - 1)
    bins = tuple(
        (float(probability[at == b].mean()), float(truth[at == b].mean()), int((at == b).sum()))
        for b in range(BINS)
        if (at == b).any()
    )
    gap = sum(abs(said - true) * count for said, true, count in bins) / len(truth)
    return Reliability(
        auroc=auroc(list(probability[truth == 1]), list(probability[truth == 0])),
        brier=float(np.mean((probability - truth) ** 2)),
        gap=float(gap),
        bins=bins,
    )
