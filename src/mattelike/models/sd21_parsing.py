"""Settings from text: ``--set key=value`` and tables of a recipe, by the types a setting is declared with."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

from mattelike.errors import SettingsError


def parsed(name: str, value: Any, hints: Mapping[str, Any]) -> Any:
    """One value in the type of its setting.

    Raises:
        SettingsError: No such setting, or not a value it can take.
    """
    if name not in hints:
        raise SettingsError(f"sd21 has no setting {name!r}; it has: {', '.join(sorted(hints))}")
    for kind in _alternatives(hints[name]):
        found, result = _as(kind, value)
        if found:
            return result
    raise SettingsError(f"{name}={value!r}: must be {_spelled(hints[name])}")


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if isinstance(hint, UnionType) or get_origin(hint) is typing.Union else (hint,)


def _as(kind: Any, value: Any) -> tuple[bool, Any]:
    """Whether `value` can be of this kind, and what it then is."""
    if get_origin(kind) is Literal:
        return next(((True, v) for v in get_args(kind) if value == v or str(value) == str(v)), (False, None))
    if get_origin(kind) is tuple:
        return _as_tuple(get_args(kind)[0], value)
    if kind is NoneType:
        return value is None or value in ("None", "none", ""), None
    if kind is bool:
        words = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}
        return str(value).lower() in words, words.get(str(value).lower())
    if kind is str:
        return isinstance(value, str) and value.lower() != "none", value
    try:
        number = kind(value) if isinstance(value, str) or kind is float else value
    except (TypeError, ValueError):
        return False, None
    return isinstance(number, kind) and not isinstance(value, bool), number


def _as_tuple(kind: Any, value: Any) -> tuple[bool, Any]:
    if isinstance(value, str):
        value = [part.strip() for part in value.strip("()[]").split(",") if part.strip()]
    if not isinstance(value, list | tuple):
        return False, None
    parts = [_as(kind, part) for part in value]
    return all(found for found, _ in parts), tuple(result for _, result in parts)


def _spelled(hint: Any) -> str:
    words = []
    for kind in _alternatives(hint):
        if get_origin(kind) is Literal:
            words += [str(v) for v in get_args(kind)]
        elif get_origin(kind) is tuple:
            words.append(f"a list of {get_args(kind)[0].__name__}, commas between")
        else:
            words.append({"NoneType": "none"}.get(kind.__name__, kind.__name__))
    return " or ".join(words)
