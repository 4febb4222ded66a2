"""Pieces of an answer, and which of them are less like the reference than the rest.

A network that looks at cells takes a piece of tree for the fur of a toy. Looked at as pieces, such an answer
gives itself away: all cells of the tree together are less like the reference than those of the toy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mattelike import similarity
from mattelike.components import label, sizes, spread
from mattelike.values import Bool, Float32

# Alpha from which pixels make a piece; from which they belong to the piece they are next to, so far off.
SOLID, FAINT, REACH = 0.3, 0.02, 40
# A piece is a stray when less attention falls on the foreground than in the leading piece, and its lead among
# things is less than this share of that one's. On the public validation (306 of 574 answers have some) 0.5 to
# 0.7 are alike; above, second things of a kind are lost.
LIKE = 0.6


def strays(alpha: Float32, maps: Float32) -> Bool | None:
    """Where the pieces lie that are clearly less like the reference than the leading piece.

    The leading piece is the one with the most of all: area, alpha, attention on the foreground
    (`similarity.Evidence.contrast`), and lead among the things of the picture (``thing_lead``).

    Args:
        alpha: float32 ``(h, w)`` in [0, 1], the answer.
        maps: float32 ``(9 m, h', w')`` as `similarity.Evidence.stacked` lays them out; all cells are squares
            of one size, which together cover `alpha`.

    Returns:
        bool ``(h, w)``; None where there is no such piece.
    """
    labels, count = label(alpha > SOLID)
    if count < 2:
        return None
    inside = np.flatnonzero(labels)
    of, area = labels.reshape(-1)[inside], sizes(labels, count)
    evidence = similarity.Evidence.of(maps.reshape(maps.shape[0], -1))
    cells = _cells(inside, alpha.shape, maps.shape[1:])
    contrast, lead, solid = (
        np.bincount(of, values, count + 1)[1:] / area
        for values in (
            evidence.contrast.mean(axis=0)[cells],
            evidence.thing_lead.mean(axis=0)[cells],
            alpha.reshape(-1)[inside],
        )
    )
    leading = int(np.argmax(contrast * lead * solid * area))
    stray = (contrast < contrast[leading]) & (lead < LIKE * lead[leading])
    if not stray.any():
        return None
    found: Bool = np.concatenate([[False], stray])[spread(labels, alpha > FAINT, rings=REACH)]
    return found


def _cells(pixels: NDArray[np.intp], size: tuple[int, int], grid: tuple[int, int]) -> NDArray[np.intp]:
    """In which cell of a grid each of some pixels lies, both as positions in raster order."""
    stride = max(-(-length // count) for length, count in zip(size, grid, strict=True))
    rows, columns = np.divmod(pixels, size[1])
    cells: NDArray[np.intp] = rows // stride * grid[1] + columns // stride
    return cells
