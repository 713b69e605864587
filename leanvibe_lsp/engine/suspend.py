"""Was the machine asleep? Two clocks tell: one that counts the time in sleep, and one that does not."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clocks:
    """Both clocks read at one moment, in seconds."""

    with_sleep: float
    without_sleep: float


# None where the system does not say.
ReadClocks = Callable[[], Clocks | None]

# The clock that counts sleep and the one that does not, by clock_gettime's manual pages.
_NAMES = {"linux": ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"), "darwin": ("CLOCK_MONOTONIC_RAW", "CLOCK_UPTIME_RAW")}


def read_clocks(system: str = sys.platform) -> Clocks | None:
    """Both clocks now; None on a system that has no such pair."""
    names = _NAMES.get(system)
    if names is None:
        return None
    with_sleep, without_sleep = (time.clock_gettime(getattr(time, name)) for name in names)
    return Clocks(with_sleep, without_sleep)


def asleep_between(before: Clocks | None, after: Clocks | None) -> float:
    """Pure: seconds of sleep between two readings; 0.0 where the system does not say."""
    if before is None or after is None:
        return 0.0
    return max(0.0, (after.with_sleep - before.with_sleep) - (after.without_sleep - before.without_sleep))
