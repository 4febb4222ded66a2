"""What of an alpha is sure, and what is not."""

from __future__ import annotations

import numpy as np

from mattelike.errors import SettingsError
from mattelike.values import Bool, Float32

FLOOR = 0.05
CEILING = 0.95
RADIUS = 10


def widened(marked: Bool, radius: int) -> Bool:
    """`marked` and all within `radius` rows and columns of it (a square)."""
    for axis in (0, 1):
        reach = 0
        while reach < radius:
            step = min(reach + 1, radius - reach)
            grown = marked.copy()
            here, there = (grown, marked) if axis == 0 else (grown.T, marked.T)
            here[step:] |= there[:-step]
            here[:-step] |= there[step:]
            marked, reach = grown, reach + step
    return marked


def sure(alpha: Float32, radius: int, floor: float, ceiling: float) -> tuple[Bool, Bool]:
    """Surely background, surely foreground: so within `radius` of a pixel. What is beyond the edge agrees."""
    return ~widened(alpha > floor, radius), ~widened(alpha < ceiling, radius)


def trimap(
    alpha: Float32, *, radius: int = RADIUS, floor: float = FLOOR, ceiling: float = CEILING
) -> Float32:
    """{0, 0.5, 1} from an alpha: background, unknown, foreground.

    Args:
        alpha: float32 ``(h, w)`` in [0, 1].
        radius: Pixels by which the unknown band is widened on each side.
        floor: At or below this a pixel counts as background.
        ceiling: At or above this, as foreground.

    Returns:
        float32 ``(h, w)``. All of it may be unknown (trap 56).

    Raises:
        SettingsError: When `radius` is negative, or unless ``0 <= floor < ceiling <= 1``.
    """
    if radius < 0 or not 0 <= floor < ceiling <= 1:
        raise SettingsError(f"trimap: impossible radius {radius}, floor {floor} or ceiling {ceiling}")
    background, foreground = sure(alpha, radius, floor, ceiling)
    values = np.full(alpha.shape, 0.5, np.float32)
    values[background] = 0
    values[foreground] = 1
    return values
