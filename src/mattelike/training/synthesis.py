"""Training pictures: real photos seen anew, and scenes of several things of different kinds.

A scene holds two to four salient things; which of them is the answer depends on the reference alone, so
nothing short of matching can solve it. Every picture comes with one alpha for each kind in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from mattelike.training import augment
from mattelike.training.attachments import Attachment, attached, strewn
from mattelike.training.augment import chance, integer, uniform
from mattelike.training.groups import GLUE
from mattelike.training.pack import Pack, Place


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One kind in one picture.

    Attributes:
        kind: Which kind.
        alpha: ``(h, w)`` in [0, 1]; all instances of the kind together.
        trusted: ``(h, w)`` in {0, 1}: where alpha may be learnt from; 0 along the edges of hard masks.
    """

    kind: str
    alpha: Tensor
    trusted: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One training image ``(3, side, side)`` in [0, 1] and the kinds in it.

    Attributes:
        rgb: The pixels.
        layers: The kinds, at least one.
        complete: Whether everything salient in the picture is among its layers, so that another kind is
            surely absent.
        source: Data set of the photo, or ``"scene"``.
    """

    rgb: Tensor
    layers: tuple[Layer, ...]
    complete: bool
    source: str


@dataclass(frozen=True, slots=True, eq=False)
class Thing:
    """What is put into a scene.

    Attributes:
        kind: Which kind.
        rgba: ``(4, h, w)`` in [0, 1], straight.
        truth: ``"alpha"`` for a matte, ``"mask"`` for a hard mask.
        parts: What is fixed to it.
    """

    kind: str
    rgba: Tensor
    truth: str
    parts: Sequence[Attachment] = ()


@dataclass(frozen=True, slots=True)
class Library:
    """What pictures are made of.

    Attributes:
        pack: The pixels.
        groups: Places by kind.
        backgrounds: Photos to put scenes on.
    """

    pack: Pack
    groups: Mapping[str, Sequence[Place]]
    backgrounds: Sequence[Place]

    def thing(self, place: Place, parts: Sequence[Attachment] = ()) -> Thing:
        """What a photo or render shows, with `parts` fixed to it."""
        return Thing(place.item.kind, self.pack.rgba(place), place.item.truth, parts)


def softened(alpha: Tensor, truth: str) -> Tensor:
    """A hard mask pulled in by about a pixel and smoothed, for compositing without a rim of background."""
    if truth == "alpha":
        return alpha
    inner = -F.max_pool2d(-alpha[None], 3, 1, 1)[0]
    return augment.blurred(inner, 0.8)


def cut_to_thing(rgba: Tensor, margin: float = 0.04) -> Tensor:
    """The picture cropped to what its alpha shows, plus a margin."""
    rows = torch.nonzero(rgba[3].amax(dim=1) > 0.3)
    columns = torch.nonzero(rgba[3].amax(dim=0) > 0.3)
    if len(rows) == 0 or len(columns) == 0:
        return rgba
    height, width = rgba.shape[-2:]
    gap = int(margin * max(height, width)) + 1
    top, bottom = max(0, int(rows[0]) - gap), min(height, int(rows[-1]) + 1 + gap)
    left, right = max(0, int(columns[0]) - gap), min(width, int(columns[-1]) + 1 + gap)
    return rgba[:, top:bottom, left:right]


def trust(alpha: Tensor, truth: str, radius: int) -> Tensor:
    """Where alpha may be learnt from: everywhere in mattes, away from the edges of hard masks (spec 5.9).

    What is half of a mask is an edge, or is unsure (`mattelike.training.pseudo`).
    """
    if truth == "alpha":
        return torch.ones_like(alpha)
    kernel = 2 * radius + 1
    wide = F.max_pool2d(alpha[None, None], kernel, 1, radius)[0, 0]
    narrow = -F.max_pool2d(-alpha[None, None], kernel, 1, radius)[0, 0]
    return ((wide < 0.25) | (narrow > 0.75)).to(alpha.dtype)


# --- real photos -------------------------------------------------------------------------------------


def view(library: Library, place: Place, side: int, generator: torch.Generator) -> Picture:
    """A real photo, cropped, turned, relit; at least half of the thing stays in it."""
    rgba = library.pack.rgba(place)
    item = place.item
    if item.domain == "render":
        return scene(library, [library.thing(place)], side, generator, alone=True)
    height, width = rgba.shape[-2:]
    fill = side / max(height, width)
    for _ in range(6):
        scale = fill * math.exp(uniform(generator, -0.25, 0.75))
        angle = uniform(generator, -0.3, 0.3) if chance(generator, 0.4) else 0.0
        slack_rows, slack_columns = scale * height - side, scale * width - side
        centre = (
            side / 2 + uniform(generator, -0.5, 0.5) * abs(slack_rows),
            side / 2 + uniform(generator, -0.5, 0.5) * abs(slack_columns),
        )
        flip, squeeze = chance(generator, 0.5), math.exp(uniform(generator, -0.15, 0.15))
        placed = partial(
            augment.warped, side=side, scale=scale, angle=angle, centre=centre, flip=flip, squeeze=squeeze
        )
        seen = placed(rgba, padding="reflection")
        inside = placed(torch.ones_like(rgba[:1]))
        # Reflection would repeat the thing outside its photo: only what is inside counts, and most must be.
        kept = float((seen[3] * inside[0]).sum()) / scale**2 / max(1.0, float(rgba[3].sum()))
        if kept > 0.5:
            break
    else:
        # A small thing at the rim of a long photo: all of the photo, then.
        seen = augment.warped(
            rgba, side, scale=fill, angle=0.0, centre=(side / 2, side / 2), padding="reflection"
        )
    rgb = augment.relit(seen[:3], generator) if chance(generator, 0.8) else seen[:3]
    if chance(generator, 0.08):
        rgb = augment.stylised(rgb, generator)
    rgb = augment.photographed(rgb, generator)
    alpha = seen[3].clamp(0, 1)
    radius = max(2, round(side / 100))
    layer = Layer(item.kind, alpha, trust(alpha, item.truth, radius))
    return Picture(rgb, (layer,), item.source not in OPEN_SETS, item.source)


# Sets whose photos hold things of other annotated kinds that this item does not name.
OPEN_SETS = frozenset({"coco_crops", "ccp_clothing", "grocery_groups", "humans", "hands"})


# --- scenes ------------------------------------------------------------------------------------------


def backdrop(library: Library, side: int, generator: torch.Generator) -> Tensor:
    """A background ``(3, side, side)``: a photo, now and then a plain or a graded one."""
    if chance(generator, 0.12):
        corners = torch.rand(3, 2, 2, generator=generator) * uniform(generator, 0.0, 0.5)
        base = torch.rand(3, 1, 1, generator=generator)
        return F.interpolate(
            (base + corners).clamp(0, 1)[None], size=(side, side), mode="bilinear", align_corners=True
        )[0]
    place = library.backgrounds[integer(generator, len(library.backgrounds))]
    rgb = library.pack.rgba(place)[:3]
    scale = side / min(rgb.shape[-2:]) * math.exp(uniform(generator, 0.0, 0.7))
    seen = augment.laid(rgb, side, scale, generator)
    if chance(generator, 0.3):
        seen = augment.blurred(seen, uniform(generator, 0.5, 4.0))
    return augment.relit(seen, generator)


def together(count: int, side: int, generator: torch.Generator) -> list[tuple[float, float, float]]:
    """Centre (row, column) and size for each of `count` things in one heap: side by side, touching."""
    size = side * uniform(generator, 0.3, 0.5)
    middle = [side * uniform(generator, 0.4, 0.6) for _ in range(2)]
    start, apart = uniform(generator, -math.pi, math.pi), 0.6 * size
    spots = []
    for at in range(count):
        turn = start + 2 * math.pi * (at + uniform(generator, -0.2, 0.2)) / count
        away = apart * uniform(generator, 0.7, 1.3) * (count > 1)
        centre = middle[0] + away * math.sin(turn), middle[1] + away * math.cos(turn)
        spots.append((*centre, size * uniform(generator, 0.7, 1.3)))
    return spots


def positions(count: int, side: int, generator: torch.Generator) -> list[tuple[float, float, float]]:
    """Centre (row, column) and size for each of `count` things: on a loose grid, or anywhere."""
    if count == 1:
        size = side * uniform(generator, 0.35, 0.98)
        spread = (side - size) / 2 + 0.08 * side
        return [
            (
                side / 2 + uniform(generator, -1, 1) * spread,
                side / 2 + uniform(generator, -1, 1) * spread,
                size,
            )
        ]
    if chance(generator, 0.6):
        cells = [(r, c) for r in (0.27, 0.73) for c in (0.27, 0.73)]
        order = torch.randperm(4, generator=generator).tolist()
        return [
            (
                side * (cells[i][0] + uniform(generator, -0.06, 0.06)),
                side * (cells[i][1] + uniform(generator, -0.06, 0.06)),
                side * uniform(generator, 0.3, 0.52),
            )
            for i in order[:count]
        ]
    return [
        (
            side * uniform(generator, 0.12, 0.88),
            side * uniform(generator, 0.12, 0.88),
            side * uniform(generator, 0.2, 0.65),
        )
        for _ in range(count)
    ]


def nested(count: int, side: int, generator: torch.Generator) -> list[tuple[float, float, float]]:
    """Centre (row, column) and size for each of `count` things: the others lie within the first."""
    host = side * uniform(generator, 0.55, 0.95)
    centre = [side / 2 + uniform(generator, -0.5, 0.5) * (1.1 * side - host) for _ in range(2)]
    spots = [(centre[0], centre[1], host)]
    for _ in range(count - 1):
        row, column = (at + uniform(generator, -0.25, 0.25) * host for at in centre)
        spots.append((row, column, host * uniform(generator, 0.25, 0.55)))
    return spots


def fixed(
    spot: tuple[float, float, float], direction: float, generator: torch.Generator
) -> list[tuple[float, float, float]]:
    """Two spots in place of one, for two things that touch: the second lies in `direction` (radians)."""
    row, column, size = spot
    sizes = size * uniform(generator, 0.5, 0.8), size * uniform(generator, 0.35, 0.7)
    apart = 0.3 * sum(sizes)
    down, across = apart / 2 * math.sin(direction), apart / 2 * math.cos(direction)
    return [(row - down, column - across, sizes[0]), (row + down, column + across, sizes[1])]


def scene(
    library: Library,
    things: Sequence[Thing],
    side: int,
    generator: torch.Generator,
    *,
    alone: bool = False,
    glued: float | None = None,
    crowded: bool = False,
    within: bool = False,
    lines: bool = False,
) -> Picture:
    """Things cut out of their photos and put together on another background.

    Later things lie in front of earlier ones; the alpha of a covered thing is what stays visible.

    Args:
        library: Where backgrounds come from.
        things: One each; the same kind may come twice.
        side: Side of the picture.
        generator: Source of chance.
        alone: A single thing, placed large.
        glued: The last two are one thing of two stuffs, the second in this direction (radians) of the first.
        crowded: They lie in one heap.
        within: They lie in front of the first, which is large: what stands out is more than one thing.
        lines: Thin lines that belong to nothing lie about behind them.
    """
    rgb = backdrop(library, side, generator)
    if lines:
        rgb = strewn(rgb, generator)
    kinds = [thing.kind for thing in things]
    if within:
        spots = nested(len(things), side, generator)
    elif crowded:
        spots = together(len(things), side, generator)
    elif glued is None:
        spots = positions(1 if alone else len(things), side, generator)
    else:
        *spots, last = positions(len(things) - 1, side, generator)
        spots += fixed(last, glued, generator)
        kinds[-2:] = [GLUE.join(kinds[-2:])] * 2
    alphas: list[Tensor] = []
    for thing, (row, column, size) in zip(things, spots, strict=True):
        cut = cut_out(thing)
        scale = size / max(cut.shape[-2:])
        placed = augment.warped(
            cut,
            side,
            scale=scale,
            angle=uniform(generator, -0.4, 0.4),
            centre=(row, column),
            flip=chance(generator, 0.5),
            squeeze=math.exp(uniform(generator, -0.15, 0.15)),
        )
        alpha = placed[3]
        colour = placed[:3] / alpha.clamp(min=1e-3)
        if chance(generator, 0.8):
            colour = augment.relit(colour.clamp(0, 1), generator)
        if chance(generator, 0.06):
            colour = augment.stylised(colour, generator)
        if within and alphas and chance(generator, 0.5):
            colour = toned(colour, alpha, rgb, uniform(generator, 0.2, 0.8))
        if chance(generator, 0.3):
            rgb = shadowed(rgb, alpha, generator)
        rgb = colour * alpha + rgb * (1 - alpha)
        alphas = [other * (1 - alpha) for other in alphas] + [alpha]
    return Picture(augment.photographed(rgb.clamp(0, 1), generator), merged(kinds, alphas), True, "scene")


def cut_out(thing: Thing) -> Tensor:
    """A thing and what is fixed to it, cropped: ``(4, h, w)``, colours times alpha, and alpha.

    Multiplied by alpha, colours can be warped: what lies outside the thing adds nothing.
    """
    rgba = cut_to_thing(thing.rgba)
    alpha = softened(rgba[3:], thing.truth)
    weighted = torch.cat([rgba[:3] * alpha, alpha])
    return cut_to_thing(attached(weighted, thing.parts)) if thing.parts else weighted


def toned(colour: Tensor, alpha: Tensor, behind: Tensor, strength: float) -> Tensor:
    """A thing's colours ``(3, h, w)`` with their mean moved towards that of what it is put in front of."""
    area = alpha.sum().clamp(min=1.0)
    gap = ((behind - colour) * alpha).sum(dim=(1, 2)) / area
    return (colour + strength * gap[:, None, None]).clamp(0, 1)


def shadowed(rgb: Tensor, alpha: Tensor, generator: torch.Generator) -> Tensor:
    """The background with the soft shadow of a thing about to be put on it."""
    side = alpha.shape[-1]
    shift = (int(side * uniform(generator, 0, 0.06)), int(side * uniform(generator, -0.06, 0.06)))
    dark = torch.roll(alpha, shift, dims=(0, 1))
    dark = augment.blurred(dark[None], side * uniform(generator, 0.01, 0.03))
    return rgb * (1 - uniform(generator, 0.2, 0.6) * dark)


def merged(kinds: Sequence[str], alphas: Sequence[Tensor]) -> tuple[Layer, ...]:
    """One layer a kind: instances of one kind are one answer (paper 5.1). Almost covered kinds vanish."""
    by_kind: dict[str, Tensor] = {}
    for kind, alpha in zip(kinds, alphas, strict=True):
        by_kind[kind] = (by_kind[kind] + alpha).clamp(max=1) if kind in by_kind else alpha
    layers = [
        Layer(kind, alpha, torch.ones_like(alpha))
        for kind, alpha in by_kind.items()
        if float(alpha.sum()) > 0.004 * alpha.numel()
    ]
    return tuple(layers)
