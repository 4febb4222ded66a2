"""Methods as users write them: ``NAME``, ``NAME:key=value,key=value``, or tables in a TOML file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mattelike.errors import UsageError


@dataclass(frozen=True, slots=True)
class Named:
    """One method to be loaded.

    Attributes:
        label: For tables and file names.
        use: Name of the method.
        options: Its options.
    """

    label: str
    use: str
    options: Mapping[str, Any] = field(default_factory=dict)


def typed(text: str) -> Named:
    """A method as typed: ``remover:name=IS-Net,file=isnet.onnx,shape=isnet``.

    Raises:
        UsageError: An option that is not ``key=value``.
    """
    use, _, rest = text.partition(":")
    options: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise UsageError(f"--method {text}: options are key=value with commas between, not {part!r}")
        options[key] = _value(value)
    return _named(use, options)


def listed(path: Path) -> list[Named]:
    """Methods of a TOML file, each a table ``[[method]]`` with ``use``, perhaps ``name``, and its options.

    Raises:
        UsageError: Not such a file.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not a readable list of methods ({error})") from error
    found = table.get("method")
    if not isinstance(found, list) or not all(isinstance(row, dict) and row.get("use") for row in found):
        raise UsageError(f"{path}: a list of methods is [[method]] tables, each with use = NAME")
    return [_named(str(row["use"]), {k: v for k, v in row.items() if k != "use"}) for row in found]


def distinct(methods: Sequence[Named]) -> list[Named]:
    """The same methods.

    Raises:
        UsageError: None, two of one label, or a label that is no file name.
    """
    if not methods:
        raise UsageError("no method: give --method NAME, such as --method embedded")
    seen: set[str] = set()
    for method in methods:
        if method.label in seen:
            raise UsageError(f"two methods are called {method.label!r}: tell them apart by name=LABEL")
        if Path(method.label).name != method.label or method.label.startswith("."):
            raise UsageError(f"{method.label!r} cannot be a label: it becomes a file name")
        seen.add(method.label)
    return list(methods)


def _named(use: str, options: Mapping[str, Any]) -> Named:
    rest = {key: value for key, value in options.items() if key != "name"}
    return Named(str(options.get("name", use)), use, rest)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
