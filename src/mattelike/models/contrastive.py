"""The steps shared by every model that matches its tokens contrastively: weigh, remember, guide."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mattelike import similarity
from mattelike.contexts import Context, float_tokens
from mattelike.models import Coarse
from mattelike.models.free import free_alpha
from mattelike.values import Features, Float32, Guidance, ModelCard, RoIKind


def weigh(
    card: ModelCard, features: Features, positive: Float32, negative: Float32, kind: RoIKind
) -> Float32:
    """From marks to a foreground weight for every cell of a reference.

    A mask says it all. Points and scribbles grow to what resembles them, a box shrinks to the thing in it
    (section 3.6). A thing with marks of a size below a cell keeps its best cell.

    Args:
        card: Heads and sharpness of the matching.
        features: Of the reference, batch of one.
        positive: float32 ``(h, w)`` in [0, 1].
        negative: float32 ``(h, w)`` in [0, 1].
        kind: Form of the mark.
    """
    if kind == "mask":
        # A thing thinner than a cell covers no cell by half: its best cells stand for it all the same.
        most = float(positive.max())
        return positive if most >= 0.5 or most == 0 else positive * np.float32(0.5 / most)
    families, grouping = split(card, features)
    weights = similarity.grown(
        families,
        positive.reshape(-1),
        negative.reshape(-1),
        card.affinities,
        box=kind == "box",
        grouping=grouping,
    )
    return np.asarray(weights, np.float32).reshape(positive.shape)


def both_ways(look: Callable[[Float32], Features], images: Float32) -> Features:
    """A reference as it is and mirrored, the tokens averaged: they hang less on which side it shows.

    It costs one more look at a reference and nothing for the targets.

    Args:
        look: From pictures to features.
        images: float32 ``(1, 3, h, w)``.
    """
    seen, mirrored = look(images), look(np.ascontiguousarray(images[..., ::-1]))
    return Features((seen.tokens + mirrored.tokens[..., ::-1]) / np.float32(2), seen.skips)


def split(card: ModelCard, features: Features) -> tuple[tuple[Float32, ...], Float32 | None]:
    """Tokens of one image as families of heads, and its grouping tokens where the model has them."""
    return similarity.split_grouping(
        features.tokens[0], card.heads, card.whole_channels, card.grouping_channels
    )


def remember(
    card: ModelCard, features: Features, weights: Float32
) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """Tokens and weights of one reference as a context stores them, in float16.

    Every token is scaled to a largest entry of 1 first: only its direction counts, and float16 has room
    for that whatever the backbone's range. Grouping channels say nothing to other pictures.
    """
    tokens = features.tokens[0, : card.channels - card.grouping_channels]
    flat = tokens.reshape(tokens.shape[0], -1).T
    scaled = flat / np.maximum(np.abs(flat).max(axis=1, keepdims=True), 1e-12)
    return scaled.astype(np.float16), weights.reshape(-1).astype(np.float16)


def guide(card: ModelCard, features: Features, context: Context) -> Guidance:
    """Section 3.4 for one target: what all references together say of every cell.

    Args:
        card: Heads and sharpness of the matching.
        features: Of the target, batch of one.
        context: Of the same model.
    """
    height, width = features.tokens.shape[-2:]
    tokens, weights = float_tokens(context)
    targets, grouping = split(card, features)
    row = np.ascontiguousarray(tokens.T)[:, None, :]
    references = similarity.split_families(row, card.heads, card.whole_channels)
    things = similarity.pooled(targets, card.affinities, grouping)
    evidence = similarity.compare_families(
        targets, references, weights, card.temperatures, card.affinities, things
    )
    return guidance(evidence.stacked().reshape(-1, height, width).astype(np.float32))


def guidance(maps: Float32) -> Guidance:
    """The maps of a target and what can be read off them at once.

    Args:
        maps: float32 ``(9 m, h, w)``, as `mattelike.similarity.Evidence.stacked` lays them out.
    """
    evidence = similarity.Evidence.of(maps.reshape(maps.shape[0], -1))
    grid = maps.shape[1:]
    return Guidance(
        maps=maps,
        names=similarity.channel_names(evidence.contrast.shape[0]),
        similarity=evidence.contrast.mean(axis=0).reshape(grid).astype(np.float32),
        propagated=evidence.propagated.mean(axis=0).reshape(grid).astype(np.float32),
        presence=float(np.clip(similarity.presence_score(evidence), 0, 1)),
    )


class Contrastive:
    """What such models share of the contract of `mattelike.models.Model`; their leaves add the networks.

    Args:
        card: Who the model is.
    """

    def __init__(self, card: ModelCard) -> None:
        self._card = card

    @property
    def card(self) -> ModelCard:
        """Who it is."""
        return self._card

    def weigh(self, features: Features, positive: Float32, negative: Float32, kind: RoIKind) -> Float32:
        """See `weigh`."""
        return weigh(self._card, features, positive, negative, kind)

    def remember(
        self, features: Features, weights: Float32
    ) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
        """See `remember`."""
        return remember(self._card, features, weights)

    def guide(self, features: Features, context: Context) -> Guidance:
        """See `guide`."""
        return guide(self._card, features, context)

    def free(self, images: Float32, guidance: Guidance) -> Coarse:
        """The training-free head's answer, on the picture as it was before normalisation."""
        mean, std = (np.asarray(v, np.float32) for v in (self._card.mean, self._card.std))
        seen = np.clip(images[0].transpose(1, 2, 0) * std + mean, 0, 1)
        return Coarse(free_alpha(seen, guidance.similarity, guidance.propagated))
