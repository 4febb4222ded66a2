"""Cases whose value is known in closed form. O1 to O17 are measured and derived; X cases are ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Oracle:
    """One case: what a metric must say of a prediction and a truth."""

    name: str
    metric: str
    pred: Array
    true: Array
    expected: float
    options: dict[str, Any] = field(default_factory=dict)

    def misses(self, measure: Callable[..., float]) -> bool:
        """Whether a metric gets this case wrong."""
        return not abs(measure(self.pred, self.true, **self.options) - self.expected) <= 1e-12


def block(side: int, value: float = 1.0, size: int = 100, at: tuple[int, int] = (10, 10)) -> Array:
    """A square of a value on an empty picture."""
    matte = np.zeros((size, size))
    matte[at[0] : at[0] + side, at[1] : at[1] + side] = value
    return matte


def edge(height: int) -> Array:
    """A vertical step edge from 0 to 1."""
    return np.repeat((np.arange(20) >= 10)[None, :], height, axis=0).astype(float)


def inside(shape: tuple[int, int], rows: slice, columns: slice) -> Array:
    """A rectangular region."""
    region = np.zeros(shape, bool)
    region[rows, columns] = True
    return region


def _equal() -> Iterator[Oracle]:
    noise = np.random.default_rng(1)
    matte, clip = noise.random((23, 31)), noise.random((4, 9, 11))
    for metric in ("sad", "mse", "mad", "grad", "conn"):
        yield Oracle(f"O1-{metric}", metric, matte, matte.copy(), 0.0)
    yield Oracle("O1-conn-release", "conn", matte, matte.copy(), 0.0, {"variant": "release"})
    for metric in ("dtssd", "messddt"):
        yield Oracle(f"O1-{metric}", metric, clip, clip.copy(), 0.0)
    for metric in ("iou", "boundary_iou"):
        yield Oracle(f"O1-{metric}", metric, matte, matte.copy(), 1.0)


def _pixelwise() -> Iterator[Oracle]:
    pred, true = np.full((10, 20), 0.6), np.full((10, 20), 0.5)
    where = inside((10, 20), slice(None), slice(0, 5))
    for metric, expected in (("mse", 0.01), ("sad", 0.005), ("mad", 0.1)):
        yield Oracle(f"O2-{metric}", metric, pred, true, expected, {"where": where})
    # Too much here and too little there do not make up for each other.
    swayed = np.where(inside((10, 20), slice(0, 5), slice(None)), 0.6, 0.4)
    for metric, expected in (("mse", 0.01), ("sad", 0.02), ("mad", 0.1)):
        yield Oracle(f"X8-{metric}-signs", metric, swayed, true, expected)


def _gradients() -> Iterator[Oracle]:
    for height, expected in ((64, 1.253805824410638), (100, 1.959071600641621)):
        nothing = np.zeros((height, 20))
        yield Oracle(f"O3-grad-{height}", "grad", nothing, edge(height), expected)
        yield Oracle(f"O3-grad-{height}-upright", "grad", nothing.T, edge(height).T, expected)
    yield Oracle("O4-grad", "grad", 0.5 * edge(64), edge(64), 0.313451456102659)
    impulse = block(1, size=15, at=(6, 8))
    yield Oracle("O5-grad", "grad", impulse, np.zeros_like(impulse), 0.002)
    ramp = np.repeat((np.arange(64) / 63)[None, :], 20, axis=0)
    one = {"where": inside((20, 64), slice(9, 10), slice(30, 31))}
    yield Oracle("O6-grad", "grad", ramp, np.zeros_like(ramp), 0.02362725616397367 / 1000, one)


def _connected() -> Iterator[Oracle]:
    release = {"variant": "release"}
    one = block(20)
    two = one + block(5, at=(60, 60))
    yield Oracle("O7-sad", "sad", one, two, 0.025)
    empty, full = np.zeros((100, 100)), np.ones((100, 100))
    cases = (
        ("O7", one, two, 0.025, 0.0),
        ("O8", two, one, 0.025, 0.0),
        ("O9", two, two, 0.0, 0.0),
        ("O10", block(60, 0.5), block(60, 0.9), 1.44, 1.44),
        ("O11", block(80, 0.5), block(80, 0.9), 2.56, 0.0),
        ("O12", block(60, 0.8), block(60, 0.9), 0.0, 0.36),
        ("O13-60", block(60, 0.8), block(60), 0.72, 0.72),
        ("O13-80", block(80, 0.8), block(80), 1.28, 0.0),
        ("O14-20", empty, block(20), 0.4, 0.0),
        ("O14-80", empty, block(80), 6.4, 0.0),
        ("O15-90", 0.9 * full, full, 0.0, 0.0),
        ("O15-50", 0.5 * full, full, 5.0, 0.0),
    )
    for name, pred, true, standard, released in cases:
        yield Oracle(f"{name}-conn", "conn", pred, true, standard)
        yield Oracle(f"{name}-conn-release", "conn", pred, true, released, release)
    yield Oracle("O10-sad", "sad", block(60, 0.5), block(60, 0.9), 1.44)
    yield Oracle("O16-conn", "conn", block(80, 153 / 255), block(80), 3.2)
    yield Oracle("O16-sad", "sad", block(80, 153 / 255), block(80), 2.56)


def _more_connected() -> Iterator[Oracle]:
    """Neighbourhood, ties, and a region that must not cut the parts."""
    corner = block(10) + block(5, at=(20, 20))
    yield Oracle("X1-conn-diagonal", "conn", 0.9 * corner, corner, 0.0025)
    low, high = block(5, at=(60, 10)), block(5, at=(10, 60))
    for name, square, expected in (("first", high, 0.0), ("second", low, 0.0025)):
        options = {"where": square > 0}
        yield Oracle(f"X2-conn-tie-{name}", "conn", 0.9 * (low + high), low + high, expected, options)
    pair = block(20) + block(5, at=(60, 60))
    where = inside((100, 100), slice(50, 100), slice(0, 100))
    # A background as large as the largest part is the largest part: the thing falls out at the first step.
    half = inside((10, 20), slice(None), slice(0, 10)).astype(float)
    yield Oracle("X9-conn-release-tie", "conn", 0.9 * half, half, 0.01, {"variant": "release"})
    yield Oracle("X3-conn-region", "conn", 0.9 * pair, pair, 0.0025, {"where": where})


def _masks() -> Iterator[Oracle]:
    empty = np.zeros((100, 100))
    yield Oracle("X4-iou", "iou", block(20), block(20, at=(10, 20)), 200 / 600)
    yield Oracle("X4-iou-half", "iou", block(20, 0.5), block(20), 0.0)
    yield Oracle("X4-iou-soft", "iou", block(20, 0.4), empty, 1.0)
    yield Oracle("X4-iou-empty", "iou", empty, empty, 1.0)
    # The diagonal is 141 pixels, so the rim is 3 wide: 40*40 - 34*34 pixels of a square of 40.
    rim = 40**2 - 34**2
    yield Oracle("X5-boundary-apart", "boundary_iou", block(40), block(30, at=(15, 15)), 0.0)
    shifted, common = block(40, at=(10, 11)), 2 * 3 * 39 + 2 * 2 * 34
    yield Oracle("X5-boundary-shifted", "boundary_iou", block(40), shifted, common / (2 * rim - common))
    holed = block(40) - block(1, at=(30, 30))
    yield Oracle("X5-boundary-hole", "boundary_iou", holed, block(40), rim / (rim + 7**2 - 1))
    # Beyond the edges of the picture is outside.
    full, half = np.ones((100, 100)), np.repeat((np.arange(100) < 50)[None, :], 100, axis=0).astype(float)
    common, rims = 100 * 50 - 94 * 47, 100 * 100 - 94 * 94 + 100 * 50 - 94 * 44
    yield Oracle("X5-boundary-at-edge", "boundary_iou", full, half, common / (rims - common))
    yield Oracle("X5-boundary-empty", "boundary_iou", empty, empty, 1.0)


def _clips() -> Iterator[Oracle]:
    still = np.zeros((4, 8, 10))
    flicker = still + np.array([0, 0.1, 0, 0.1])[:, None, None]
    yield Oracle("O17-dtssd", "dtssd", flicker, still, 0.1)
    yield Oracle("O17-dtssd-hundred", "dtssd", flicker, still, 10.0, {"scale": 100})
    yield Oracle("O17-dtssd-sum", "dtssd", flicker, still, 0.1 * np.sqrt(80), {"norm": "sum"})
    yield Oracle("O17-messddt", "messddt", flicker, still, 0.01)
    yield Oracle("X6-dtssd-moving-truth", "dtssd", flicker, flicker, 0.0)
    # One wrong pixel that moves 3.4 to the right and 1 up; the flow goes with it, or leaves the picture.
    moving = np.zeros((2, 8, 10))
    moving[0, 4, 2] = moving[1, 3, 5] = 0.5
    flow = np.zeros((1, 8, 10, 2))
    flow[...] = (3.4, -1.0)
    where = inside((8, 10), slice(4, 5), slice(2, 3))
    yield Oracle(
        "X7-messddt-flow", "messddt", moving, np.zeros_like(moving), 0.0, {"flow": flow, "where": where}
    )
    nearly = {"flow": flow + np.array([0.4, 0.0]), "where": where}
    yield Oracle("X7-messddt-rounded", "messddt", moving, np.zeros_like(moving), 0.25, nearly)
    away = np.zeros((2, 8, 10))
    away[1, 0, 9] = 0.5
    outwards = {"flow": np.broadcast_to((50.0, -50.0), (1, 8, 10, 2))}
    yield Oracle("X7-messddt-clamped", "messddt", away, np.zeros_like(away), 0.25, outwards)


ORACLES: tuple[Oracle, ...] = (
    *_equal(),
    *_pixelwise(),
    *_gradients(),
    *_connected(),
    *_more_connected(),
    *_masks(),
    *_clips(),
)
