"""Recipe files: TOML, each of which may say which other recipe it changes."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from mattelike.errors import SettingsError
from mattelike.training.loop import from_table

R = TypeVar("R")

# Names the recipe, beside this one, that is changed.
EXTENDS = "extends"
# Recipes that change each other go no deeper than this.
DEEPEST = 5


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
    try:
        own = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot read the recipe ({error.strerror or error})") from error
    except ValueError as error:
        raise SettingsError(f"{path}: {error}") from error
    base = own.pop(EXTENDS, None)
    if base is None:
        return own
    if depth == DEEPEST:
        raise SettingsError(f"{path}: extends {base}, which goes round in a circle")
    return merged(table(path.parent / str(base), depth + 1), own)


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """One table over another."""
    result = dict(base)
    for name, value in changes.items():
        old = result.get(name)
        inside = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[name] = merged(dict(old or {}), value) if inside else value
    return result
