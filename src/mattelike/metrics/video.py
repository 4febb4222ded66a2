"""How steadily mattes follow their truth through a clip: dtSSD and MESSDdt (Erofeev et al., BMVC 2015)."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np

from mattelike.errors import MetricError, SettingsError
from mattelike.metrics.pairs import Float64, Pair, Raster, frames
from mattelike.values import Bool


def dtssd(
    pred: Raster,
    true: Raster,
    *,
    where: Bool | None = None,
    norm: Literal["mean", "sum"] = "mean",
    scale: int | float = 1,
) -> float:
    """Difference of the changes from frame to frame.

    Args:
        pred: ``(t, h, w)``, at least two frames; float in [0, 1], or uint8, uint16 or bool, read by the range
            their type declares.
        true: The same.
        where: bool ``(h, w)`` or ``(t, h, w)``, the pixels that count (of the later frame); None for all.
        norm: ``"mean"`` over the pixels under the root, or their ``"sum"``, as in the original benchmark.
        scale: Factor of the result; 100 is often printed.

    Returns:
        ``scale * mean_t sqrt(mean ((pred_t - pred_(t-1)) - (true_t - true_(t-1)))**2)``. Frames without a
        pixel that counts are left out; 0 where all are.

    Raises:
        MetricError: Prediction and truth differ in shape, there are fewer than two frames, or a value is NaN,
            infinite or outside [0, 1].
        SettingsError: No such norm.
    """
    if norm not in ("mean", "sum"):
        raise SettingsError(f"no norm is called {norm!r}; there are: mean, sum")
    terms = []
    for before, after in pairwise(frames(pred, true, where)):
        change = _counted((after.pred - before.pred) - (after.true - before.true), after.where)
        if change.size:
            squares = np.square(change)
            terms.append(float(np.sqrt(squares.mean() if norm == "mean" else squares.sum())))
    return scale * float(np.mean(terms)) if terms else 0.0


def messddt(pred: Raster, true: Raster, *, flow: Raster | None = None, where: Bool | None = None) -> float:
    """Change of the squared error along the motion of the scene.

    Args:
        pred: As in `dtssd`.
        true: As in `dtssd`.
        flow: float ``(t - 1, h, w, 2)``: motion (dx, dy) in pixels of each pixel from its frame to the next;
            where it leads is rounded to a pixel and kept inside the picture. None for a scene at rest.
        where: bool ``(h, w)`` or ``(t, h, w)``, the pixels that count (of the earlier frame); None for all.

    Returns:
        ``mean_t mean |(pred_t(p) - true_t(p))**2 - (pred_(t+1)(p + v) - true_(t+1)(p + v))**2|``. Frames
        without a pixel that counts are left out; 0 where all are.

    Raises:
        MetricError: As in `dtssd`, or the flow is of another shape or not finite.
    """
    if flow is not None:
        _check_flow(flow, pred.shape)
    terms = []
    for t, (here, there) in enumerate(pairwise(frames(pred, true, where))):
        later = _squared_error(there)
        if flow is not None:
            later = _followed(later, flow[t])
        change = _counted(_squared_error(here) - later, here.where)
        if change.size:
            terms.append(float(np.abs(change).mean()))
    return float(np.mean(terms)) if terms else 0.0


def _counted(values: Float64, where: Bool | None) -> Float64:
    return values.ravel() if where is None else values[where]


def _squared_error(frame: Pair) -> Float64:
    squares: Float64 = np.square(frame.pred - frame.true)
    return squares


def _followed(values: Float64, flow: Raster) -> Float64:
    """The value each pixel finds where its motion leads: dx goes along a row, dy down a column."""
    height, width = values.shape
    down, along = np.arange(height)[:, None], np.arange(width)
    columns = np.clip(np.rint(along + flow[..., 0]), 0, width - 1).astype(np.intp)
    rows = np.clip(np.rint(down + flow[..., 1]), 0, height - 1).astype(np.intp)
    found: Float64 = values[rows, columns]
    return found


def _check_flow(flow: Raster, shape: tuple[int, ...]) -> None:
    wanted = (shape[0] - 1, *shape[1:], 2)
    if flow.shape != wanted:
        raise MetricError(f"flow {flow.shape} does not fit mattes {shape}: it must be {wanted}")
    if not np.isfinite(flow).all():
        raise MetricError("the flow has values that are NaN or infinite")
