"""What a benchmark asks: every target, with which references, in which order of preference.

References are fixed: those of a committed list, else those its layout marks, else the first by name (of a
clip the first frame) that shows the thing; never the target itself (D24). Where several are marked, only they
are references.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from mattelike.baselines import Help
from mattelike.errors import UsageError
from mattelike.evaluation.benchmarks import REFERENCES, Benchmark
from mattelike.evaluation.layouts import Entry
from mattelike.evaluation.marks import by_chance
from mattelike.evaluation.protocols import Protocol
from mattelike.evaluation.reading import Shelf

Fixed = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Question:
    """One target and what goes with it.

    Attributes:
        target: The picture.
        references: Marked pictures; empty where the method is given nothing, or help on the target itself.
        turn: Number of the round.
        choice: Number of the choice of references; 0 is the fixed one.
    """

    target: Entry
    references: tuple[Entry, ...]
    turn: int = 0
    choice: int = 0

    @property
    def key(self) -> tuple[str, int, int]:
        """What tells it from all others of a method."""
        return self.target.sample.name, self.turn, self.choice


def committed() -> Mapping[str, Mapping[str, Sequence[str]]]:
    """References by benchmark and group, as they come with the package; ``*`` stands for every group."""
    text = files("mattelike.evaluation").joinpath("references.json").read_text(encoding="utf-8")
    loaded: Mapping[str, Mapping[str, Sequence[str]]] = json.loads(text)
    return loaded


def listed(path: Path) -> Fixed:
    """References by group from a file.

    Raises:
        UsageError: Not a JSON table of lists of names.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not a readable list of references ({error})") from error
    if not isinstance(table, dict) or not all(isinstance(v, list) for v in table.values()):
        raise UsageError(f'{path}: a list of references is {{"group": ["name", ...], ...}}')
    return table


def asked(
    benchmark: Benchmark, protocol: Protocol, given: Help, shelf: Shelf, fixed: Fixed | None = None
) -> Iterator[Question]:
    """Every question of a benchmark, group by group; those with the same references follow each other.

    Args:
        benchmark: Whose pictures.
        protocol: How many references, choices, rounds.
        given: What the method is given.
        shelf: Knows which pictures show the thing.
        fixed: References by group, instead of the committed ones.

    Raises:
        UsageError: A group in which nothing can be the reference of a target.
    """
    fixed = committed().get(benchmark.name, {}) if fixed is None else fixed
    own = given in ("marks", "trimap") or (protocol.own and given == "references")
    marked = given == "references" or given == "marks"
    turns = protocol.rounds if marked and by_chance(protocol.form) else 1
    choices = protocol.choices if given == "references" and not own else 1
    for group, members in benchmark.groups().items():
        targets = [entry for entry in members if entry.split != REFERENCES]
        candidates = _candidates(group, members, fixed)
        for choice in range(choices):
            for turn in range(turns):
                for target in targets:
                    if own and not shelf.present(target):
                        # Nothing can be marked where nothing is.
                        continue
                    references: tuple[Entry, ...] = ()
                    if given == "references" and not own:
                        references = _chosen(candidates, target, protocol.references, choice, shelf)
                    yield Question(target, references, turn, choice)


def _candidates(group: str, members: Sequence[Entry], fixed: Fixed) -> list[Entry]:
    """Possible references of a group, best first."""
    names = [*fixed.get(group, ()), *(() if group in fixed else fixed.get("*", ()))]
    first = []
    for name in names:
        found = next((e for e in members if name in (e.sample.name, e.sample.image.stem)), None)
        if found is None and group in fixed:
            raise UsageError(f"{group}: its reference {name!r} is not among its pictures")
        if found is not None:
            first.append(found)
    marked = [entry for entry in members if entry.sample.is_reference and entry not in first]
    ordered = sorted(marked, key=lambda entry: entry.sample.name)
    if len(first) + len(ordered) > 1:
        return first + ordered
    others = [entry for entry in members if entry not in first and entry not in ordered]
    return first + ordered + sorted(others, key=lambda entry: (entry.frame or 0, entry.sample.name))


def _chosen(
    candidates: Sequence[Entry], target: Entry, count: int, choice: int, shelf: Shelf
) -> tuple[Entry, ...]:
    possible = [e for e in candidates if e != target]
    turned = possible[choice % max(1, len(possible)) :] + possible[: choice % max(1, len(possible))]
    found: list[Entry] = []
    for entry in turned:
        if len(found) == count:
            break
        if shelf.present(entry):
            found.append(entry)
    if not found:
        raise UsageError(
            f"the group {target.sample.group!r} has no picture that can be the reference of "
            f"{target.sample.name}; add one that shows the thing, or leave it out"
        )
    return tuple(found)
