"""From rows to figures: means with bootstrap intervals, paired differences, presence against error."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mattelike.evaluation.rows import Row
from mattelike.metrics import METRICS, auroc

DRAWS = 2000
LEVEL = 0.95
Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and how far it may be off.

    Attributes:
        mean: Over pictures; NaN of none.
        low: Lower end of the 95 % interval; NaN from fewer than two groups.
        high: Upper end.
        count: Pictures.
    """

    mean: float
    low: float
    high: float
    count: int


def by_picture(rows: Iterable[Row], metric: str, choice: int | None = 0) -> dict[tuple[str, str], float]:
    """Values by group and target, the mean over rounds (8.3), or over choices too for None.

    A metric of clips has one value a clip, the mean over its frames, and the clip stands for the target.
    """
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    clip = METRICS[metric].clip
    for row in rows:
        if metric in row.values and choice in (None, row.choice):
            found[row.group, row.group if clip else row.target].append(row.values[metric])
    return {key: float(np.mean(values)) for key, values in found.items()}


def counting(rows: Iterable[Row], metric: str) -> list[Row]:
    """Rows a metric is measured on: pictures with the thing, or whole clips, the thing in sight or not."""
    return [row for row in rows if row.present or METRICS[metric].clip]


def estimate(values: dict[tuple[str, str], float], seed: int = 0) -> Estimate:
    """The mean over pictures, with a bootstrap interval.

    Groups are drawn, not pictures: those of one group share a reference, so they are right or wrong together.

    Args:
        values: By group and target.
        seed: Of the draws.
    """
    if not values:
        nan = float("nan")
        return Estimate(nan, nan, nan, 0)
    sums, counts = _by_group(values)
    mean = float(sums.sum() / counts.sum())
    if len(sums) < 2:
        return Estimate(mean, float("nan"), float("nan"), len(values))
    draw = np.random.default_rng(seed)
    times = draw.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), DRAWS).astype(np.float64)
    means = (times @ sums) / (times @ counts)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(mean, float(low), float(high), len(values))


def difference(
    one: dict[tuple[str, str], float], other: dict[tuple[str, str], float], seed: int = 0
) -> Estimate:
    """Mean of `one` minus `other` over the pictures both have, with the interval of that mean."""
    return estimate({key: one[key] - other[key] for key in sorted(one) if key in other}, seed)


def spread(rows: Sequence[Row], metric: str) -> float:
    """Standard deviation of the mean over the choices of reference; NaN from fewer than two choices."""
    choices = sorted({row.choice for row in rows})
    means = [estimate(by_picture(rows, metric, choice)).mean for choice in choices]
    return float(np.std(means, ddof=1)) if len(means) > 1 else float("nan")


def _by_group(values: dict[tuple[str, str], float]) -> tuple[Float64, Float64]:
    groups: dict[str, list[float]] = defaultdict(list)
    for (group, _), value in sorted(values.items()):
        groups[group].append(value)
    sums = np.array([np.sum(found) for found in groups.values()], np.float64)
    return sums, np.array([len(found) for found in groups.values()], np.float64)


# --- presence ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Curve:
    """What is risked by answering only where presence is high.

    Attributes:
        coverage: Share of the questions that are answered, rising.
        risk: Mean of ``1 - IoU`` over those.
        area: Mean of the risk over all coverages; less is better.
        auroc: Chance that a picture with the thing has a higher presence than one without; NaN where there
            are not both.
    """

    coverage: tuple[float, ...]
    risk: tuple[float, ...]
    area: float
    auroc: float


def risk_coverage(rows: Iterable[Row]) -> Curve | None:
    """The curve of a method that states presence; None of one that does not.

    Questions are answered in the order of falling presence; those of equal presence are answered together,
    and their order cannot matter. An answer for an absent thing has an IoU of 1 if it is empty, else 0.
    """
    known = [
        (row.presence, 1 - row.values["iou"], row.present)
        for row in rows
        if row.presence is not None and "iou" in row.values
    ]
    if not known:
        return None
    presence = np.array([entry[0] for entry in known], np.float64)
    losses = np.array([entry[1] for entry in known], np.float64)
    order = np.argsort(-presence, kind="stable")
    presence, losses = presence[order], losses[order]
    last = np.flatnonzero(np.append(presence[1:] != presence[:-1], True))
    risk = np.cumsum(losses)[last] / (last + 1)
    coverage = (last + 1) / len(known)
    area = float((risk * np.diff(coverage, prepend=0)).sum())
    there = [entry[0] for entry in known if entry[2]]
    gone = [entry[0] for entry in known if not entry[2]]
    return Curve(tuple(coverage.tolist()), tuple(risk.tolist()), area, auroc(there, gone))
