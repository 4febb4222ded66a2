"""What was matched, drawn: figures 3 and 10 of the paper, for every model.

`explain` follows one target: the references with their marks, inter-similarity S (equation 4), its
intra-similarity on every grid of captured self-attention, averaged over layers and heads (equation 5), alpha.
`observe` looks at the target alone: seeded points inside a given mask, and where the model's self-similarity
takes each of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mattelike import photos, resampling, similarity
from mattelike.contexts import Context
from mattelike.errors import UsageError
from mattelike.figures import Picture, heat, levels, over_squares, row, shown
from mattelike.framing import Frame
from mattelike.mattes import Matte
from mattelike.models import contrastive
from mattelike.predictor import PhotoLike, Predictor, Seen, look
from mattelike.values import Bool, Features, Float32, ModelCard, Photo


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """One map over a photo.

    Attributes:
        name: What it shows, for people.
        values: float32 ``(h, w)`` on the model's grid, the padded border cut off to whole cells.
    """

    name: str
    values: Float32


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """How a model came to its answer for one photo.

    Attributes:
        matte: The answer.
        maps: S, then S' on every grid of captured layers.
    """

    matte: Matte
    maps: tuple[Map, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """What a model takes to be alike within one photo.

    Attributes:
        photo: The photo.
        points: int ``(k, 2)``, ``[row, column]`` of the seeded points, in pixels of the photo.
        maps: Self-similarity of the points, summed, on every grid of captured layers.
    """

    photo: Photo
    points: NDArray[np.intp]
    maps: tuple[Map, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """Self-attention, captured or made from tokens: ``softmax(q k^T * scale)`` per head, on a grid."""

    q: Float32
    k: Float32
    scale: Float32
    grid: tuple[int, int]


def explain(predictor: Predictor, photo: PhotoLike | Seen, context: Context) -> Explanation:
    """Looks at a photo, once, and keeps what lies between it and the answer.

    Args:
        predictor: The model.
        photo: The target, or what the model has seen of it.
        context: Of the same model.

    Raises:
        ContextError: The context belongs to another model.
        PhotoError: The photo cannot be read.
    """
    seen = photo if isinstance(photo, Seen) else predictor.seen(photo)
    matte = predictor.finish(predictor.glance(seen, context))
    frame, features = seen.frame, seen.features
    similar = matte.guidance.similarity
    maps = [_cut("S", similar, frame)]
    if not features.attention:
        return Explanation(matte, (*maps, _cut("S'", matte.guidance.propagated, frame)))
    for grid, layers in _by_grid(_layers(predictor.card, features)).items():
        weights = resampling.resize(similar, grid).reshape(-1, 1)
        spread = _averaged([_propagated(layer, weights) for layer in layers])
        maps.append(_cut(f"S' {grid[0]}x{grid[1]}", spread, frame))
    return Explanation(matte, tuple(maps))


def _propagated(layer: _Layer, weights: Float32) -> Float32:
    """Equation 5 summed over keys, mean over heads: ``(h, w)``."""
    values = np.broadcast_to(weights, (layer.q.shape[0], *weights.shape))
    spread = similarity.propagate(layer.q, layer.k, values, layer.scale)[..., 0].mean(axis=0)
    found: Float32 = spread.reshape(layer.grid)
    return found


def observe(
    predictor: Predictor, photo: PhotoLike, inside: Bool, *, points: int = 16, seed: int = 0
) -> Observation:
    """Seeds points inside a mask and sums where self-similarity takes each of them.

    Args:
        predictor: The model.
        photo: The photo.
        inside: bool ``(h, w)``, where points may be, at the photo's size.
        points: How many.
        seed: Of their places.

    Raises:
        UsageError: A mask of another size, an empty one, or no points.
    """
    target = photos.read(photo)
    if inside.shape != (target.height, target.width):
        raise UsageError(f"the mask is {inside.shape} but the photo is {(target.height, target.width)}")
    allowed = np.argwhere(inside)
    if not len(allowed) or points < 1:
        raise UsageError("nothing to observe: mark at least one pixel, and ask for at least one point")
    chosen = allowed[np.random.default_rng(seed).choice(len(allowed), points, replace=len(allowed) < points)]
    frame, _, features = look(predictor.model, target, "target")
    named = []
    for grid, layers in _by_grid(_layers(predictor.card, features)).items():
        name = f"observed {grid[0]}x{grid[1]}" if features.attention else "observed"
        named.append(_cut(name, _averaged([_summed(layer, chosen, frame) for layer in layers]), frame))
    return Observation(target, chosen, tuple(named))


def _by_grid(layers: list[_Layer]) -> dict[tuple[int, int], list[_Layer]]:
    """Layers of one grid together, in the order they were captured: a head reads their mean."""
    found: dict[tuple[int, int], list[_Layer]] = {}
    for layer in layers:
        found.setdefault(layer.grid, []).append(layer)
    return found


def _averaged(maps: list[Float32]) -> Float32:
    mean: Float32 = np.mean(maps, axis=0, dtype=np.float32)
    return mean


def _layers(card: ModelCard, features: Features) -> list[_Layer]:
    """Captured layers; or, where a model captures none, what makes its cells one thing, or all its heads."""
    captured = [
        _Layer(layer.q, layer.k, np.full((1, 1, 1), layer.scale, np.float32), layer.grid)
        for layer in features.attention
    ]
    if captured:
        return captured
    grid = (features.tokens.shape[-2], features.tokens.shape[-1])
    families, grouping = contrastive.split(card, features)
    if grouping is not None:
        return [_Layer(grouping, grouping, np.ones((1, 1, 1), np.float32), grid)]
    sharpness = similarity.own_numbers(families, np.asarray(card.affinities, np.float32))
    return [
        _Layer(tokens, tokens, own[:, None, None], grid)
        for tokens, own in zip(families, sharpness, strict=True)
    ]


def _summed(layer: _Layer, points: NDArray[np.intp], frame: Frame) -> Float32:
    """Rows of the self-attention at the points' cells, averaged over heads, summed over points."""
    down, across = frame.extent(layer.grid)
    height, width = frame.source
    rows = np.minimum(points[:, 0] * float(down) / height, layer.grid[0] - 1).astype(np.intp)
    columns = np.minimum(points[:, 1] * float(across) / width, layer.grid[1] - 1).astype(np.intp)
    cells = rows * layer.grid[1] + columns
    queries = layer.q[:, cells]
    logits = (queries @ layer.k.transpose(0, 2, 1)) * layer.scale
    if layer.q is layer.k:
        # Among its own tokens every cell is likest to itself, which says nothing.
        logits[:, np.arange(len(cells)), cells] = -np.inf
    attention = similarity.softmax(logits)
    summed: Float32 = attention.mean(axis=0).sum(axis=0).reshape(layer.grid).astype(np.float32)
    return summed


