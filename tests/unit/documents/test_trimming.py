from __future__ import annotations

import ctypes
import gc
import os
import platform
from collections.abc import Iterator

import psutil
import pytest

from leanvibe_lsp.documents import trimming

MIB = 1 << 20


@pytest.fixture(autouse=True)
def _looked_up_anew() -> Iterator[None]:
    trimming._malloc_trim.cache_clear()
    yield
    trimming._malloc_trim.cache_clear()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has malloc_trim; run this on such a Linux")
def test_what_was_freed_goes_back_to_the_system() -> None:
    """Memory that was freed between pieces still in use stays with the process until it is given back."""
    process, size = psutil.Process(os.getpid()), 1 << 16  # below what malloc maps apart
    pieces = [bytes([number % 255 + 1]) * size for number in range(1_024)]
    kept = pieces[::8]
    del pieces
    gc.collect()
    before = process.memory_info().rss
    assert trimming.trim()
    assert before - process.memory_info().rss > 24 * MIB
    assert sum(map(len, kept)) == 128 * size


@pytest.mark.parametrize("why", [AttributeError, OSError, TypeError])
def test_nothing_happens_without_glibc(why: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    """Another C library, none that can be opened, or Windows: nothing is given back, and nothing is raised."""

    def refuse(name: object) -> object:
        raise why

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert not trimming.trim()
