"""Context groups: which photos show the same kind of thing (paper 4.1; specification 5).

An `Item` is one photo with one mask or matte. Items of the same *kind* may be reference and target of each
other. Kinds are names brought together across data sets ("airliner", "airplanes" and the render
"airplane" are one kind, so photo-to-render pairs come for free). Kinds of one *family* (two breeds of dog)
are too near to say whether one is an answer for the other: such pairs are never made, neither as present
nor as absent.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Truth = Literal["alpha", "mask", "none"]
Split = Literal["train", "validation"]


@dataclass(frozen=True, slots=True)
class Item:
    """One photo and what is marked in it.

    Attributes:
        name: ``set/group/id``, unique.
        source: Name of the data set.
        kind: What the mask shows; the same string means "an answer for each other".
        truth: ``alpha`` (soft), ``mask`` (hard; its edges are not trusted) or ``none`` (a background).
        domain: ``photo`` or ``render``.
        photo: Identity of the photograph; items of one photograph never fall on both sides of a split.
        clean: Whether a model free of doubt about rights may learn from it.
        split: ``train`` or ``validation``.
    """

    name: str
    source: str
    kind: str
    truth: Truth
    domain: Literal["photo", "render"] = "photo"
    photo: str = ""
    clean: bool = False
    split: Split = "train"


# Between the kinds of things that were made one thing.
GLUE = " + "


@cache
def table() -> Mapping[str, Any]:
    """Aliases, families and held-out kinds, as committed in ``kinds.json``."""
    text = files("mattelike.training").joinpath("kinds.json").read_text(encoding="utf-8")
    loaded: Mapping[str, Any] = json.loads(text)
    return loaded


@cache
def families() -> Mapping[str, frozenset[str]]:
    """For every kind with near relatives, the names of its families."""
    found: dict[str, set[str]] = defaultdict(set)
    for family, members in table()["families"].items():
        for kind in members:
            found[kind].add(family)
    return {kind: frozenset(names) for kind, names in found.items()}


def kind_of(source: str, group: str, identity: str) -> str:
    """The kind an item shows; items of groups that mix kinds are each a kind of their own."""
    if f"{source}/{group}" in table()["ungrouped"]:
        return f"{source}/{identity}"
    name = (identity if source == "fluent3d" else group).lower()
    return str(table()["aliases"].get(name, name))


def related(one: str, other: str) -> bool:
    """Whether two kinds are so near that neither "present" nor "absent" is sure."""
    if one == other:
        return False
    if GLUE in one or GLUE in other:
        parts, others = one.split(GLUE), other.split(GLUE)
        return any(a == b or related(a, b) for a in parts for b in others)
    if "/" in one or "/" in other:
        # An item of its own kind: what it shows is not written down, so only the same item is sure.
        return one.split("/")[0] == other.split("/")[0]
    return bool(families().get(one, frozenset()) & families().get(other, frozenset()))


def held_out(kind: str) -> bool:
    """Whether a kind is kept for validation."""
    return kind in table()["held_out"]


def grouped(items: Iterable[Item]) -> dict[str, list[Item]]:
    """Items by kind, in the order given."""
    groups: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        groups[item.kind].append(item)
    return dict(groups)


def split_by_photo(items: Sequence[Item]) -> list[Item]:
    """Marks held-out kinds as validation and drops training items whose photograph is among them."""
    kept_back = {item.photo for item in items if held_out(item.kind)}
    result = []
    for item in items:
        if held_out(item.kind):
            result.append(_moved(item, "validation"))
        elif item.photo not in kept_back:
            result.append(_moved(item, "train"))
    return result


def _moved(item: Item, split: Split) -> Item:
    return Item(item.name, item.source, item.kind, item.truth, item.domain, item.photo, item.clean, split)
