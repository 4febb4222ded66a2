"""Batches: a few pictures, and many questions about them.

Encoding a picture costs more than asking about it, so every picture of a batch is both reference and
target: each kind in each picture is a possible reference for every other picture, where the answer is the
same kind's alpha, or nothing. A batch depends on ``(seed, step)`` alone, so any number of workers gives
the same sequence and a run resumes exactly.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mattelike.network.icon_flex import Window
from mattelike.training import augment, refining_drawing, synthesis
from mattelike.training.attachments import Attachment, designed
from mattelike.training.augment import chance, integer, uniform
from mattelike.training.groups import grouped, related
from mattelike.training.pack import Pack, Place, chosen
from mattelike.training.prompts import Marks, marks
from mattelike.training.synthesis import Library, Picture, Thing

# The set whose kinds are parts of something larger in the same photo.
PARTS = "ccp_clothing"
# The set whose photos nobody has marked: all of its truth is pseudo-labels.
PSEUDO = "grocery_groups"
# Share of the pairs of scenes with lines that belong to nothing, where things carry thin parts.
LINES = 0.4


@dataclass(frozen=True, slots=True)
class EpisodeSettings:
    """What a batch is made of.

    Attributes:
        sides: Picture sides, in pixels (multiples of 32), one drawn a batch.
        scene_pairs: Pairs of scenes that share kinds.
        real_pairs: Pairs of real photos (or views) of one kind.
        questions: Most pairs (reference, target) asked about.
        absent: Share of the questions whose target lacks the kind.
        sparse: Share of the questions marked by points, scribbles or a box instead of a mask.
        renders: Share of the things in scenes that are renders.
        several: Share of the batches whose questions have two references (the second may be a negative).
        window: Share of a picture's side within which alpha is decoded.
        stride: Pixels per token.
        seed: Start of all chance.
        clean: Learn only from what is free of doubt.
        parts: Share of the pairs of photos that ask for what a person wears or is made of: only what is
            marked beside it says how much of the person is meant.
        alone: Share of the pairs of scenes that show a single thing each, up to as large as the picture.
        glued: Share of the pairs of scenes in which two things of different kinds are fixed to each other and
            are the answer together: how much is meant is what is marked, not what is of one stuff.
        lookalikes: Share of the pairs of scenes whose things look alike to the network though they are of
            different kinds (`mattelike.training.likeness`); they lie close together.
        nested: Share of the pairs of scenes whose other things lie in front of a first, large one: what is
            meant is what is marked, not all that stands out together.
        attached: Share of the kinds in a pair of scenes that carry thin parts
            (`mattelike.training.attachments`).
        fine: Share of the pairs of scenes that show a drawn thing of fine structure
            (`mattelike.training.refining_drawing`): fur, foliage, nets, glass.
        composited: Share of the photos in pairs of photos whose thing is put on another background.
        without: Data sets, and single items by their names, that nothing is learnt from.
        afar: Share of the batches whose targets are looked at from afar, as
            `mattelike.predictor.Predictor.considered` looks at them once more.
        pseudo: Share of the pairs of photos of kinds that have pseudo-labels (`mattelike.training.pseudo`).
    """

    sides: tuple[int, ...] = (256, 256, 320)
    scene_pairs: int = 2
    real_pairs: int = 3
    questions: int = 20
    absent: float = 0.18
    sparse: float = 0.3
    renders: float = 0.3
    several: float = 0.25
    window: float = 0.5
    stride: int = 16
    seed: int = 0
    clean: bool = False
    parts: float = 0.0
    alone: float = 0.0
    glued: float = 0.0
    lookalikes: float = 0.0
    nested: float = 0.0
    attached: float = 0.0
    fine: float = 0.0
    pseudo: float = 0.0
    afar: float = 0.0
    composited: float = 0.2
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Pictures and questions.

    Attributes:
        images: ``(b, 3, s, s)`` in [0, 1].
        references: int ``(p, r)``, pictures that hold the references of each question.
        marks: What is marked in each reference, cell by cell.
        targets: int ``(p,)``, pictures asked about.
        truth: ``(p, s, s)``, alpha.
        trusted: ``(p, s, s)`` in {0, 1}.
        present: ``(p,)`` in {0, 1}.
        exact: ``(p,)`` in {0, 1}.
        things: int ``(e,)``, the picture of every thing; for the loss on kinds.
        weights: ``(e, n)``, coverage of every thing.
        same: bool ``(e, e)``, things of one kind.
        unsure: bool ``(e, e)``, things of nearly one kind.
        window: Part of the pictures in which alpha is decoded and judged.
        stride: Pixels per cell.
        afar: Targets are looked at from afar; references are not.
    """

    images: Tensor
    references: Tensor
    marks: Marks
    targets: Tensor
    truth: Tensor
    trusted: Tensor
    present: Tensor
    exact: Tensor
    things: Tensor
    weights: Tensor
    same: Tensor
    unsure: Tensor
    window: Window
    stride: int
    afar: bool = False


