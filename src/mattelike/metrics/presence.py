"""Whether a score tells pictures that show a kind from those that do not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def auroc(present: Sequence[float], absent: Sequence[float]) -> float:
    """Area under the ROC curve: the chance that a picture with the kind scores above one without.

    Args:
        present: Scores of pictures that show the kind.
        absent: Scores of those that do not.

    Returns:
        In [0, 1]; ties count half; NaN where there are not both.
    """
    if not present or not absent:
        return float("nan")
    ordered = np.sort(np.asarray(absent))
    below = np.searchsorted(ordered, present, "left")
    upto = np.searchsorted(ordered, present, "right")
    return float(np.mean((below + upto) / 2) / len(ordered))
