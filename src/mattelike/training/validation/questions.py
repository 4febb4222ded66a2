"""What the validation asks: a list that is committed, so that numbers of different days compare."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Row = Literal["scenes", "kinds", "presence", "one", "photo-to-render", "render-to-photo"]
Form = Literal["mask", "click", "clicks", "scribble", "box", "four"]

FORMS: tuple[Form, ...] = ("mask", "click", "clicks", "scribble", "box", "four")
"""How a reference is marked: all of it, one click, five clicks, a scribble, a box; four masked references."""

VERSION = 1


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing pasted into a picture.

    Attributes:
        item: Name of the item it is cut out of.
        row: Its middle, as a share of the picture's side.
        column: The same across.
        size: Its longer side, as a share of the picture's side.
        angle: Turn, in radians.
        flip: Mirrored.
    """

    item: str
    row: float
    column: float
    size: float
    angle: float = 0.0
    flip: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A composite: things on a background photo.

    Attributes:
        background: Name of the background item.
        things: What is pasted on it, later ones in front.
    """

    background: str
    things: tuple[Thing, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """One reference (or several), one target.

    Attributes:
        row: Row of the table it counts in.
        kind: What is asked for.
        references: Names of items, or of composites of the list; the first alone, or, marked ``four``, all.
        target: The same.
        present: Whether the kind is in the target.
        forms: How the reference is marked; the question is asked once for each.
        seed: Of the simulated marks.
        quick: Asked in the short validation too.
        quick_forms: Of `forms`, those of the short one.
    """

    row: Row
    kind: str
    references: tuple[str, ...]
    target: str
    present: bool = True
    forms: tuple[Form, ...] = ("mask",)
    seed: int = 0
    quick: bool = False
    quick_forms: tuple[Form, ...] = ("mask",)

    def asked(self, quick: bool) -> tuple[Form, ...]:
        """The marks it is asked with, in the short or in the whole validation."""
        if not quick:
            return self.forms
        return self.quick_forms if self.quick else ()


@dataclass(frozen=True, slots=True)
class Plan:
    """All questions, and the composites they name.

    Attributes:
        questions: In the order they are asked: those about one picture follow each other.
        pictures: Composites by name.
        excluded: Held-out items that are not used, and why: the truth is wrong, or the photo comes twice.
    """

    questions: tuple[Question, ...]
    pictures: Mapping[str, Picture]
    excluded: Mapping[str, str] = field(default_factory=dict)

    def items(self) -> set[str]:
        """Names of all items that are shown."""
        named = {n for q in self.questions for n in (*q.references, q.target)} - set(self.pictures)
        for picture in self.pictures.values():
            named |= {picture.background, *(thing.item for thing in picture.things)}
        return named


def save(plan: Plan, path: Path) -> None:
    """Writes the list as JSON, one question or picture a line."""
    lines = [f'{{"version": {VERSION},', '"excluded": ' + json.dumps(dict(plan.excluded), indent=1) + ","]
    lines += [
        '"pictures": {',
        ",\n".join(f"{json.dumps(n)}: {_line(p)}" for n, p in plan.pictures.items()),
        "},",
    ]
    lines += ['"questions": [', ",\n".join(_line(question) for question in plan.questions), "]}", ""]
    path.write_text("\n".join(lines), encoding="utf-8")


def load(path: Path) -> Plan:
    """Reads a list.

    Raises:
        ValueError: Another version.
    """
    table = json.loads(path.read_text(encoding="utf-8"))
    if table["version"] != VERSION:
        raise ValueError(f"{path}: version {table['version']}, not {VERSION}; choose the list again")
    pictures = {
        name: Picture(row["background"], tuple(Thing(**thing) for thing in row["things"]))
        for name, row in table["pictures"].items()
    }
    return Plan(tuple(_question(row) for row in table["questions"]), pictures, table["excluded"])


def _question(row: Mapping[str, Any]) -> Question:
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in row.items()}
    return Question(**values)


def _line(value: Question | Picture) -> str:
    default = asdict(Question("scenes", "", (), "")) if isinstance(value, Question) else {}
    table = asdict(value)
    return json.dumps({k: v for k, v in table.items() if k not in default or v != default[k] or k in NEEDED})


NEEDED: Sequence[str] = ("row", "kind", "references", "target")
