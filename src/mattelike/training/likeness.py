"""Which kinds look alike to a backbone: what a scene has to show side by side to be hard.

Kinds drawn by chance look like each other as a clock looks like a lobster, and whoever only ever chooses
among those never learns to choose between broccoli and cauliflower.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mattelike.network.efficientnet_lite import EfficientNetLite
from mattelike.network.embedded import MEAN, STD
from mattelike.training.groups import related
from mattelike.training.pack import Place
from mattelike.training.synthesis import Library, cut_to_thing, softened

# Side of the square a thing is looked at in, and how much of it the thing fills.
SIDE, FILLED = 256, 208
# Items of a kind that are looked at: the first ones in order of name.
ITEMS = 3
# The stage of the backbone that tells things from their ground best (docs/experiments.md), and its stride.
STAGE, STRIDE = 5, 32
# Kinds kept for each.
NEIGHBOURS = 12


def neighbours(
    library: Library, backbone: EfficientNetLite, count: int = NEIGHBOURS
) -> dict[str, tuple[str, ...]]:
    """For every kind that has a name the kinds most like it, likest first, without those nearly the same.

    Items that are a kind of their own are left out: what they show is not written down, and what looks most
    like them may be just that.

    Args:
        library: What is learnt from.
        backbone: Whose eyes count; unchanged.
        count: Neighbours of each kind, or as many as there are.
    """
    kinds = sorted(kind for kind in library.groups if "/" not in kind)
    tokens = torch.stack([kind_token(library, library.groups[kind][:ITEMS], backbone) for kind in kinds])
    likeness = tokens @ tokens.T
    found: dict[str, tuple[str, ...]] = {}
    for kind, row in zip(kinds, likeness, strict=True):
        order = [kinds[i] for i in torch.argsort(row, descending=True, stable=True).tolist()]
        found[kind] = tuple([o for o in order if o != kind and not related(kind, o)][:count])
    return found


def kind_token(library: Library, places: Sequence[Place], backbone: EfficientNetLite) -> Tensor:
    """The mean token of a few items of one kind, ``(d,)``, length one."""
    return F.normalize(sum(thing_token(library, place, backbone) for place in places), dim=0)  # type: ignore[arg-type]


@torch.no_grad()
def thing_token(library: Library, place: Place, backbone: EfficientNetLite) -> Tensor:
    """The mean token of one thing on grey, ``(d,)``, length one."""
    grey, spread = MEAN[0], STD[0]
    thing = cut_to_thing(library.pack.rgba(place))
    alpha = softened(thing[3:], place.item.truth)
    shown = torch.cat([thing[:3] * alpha + grey * (1 - alpha), alpha])
    scale = FILLED / max(shown.shape[-2:])
    size = [max(1, round(length * scale)) for length in shown.shape[-2:]]
    shown = F.interpolate(shown[None], size=size, mode="bilinear", antialias=True)[0]
    square = torch.cat([torch.full((3, SIDE, SIDE), grey), torch.zeros(1, SIDE, SIDE)])
    top, left = ((SIDE - length) // 2 for length in size)
    square[:, top : top + size[0], left : left + size[1]] = shown
    seen = backbone((square[None, :3] - grey) / spread)[STAGE][0]
    weight = F.avg_pool2d(square[None, 3:], STRIDE)[0]
    return F.normalize((seen * weight).sum(dim=(1, 2)), dim=0)