def library(pack: Pack, clean: bool, split: str = "train", without: Collection[str] = ()) -> Library:
    """Groups and backgrounds of one split, but for the data sets and items named in `without`."""
    left_out = set(without)
    found = chosen(pack, split=split, clean=clean)
    places = [p for p in found if left_out.isdisjoint((p.item.source, p.item.name))]
    groups = grouped_places([p for p in places if p.item.truth != "none"])
    backgrounds = [p for p in places if p.item.truth == "none" and p.item.source != PSEUDO]
    return Library(pack, groups, backgrounds)


def grouped_places(places: Sequence[Place]) -> dict[str, list[Place]]:
    """Places by kind."""
    by_name = {place.item.name: place for place in places}
    groups = grouped([place.item for place in places])
    return {kind: [by_name[item.name] for item in items] for kind, items in groups.items()}


class Episodes(torch.utils.data.Dataset[Batch]):
    """The sequence of batches; item i is batch i.

    Args:
        library: What pictures are made of.
        settings: How.
        steps: Batches there are.
        alike: For kinds, others that look like them (`mattelike.training.likeness`); for `lookalikes`.
    """

    def __init__(
        self,
        library: Library,
        settings: EpisodeSettings,
        steps: int,
        alike: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.library = library
        self.settings = settings
        self.steps = steps
        self.alike = {kind: list(others) for kind, others in (alike or {}).items() if others}
        kinds = sorted(library.groups)
        render = {k: all(p.item.domain == "render" for p in library.groups[k]) for k in kinds}
        self.photographed = [k for k in kinds if not render[k]]
        self.rendered = [k for k in kinds if any(p.item.domain == "render" for p in library.groups[k])]
        # Kinds with several photos teach what one photo cannot: they come up more often.
        self.rich = [k for k in self.photographed if len(library.groups[k]) > 1]
        self.parts = [k for k in self.rich if any(p.item.source == PARTS for p in library.groups[k])]
        self.pseudo = [k for k in self.rich if any(p.item.source == PSEUDO for p in library.groups[k])]

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        """Batch number `step`; depends on the seed and on nothing that happened before."""
        generator = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + step)
        sides = self.settings.sides
        side = sides[integer(generator, len(sides))]
        pictures: list[Picture] = []
        for _ in range(self.settings.scene_pairs):
            pictures += self.scene_pair(side, generator)
        for _ in range(self.settings.real_pairs):
            pictures += self.real_pair(side, generator)
        return asked(pictures, self.settings, generator)

    def kind(self, generator: torch.Generator, renders: float) -> str:
        """A kind, by chance."""
        if chance(generator, renders) and self.rendered:
            return self.rendered[integer(generator, len(self.rendered))]
        pool = self.rich if chance(generator, 0.5) else self.photographed
        return pool[integer(generator, len(pool))]

    def unlike(self, count: int, generator: torch.Generator) -> list[str]:
        """Kinds that are surely not each other: `count` of them, or as many as a small library has."""
        kinds: list[str] = []
        for _ in range(20 * count):
            if len(kinds) == count:
                break
            kind = self.kind(generator, self.settings.renders)
            if all(kind != k and not related(kind, k) for k in kinds):
                kinds.append(kind)
        return kinds

    def lookalikes(self, count: int, generator: torch.Generator) -> list[str]:
        """A kind and others that look like it, none surely or nearly the same as another."""
        first = self.kind(generator, self.settings.renders)
        while first not in self.alike:
            first = self.kind(generator, self.settings.renders)
        kinds, others = [first], self.alike[first]
        for at in torch.randperm(len(others), generator=generator).tolist():
            if len(kinds) < count and not any(related(others[at], k) for k in kinds):
                kinds.append(others[at])
        return kinds

    def member(self, kind: str, generator: torch.Generator) -> Place:
        """One item of a kind, by chance."""
        places = self.library.groups[kind]
        return places[integer(generator, len(places))]

    def things(
        self, kinds: Sequence[str], generator: torch.Generator, parts: Mapping[str, Sequence[Attachment]] = {}
    ) -> list[Thing]:
        """One item a kind, by chance, with what is fixed to things of that kind."""
        return [self.library.thing(self.member(kind, generator), parts.get(kind, ())) for kind in kinds]

    def designs(
        self, kinds: Sequence[str], generator: torch.Generator
    ) -> tuple[dict[str, Sequence[Attachment]], dict[str, Sequence[Attachment]]]:
        """What is fixed to some of the kinds, in the first and in the second scene: mostly the same."""
        share = self.settings.attached
        if not share:
            return {}, {}
        first: dict[str, Sequence[Attachment]] = {
            k: designed(generator) for k in kinds if chance(generator, share)
        }
        second: dict[str, Sequence[Attachment]] = {}
        for kind, parts in first.items():
            if chance(generator, 0.85):
                second[kind] = parts if chance(generator, 0.7) else designed(generator)
        return first, second

    def scene_pair(self, side: int, generator: torch.Generator) -> list[Picture]:
        """Two scenes that share most of their kinds, so that each answers for the other."""
        if self.settings.alone and chance(generator, self.settings.alone):
            kind = self.kind(generator, self.settings.renders)
            return [
                synthesis.scene(
                    self.library, self.things([kind], generator, parts), side, generator, alone=True
                )
                for parts in self.designs([kind], generator)
            ]
        if self.settings.fine and chance(generator, self.settings.fine):
            return self.fine_pair(side, generator)
        if self.settings.glued and chance(generator, self.settings.glued):
            return self.glued_pair(side, generator)
        if self.settings.nested and chance(generator, self.settings.nested):
            return self.nested_pair(side, generator)
        hard = bool(self.alike) and chance(generator, self.settings.lookalikes)
        wanted = 4 + integer(generator, 3)
        kinds = self.lookalikes(wanted, generator) if hard else self.unlike(wanted, generator)
        count = max(1, len(kinds) - 2)
        first, second = kinds[:count], kinds[:count]
        for shown, other in zip((first, second), kinds[count:], strict=False):
            if count > 1 and chance(generator, 0.6):
                shown[integer(generator, count)] = other
            # Two of a kind in one picture: both are the answer.
            if len(shown) < 4 and chance(generator, 0.15):
                shown.append(shown[0])
        lines = bool(self.settings.attached) and chance(generator, LINES)
        return [
            synthesis.scene(
                self.library, self.things(shown, generator, parts), side, generator, crowded=hard, lines=lines
            )
            for shown, parts in zip((first, second), self.designs(kinds, generator), strict=True)
        ]

    def fine_pair(self, side: int, generator: torch.Generator) -> list[Picture]:
        """Two scenes with a drawn thing of one sort and one texture, alone or beside another thing."""
        rng = np.random.default_rng(integer(generator, 2**31 - 1))
        texture, sort = self.texture(generator), refining_drawing.sort_of_drawing(rng)
        number = integer(generator, 2**31 - 1)
        first = drawing(sort, texture, rng)
        second = first if chance(generator, 0.4) else drawing(sort, texture, rng)
        alone = chance(generator, 0.7)
        pictures = []
        for rgba in (first, second):
            beside = (
                [] if alone else self.things(self.unlike(1 + integer(generator, 2), generator), generator)
            )
            fine = Thing(f"drawn/{number}", rgba, "alpha")
            pictures.append(synthesis.scene(self.library, [*beside, fine], side, generator, alone=alone))
        return pictures

    def texture(self, generator: torch.Generator) -> Tensor:
        """A part of a photo, ``(3, s, s)``, for what is drawn."""
        rgb = self.library.pack.rgba(self.member(self.kind(generator, 0.0), generator))[:3]
        side = refining_drawing.SIDE
        scale = side / min(rgb.shape[-2:]) * math.exp(uniform(generator, 0.0, 0.7))
        return augment.laid(rgb, side, scale, generator).clamp(0, 1)

    def glued_pair(self, side: int, generator: torch.Generator) -> list[Picture]:
        """Two scenes with the same thing made of two: the same photos of them or others, fixed alike."""
        kinds = self.unlike(3 + integer(generator, 2), generator)
        whole = self.things(kinds[-2:], generator)
        if len(whole) < 2:
            return [synthesis.scene(self.library, whole, side, generator, alone=True) for _ in range(2)]
        direction = uniform(generator, -math.pi, math.pi)
        same, mirrored = chance(generator, 0.5), chance(generator, 0.3)
        pictures = []
        for number in range(2):
            beside = self.things([kind for kind in kinds[:-2] if chance(generator, 0.5)], generator)
            if number and not same:
                whole = self.things(kinds[-2:], generator)
            if number and mirrored:
                direction = math.pi - direction
            turned = direction + uniform(generator, -0.3, 0.3)
            pictures.append(synthesis.scene(self.library, [*beside, *whole], side, generator, glued=turned))
        return pictures

    def nested_pair(self, side: int, generator: torch.Generator) -> list[Picture]:
        """Two scenes that share a kind at least; in one or both, things lie within a large one.

        The large one is of the same kind in both, or of another, or what lay within the first lies by itself
        in the second: only what is marked says how much of what hangs together is meant.
        """
        alike = bool(self.alike) and chance(generator, 0.5)
        kinds = self.lookalikes(4, generator) if alike else self.unlike(4, generator)
        if len(kinds) < 2:
            return [
                synthesis.scene(self.library, self.things(kinds, generator), side, generator, alone=True)
                for _ in range(2)
            ]
        guests = kinds[1 : 2 + integer(generator, 2)]
        turn = uniform(generator, 0.0, 1.0)
        if turn < 0.4 or len(kinds) < 4:
            second, within = [kinds[0], *guests], True
        elif turn < 0.7:
            second, within = [kinds[-1], *guests], True
        else:
            second, within = guests, False
        return [
            synthesis.scene(self.library, self.things(shown, generator), side, generator, within=nest)
            for shown, nest in (([kinds[0], *guests], True), (second, within))
        ]

    def real_pair(self, side: int, generator: torch.Generator) -> list[Picture]:
        """Two pictures of one kind: different photos where there are any, else two views of one."""
        if self.parts and self.settings.parts and chance(generator, self.settings.parts):
            kind = self.parts[integer(generator, len(self.parts))]
        elif self.pseudo and self.settings.pseudo and chance(generator, self.settings.pseudo):
            kind = self.pseudo[integer(generator, len(self.pseudo))]
        else:
            kind = self.kind(generator, 0.1)
        places = self.library.groups[kind]
        order = torch.randperm(len(places), generator=generator).tolist()
        pair = [places[order[0]], places[order[-1]]]
        pictures = []
        for place in pair:
            if chance(generator, self.settings.composited):
                others = [self.member(self.kind(generator, 0.2), generator)] if chance(generator, 0.5) else []
                others = [o for o in others if o.item.kind != kind and not related(o.item.kind, kind)]
                shown = [self.library.thing(each) for each in (place, *others)]
                pictures.append(synthesis.scene(self.library, shown, side, generator))
            else:
                pictures.append(synthesis.view(self.library, place, side, generator))
        return pictures


