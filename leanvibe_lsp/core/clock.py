"""The monotonic clock, and waiting by it: what a test replaces to need no time at all."""

from __future__ import annotations

import threading
import time


class Clock:
    """Seconds since some moment, and a wait that ends when the condition is notified or the time is up."""

    def now(self) -> float:
        """Seconds; only differences mean something."""
        return time.monotonic()

    def wait(self, condition: threading.Condition, seconds: float | None) -> None:
        """Wait for `condition`, which the caller holds; None is as long as it takes."""
        condition.wait(seconds)
