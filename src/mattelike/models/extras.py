"""Packages that only some models need, asked for when such a model is loaded."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from mattelike.errors import MissingExtraError


def imported(package: str, *, extra: str, purpose: str) -> ModuleType:
    """A package of an extra.

    Args:
        package: Its module, such as ``"transformers"``.
        extra: The extra that brings it.
        purpose: What needs it, for the message.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise MissingExtraError(package, extra, purpose) from error