def drawing(sort: refining_drawing.Draw | None, texture: Tensor, rng: np.random.Generator) -> Tensor:
    """A drawn thing ``(4, s, s)`` of some size: what covers next to nothing is drawn again, a few times."""
    pixels = texture.permute(1, 2, 0).numpy()
    for _ in range(4):
        rgba = refining_drawing.drawn_as(sort, pixels, rng)
        if rgba[..., 3].mean() > 0.05:
            break
    return torch.from_numpy(np.ascontiguousarray(rgba)).permute(2, 0, 1)


def asked(pictures: Sequence[Picture], settings: EpisodeSettings, generator: torch.Generator) -> Batch:
    """Chooses the questions and lays everything out as tensors."""
    things = [(i, layer) for i, picture in enumerate(pictures) for layer in picture.layers]
    kinds = [layer.kind for _, layer in things]
    present, absent = pairs(pictures, kinds, [i for i, _ in things])
    real = {i for i, picture in enumerate(pictures) if picture.source != "scene"}
    questions = drawn(present, absent, real, settings, generator)
    count = 2 if chance(generator, settings.several) else 1
    references, marked = [], []
    for at, (thing, target, shown) in enumerate(questions):
        sparse = chance(generator, settings.sparse)
        # A photo may be its own reference: the paper's "Ours*", and how a click becomes a whole thing.
        if shown and chance(generator, 0.5 if sparse else 0.05):
            target = things[thing][0]
            questions[at] = (thing, target, True)
        chosen_things = [(thing, False)]
        if count == 2:
            chosen_things.append(second_reference(thing, target, kinds, things, pictures, generator))
        references.append([things[t][0] for t, _ in chosen_things])
        marked.append(
            [
                marks(things[t][1].alpha, settings.stride, generator, sparse=sparse, negative=negative)
                for t, negative in chosen_things
            ]
        )
    truth, trusted, here, exact = answers(pictures, kinds, questions)
    same = torch.tensor([[a == b for b in kinds] for a in kinds])
    unsure = torch.tensor([[related(a, b) for b in kinds] for a in kinds])
    alphas = torch.stack([layer.alpha for _, layer in things])
    pooled = torch.nn.functional.avg_pool2d(alphas[:, None], settings.stride).flatten(1)
    return Batch(
        images=torch.stack([picture.rgb for picture in pictures]),
        references=torch.tensor(references),
        marks=Marks.stacked(marked),
        targets=torch.tensor([target for _, target, _ in questions]),
        truth=truth,
        trusted=trusted,
        present=here,
        exact=exact,
        things=torch.tensor([i for i, _ in things]),
        weights=pooled,
        same=same,
        unsure=unsure,
        window=decoded(pooled.shape[1], settings, generator),
        stride=settings.stride,
        afar=bool(settings.afar) and chance(generator, settings.afar),
    )


