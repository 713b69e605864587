"""Leaving and printing in ways that hold on every terminal and at every moment."""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import NoReturn

from leanvibe_lsp.engine.scheduler import THREAD_NAME

# C0 and C1 control characters but tab and newline: a terminal obeys them, and an answer may quote them from anywhere.
_CONTROLS = {code: "\ufffd" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"}

_LIBRARIES = ("mlx.core", "xllamacpp")  # what computes, in threads of its own


def harmless(text: str) -> str:
    """`text` without what would move a terminal's cursor, set its title or fill its clipboard."""
    return text.translate(_CONTROLS)


def print_json(value: object) -> None:
    """Print one JSON value that every output encoding can carry."""
    utf8 = sys.stdout is not None and (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(json.dumps(value, ensure_ascii=not utf8, indent=2))


def leave(code: int | str | None) -> NoReturn:
    """Exit with `code`.

    A library that loads weights cannot be stopped, and its destructors may run in a thread that Python counts as ended.
    Ending the interpreter around either would abort the process, so in that case the process ends without.
    """
    running = any(thread.name == THREAD_NAME for thread in threading.enumerate())
    if running or any(library in sys.modules for library in _LIBRARIES):
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))
    sys.exit(code)
