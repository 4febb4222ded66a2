"""A metric over many pictures: each gives a sum and a count, and sums add in any order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mattelike.metrics.pairs import Raster
from mattelike.values import Bool


@dataclass(frozen=True, slots=True)
class Sums:
    """What is known of a metric after some pictures.

    Attributes:
        total: Sum of the values of the pictures.
        count: How many pictures were measured.
    """

    total: float = 0.0
    count: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.total + other.total, self.count + other.count)

    def compute(self) -> float:
        """Mean over the pictures, the figure papers print; 0 before the first."""
        return self.total / self.count if self.count else 0.0


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table of metrics.

    Attributes:
        name: Name of the function.
        measure: The function: ``measure(pred, true, *, where=None, ...) -> float``.
        unit: What one unit of the value is.
        parameters: All that is fixed in it, to be printed beside the figures.
        higher_is_better: Direction.
        clip: Whether it takes clips ``(t, h, w)`` instead of pictures ``(h, w)``.
    """

    name: str
    measure: Callable[..., float]
    unit: str
    parameters: str = ""
    higher_is_better: bool = False
    clip: bool = False

    def update(self, pred: Raster, true: Raster, *, where: Bool | None = None, **options: Any) -> Sums:
        """The sums of one picture (or clip): add them up, on one machine or many, then compute.

        Args:
            pred: As the function takes it.
            true: As the function takes it.
            where: As the function takes it. A picture without a pixel that counts is checked but not counted,
                so that its 0 does not improve the mean.
            **options: Further arguments of the function.

        Raises:
            MetricError: As the function.
        """
        value = self.measure(pred, true, where=where, **options)
        return Sums() if where is not None and not where.any() else Sums(value, 1)
