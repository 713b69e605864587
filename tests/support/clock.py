"""A clock that stands still until a test moves it."""

from __future__ import annotations

import threading

from leanvibe_lsp.core.clock import Clock


class ManualClock(Clock):
    """Waits end when `advance` went past their end, or when the condition is notified."""

    def __init__(self) -> None:
        self._now = 1_000.0
        self._waiting: threading.Condition | None = None
        self.asleep = threading.Semaphore(0)  # released each time somebody begins to wait
        self.waits: list[float | None] = []

    def now(self) -> float:
        """The time as it was set."""
        return self._now

    def wait(self, condition: threading.Condition, seconds: float | None) -> None:
        """Wait until the condition is notified; `advance` does that too."""
        self._waiting = condition
        self.waits.append(seconds)
        self.asleep.release()
        condition.wait()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds
        if self._waiting is not None:
            with self._waiting:
                self._waiting.notify_all()
