"""Memory that stays what it is over thousands of photos, where it would creep up without anything being held.

glibc gives every thread an arena of its own and keeps there what was freed; photos of unequal sizes leave
holes. Python leaves objects that refer to each other, and the pictures they hold, until it thinks there are
many. With two arenas for all threads, and both swept now and then, it is flat.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from functools import cache

# mallopt's number for the most arenas there may be (malloc.h).
_M_ARENA_MAX = -8
ARENAS = 2
EVERY = 100
"""Photos after which free memory is given back."""


class Steady:
    """Counts photos, and has free memory given back now and then."""

    def __init__(self) -> None:
        _trim()  # limits the arenas, before there are many
        self._photos = 0

    def photo(self) -> None:
        """One more photo is done."""
        self._photos += 1
        if self._photos % EVERY == 0:
            sweep()


def sweep() -> None:
    """Gives back what nobody holds any more."""
    gc.collect()
    trim = _trim()
    if trim is not None:
        trim()


@cache
def _trim() -> Callable[[], object] | None:
    """``malloc_trim`` of glibc, its arenas limited; None elsewhere."""
    if sys.platform != "linux":
        return None
    try:
        library = ctypes.CDLL(None)
        library.mallopt(_M_ARENA_MAX, ARENAS)
        trim = library.malloc_trim
    except (OSError, AttributeError):  # musl has neither
        return None
    return lambda: trim(0)
