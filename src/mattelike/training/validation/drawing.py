"""The pictures of the validation, drawn from the pixels of a pack, the same on every machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mattelike.foreground import foreground
from mattelike.training.augment import warped
from mattelike.training.pack import Pack, Place
from mattelike.training.synthesis import cut_to_thing, softened
from mattelike.training.validation.questions import Picture, Plan
from mattelike.values import Float32

SIDE = 800
"""Side of composites, in pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A picture and what is where in it.

    Attributes:
        rgb: uint8 ``(h, w, 3)``.
        alphas: float32 ``(h, w)`` in [0, 1] by kind.
        soft: Whether the alphas are exact, rather than hard masks or predictions.
    """

    rgb: NDArray[np.uint8]
    alphas: Mapping[str, Float32]
    soft: bool

    def alpha(self, kind: str) -> Float32:
        """Alpha of a kind; zeros where it is not in the picture."""
        found = self.alphas.get(kind)
        return np.zeros(self.rgb.shape[:2], np.float32) if found is None else found


class Studio:
    """Draws what a plan names.

    Args:
        pack: Holds every item of the plan.
        plan: The composites.

    Raises:
        ValueError: The pack lacks an item of the plan, or has it among what is trained on.
    """

    def __init__(self, pack: Pack, plan: Plan) -> None:
        self.pack = pack
        self.plan = plan
        self.places = {place.item.name: place for place in pack.places}
        for name in sorted(plan.items()):
            place = self.places.get(name)
            if place is None:
                raise ValueError(f"the pack has no {name}; build it from the same data as the list")
            if place.item.truth != "none" and place.item.split != "validation":
                raise ValueError(f"{name} is trained on in this pack; choose the list again")
        # Each picture is asked about several times in a row.
        self.picture = lru_cache(maxsize=24)(self._picture)
        self.thing = lru_cache(maxsize=64)(self._thing)

    def _picture(self, name: str) -> Drawn:
        """The picture of a name: an item's photo, or a composite."""
        composite = self.plan.pictures.get(name)
        if composite is not None:
            return self._composite(composite)
        place = self.places[name]
        levels = levels_of(self.pack, place)
        alpha = levels[..., 3].astype(np.float32) / np.float32(255)
        return Drawn(np.ascontiguousarray(levels[..., :3]), {place.item.kind: alpha}, False)

    def _composite(self, picture: Picture) -> Drawn:
        rgb = covering(self.pack.rgba(self.places[picture.background])[:3], SIDE)
        alphas: dict[str, Tensor] = {}
        for thing in picture.things:
            cut = self.thing(thing.item)
            placed = warped(
                cut,
                SIDE,
                scale=thing.size * SIDE / max(cut.shape[-2:]),
                angle=thing.angle,
                centre=(thing.row * SIDE, thing.column * SIDE),
                flip=thing.flip,
            ).clamp(0, 1)
            rgb = placed[:3] + rgb * (1 - placed[3])
            alphas = {kind: alpha * (1 - placed[3]) for kind, alpha in alphas.items()}
            kind = self.places[thing.item].item.kind
            alphas[kind] = alphas.get(kind, torch.zeros_like(placed[3])) + placed[3]
        levels = (rgb.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
        return Drawn(levels, {kind: alpha.clamp(0, 1).numpy() for kind, alpha in alphas.items()}, True)

    def _thing(self, name: str) -> Tensor:
        """A thing cut out: float32 ``(4, h, w)``, colours multiplied by alpha, no rim of its old background.

        Colours that are multiplied by alpha can be warped: what lies outside the thing adds nothing.
        """
        place = self.places[name]
        levels = levels_of(self.pack, place)
        alpha = softened(torch.from_numpy(levels[..., 3:].copy()).permute(2, 0, 1) / 255, place.item.truth)
        front = foreground(np.ascontiguousarray(levels[..., :3]), alpha[0].numpy().astype(np.float32))
        colours = torch.from_numpy(front).permute(2, 0, 1) / 255
        return cut_to_thing(torch.cat([colours * alpha, alpha]))


def levels_of(pack: Pack, place: Place) -> NDArray[np.uint8]:
    """Pixels of an item as stored, uint8 ``(h, w, 4)``."""
    end = place.offset + place.height * place.width * 4
    return np.array(pack.pixels[place.offset : end]).reshape(place.height, place.width, 4)


def covering(rgb: Tensor, side: int) -> Tensor:
    """The middle of a photo ``(3, h, w)``, scaled so that it just covers a square of `side`."""
    height, width = rgb.shape[-2:]
    scale = side / min(height, width)
    size = max(side, round(height * scale)), max(side, round(width * scale))
    grown = torch.nn.functional.interpolate(rgb[None], size=size, mode="bilinear", align_corners=False)[0]
    top, left = (size[0] - side) // 2, (size[1] - side) // 2
    return grown[:, top : top + side, left : left + side]
