"""Giving memory that was freed back to the system.

The C library keeps what was freed for the next allocation, in as many heaps as there were busy threads. glibc can be
asked to let go of it; where there is another library, nothing happens.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any


def trim() -> bool:
    """Give back what lies free in the C library's heaps; whether any could be. Without the interpreter's lock."""
    found = _malloc_trim()
    return found is not None and bool(found(0))


@cache
def _malloc_trim() -> Any:
    """glibc's own function, or None."""
    try:
        found = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another library, or Windows, which has no None
        return None
    found.argtypes, found.restype = (ctypes.c_size_t,), ctypes.c_int
    return found