def decoded(cells: int, settings: EpisodeSettings, generator: torch.Generator) -> Window:
    """The part of the pictures to decode."""
    grid = round(cells**0.5)
    side = max(2, round(grid * settings.window))
    return Window(integer(generator, grid - side + 1), integer(generator, grid - side + 1), side)


Question = tuple[int, int, bool]


def pairs(
    pictures: Sequence[Picture], kinds: Sequence[str], at: Sequence[int]
) -> tuple[list[Question], list[Question]]:
    """Every (thing, target) whose answer is known: where the kind is, and where it surely is not."""
    present: list[Question] = []
    absent: list[Question] = []
    for thing, kind in enumerate(kinds):
        for target, picture in enumerate(pictures):
            shown = [layer.kind for layer in picture.layers]
            if kind in shown:
                present.append((thing, target, True))
            elif picture.complete and not any(related(kind, other) for other in shown):
                absent.append((thing, target, False))
    return [p for p in present if at[p[0]] != p[1]], absent


def drawn(
    present: list[Question],
    absent: list[Question],
    real: Collection[int],
    settings: EpisodeSettings,
    generator: torch.Generator,
) -> list[Question]:
    """Questions by chance: all that fit, with the wanted share of absent ones.

    Scenes hold many things each and real photos one: the questions about photos all get their turn.
    """
    wanted_absent = min(len(absent), round(settings.questions * settings.absent))
    wanted = min(len(present), settings.questions - wanted_absent)
    mixed = [present[i] for i in torch.randperm(len(present), generator=generator).tolist()]
    questions = sorted(mixed, key=lambda question: question[1] not in real)[:wanted]
    questions += [
        absent[i] for i in torch.randperm(len(absent), generator=generator)[:wanted_absent].tolist()
    ]
    return questions


