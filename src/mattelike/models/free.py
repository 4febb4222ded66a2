"""The head without training: from a coarse, noisy map of similarity to an alpha that follows the photo.

Four cells of the working grid to one cell of the guidance, then, each step a well-known one:

1. a threshold that splits the evidence best (Otsu 1979), kept between two bounds, since a photo without the
   thing, or full of it, splits anywhere;
2. colours of thing and ground, as histograms weighted by what is believed so far, against the evidence: a
   region of a colour that is the thing's elsewhere is believed a little more, twice;
3. a random walk on the matting Laplacian, every cell held to its belief as far as it is sure: what nobody
   is sure of takes the side of what it is connected to;
4. parts with weak evidence only are dropped, and the edges refined at the size the model saw.

With guidance of frozen ImageNet features, on 136 photos of animals, flowers and table-top things, its mean
IoU is 0.75; that of the bare map of similarity, cut at 1/2, is 0.64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mattelike import components
from mattelike.figures import levels
from mattelike.refinement import refine
from mattelike.refinement.solver import descend
from mattelike.refinement.windows import Windows
from mattelike.resampling import area, resize
from mattelike.values import Float32

FINER = 4
"""Working cells per guidance cell, along each side. On real guidance 2 and 8 are both worse."""

LOWEST, HIGHEST = 0.2, 0.7
"""Bounds of the threshold."""

SHARPNESS = 20.0
"""Log-odds of a cell per unit of evidence above the threshold."""

ROUNDS = 2
BINS = 16
COLOUR_LIMIT = 3.0
"""Log-odds that colour alone can give."""

SMOOTH_RADIUS, SMOOTH_EPS = 4, 1e-3
WALK_EPS = 1e-5
HOLD = 0.03
"""How strongly a sure cell is held to its belief, against a Laplacian whose windows have 9 cells."""

LEAST_HOLD = 0.05
WALK_STEPS = 40
LEAST_PEAK = 0.5
"""Parts whose best cell has less than this share of the best evidence are dropped, however large they are."""

GAIN = 6.0
"""The walk's answer is stretched by this about 1/2: it says which side a cell is on, not how opaque it is."""

BAND = 1
"""Half-width, in working cells, of what is left to the closed-form solver."""


def free_alpha(image: Float32, similarity: Float32, propagated: Float32) -> Float32:
    """Alpha at the size the model saw, from guidance alone.

    Args:
        image: float32 ``(h, w, 3)``, RGB in [0, 1], as the model saw it.
        similarity: float32 ``(h_l, w_l)`` in [0, 1], contrastive inter-similarity.
        propagated: float32 ``(h_l, w_l)`` in [0, 1], the same after a step of intra-similarity.

    Returns:
        float32 ``(h, w)`` in [0, 1]; all 0 where nothing stands out.
    """
    evidence: Float32 = (similarity + propagated) / np.float32(2)
    edge = threshold(evidence)
    size = image.shape[0], image.shape[1]
    if float(evidence.max()) <= edge:
        return np.zeros(size, np.float32)
    grid = min(FINER * evidence.shape[0], size[0]), min(FINER * evidence.shape[1], size[1])
    colours = np.ascontiguousarray(np.moveaxis(area(image, grid), -1, 0))
    odds = np.float32(SHARPNESS) * (resize(evidence, grid) - np.float32(edge))
    belief = _without_crumbs(_walked(colours, _coloured(colours, odds)), odds)
    coarse = ((belief - np.float32(0.5)) * np.float32(GAIN) + np.float32(0.5)).clip(0, 1)
    return refine(levels(image.clip(0, 1)), coarse, band=BAND).alpha


def threshold(evidence: Float32) -> float:
    """Otsu's threshold, between `LOWEST` and `HIGHEST`: the split with most variance between its sides."""
    values = np.sort(evidence, axis=None)
    if values[0] == values[-1]:
        return HIGHEST
    below = np.arange(1, values.size)
    sums = np.cumsum(values, dtype=np.float64)[:-1]
    gap = sums / below - (values.sum(dtype=np.float64) - sums) / (values.size - below)
    split = int(np.argmax(below * (values.size - below) * gap * gap))
    return float(np.clip((values[split] + values[split + 1]) / 2, LOWEST, HIGHEST))


def _sigmoid(odds: Float32) -> Float32:
    belief: Float32 = np.reciprocal(1 + np.exp(-odds))
    return belief


def _coloured(colours: Float32, odds: Float32) -> Float32:
    """Belief in [0, 1] by evidence and colour; smoothed along the photo's edges between the rounds."""
    windows = Windows.of(colours, SMOOTH_RADIUS, SMOOTH_EPS)
    bins = _bins(colours)
    belief = _sigmoid(odds)
    for _ in range(ROUNDS + 1):
        likely = windows.smoothed(belief).clip(0, 1)
        belief = _sigmoid(odds + _colour_odds(bins, likely))
    return belief


def _bins(colours: Float32) -> NDArray[np.intp]:
    """The cell of the colour histogram each pixel falls in, ``(h, w)``: by lightness and two opponents."""
    red, green, blue = colours
    axes = (red + green + blue) / 3, (red - blue + 1) / 2, (2 * green - red - blue + 2) / 4
    index = np.zeros(red.shape, np.intp)
    for axis in axes:
        index = index * BINS + (axis * BINS).astype(np.intp).clip(0, BINS - 1)
    return index


def _colour_odds(bins: NDArray[np.intp], belief: Float32) -> Float32:
    """How much likelier each pixel's colour is on the thing than on the ground: clipped log-odds."""
    shares = []
    for weight in (belief, 1 - belief):
        counts = np.bincount(bins.ravel(), weight.ravel().astype(np.float64), BINS**3)
        smooth = _blurred(counts.reshape(BINS, BINS, BINS))
        shares.append(smooth / smooth.sum() + 1 / bins.size)
    odds = np.log(shares[0] / shares[1]).clip(-COLOUR_LIMIT, COLOUR_LIMIT)
    picked: Float32 = odds.astype(np.float32).ravel()[bins]
    return picked


def _blurred(counts: NDArray[Any]) -> NDArray[Any]:
    """Histogram counts spread over the neighbouring bins, 1/4 1/2 1/4 along each axis."""
    for axis in range(counts.ndim):
        here = np.moveaxis(counts, axis, 0)
        wide = np.concatenate([here[:1], here, here[-1:]])
        counts = np.moveaxis(wide[:-2] / 4 + wide[1:-1] / 2 + wide[2:] / 4, 0, axis)
    return counts


def _walked(colours: Float32, belief: Float32) -> Float32:
    """The belief after a walk on the matting Laplacian: the unsure side with what they hang together with."""
    sureness = np.abs(2 * belief - 1) + np.float32(LEAST_HOLD)
    windows = Windows.of(colours, 1, WALK_EPS)
    everywhere = np.ones(belief.shape, np.bool_)
    return descend(windows, belief, everywhere, WALK_STEPS, 0.0, hold=np.float32(HOLD) * sureness)


def _without_crumbs(belief: Float32, odds: Float32) -> Float32:
    """Parts that only weak evidence stands behind are made ground; a small one with good evidence stays."""
    labels, count = components.label(belief > 0.5)
    if count < 2:
        return belief
    peaks = np.zeros(count + 1, np.float32)
    np.maximum.at(peaks, labels, odds)
    crumb = peaks < LEAST_PEAK * peaks[1:].max()
    crumb[0] = False
    return np.where(crumb[labels], np.float32(0), belief)
