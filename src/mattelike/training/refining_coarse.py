"""Guesses of alpha as they come to the edge network: wrong in the ways a first network and people are wrong.

A `Guess` is what the network is given beside the photo. Known pixels hold 0 or 1 and stay; unknown ones hold
the guess. Three kinds: a coarse answer (blurred, eroded, dilated, tips cut, holes filled, shifted, half sure,
plainly wrong in places), an answer of twice the stride, and a trimap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mattelike.training.augment import chance, integer, uniform

LOW, HIGH = 0.05, 0.95
"""Between these a guess is open; the trimaps of the runtime use the same."""

WRONG = 0.1
"""A guess further off than this is wrong: what the map of where to look is taught."""


@dataclass(frozen=True, slots=True, eq=False)
class Guess:
    """What is believed of alpha, and where it is open.

    Attributes:
        alpha: float32 ``(h, w)`` in [0, 1].
        unknown: float32 ``(h, w)`` in {0, 1}.
    """

    alpha: Tensor
    unknown: Tensor


@dataclass(frozen=True, slots=True)
class GuessShares:
    """How often each kind of guess is drawn; the rest are coarse answers with a band round their edges.

    Attributes:
        trimap: Trimaps.
        fine: Answers of twice the stride.
        everywhere: Coarse answers that are open everywhere: what the map of where to look starts from.
    """

    trimap: float = 0.15
    fine: float = 0.15
    everywhere: float = 0.15


def widened(marked: Tensor, radius: int) -> Tensor:
    """`marked` ``(h, w)`` and all within `radius` rows and columns."""
    if not radius:
        return marked
    size = 2 * radius + 1
    rows = F.max_pool2d(marked[None, None], (size, 1), 1, (radius, 0))
    return F.max_pool2d(rows, (1, size), 1, (0, radius))[0, 0]


def softened(alpha: Tensor, stride: int, width: float = 1.0) -> Tensor:
    """Area means of `stride` pixels, smoothed, and enlarged again: what a map of that stride can say."""
    height, width_ = alpha.shape
    small = F.interpolate(alpha[None, None], size=(-(-height // stride), -(-width_ // stride)), mode="area")
    if width > 0:
        kernel = torch.tensor([width, 2.0, width])
        kernel = kernel / kernel.sum()
        small = F.conv2d(F.pad(small, (1, 1, 1, 1), mode="replicate"), kernel.outer(kernel)[None, None])
    return F.interpolate(small, size=(height, width_), mode="bilinear", align_corners=False)[0, 0]


def hills(height: int, width: int, generator: torch.Generator, cells: int) -> Tensor:
    """A smooth random field ``(h, w)`` with about `cells` hills a side."""
    rough = torch.randn((1, 1, cells + 1, cells + 1), generator=generator)
    return F.interpolate(rough, size=(height, width), mode="bicubic", align_corners=False)[0, 0]


def coarse(truth: Tensor, generator: torch.Generator) -> Tensor:
    """A coarse answer for a true alpha ``(h, w)``."""
    stride = (1, 2, 2, 4, 4, 6, 8, 12)[integer(generator, 8)]
    if chance(generator, 0.4):
        # A hard mask, its edge smoothed: what people and other programs give.
        hard = (truth > uniform(generator, 0.3, 0.7)).float()
        answer = softened(hard, max(2, stride), uniform(generator, 0.5, 2))
    else:
        # Smoothed and cut again: tips go, gaps fill, the outline moves in or out.
        smooth = softened(truth, max(2, stride), uniform(generator, 0.5, 2))
        sharp = math.exp(uniform(generator, math.log(4), math.log(24)))
        answer = softened(
            torch.sigmoid(sharp * (smooth - uniform(generator, 0.25, 0.75))), min(stride, 4), 0.5
        )
        answer = ((answer - 0.03) / 0.94).clamp(0, 1)
    if chance(generator, 0.4):
        answer = mistaken(answer, generator)
    if chance(generator, 0.3):
        reach = max(1, stride)
        shift = integer(generator, 2 * reach + 1) - reach, integer(generator, 2 * reach + 1) - reach
        answer = torch.roll(answer, shift, dims=(0, 1))
    return answer.clamp(0, 1)


def mistaken(answer: Tensor, generator: torch.Generator) -> Tensor:
    """Parts of the thing missing, parts too many, or nobody sure."""
    height, width = answer.shape
    field = hills(height, width, generator, 2 + integer(generator, 7))
    where = ((field - uniform(generator, 0.7, 1.6)) * 4).clamp(0, 1)
    kind = integer(generator, 4)
    if kind == 3:  # not sure along the edge
        near = widened(((answer > 0.1) & (answer < 0.9)).float(), 8)
        where = near * (hills(height, width, generator, 5) > 0).float()
    value = (0.0, 1.0, uniform(generator, 0.3, 0.7), uniform(generator, 0.3, 0.7))[kind]
    return answer + where * (value - answer)


def banded(answer: Tensor, truth: Tensor, generator: torch.Generator) -> Guess:
    """A coarse answer with its band: what is open, widened; often also where it is wrong."""
    open_ = ((answer > LOW) & (answer < HIGH)).float()
    unknown = widened(open_, round(math.exp(uniform(generator, math.log(1.5), math.log(14)))))
    if chance(generator, 0.7):
        wrong = ((answer - truth).abs() > WRONG).float()
        unknown = torch.maximum(unknown, widened(wrong, 1 + integer(generator, 8)))
    return Guess(torch.where(unknown > 0, answer, answer.round()), unknown)


def from_trimap(truth: Tensor, generator: torch.Generator) -> Guess:
    """A trimap of the true alpha, drawn with a wide or a narrow brush."""
    soft = ((truth > 0.02) & (truth < 0.98)).float()
    unknown = widened(soft, 1 + integer(generator, 16))
    if chance(generator, 0.5):
        height, width = truth.shape
        unknown = torch.maximum(unknown, widened((hills(height, width, generator, 6) > 1.6).float(), 2))
    return Guess(torch.where(unknown > 0, torch.full_like(truth, 0.5), truth.round()), unknown)


def finer(answer: Tensor) -> Guess:
    """An answer of twice the stride, open where it is partial and next to that."""
    unknown = widened(((answer > 0.02) & (answer < 0.98)).float(), 2)
    return Guess(torch.where(unknown > 0, answer, answer.round()), unknown)


def guessed(truth: Tensor, generator: torch.Generator, shares: GuessShares) -> Guess:
    """A guess of any kind for a true alpha ``(h, w)``."""
    lot = uniform(generator, 0, 1)
    if lot < shares.trimap:
        return from_trimap(truth, generator)
    lot -= shares.trimap
    if lot < shares.fine:
        rough = hills(truth.shape[0], truth.shape[1], generator, 24) * uniform(generator, 0, 0.06)
        partial = truth * (1 - truth) * 4
        return finer((softened(truth, 2, 0.5) + rough * partial).clamp(0, 1))
    answer = coarse(truth, generator)
    if lot - shares.fine < shares.everywhere:
        return Guess(answer, torch.ones_like(answer))
    return banded(answer, truth, generator)
