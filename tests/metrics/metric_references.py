"""The metrics once more, slow and plain, with a knob for every mistake we could make.

As they stand they are an independent reference, on scipy; with one knob turned they are a wrong copy, which
the oracles must catch.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[Any]
SQUARE = np.ones((3, 3))


def _region(values: Array, where: Array | None) -> Array:
    return values.ravel() if where is None else values[where]


def sad(
    pred: Array,
    true: Array,
    *,
    where: Array | None = None,
    power: int = 1,
    unit: int = 1000,
    signed: bool = False,
) -> float:
    error = _region(pred - true, where)
    return float(((error if signed else np.abs(error)) ** power).sum()) / unit


def mean_power(
    pred: Array,
    true: Array,
    *,
    where: Array | None = None,
    power: int = 2,
    whole: bool = False,
    signed: bool = False,
) -> float:
    error = _region(pred - true, where)
    error = (error if signed else np.abs(error)) ** power
    return float(error.sum() / (pred.size if whole else error.size))


def grad(
    pred: Array,
    true: Array,
    *,
    where: Array | None = None,
    sigma: float = 1.4,
    reach: int = 4,
    unit_norm: bool = True,
    border: Literal["nearest", "constant"] = "nearest",
    exponent: int = 2,
    same_axis: bool = False,
    only_x: bool = False,
) -> float:
    hx = np.empty((2 * reach + 1, 2 * reach + 1))
    for v in range(-reach, reach + 1):
        for u in range(-reach, reach + 1):
            bell = [math.exp(-(z**2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi)) for z in (v, u)]
            hx[v + reach, u + reach] = bell[0] * -u * bell[1] / sigma**2
    if unit_norm:
        hx /= math.sqrt((hx**2).sum())
    lengths = []
    for matte in (pred, true):
        x = ndimage.convolve(matte, hx, mode=border, cval=0.0)
        y = ndimage.convolve(matte, hx if same_axis else hx.T, mode=border, cval=0.0)
        lengths.append(np.sqrt(x**2 + (0 if only_x else y**2)))
    return float((np.abs(_region(lengths[0] - lengths[1], where)) ** exponent).sum()) / 1000


def connected(
    pred: Array,
    true: Array,
    *,
    where: Array | None = None,
    variant: str = "standard",
    late: int = 0,
    diagonal: bool = False,
    strict: bool = False,
    decimal: bool = False,
    region_first: bool = False,
    last_tie: bool = False,
    any_part: bool = False,
) -> Array:
    """The last step up to which each pixel is connected, every threshold labelled anew."""
    steps = [round(i * 0.1, 1) if decimal else i * 0.1 for i in range(11)]
    least = np.minimum(pred, true)
    if region_first and where is not None:
        least = np.where(where, least, 0)
    last = -np.ones_like(pred)
    for i in range(1, 11):
        mask = least > steps[i] if strict else least >= steps[i]
        labels, count = ndimage.label(mask, structure=SQUARE if diagonal else None)
        areas = np.bincount(labels.ravel(), minlength=count + 1)
        if variant == "standard":
            areas[0] = 0
        winner = len(areas) - 1 - int(areas[::-1].argmax()) if last_tie else int(areas.argmax())
        largest = (labels == winner) & ((labels > 0) | (variant == "release"))
        if any_part:
            largest = mask
        last[(last == -1) & ~largest] = steps[min(10, i - 1 + late)]
    last[last == -1] = 1
    return last


def conn(pred: Array, true: Array, *, where: Array | None = None, theta: float = 0.15, **knobs: Any) -> float:
    last = connected(pred, true, where=where, **knobs)
    phi = [1 - (matte - last) * (matte - last >= theta) for matte in (pred, true)]
    return float(np.abs(_region(phi[0] - phi[1], where)).sum()) / 1000


def iou(
    pred: Array,
    true: Array,
    *,
    where: Array | None = None,
    threshold: float = 0.5,
    dice: bool = False,
    empty: float = 1.0,
) -> float:
    one, other = _region(pred > threshold, where), _region(true > threshold, where)
    both, either = int((one & other).sum()), int((one | other).sum())
    if either == 0:
        return empty
    return 2 * both / (both + either) if dice else both / either


def boundary_iou(
    pred: Array,
    true: Array,
    *,
    where: Array | None = None,
    share: float = 0.02,
    diamond: bool = False,
    outside: int = 0,
) -> float:
    steps = max(1, round(share * math.hypot(*pred.shape)))
    rims = []
    for matte in (pred, true):
        mask = matte > 0.5
        inner = ndimage.binary_erosion(
            mask, structure=None if diamond else SQUARE, iterations=steps, border_value=outside
        )
        rims.append((mask & ~inner).astype(float))
    return iou(rims[0], rims[1], where=where)


def dtssd(
    pred: Array,
    true: Array,
    *,
    where: Array | None = None,
    norm: str = "mean",
    scale: float = 1,
    root: bool = True,
    still: bool = False,
) -> float:
    terms = []
    for t in range(1, len(pred)):
        change = (pred[t] - pred[t - 1]) - (0 if still else true[t] - true[t - 1])
        squares = _region(change**2, where)
        value = squares.mean() if norm == "mean" else squares.sum()
        terms.append(math.sqrt(value) if root else value)
    return scale * float(np.mean(terms))


def messddt(
    pred: Array,
    true: Array,
    *,
    flow: Array | None = None,
    where: Array | None = None,
    power: int = 2,
    swapped: bool = False,
    backwards: bool = False,
    floor: bool = False,
) -> float:
    height, width = pred.shape[1:]
    region = np.ones((height, width), bool) if where is None else where
    terms = []
    for t in range(len(pred) - 1):
        changes = []
        for y, x in np.argwhere(region):
            dx, dy = (0.0, 0.0) if flow is None else flow[t, y, x]
            dx, dy = (dy, dx) if swapped else (dx, dy)
            dx, dy = (-dx, -dy) if backwards else (dx, dy)
            to = math.floor if floor else round
            row, column = min(max(to(y + dy), 0), height - 1), min(max(to(x + dx), 0), width - 1)
            here = abs(pred[t, y, x] - true[t, y, x]) ** power
            changes.append(abs(here - abs(pred[t + 1, row, column] - true[t + 1, row, column]) ** power))
        terms.append(np.mean(changes))
    return float(np.mean(terms))
