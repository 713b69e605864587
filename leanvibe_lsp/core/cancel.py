"""Stopping work: a token somebody can pull, and a moment that passes by itself.

Both are checked by the worker at its own boundaries (a generated token, a prefill chunk). Nothing is ever killed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from leanvibe_lsp.errors import Cancelled, DeadlineExceeded


class CancelToken:
    """Set once, from any thread; never unset. `reason` is the first one given."""

    __slots__ = ("_callbacks", "_event", "_lock", "reason")

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self.reason = ""

    @property
    def cancelled(self) -> bool:
        """True once `cancel` was called."""
        return self._event.is_set()

    def cancel(self, reason: str = "cancelled") -> None:
        """Ask the work to stop. The second call does nothing."""
        with self._lock:
            if self._event.is_set():
                return
            self.reason = reason
            self._event.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, in the cancelling thread; at once when already cancelled."""
        with self._lock:
            if not self._event.is_set():
                self._callbacks.append(callback)
                return
        callback()

    def check(self) -> None:
        """Raise `Cancelled` if somebody asked to stop."""
        if self._event.is_set():
            raise Cancelled(f"Stopped: {self.reason}.")


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock, in seconds. `Deadline.never()` does not pass."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The moment `seconds` from now."""
        return cls(time.monotonic() + seconds)

    @classmethod
    def never(cls) -> Deadline:
        """A moment that does not come."""
        return cls(float("inf"))

    @property
    def passed(self) -> bool:
        """True when the moment has come."""
        return time.monotonic() >= self.at

    def check(self) -> None:
        """Raise `DeadlineExceeded` when the moment has come."""
        if self.passed:
            raise DeadlineExceeded("The time for this request is up.", next_step="Ask again, or ask for less.")
