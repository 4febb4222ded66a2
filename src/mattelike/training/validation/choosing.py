"""Chooses the questions from the held-out items of a pack. Run rarely: a new list makes old numbers void."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mattelike.training.groups import related
from mattelike.training.inventory import alike, fingerprint
from mattelike.training.pack import Pack, Place
from mattelike.training.synthesis import OPEN_SETS
from mattelike.training.validation.drawing import levels_of
from mattelike.training.validation.questions import FORMS, Form, Picture, Plan, Question, Thing

SCENES = 48
ABSENT_PHOTOS, ABSENT_BACKGROUNDS, ABSENT_SCENES = 6, 2, 2
CELLS = ((0.26, 0.26), (0.26, 0.74), (0.74, 0.26), (0.74, 0.74))
# A thing that fills less, or runs out of its photo along more of the border, is a poor reference or cut-out.
SMALLEST, LARGEST, CUT_OFF = 0.03, 0.75, 0.04
QUICK_SCENES, QUICK_TARGETS, QUICK_ABSENT = 10, 3, 2


def chosen(pack: Pack, excluded: Mapping[str, str], seed: int = 8) -> Plan:
    """A list of questions on the held-out kinds of a pack.

    Args:
        pack: With a validation split, and backgrounds.
        excluded: Items not to be used.
        seed: Of all chance.
    """
    return _Chooser(pack, excluded, seed).plan()


class _Chooser:
    def __init__(self, pack: Pack, excluded: Mapping[str, str], seed: int) -> None:
        self.draw = np.random.default_rng(seed)
        held = [p for p in pack.places if p.item.split == "validation" and p.item.name not in excluded]
        twice = repeated(pack, [p for p in held if p.item.domain == "photo"])
        self.excluded = {**excluded, **twice}
        held = [p for p in held if p.item.name not in twice]
        self.kind_of = {p.item.name: p.item.kind for p in held}
        self.whole = {p.item.name: fit(pack, p) for p in held}
        self.photos = _by_kind(p for p in held if p.item.domain == "photo")
        self.renders = _by_kind(p for p in held if p.item.domain == "render")
        self.cuts = {
            kind: good
            for kind, places in self.photos.items()
            if (good := [p for p in places if p.item.truth == "alpha" and self.whole[p.item.name]])
        }
        self.backgrounds = [
            p.item.name
            for p in pack.places
            if p.item.source == "wallpaper_photos" and p.item.name not in excluded
        ]
        self.pictures: dict[str, Picture] = {}
        # The photo every question about a kind is asked with, where nothing else is said.
        self.reference = {kind: self.good(kind) for kind in sorted(self.photos)}

    def plan(self) -> Plan:
        """All rows."""
        scenes = self.scenes()
        kinds = self.kinds()
        absent = self.absent()
        questions = [*scenes, *kinds, *absent, *self.one(), *self.across()]
        return Plan(tuple(questions), self.pictures, self.excluded)

    # --- rows ------------------------------------------------------------------------------------

    def scenes(self) -> list[Question]:
        """One of four things: each asked in turn, by another photo of its kind."""
        questions = []
        waiting: list[str] = []
        for number in range(SCENES):
            kinds = self.four(waiting)
            name = f"scene/{number:02}"
            items = [self.some(self.cuts[kind]) for kind in kinds]
            self.pictures[name] = Picture(self.background(), self.grid(items))
            for order, (kind, item) in enumerate(zip(kinds, items, strict=True)):
                quick = number < QUICK_SCENES
                forms: tuple[Form, ...] = FORMS if order == 0 else ("mask",)
                references = self.references(kind, item, 4)
                questions.append(self.asked("scenes", kind, references, name, forms=forms, quick=quick))
        return questions

    def four(self, waiting: list[str]) -> list[str]:
        """Four kinds far from each other, taken from those waiting for their turn; all take turns."""
        kinds: list[str] = []
        while len(kinds) < 4:
            at = next((i for i, kind in enumerate(waiting) if apart(kind, kinds)), None)
            if at is not None:
                kinds.append(waiting.pop(at))
            elif any(apart(kind, kinds) for kind in self.cuts):
                waiting += self.shuffled(sorted(self.cuts))
            else:
                raise ValueError("a scene needs four held-out kinds that are not related; hold out more")
        return kinds

    def kinds(self) -> list[Question]:
        """All other photos of a kind, from one."""
        questions = []
        several = [kind for kind in sorted(self.photos) if len(self.photos[kind]) > 1]
        for number, kind in enumerate(several):
            reference = self.reference[kind]
            targets = self.shuffled([p.item.name for p in self.photos[kind] if p.item.name != reference])
            for at, target in enumerate(targets):
                forms: tuple[Form, ...] = FORMS if at < 2 else ("mask",)
                others = [name for name in self.references(kind, target, 5) if name != reference]
                question = self.asked("kinds", kind, [reference, *others][:4], target, forms=forms)
                quick = number % 2 == 0 and at < QUICK_TARGETS
                short: tuple[Form, ...] = question.forms if at == 0 else ("mask",)
                questions.append(replace(question, quick=quick, quick_forms=short))
        return questions

    def absent(self) -> list[Question]:
        """Photos, backgrounds and scenes that surely lack a kind."""
        questions = []
        closed = [p for places in self.photos.values() for p in places if p.item.source not in OPEN_SETS]
        for number, kind in enumerate(sorted(self.photos)):
            other = [p.item.name for p in closed if apart(p.item.kind, [kind])]
            scenes = [n for n, p in self.pictures.items() if all(apart(k, [kind]) for k in self.shown(p))]
            targets = self.shuffled(other)[:ABSENT_PHOTOS]
            targets[1:1] = self.shuffled(self.backgrounds)[:ABSENT_BACKGROUNDS]
            targets += self.shuffled(scenes)[:ABSENT_SCENES]
            for at, target in enumerate(targets):
                quick = number % 2 == 0 and at < QUICK_ABSENT
                reference = [self.reference[kind]]
                questions.append(self.asked("presence", kind, reference, target, present=False, quick=quick))
        return questions

    def one(self) -> list[Question]:
        """One thing that fills the picture."""
        questions = []
        for number, kind in enumerate(sorted(self.cuts)):
            item = self.some(self.cuts[kind])
            target = self.alone(f"one/{kind}", item, 0.86)
            references = self.references(kind, item, 4)
            questions.append(self.asked("one", kind, references, target, forms=FORMS, quick=number % 4 == 0))
        for number, kind in enumerate(sorted(self.renders)):
            item = self.some(self.renders[kind])
            target = self.alone(f"one/render/{kind}", item, 0.8)
            reference = self.alone(f"one/reference/{kind}", item, 0.55, flip=True, angle=0.35)
            questions.append(self.asked("one", kind, [reference], target, quick=number % 5 == 0))
        for number, kind in enumerate(sorted(self.cuts)):
            left = [p for p in self.cuts[kind] if p.item.name != self.reference[kind]]
            if left:
                target = self.some(left)
                quick = number % 6 == 0
                questions.append(self.asked("one", kind, [self.reference[kind]], target, quick=quick))
        return questions

    def across(self) -> list[Question]:
        """Pairs of a photo and a render of one kind."""
        questions = []
        both = [kind for kind in sorted(self.renders) if kind in self.photos]
        for number, kind in enumerate(both):
            item = self.some(self.renders[kind])
            other = next(k for k in self.shuffled(sorted(self.renders)) if apart(k, [kind]))
            name = f"renders/{kind}"
            self.pictures[name] = Picture(
                self.background(), self.pair([item, self.some(self.renders[other])])
            )
            quick = number % 3 == 0
            questions.append(self.asked("photo-to-render", kind, [self.reference[kind]], name, quick=quick))
            reference = self.alone(f"render/{kind}", item, 0.6)
            for target in self.shuffled([p.item.name for p in self.photos[kind]])[:3]:
                questions.append(self.asked("render-to-photo", kind, [reference], target, quick=quick))
                quick = False
        return questions

    # --- parts -----------------------------------------------------------------------------------

    def asked(
        self,
        row: str,
        kind: str,
        references: Sequence[str],
        target: str,
        *,
        present: bool = True,
        forms: tuple[Form, ...] = ("mask",),
        quick: bool = False,
    ) -> Question:
        """A question; four references only where there are four."""
        kept = tuple(form for form in forms if form != "four" or len(references) > 3)
        named = tuple(references) if "four" in kept else tuple(references[:1])
        seed = int(self.draw.integers(2**31))
        return Question(row, kind, named, target, present, kept, seed, quick)  # type: ignore[arg-type]

    def references(self, kind: str, target: str, count: int) -> list[str]:
        """Photos of a kind that may be references of a target; its own photo where there is no other."""
        names = [p.item.name for p in self.photos[kind] if p.item.name != target]
        names = self.shuffled([n for n in names if self.whole[n]]) or self.shuffled(names)
        return names[:count] or [target]

    def good(self, kind: str) -> str:
        """A photo of a kind that shows it well."""
        names = [p.item.name for p in self.photos[kind]]
        return str(self.draw.choice([n for n in names if self.whole[n]] or names))

    def grid(self, items: Sequence[str]) -> tuple[Thing, ...]:
        """Four things of like size, 2 x 2."""
        spots = [CELLS[i] for i in self.draw.permutation(4)]
        return tuple(
            self.placed(item, row, column, 0.42) for item, (row, column) in zip(items, spots, strict=True)
        )

    def pair(self, items: Sequence[str]) -> tuple[Thing, ...]:
        """Two things side by side."""
        columns = (0.27, 0.73) if self.draw.random() < 0.5 else (0.73, 0.27)
        return tuple(self.placed(item, 0.5, at, 0.44) for item, at in zip(items, columns, strict=True))

    def placed(self, item: str, row: float, column: float, size: float) -> Thing:
        """A thing about there, a little turned, perhaps mirrored."""
        row, column = (at + self.draw.uniform(-0.02, 0.02) for at in (row, column))
        size *= math.exp(self.draw.uniform(-0.06, 0.06))
        angle = self.draw.uniform(-0.25, 0.25)
        return Thing(
            item,
            round(row, 4),
            round(column, 4),
            round(size, 4),
            round(angle, 4),
            bool(self.draw.random() < 0.5),
        )

    def alone(self, name: str, item: str, size: float, *, flip: bool = False, angle: float = 0.0) -> str:
        """A composite of a single thing; its name."""
        self.pictures[name] = Picture(self.background(), (Thing(item, 0.5, 0.5, size, angle, flip),))
        return name

    def background(self) -> str:
        """A background, by chance."""
        return str(self.draw.choice(self.backgrounds))

    def some(self, places: Sequence[Place]) -> str:
        """Name of one of the places, by chance."""
        return places[int(self.draw.integers(len(places)))].item.name

    def shuffled(self, names: Sequence[str]) -> list[str]:
        """The names in another order."""
        return [names[i] for i in self.draw.permutation(len(names))]

    def shown(self, picture: Picture) -> list[str]:
        """Kinds in a composite."""
        return [self.kind_of[thing.item] for thing in picture.things]


def apart(kind: str, others: Sequence[str]) -> bool:
    """Whether a kind is surely another than each of the others."""
    return all(kind != other and not related(kind, other) for other in others)


def fit(pack: Pack, place: Place) -> bool:
    """Whether a photo shows its thing well: neither tiny nor filling all, and hardly cut off."""
    alpha = levels_of(pack, place)[..., 3] > 127
    border = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
    return bool(SMALLEST < alpha.mean() < LARGEST and border.mean() < CUT_OFF)


def repeated(pack: Pack, places: Sequence[Place]) -> dict[str, str]:
    """Photos that come twice, also mirrored: all but the first of each, and why."""
    pictures = [levels_of(pack, place)[..., :3] for place in places]
    plain = [fingerprint(rgb) for rgb in pictures]
    mirrored = [fingerprint(rgb[:, ::-1]) for rgb in pictures]
    found: dict[str, str] = {}
    for first, second in sorted({*alike(plain, plain), *alike(plain, mirrored)}):
        one, other = places[first].item, places[second].item
        if first < second and one.kind == other.kind and one.name not in found:
            found.setdefault(other.name, f"the same photo as {one.name}")
    return found


def _by_kind(places: Iterable[Place]) -> dict[str, list[Place]]:
    groups: dict[str, list[Place]] = {}
    for place in places:
        groups.setdefault(place.item.kind, []).append(place)
    return groups
