"""How steadily answers follow a clip: dtSSD and MESSDdt of every frame against the one before it.

A frame carries the term of its pair of frames; the mean over a clip's frames is the metric of the clip. The
mattes are read back as they were saved, so that an evaluation that goes on measures what one in a single run
does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from mattelike.errors import MetricError
from mattelike.evaluation.rows import Row
from mattelike.metrics import METRICS
from mattelike.metrics.pairs import Raster
from mattelike.values import Bool

STEADY = tuple(name for name, metric in METRICS.items() if metric.clip)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame of a clip.

    Attributes:
        pred: ``(h, w)``; types as the metrics take them.
        true: The same.
        where: bool ``(h, w)``, the pixels that count; None for all.
    """

    pred: Raster
    true: Raster
    where: Bool | None = None


def steadied(rows: Iterable[Row], places: Mapping[str, int], frame: Callable[[Row], Frame]) -> Iterator[Row]:
    """The same rows; each that follows its neighbour in time has the two figures beside its others.

    A frame whose neighbour was not asked for, or failed, has none: what lies further apart is another change.

    Args:
        rows: Those of one method, round and choice follow each other in order of time.
        places: By target, its number in its clip.
        frame: Reads what was answered.

    Raises:
        MetricError: Two frames of a clip differ in size; says which.
    """
    before: tuple[Row, Frame] | None = None
    for row in rows:
        if row.error:
            before = None
            yield row
            continue
        now = frame(row)
        if before is not None and _neighbours(before[0], row, places):
            yield replace(row, values=row.values | _changes(before, (row, now)))
        else:
            yield row
        before = row, now


def _neighbours(before: Row, row: Row, places: Mapping[str, int]) -> bool:
    same = all(getattr(before, name) == getattr(row, name) for name in ("method", "group", "turn", "choice"))
    return same and places[before.target] + 1 == places[row.target]


def _changes(before: tuple[Row, Frame], now: tuple[Row, Frame]) -> dict[str, float]:
    shots = before[1], now[1]
    if shots[0].true.shape != shots[1].true.shape:
        sizes = " and ".join(f"{shot.true.shape[1]} x {shot.true.shape[0]}" for shot in shots)
        raise MetricError(
            f"{before[0].target} and {now[0].target}: frames of one clip, but {sizes} pixels; bring them to "
            "one size, or evaluate them as photos"
        )
    pred, true = (np.stack([getattr(shot, side) for shot in shots]) for side in ("pred", "true"))
    regions = [shot.where for shot in shots if shot.where is not None]
    where = np.stack(regions) if regions else None
    found = {}
    for name in STEADY:
        # dtSSD counts the pixels of the later frame, MESSDdt those of the earlier; none, and no figure.
        if where is None or where[1 if name == "dtssd" else 0].any():
            found[name] = float(METRICS[name].measure(pred, true, where=where))
    return found
