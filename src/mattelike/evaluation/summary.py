"""The tables of an evaluation: methods down, figures across, one table a part of the benchmark."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mattelike.evaluation.rows import Row
from mattelike.evaluation.statistics import (
    Curve,
    Estimate,
    by_picture,
    counting,
    estimate,
    risk_coverage,
    spread,
)
from mattelike.metrics import METRICS


@dataclass(frozen=True, slots=True)
class Part:
    """One table.

    Attributes:
        title: What it is about.
        metrics: Its columns.
        figures: By method, one estimate a column.
    """

    title: str
    metrics: tuple[str, ...]
    figures: Mapping[str, tuple[Estimate, ...]]


@dataclass(frozen=True, slots=True)
class Summary:
    """All of an evaluation.

    Attributes:
        parts: The tables: all pictures with the thing, then by relation and by split.
        spreads: By method, the standard deviation over choices of reference of each of the first table's
            metrics; empty with one choice.
        curves: By method, for those that state presence.
        failed: By method, how many pictures it failed on.
    """

    parts: tuple[Part, ...]
    spreads: Mapping[str, tuple[float, ...]]
    curves: Mapping[str, Curve]
    failed: Mapping[str, int]


# Of a picture without the thing, only what was answered by mistake can be measured.
ABSENT = ("sad", "mse", "mad", "iou")


def summed(rows: Sequence[Row], metrics: Sequence[str]) -> Summary:
    """The tables of all rows.

    Args:
        rows: Of all methods.
        metrics: Columns, in order.
    """
    methods = list(dict.fromkeys(row.method for row in rows))
    parts = tuple(_parts(rows, methods, tuple(metrics)))
    several = len({row.choice for row in rows}) > 1
    spreads: dict[str, tuple[float, ...]] = {}
    curves: dict[str, Curve] = {}
    for name in methods:
        own = [row for row in rows if row.method == name]
        if several:
            spreads[name] = tuple(spread(counting(own, metric), metric) for metric in metrics)
        curve = risk_coverage([row for row in own if row.choice == 0])
        if curve is not None:
            curves[name] = curve
    failed = {name: sum(bool(row.error) for row in rows if row.method == name) for name in methods}
    return Summary(parts, spreads, curves, failed)


def _parts(rows: Sequence[Row], methods: Sequence[str], metrics: tuple[str, ...]) -> Iterator[Part]:
    there = [row for row in rows if row.present]
    gone = [row for row in rows if not row.present]
    yield _part("All pictures with the thing", rows, methods, metrics)
    relations = sorted({row.relation for row in there})
    if len(relations) > 1:
        for relation in relations:
            named = "the same thing" if relation == "instance" else "things of one category"
            chosen = [row for row in rows if row.relation == relation]
            yield _part(f"Groups of {named} ({relation})", chosen, methods, metrics)
    splits = sorted({row.split for row in there if row.split})
    if len(splits) > 1:
        for split in splits:
            yield _part(f"Split {split}", [row for row in rows if row.split == split], methods, metrics)
    if gone:
        absent = tuple(name for name in ABSENT if name in metrics)
        yield Part(
            "Pictures without the thing: all that is found is wrong", absent, _figures(gone, methods, absent)
        )


def _part(title: str, rows: Sequence[Row], methods: Sequence[str], metrics: tuple[str, ...]) -> Part:
    by_metric = {metric: _figures(counting(rows, metric), methods, (metric,)) for metric in metrics}
    figures = {name: tuple(by_metric[metric][name][0] for metric in metrics) for name in methods}
    return Part(title, metrics, figures)


def _figures(
    rows: Sequence[Row], methods: Sequence[str], metrics: tuple[str, ...]
) -> dict[str, tuple[Estimate, ...]]:
    figures: dict[str, tuple[Estimate, ...]] = {}
    for name in methods:
        own = [row for row in rows if row.method == name]
        figures[name] = tuple(estimate(by_picture(own, metric)) for metric in metrics)
    return figures


def best(part: Part, given: Mapping[str, str]) -> tuple[frozenset[str], ...]:
    """Names of the best methods of each column, one for every kind of help: others are no contest.

    Args:
        part: The table.
        given: What each method is given; methods it does not name are of one kind.
    """
    found = []
    for column, metric in enumerate(part.metrics):
        choose = max if METRICS[metric].higher_is_better else min
        known = {n: e[column].mean for n, e in part.figures.items() if not math.isnan(e[column].mean)}
        kinds: dict[str, list[str]] = defaultdict(list)
        for name in known:
            kinds[given.get(name, "")].append(name)
        found.append(frozenset(choose(names, key=known.__getitem__) for names in kinds.values()))
    return tuple(found)


def figure(value: float) -> str:
    """A number for a table: four decimals below a tenth, three below ten, two above."""
    if math.isnan(value):
        return "-"
    return f"{value:.4f}" if abs(value) < 0.1 else f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}"


def interval(found: Estimate) -> str:
    """The interval of an estimate, or nothing."""
    return "" if math.isnan(found.low) else f"{figure(found.low)} to {figure(found.high)}"