def second_reference(
    thing: int,
    target: int,
    kinds: Sequence[str],
    things: Sequence[tuple[int, synthesis.Layer]],
    pictures: Sequence[Picture],
    generator: torch.Generator,
) -> tuple[int, bool]:
    """Another reference of the same kind, or a negative one, or, where there is neither, the same again."""
    same = [
        t for t, kind in enumerate(kinds) if kind == kinds[thing] and t != thing and things[t][0] != target
    ]
    other = [t for t, kind in enumerate(kinds) if kind != kinds[thing] and not related(kind, kinds[thing])]
    if same and chance(generator, 0.6):
        return same[integer(generator, len(same))], False
    if other:
        return other[integer(generator, len(other))], True
    return thing, False


def answers(
    pictures: Sequence[Picture], kinds: Sequence[str], questions: Sequence[Question]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Alpha, trust, presence and exactness of every question."""
    truth, trusted, exact = [], [], []
    for thing, target, _ in questions:
        layers = [layer for layer in pictures[target].layers if layer.kind == kinds[thing]]
        empty = torch.zeros_like(pictures[target].rgb[0])
        truth.append(layers[0].alpha if layers else empty)
        trusted.append(layers[0].trusted if layers else empty + 1)
        exact.append(float(trusted[-1].min() > 0.5))
    here = torch.tensor([float(q[2]) for q in questions])
    return torch.stack(truth), torch.stack(trusted), here, torch.tensor(exact)