def _cut(name: str, values: Float32, frame: Frame) -> Map:
    """A map without the cells that show nothing of the photo."""
    down, across = frame.extent((values.shape[0], values.shape[1]))
    return Map(name, values[: math.ceil(down), : math.ceil(across)].astype(np.float32))


# --- drawing -----------------------------------------------------------------------------------------


def draw(explanation: Explanation, context: Context, *, side: int = 320) -> Picture:
    """The row of figure 3: references, target, S, S' on each grid, alpha, cut-out.

    Args:
        explanation: From `explain`.
        context: Its references come first.
        side: Height of each picture, in pixels.

    Returns:
        uint8 ``(h, w, 3)``.
    """
    matte = explanation.matte
    seen = shown(matte.photo, side)
    size = (seen.shape[0], seen.shape[1])
    alpha = np.clip(resampling.resize(matte.alpha, size), 0, 1)
    panels = [
        ("not like" if each.negative else "like", shown(photos.read(each.jpeg), side))
        for each in context.thumbnails
    ]
    panels.append((f"target - {matte.status} {matte.presence:.2f}", seen))
    panels += [
        (f"{each.name} - max {each.values.max():.2f}", heat(each.values, seen)) for each in explanation.maps
    ]
    panels.append(("alpha", levels(np.repeat(alpha[..., None], 3, axis=2))))
    panels.append(("cut-out", over_squares(seen, alpha)))
    return row(panels)


def draw_observed(observation: Observation, *, side: int = 320) -> Picture:
    """The row of figure 10: the photo with its points, self-similarity on each grid.

    Args:
        observation: From `observe`.
        side: Height of each picture, in pixels.

    Returns:
        uint8 ``(h, w, 3)``.
    """
    seen = shown(observation.photo, side)
    dotted = seen.copy()
    scale = seen.shape[0] / observation.photo.height
    for down, across in (observation.points * scale).astype(np.intp).tolist():
        dotted[max(0, down - 3) : down + 4, max(0, across - 3) : across + 4] = (255, 255, 255)
        dotted[max(0, down - 2) : down + 3, max(0, across - 2) : across + 3] = (255, 64, 89)
    panels = [(f"{len(observation.points)} points", dotted)]
    panels += [
        (f"{each.name} - max {each.values.max():.2g}", heat(each.values, seen)) for each in observation.maps
    ]
    return row(panels)
