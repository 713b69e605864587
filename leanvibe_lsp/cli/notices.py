"""What is logged while a command writes its output: told afterwards, on stderr, each thing once and in one line."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from leanvibe_lsp.cli.output import harmless
from leanvibe_lsp.config.layers import chosen
from leanvibe_lsp.config.settings import Settings


class _Held(logging.Handler):
    """Keeps the warnings in the order in which they first came."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: dict[str, None] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """One more, with what was raised, if anything; the traceback is for a log file."""
        error = record.exc_info[1] if record.exc_info else None
        cause = f": {type(error).__name__}: {error}" if error is not None else ""
        self.lines[f"{record.getMessage()}{cause}"] = None


@contextmanager
def notices() -> Iterator[None]:
    """Hold warnings back, of libraries too, so that they neither stand in the middle of the output nor twice."""
    held = _Held()
    logging.getLogger().addHandler(held)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(held)
        for line in held.lines if sys.stderr is not None else ():
            print(harmless(f"leanvibe: {line}"), file=sys.stderr)


def told(model: str | None, engine: str | None) -> Settings:
    """The settings that count for a command; what of this folder's files is not used is told first."""
    with notices():
        return chosen(model, engine)
