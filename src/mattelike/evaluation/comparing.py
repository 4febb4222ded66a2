"""Two methods on the same pictures: paired differences, which see what two separate means cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mattelike.errors import UsageError
from mattelike.evaluation import rows
from mattelike.evaluation.rows import Row
from mattelike.evaluation.run import TABLE
from mattelike.evaluation.statistics import Estimate, by_picture, counting, difference
from mattelike.metrics import METRICS

# Between a path and the label of one of its methods.
AT = "@"


@dataclass(frozen=True, slots=True)
class Compared:
    """One metric of two methods.

    Attributes:
        metric: Its name.
        one: Mean of the first over the shared pictures.
        other: Mean of the second.
        change: First minus second, with its interval.
        won: Share of the pictures on which the first is better, ties half.
    """

    metric: str
    one: float
    other: float
    change: Estimate
    won: float

    @property
    def verdict(self) -> str:
        """Which is better, where the interval excludes no difference; else "open"."""
        if not (self.change.low > 0 or self.change.high < 0):
            return "open"
        first = (self.change.mean > 0) == METRICS[self.metric].higher_is_better
        return "first" if first else "second"


def side(text: str) -> tuple[str, list[Row], tuple[str, ...]]:
    """One side of a comparison: ``PATH`` or ``PATH@METHOD``; a path is a report's folder or a table.

    Returns:
        Label, rows, metrics.

    Raises:
        UsageError: No such table, several methods and none named, or no such method.
    """
    place, _, label = text.rpartition(AT) if AT in text and not Path(text).exists() else (text, "", "")
    path = Path(place).expanduser()
    found, metrics = rows.read(path / TABLE if path.is_dir() else path)
    labels = list(dict.fromkeys(row.method for row in found))
    if not label and len(labels) != 1:
        names = ", ".join(labels) or "nothing"
        raise UsageError(f"{place} holds {names}: name one, such as {place}{AT}METHOD")
    label = label or labels[0]
    if label not in labels:
        raise UsageError(f"{place} holds no method {label!r}; it holds {', '.join(labels)}")
    return label, [row for row in found if row.method == label], metrics


def compared(
    one: Sequence[Row],
    other: Sequence[Row],
    metrics: Sequence[str],
    seed: int = 0,
    *,
    absent: bool = False,
) -> list[Compared]:
    """Every metric over the pictures both sides have an answer for.

    Args:
        one: Rows of the first.
        other: Rows of the second.
        metrics: Which to compare.
        seed: Of the bootstrap.
        absent: Pictures without the thing count too.

    Raises:
        UsageError: No picture in common.
    """
    result = []
    for metric in metrics:
        first, second = (
            by_picture(side if absent else counting(side, metric), metric) for side in (one, other)
        )
        shared = [key for key in first if key in second]
        if not shared:
            continue
        sign = 1 if METRICS[metric].higher_is_better else -1
        gaps = [sign * (first[key] - second[key]) for key in shared]
        won = sum(1.0 if gap > 0 else 0.5 if gap == 0 else 0.0 for gap in gaps) / len(gaps)
        means = [sum(side[key] for key in shared) / len(shared) for side in (first, second)]
        result.append(Compared(metric, means[0], means[1], difference(first, second, seed), won))
    if not result:
        raise UsageError("the two have no picture in common: evaluate both on the same benchmark")
    return result
