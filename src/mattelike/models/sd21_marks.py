"""From a mark on a reference to its query tokens (paper 3.4 and 3.6)."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from mattelike import similarity
from mattelike.errors import PromptError
from mattelike.models.sd21_geometry import centre
from mattelike.models.sd21_settings import IconSettings
from mattelike.values import Float32, RoIKind

Cells = NDArray[np.bool_]

# Weight of a cell that is neither the thing nor known not to be it: it is not kept.
UNKNOWN = 0.5
# Sharpness of the self-similarity that finds the thing in a box.
BOX_SHARPNESS = (14.0,)


def prompted_cells(tokens: Float32, positive: Float32, kind: RoIKind, settings: IconSettings) -> Cells:
    """Cells that are query tokens, before extension.

    Args:
        tokens: Of the reference, ``(c, h, w)``.
        positive: Share of each cell that is marked, ``(h, w)``.
        kind: A box means the thing inside it, found by self-similarity against what lies outside.
        settings: Effective settings.

    Raises:
        PromptError: Fewer than `min_tokens` cells are left.
    """
    if kind == "box" and positive.any():
        split = similarity.split_heads(tokens, 1)
        share = np.asarray(similarity.boxed(split, positive.reshape(-1), BOX_SHARPNESS))
        cells: Cells = (share >= min(UNKNOWN, float(share.max()))).reshape(positive.shape) & (positive > 0)
    else:
        cells = chosen(positive, settings)
    enough(cells, settings)
    if cells.all():
        warnings.warn("the mark covers the whole reference: nothing to tell the thing from", stacklevel=3)
    return cells


def chosen(positive: Float32, settings: IconSettings) -> Cells:
    """Cells whose marked share makes them query tokens."""
    cells: Cells = (positive > 0) & (positive >= settings.mask_threshold)
    return cells


def enough(cells: Cells, settings: IconSettings) -> None:
    """Refuses a mark of which too few tokens are left.

    Raises:
        PromptError: Fewer than `min_tokens`, unless the settings take that in silence.
    """
    count = int(np.count_nonzero(cells))
    if count < settings.min_tokens and settings.on_empty == "raise":
        raise PromptError(
            f"the mark of this reference leaves {count} tokens, {settings.min_tokens} are needed; "
            "mark more of it, or use another mask_pool"
        )


def extended(cells: Cells, rows: Float32, m: int) -> Cells:
    """Section 3.6: every prompted token adds the m tokens it attends to most.

    Args:
        cells: Prompted tokens, ``(h, w)``.
        rows: Their rows of the reference's self-attention, ``(p, h * w)``.
        m: How many.
    """
    chosen = similarity.extend(rows, np.flatnonzero(cells), m)
    result = np.zeros(cells.size, np.bool_)
    result[chosen] = True
    return result.reshape(cells.shape)


def weights(
    cells: Cells, positive: Float32, negative: Float32, kind: RoIKind, settings: IconSettings
) -> Float32:
    """1 for query tokens, 0 for what is known not to be the thing, `UNKNOWN` for the rest.

    What lies around a mask or a box is negative only if the settings say so, and not where it touches it.
    """
    against = negative >= max(settings.mask_threshold, 1e-6)
    if kind in ("mask", "box"):
        against = (
            against & ~grown(cells | (positive > 0)) if settings.use_background else np.zeros_like(cells)
        )
    found = np.where(cells, np.float32(1), np.where(against, np.float32(0), np.float32(UNKNOWN)))
    return found.astype(np.float32)


def grown(cells: Cells) -> Cells:
    """Cells and their neighbours."""
    padded = np.pad(cells, 1)
    height, width = cells.shape
    shifts = [padded[i : i + height, j : j + width] for i in range(3) for j in range(3)]
    result: Cells = np.logical_or.reduce(shifts)
    return result


def on_centre(cells: Float32, size: tuple[int, int]) -> Float32:
    """Cells over a whole picture as cells over its centred square, to within a cell; for the release's crop.

    Args:
        cells: ``(h, w)`` over the picture.
        size: Of the picture, in pixels.
    """
    top, left, short = centre(*size)
    at = [
        ((start + (np.arange(count) + 0.5) * short / count) * count / length).astype(np.intp)
        for start, count, length in zip((top, left), cells.shape, size, strict=True)
    ]
    return np.ascontiguousarray(cells[np.ix_(at[0], at[1])])
