"""What the edge network learns from: cut-outs over backgrounds, photographed, with a guess of their alpha.

Alpha is exact: what blurs the picture blurs colour times alpha, and alpha, alike. Each sample depends on its
number and the seed alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from mattelike.training import augment
from mattelike.training.augment import chance, integer, uniform
from mattelike.training.pack import Pack, Place, chosen
from mattelike.training.refining_coarse import Guess, GuessShares, guessed


@dataclass(frozen=True, slots=True)
class SampleSettings:
    """What samples are made of.

    Attributes:
        seed: Of everything random.
        side: Side of a sample in pixels, a multiple of 32.
        batch: Samples a step.
        clean: Use only what is free of doubt about rights.
        drawn: Share of things drawn by script.
        published: Of published mattes, as cut-outs.
        photo: Of the photos those mattes are of, with their own background.
        solved: Of masks made soft.
        render: Of rendered things.
        guesses: Kinds of guesses.
    """

    seed: int = 0
    side: int = 224
    batch: int = 8
    clean: bool = False
    drawn: float = 0.36
    published: float = 0.22
    photo: float = 0.1
    solved: float = 0.22
    render: float = 0.1
    guesses: GuessShares = field(default_factory=GuessShares)


SOURCES = ("drawn", "published", "photo", "solved", "render")


@dataclass(frozen=True, slots=True, eq=False)
class Composite:
    """A picture with its exact alpha.

    Attributes:
        rgb: float32 ``(3, h, w)`` in [0, 1].
        alpha: float32 ``(h, w)``.
        contrast: float32 ``(h, w)``, how far thing and background differ there in colour; 0 where it is not
            known.
    """

    rgb: Tensor
    alpha: Tensor
    contrast: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class RefiningBatch:
    """Samples of one step, at the full and at half the size, each with a guess.

    Attributes:
        rgb: float32 ``(b, 3, s, s)``.
        alpha: float32 ``(b, 1, s, s)``.
        contrast: float32 ``(b, 1, s, s)``.
        guess: float32 ``(b, 2, s, s)``: guess and unknown.
        half_guess: float32 ``(b, 2, s / 2, s / 2)``.
    """

    rgb: Tensor
    alpha: Tensor
    contrast: Tensor
    guess: Tensor
    half_guess: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """Cut-outs by source, and backgrounds."""

    pack: Pack
    things: Mapping[str, Sequence[Place]]
    backgrounds: Sequence[Place]


def library(pack: Pack, *, split: str = "train", clean: bool = False) -> Library:
    """What of a pack may be used.

    Raises:
        ValueError: Nothing of some source is in the pack.
    """
    places = chosen(pack, split=split, clean=clean)
    things = {name: [p for p in places if p.item.source == name] for name in SOURCES}
    backgrounds = [p for p in places if p.item.source == "background"]
    missing = [name for name, found in {**things, "background": backgrounds}.items() if not found]
    if missing and split == "train" and not clean:
        raise ValueError(f"the pack has nothing of {missing[0]}: build it with recipes/refiner_pack.py")
    return Library(pack, things, backgrounds)


# --- pictures ----------------------------------------------------------------------------------------


def edge_pixel(alpha: Tensor, generator: torch.Generator) -> tuple[float, float]:
    """A place ``(row, column)`` where alpha is partial; where none is, anywhere."""
    thinned = alpha[::3, ::3]
    places = ((thinned > 0.05) & (thinned < 0.95)).nonzero()
    if len(places) == 0:
        return tuple(uniform(generator, 0, size) for size in alpha.shape)  # type: ignore[return-value]
    row, column = (3 * places[integer(generator, len(places))]).tolist()
    return float(row), float(column)


def placed(rgba: Tensor, side: int, generator: torch.Generator, padding: str = "zeros") -> Tensor:
    """A thing turned, scaled and moved so that some of its edge is in sight: ``(c, side, side)``.

    Colours are multiplied by alpha first, so that no colour from outside bleeds in.
    """
    height, width = rgba.shape[-2:]
    smallest = 0.35 if max(height, width) > 500 else 0.55
    scale = math.exp(uniform(generator, math.log(smallest), math.log(1.25)))
    angle = uniform(generator, -0.5, 0.5) if chance(generator, 0.7) else uniform(generator, -3.1, 3.1)
    flip = chance(generator, 0.5)
    row, column = edge_pixel(rgba[3], generator)
    across, down = scale * (column - width / 2), scale * (row - height / 2)
    across = -across if flip else across
    moved = (
        across * math.sin(angle) + down * math.cos(angle),
        across * math.cos(angle) - down * math.sin(angle),
    )
    centre = tuple(side / 2 + side * uniform(generator, -0.3, 0.3) - at for at in moved)
    return augment.warped(
        rgba,
        side,
        scale=scale,
        angle=angle,
        centre=(centre[0], centre[1]),
        flip=flip,
        padding=padding,
    )


def plain(side: int, generator: torch.Generator) -> Tensor:
    """One colour from edge to edge, or four that run into each other: ``(3, side, side)``."""
    corners = torch.rand(3, 2, 2, generator=generator) * uniform(generator, 0, 0.4)
    colours = (torch.rand(3, 1, 1, generator=generator) * 0.9 + corners).clamp(0, 1)
    return F.interpolate(colours[None], size=(side, side), mode="bilinear", align_corners=True)[0]


def behind(rgb: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """A part of a photo as a background ``(3, side, side)``: sharp or out of focus, in another light."""
    least = side / min(rgb.shape[-2:])
    scale = max(least, math.exp(uniform(generator, math.log(0.5), math.log(1.6))))
    seen = augment.laid(rgb, side, scale, generator)
    if chance(generator, 0.4):
        seen = augment.blurred(seen, math.exp(uniform(generator, math.log(0.6), math.log(8))))
    return augment.relit(seen, generator)


def likened(ground: Tensor, front: Tensor, alpha: Tensor, generator: torch.Generator) -> Tensor:
    """A background in about the colours of the thing: no edge is found by colour alone."""
    mean = front.sum(dim=(1, 2)) / alpha.sum().clamp(min=1)
    share = uniform(generator, 0.4, 1)
    return (ground + share * (mean - ground.mean(dim=(1, 2)))[:, None, None]).clamp(0, 1)


def photographed(rgb: Tensor, generator: torch.Generator) -> Tensor:
    """Sharpening, noise and compression, each now and then; none of them moves alpha."""
    if chance(generator, 0.25):
        rgb = rgb + uniform(generator, 0.2, 1.2) * (rgb - augment.blurred(rgb, uniform(generator, 0.6, 1.5)))
        rgb = rgb.clamp(0, 1)
    if chance(generator, 0.4):
        rgb = augment.noisy(rgb, generator)
    if chance(generator, 0.4):
        rgb = augment.jpeg(rgb, math.exp(uniform(generator, math.log(0.005), math.log(0.05))))
    return rgb.clamp(0, 1)


def composed(rgba: Tensor, ground: Tensor | None, side: int, generator: torch.Generator) -> Composite:
    """A cut-out over a background.

    Args:
        rgba: float32 ``(4, h, w)``, straight.
        ground: float32 ``(3, h, w)``, a photo to take the background from; None for a plain one.
        side: Of the picture.
        generator: Source of chance.
    """
    thing = placed(torch.cat([rgba[:3] * rgba[3:], rgba[3:]]), side, generator).clamp(0, 1)
    if chance(generator, 0.25):
        blur = math.exp(uniform(generator, math.log(0.4), math.log(3)))
        thing = augment.blurred(thing, blur).clamp(0, 1)
    front, alpha = thing[:3], thing[3]
    if chance(generator, 0.7):
        straight = front / alpha.clamp(min=1e-3)
        front = augment.relit(straight.clamp(0, 1), generator) * alpha
    seen = plain(side, generator) if ground is None else behind(ground, side, generator)
    if chance(generator, 0.3):
        seen = likened(seen, front, alpha, generator)
    rgb = photographed(front + (1 - alpha) * seen, generator)
    contrast = (front / alpha.clamp(min=1e-3) - seen).abs().mean(dim=0)
    return Composite(rgb, alpha, contrast.clamp(0, 1))


def photo(rgba: Tensor, side: int, generator: torch.Generator) -> Composite:
    """A part of a photo with its published matte."""
    seen = placed(rgba, side, generator, "reflection").clamp(0, 1)
    rgb = photographed(augment.relit(seen[:3], generator), generator)
    return Composite(rgb, seen[3], torch.zeros(side, side))


def composite(stock: Library, source: str, side: int, generator: torch.Generator) -> Composite:
    """One picture of a source."""
    places = stock.things[source]
    rgba = stock.pack.rgba(places[integer(generator, len(places))])
    if source == "photo":
        return photo(rgba, side, generator)
    ground = None
    if not chance(generator, 0.12):
        ground = stock.pack.rgba(stock.backgrounds[integer(generator, len(stock.backgrounds))])[:3]
    return composed(rgba, ground, side, generator)


# --- batches -----------------------------------------------------------------------------------------


def sample(stock: Library, settings: SampleSettings, generator: torch.Generator) -> tuple[Composite, Guess]:
    """One picture with a guess."""
    shares = torch.tensor([getattr(settings, name) * bool(stock.things[name]) for name in SOURCES])
    source = SOURCES[int(torch.multinomial(shares, 1, generator=generator))]
    picture = composite(stock, source, settings.side, generator)
    return picture, guessed(picture.alpha, generator, settings.guesses)


class Samples(torch.utils.data.Dataset[RefiningBatch]):
    """Batches by number.

    Args:
        stock: Where pixels come from.
        settings: What batches are made of.
        steps: How many there are.
    """

    def __init__(self, stock: Library, settings: SampleSettings, steps: int) -> None:
        self.stock = stock
        self.settings = settings
        self.steps = steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, number: int) -> RefiningBatch:
        generator = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + number)
        made = [sample(self.stock, self.settings, generator) for _ in range(self.settings.batch)]
        alpha = torch.stack([picture.alpha for picture, _ in made])[:, None]
        halves = F.avg_pool2d(alpha, 2)[:, 0]
        shares = self.settings.guesses
        half = [guessed(truth, generator, shares) for truth in halves]
        return RefiningBatch(
            rgb=torch.stack([picture.rgb for picture, _ in made]),
            alpha=alpha,
            contrast=torch.stack([picture.contrast for picture, _ in made])[:, None],
            guess=torch.stack([torch.stack([guess.alpha, guess.unknown]) for _, guess in made]),
            half_guess=torch.stack([torch.stack([guess.alpha, guess.unknown]) for guess in half]),
        )
