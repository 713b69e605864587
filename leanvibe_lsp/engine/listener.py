"""Whose failure it is: a listener's ends its own request, and says nothing against the engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from leanvibe_lsp.engine.base import Event, Sink
from leanvibe_lsp.errors import Cancelled


class Listener:
    """A sink around another. When that one raises, the engine is told that nobody listens: a cancel, to it."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._failure: Exception | None = None

    def hear(self, event: Event) -> None:
        """Pass it on. Raises Cancelled."""
        try:
            self._sink(event)
        except Exception as error:
            self._failure = error
            raise Cancelled("Stopped: its listener failed.") from error

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Raises what the listener raised, if that is what ended the work inside."""
        try:
            yield
        except Cancelled:
            if self._failure is not None:
                raise self._failure from None
            raise
