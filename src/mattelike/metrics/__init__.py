"""How good mattes are: pure functions of a prediction and a truth, in numpy.

Every function measures one picture (or one clip). Over many pictures, add what the rows of `METRICS` give::

    sums = Sums()
    for pred, true in pairs:
        sums += METRICS["sad"].update(pred, true)
    print(sums.compute())
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mattelike.metrics.alpha import conn, grad, mad, mse, sad
from mattelike.metrics.presence import auroc
from mattelike.metrics.segmentation import boundary_iou, iou
from mattelike.metrics.sums import Metric, Sums
from mattelike.metrics.video import dtssd, messddt

_ROWS = (
    Metric("sad", sad, "thousands of pixels"),
    Metric("mse", mse, "plain, not times 1000"),
    Metric("mad", mad, "plain, not times 1000"),
    Metric("grad", grad, "thousands", "sigma 1.4, 9 x 9 kernel of norm 1, borders repeated, exponent 2"),
    Metric("conn", conn, "thousands", "step 0.1, theta 0.15, 4-connected foreground, exponent 1"),
    Metric("iou", iou, "share", "masks above 0.5", higher_is_better=True),
    Metric(
        "boundary_iou", boundary_iou, "share", "masks above 0.5, 2% of the diagonal", higher_is_better=True
    ),
    Metric("dtssd", dtssd, "plain, not times 100", "root of the mean over pixels", clip=True),
    Metric("messddt", messddt, "plain", "flow rounded to a pixel", clip=True),
)

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _ROWS})

__all__ = [
    "METRICS",
    "Metric",
    "Sums",
    "auroc",
    "boundary_iou",
    "conn",
    "dtssd",
    "grad",
    "iou",
    "mad",
    "messddt",
    "mse",
    "sad",
]
