"""Recipe files: TOML, each of which may say which other recipe it changes, and whose result it goes on from.

``extends`` names a recipe whose settings are taken where the file says nothing else. ``follows`` names the
recipe that has to be trained before: its result is where this one starts. ``blend`` is how much of the
weights after the training is in the result; the rest is what it started from. ``taken`` is the step at which
those weights are taken, before the rate has come down; at the end, where nothing is said.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mattelike.errors import SettingsError
from mattelike.training.loop import from_table

R = TypeVar("R")

# Names the recipe, beside this one, that is changed.
EXTENDS = "extends"
# Recipes that change each other go no deeper than this, and no more stages follow each other.
DEEPEST = 8
# The recipe, beside this one, whose result this one starts from; the share of the new weights in that.
FOLLOWS, BLEND = "follows", "blend"
# The step at which its weights are taken.
TAKEN = "taken"


@dataclass(frozen=True, slots=True)
class Stage:
    """One training of several in a row.

    Attributes:
        recipe: Its file.
        blend: Share of the weights after the training in what comes out; the rest is what it started from.
        taken: Step at which the training stops and its weights are taken; None at the end of its schedule.
    """

    recipe: Path
    blend: float = 1.0
    taken: int | None = None


def read(kind: type[R], path: Path) -> R:
    """A recipe from its file.

    Raises:
        SettingsError: As `table`; or a setting that does not exist.
    """
    return chosen(kind, table(path), path)


def chosen(kind: type[R], own: Mapping[str, Any], path: Path) -> R:
    """A recipe from its table, which came from a file.

    Raises:
        SettingsError: A setting that does not exist.
    """
    try:
        found: R = from_table(kind, own)
    except ValueError as error:
        raise SettingsError(f"{path}: {error}") from error
    return found


def table(path: Path, depth: int = 0) -> dict[str, Any]:
    """The table of a recipe, over that of the recipe it extends; tables within are merged, too.

    Raises:
        SettingsError: No such file, not TOML, or recipes that extend each other in a circle.
    """
    own = _written(path)
    for name in (FOLLOWS, BLEND, TAKEN):
        own.pop(name, None)
    base = own.pop(EXTENDS, None)
    if base is None:
        return own
    if depth == DEEPEST:
        raise SettingsError(f"{path}: extends {base}, which goes round in a circle")
    return merged(table(path.parent / str(base), depth + 1), own)


def stages(path: Path) -> list[Stage]:
    """What has to be trained for a recipe, from nothing: the stages it follows, first ones first, and itself.

    Raises:
        SettingsError: As `table`; a blend outside (0, 1] or of a first stage; a step to take weights at
            that is none; stages that follow each other in a circle.
    """
    found: list[Stage] = []
    at: Path | None = path
    while at is not None:
        if len(found) == DEEPEST:
            raise SettingsError(f"{path}: follows {at.name}, which goes round in a circle")
        own = _written(at)
        blend, before = own.get(BLEND, 1.0), own.get(FOLLOWS)
        if not isinstance(blend, int | float) or not 0 < blend <= 1:
            raise SettingsError(f"{at}: blend is {blend!r}; it must be above 0 and at most 1")
        if before is None and blend != 1:
            raise SettingsError(f"{at}: blend says how much of a start is kept, and it follows no recipe")
        taken = own.get(TAKEN)
        if taken is not None and (not isinstance(taken, int) or taken < 1):
            raise SettingsError(f"{at}: taken is {taken!r}; it must be a step, 1 or later")
        found.append(Stage(at, float(blend), taken))
        at = None if before is None else at.parent / str(before)
    return found[::-1]


def _written(path: Path) -> dict[str, Any]:
    """The table of a file, as it is written there.

    Raises:
        SettingsError: No such file, or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot read the recipe ({error.strerror or error})") from error
    except ValueError as error:
        raise SettingsError(f"{path}: {error}") from error


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """One table over another."""
    result = dict(base)
    for name, value in changes.items():
        old = result.get(name)
        inside = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[name] = merged(dict(old or {}), value) if inside else value
    return result
