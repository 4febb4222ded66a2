"""Which samples are used, and who is whose reference (paper 4.1)."""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mattelike.errors import UsageError
from mattelike.models.pulled import hash_of
from mattelike.training.sources import Sample

Policy = Literal["fixed", "random"]
AllowSelf = bool | Literal["pairs"]

# Smallest share of the picture from which an instance is always kept.
ALWAYS_FROM = 0.3


def keep_probability(smallest: float) -> float:
    """Probability that an Open Images sample is kept, by the share of its smallest instance.

    ``min(1, 100 (0.6 - x) x / 9) ** 5`` below 0.3, 1 from there on: nearly none of the tiny ones.
    """
    if smallest >= ALWAYS_FROM:
        return 1.0
    return float(max(0.0, min(1.0, 100 * (0.6 - smallest) * smallest / 9)) ** 5)


def without_small(samples: Iterable[Sample], seed: int = 0) -> list[Sample]:
    """Samples that pass `keep_probability`; those that state no areas stay. The same seed keeps the same."""
    return [
        sample
        for sample in samples
        if not sample.areas or _share(seed, "small", sample.name) < keep_probability(min(sample.areas))
    ]


def split(samples: Iterable[Sample], ratio: float, seed: int = 1) -> tuple[list[Sample], list[Sample]]:
    """Sorted by name, shuffled with a fixed seed, cut: the first part holds `ratio` of them."""
    ordered = sorted(samples, key=lambda sample: sample.name)
    random.Random(seed).shuffle(ordered)
    cut = int(len(ordered) * ratio)
    return ordered[:cut], ordered[cut:]


def without_overlap(train: Sequence[Sample], test: Iterable[Sample], allow: bool = False) -> list[Sample]:
    """Training samples, none of whose pictures is tested on.

    Args:
        train: To be trained on.
        test: To be tested on.
        allow: Accept an overlap all the same.

    Raises:
        UsageError: A picture is in both, by name or by content.
    """
    if allow:
        return list(train)
    tested = list(test)
    names, contents = {s.name for s in tested}, {hash_of(s.image) for s in tested}
    # Files of other sizes are other files: a large training set is not read through for a small test.
    sizes = {s.image.stat().st_size for s in tested}
    for sample in train:
        same_size = sample.image.stat().st_size in sizes
        if sample.name in names or (same_size and hash_of(sample.image) in contents):
            raise UsageError(f"{sample.image} is in the test set too; leave it out, or set allow_overlap")
    return list(train)


def _share(*name: object) -> float:
    """A number in [0, 1) that depends on its name alone."""
    digest = hashlib.sha256("/".join(str(part) for part in name).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def half_or_full(alpha: Any) -> Literal["half", "full"]:
    """Whether a thing is cut off by the frame: uint8 alpha ``(h, w)`` summed over the four border lines."""
    lines = (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1])
    border = sum(int(line.astype(np.int64).sum()) for line in lines)
    return "full" if border < sum(alpha.shape) / 100 else "half"


def as_references(samples: Iterable[Sample], names: Iterable[str]) -> list[Sample]:
    """The same samples with those named marked as references."""
    marked = set(names)
    return [replace(sample, is_reference=sample.name in marked) for sample in samples]


class Pairs:
    """Who is whose reference. A pair depends on the seed, the epoch and its number alone, never on workers.

    Args:
        samples: Every one of them is a target.
        seed: Of the choice.
        policy: ``fixed``: the one marked in its group, else the first by name; ``random``: any other.
        allow_self: Let a sample be its own reference where its group has no other; ``pairs``, as the
            release has it: in groups of two as well.

    Raises:
        UsageError: A group of one, and `allow_self` is False.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        seed: int = 0,
        policy: Policy = "random",
        allow_self: AllowSelf = False,
    ) -> None:
        self.samples = list(samples)
        self.seed = seed
        self.policy = policy
        self.allow_self = allow_self
        self.groups: dict[str, list[int]] = defaultdict(list)
        self.things: dict[str, list[int]] = defaultdict(list)
        self.pictured: dict[Path, set[str]] = defaultdict(set)
        for number, sample in enumerate(self.samples):
            self.groups[sample.group].append(number)
            self.things[sample.thing].append(number)
            self.pictured[sample.image].add(sample.thing)
        alone = sorted(group for group, members in self.groups.items() if len(members) == 1)
        if alone and not allow_self:
            raise UsageError(
                f"the group {alone[0]!r} has one picture, so nothing can be its reference; add one, leave it "
                "out, or set allow_self"
            )

    def __len__(self) -> int:
        return len(self.samples)

    def pair(self, epoch: int, number: int) -> tuple[Sample, Sample]:
        """Reference and target number `number` of an epoch."""
        return self.samples[self._reference(epoch, number)], self.samples[number]

    def question(self, epoch: int, number: int, absent: float = 0.0) -> tuple[Sample, Sample, bool]:
        """As `pair`; with a chance of `absent` the reference is of a kind that the target lacks.

        Data that names what is in a picture need not name everything: a kind counts as lacking where no
        sample of the target's picture is of it. A target that shows every kind keeps its own reference.

        Returns:
            Reference, target, and whether the target shows the reference's kind.
        """
        target = self.samples[number]
        if absent and _share(self.seed, "absent", epoch, number) < absent:
            shown = self.pictured[target.image]
            others = [n for thing, members in self.things.items() if thing not in shown for n in members]
            if others:
                chosen = others[int(_share(self.seed, "other", epoch, number) * len(others))]
                return self.samples[chosen], target, False
        return (*self.pair(epoch, number), True)

    def _reference(self, epoch: int, number: int) -> int:
        members = self.groups[self.samples[number].group]
        others = [member for member in members if member != number]
        if not others:
            return number
        if self.policy == "fixed":
            return self._fixed(members, number)
        if self.allow_self == "pairs" and len(members) == 2:
            others = members
        return others[int(_share(self.seed, epoch, number) * len(others))]

    def _fixed(self, members: Sequence[int], number: int) -> int:
        """The marked one first, then by name; a reference's own reference is the next."""
        ordered = sorted(members, key=lambda m: (not self.samples[m].is_reference, self.samples[m].name))
        return ordered[0] if ordered[0] != number else ordered[1]
