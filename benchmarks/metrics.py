"""Seconds per metric on 12 megapixels, and CONN beside the usual loop over thresholds.

Run: ``python benchmarks/metrics.py [--rows 3000 --columns 4000] [--repeats 3]``.
Prints one JSON object a line.
Needs scipy; the loop is timed with scikit-image too where that is installed. Single-threaded throughout.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import ndimage

from mattelike import metrics

Float64 = NDArray[np.float64]
Labeller = Callable[[NDArray[np.bool_]], NDArray[Any]]


def portrait(rows: int, columns: int, seed: int = 0) -> Float64:
    """A round head with 1,500 hairs a pixel wide and a veil of glass: 8-bit levels."""
    noise = np.random.default_rng(seed)
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    y, x = (y - rows / 2) / rows, (x - columns / 2) / rows
    edge = 0.3 - np.hypot(x, y)
    alpha = np.clip(edge * rows / 12 + 0.5, 0, 1)
    alpha = np.maximum(alpha, 0.55 * np.clip((0.1 - np.hypot(x - 0.4, y)) * rows / 6, 0, 1))
    length = np.linspace(0, 1, 900, dtype=np.float32)
    for _ in range(1500):
        angle, bend, reach = noise.uniform(-np.pi, 0), noise.normal(0, 0.4), noise.uniform(0.05, 0.15)
        along = angle + bend * length
        down = ((0.29 + reach * length) * np.sin(along) + 0.5) * rows
        right = (0.29 + reach * length) * np.cos(along) * rows + columns / 2
        inside = (down >= 0) & (down < rows - 1) & (right >= 0) & (right < columns - 1)
        cells = down[inside].astype(int), right[inside].astype(int)
        alpha[cells] = np.maximum(alpha[cells], (noise.uniform(0.4, 1) * (1 - 0.7 * length))[inside])
    levels: Float64 = np.rint(alpha * 255).astype(np.float64) / 255
    return levels


def guess(true: Float64, seed: int = 1) -> Float64:
    """What a good network answers, saved in 8 bits: wrong in the soft band, some hairs lost, one crumb."""
    noise = np.random.default_rng(seed)
    soft = ndimage.uniform_filter(true, 5)
    band = (ndimage.maximum_filter(true, 5) > 0) & (ndimage.minimum_filter(true, 5) < 1)
    pred = np.where(band, np.clip(0.5 * true + 0.5 * soft + noise.normal(0, 0.05, true.shape), 0, 1), true)
    pred[: true.shape[0] // 50, : true.shape[1] // 20] = 0.8
    levels: Float64 = np.rint(pred * 255) / 255
    return levels


def unsaved(pred: Float64, seed: int = 2) -> Float64:
    """The same straight from a sigmoid: no pixel is quite 0 or 1."""
    noise = np.random.default_rng(seed).uniform(0, 0.02, pred.shape)
    alpha: Float64 = np.abs(pred - noise).astype(np.float32).astype(np.float64)
    return alpha


def usual(pred: Float64, true: Float64, label: Labeller) -> float:
    """CONN as most evaluation scripts have it: every threshold labelled anew."""
    steps = [i * 0.1 for i in range(11)]
    last = -np.ones_like(pred)
    for i in range(1, 11):
        labels = label((pred >= steps[i]) & (true >= steps[i]))
        areas = np.bincount(labels.ravel())
        areas[0] = 0
        largest = (labels == areas.argmax()) & (labels > 0)
        last[(last == -1) & ~largest] = steps[i - 1]
    last[last == -1] = 1
    above_pred, above_true = pred - last, true - last
    phi_pred, phi_true = 1 - above_pred * (above_pred >= 0.15), 1 - above_true * (above_true >= 0.15)
    return float(np.abs(phi_pred - phi_true).sum()) / 1000


def labellers() -> dict[str, Labeller]:
    """4-connected labelling of the libraries at hand."""
    found: dict[str, Labeller] = {"scipy": lambda mask: np.asarray(ndimage.label(mask)[0])}
    try:
        from skimage.measure import label
    except ImportError:
        return found
    return found | {"skimage": partial(label, connectivity=1)}


def timed(measured: dict[str, Callable[[], float]], repeats: int) -> dict[str, tuple[float, float]]:
    """Value of each and the best of some times, taken in turns: processor seconds, as all run on one core."""
    best = dict.fromkeys(measured, (0.0, np.inf))
    for _ in range(repeats):
        for name, measure_one in measured.items():
            start = time.process_time()
            value = measure_one()
            best[name] = value, min(best[name][1], time.process_time() - start)
    return best


def against_loops(case: str, pred: Float64, true: Float64, repeats: int) -> dict[str, Any]:
    """One row: CONN here and by the usual loops, and how many times faster it is here."""
    measured: dict[str, Callable[[], float]] = {"ours": partial(metrics.conn, pred, true)}
    measured |= {name: partial(usual, pred, true, label) for name, label in labellers().items()}
    times = timed(measured, repeats)
    value, seconds = times.pop("ours")
    row: dict[str, Any] = {"metric": "conn", "case": case, "value": value, "seconds": round(seconds, 3)}
    for name, (other, theirs) in times.items():
        row |= {f"{name}_seconds": round(theirs, 3), f"{name}_times": round(theirs / seconds, 1)}
        row[f"{name}_differs"] = abs(other - value)
    return row


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=3000)
    options.add_argument("--columns", type=int, default=4000)
    options.add_argument("--repeats", type=int, default=3)
    chosen = options.parse_args()
    machine = {"machine": platform.processor() or platform.machine(), "python": platform.python_version()}
    machine |= {"numpy": np.__version__, "scipy": scipy.__version__}
    print(json.dumps(machine | {"rows": chosen.rows, "columns": chosen.columns}))
    true = portrait(chosen.rows, chosen.columns)
    pred = guess(true)
    names = ("sad", "mse", "mad", "grad", "iou", "boundary_iou")
    plain: dict[str, Callable[[], float]] = {
        n: partial(metrics.METRICS[n].measure, pred, true) for n in names
    }
    for name, (value, seconds) in timed(plain, chosen.repeats).items():
        print(json.dumps({"metric": name, "case": "saved", "value": value, "seconds": round(seconds, 3)}))
    noise = np.random.default_rng(3).random((2, *true.shape))
    cases = {"saved": (pred, true), "unsaved": (unsaved(pred), true), "noise": (noise[0], noise[1])}
    for case, (one, other) in cases.items():
        print(json.dumps(against_loops(case, one, other, chosen.repeats)), flush=True)


if __name__ == "__main__":
    main()
