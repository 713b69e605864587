"""From the engine's thread to the event loop's: what is generated, handed over in few steps.

Waking the event loop for each token takes time from the threads that compute the next one; a person reads no faster for
it. So text is handed over at most `stream.updates_per_second` times a second, the first piece at once and the last with
the end.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from leanvibe_lsp.assist.answer import AskSink, Stage, TextDelta
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.base import Chunk, Event, Finished, Prefill


class Hearing:
    """One generation as its asker hears it. `hear` is for the engine's thread, everything else for the event loop's."""

    def __init__(
        self,
        sink: AskSink,
        cancel: CancelToken,
        loop: asyncio.AbstractEventLoop,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sink = sink
        self._cancel = cancel
        self._loop = loop
        self._clock = clock
        # A little slower than a client may be told, so that what is handed over can be sent on without another wait.
        self._interval = 1.25 / limit("stream.updates_per_second")
        self._lock = threading.Lock()
        self._pending: list[Event] = []
        self._next_at = 0.0
        self._closed = False
        self._sent = 0
        self.chunks: list[Chunk] = []
        self.started: float | None = None  # when the engine took up the work
        self.first: float | None = None  # when the first token came
        self.failure: Exception | None = None  # what the sink raised

    def hear(self, event: Event) -> None:
        """Take one event from the engine; wake the event loop when it is time. Never raises, never waits."""
        now = self._clock()
        with self._lock:
            self._pending.append(event)
            new = self._note_time(event, now)
            if not new and now < self._next_at:
                return
            self._next_at = now + self._interval
        try:
            self._loop.call_soon_threadsafe(self._hand_over)
        except RuntimeError:  # the loop is closed: nobody listens any more
            self._cancel.cancel("nobody listens")

    def close(self) -> None:
        """Say nothing after this, even when the engine runs on."""
        self._closed = True

    def finish(self, finished: Finished) -> None:
        """Hand over what is left: all deltas together are the text of `finished`. Raises what the sink raised."""
        self._hand_over()
        if self.failure is not None:
            raise self.failure
        rest = finished.text[self._sent :]
        if rest:
            self._sink(TextDelta(rest, len(self.chunks)))

    def _note_time(self, event: Event, now: float) -> bool:
        """True for the first event and the first token: these are handed over at once."""
        new = self.started is None
        if new:
            self.started = now
        if self.first is None and not isinstance(event, Prefill):
            self.first = now
            new = True
        return new

    def _hand_over(self) -> None:
        """Tell the sink. One that fails stops the engine, and its error becomes the question's."""
        with self._lock:
            events, self._pending = self._pending, []
        if self._closed or self.failure is not None:
            return
        try:
            self._tell(events)
        except Exception as error:  # noqa: BLE001 - raised again by `finish`, or by who sees `failure`
            self.failure = error
            self._cancel.cancel("nobody listens")

    def _tell(self, events: list[Event]) -> None:
        text = ""
        for event in events:
            if isinstance(event, Prefill):
                self._sink(Stage("reading prompt", round(100 * event.done / max(1, event.total))))
            else:
                self.chunks.append(event)
                text += event.text
        if text:
            self._sent += len(text)
            self._sink(TextDelta(text, len(self.chunks)))
