"""Which failures are an engine's own, and how long one that failed is left alone. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from leanvibe_lsp.errors import (
    BackendError,
    Busy,
    Cancelled,
    DeadlineExceeded,
    EngineError,
    Incomplete,
    LeanVibeError,
    ModelChanged,
    ModelError,
)

_OF_THE_REQUEST = (Busy, Cancelled, DeadlineExceeded, Incomplete, ModelChanged)


def may_fall_back(error: LeanVibeError) -> bool:
    """True when another engine could answer: this one failed, and not the request."""
    return isinstance(error, ModelError | BackendError | EngineError) and not isinstance(error, _OF_THE_REQUEST)


@dataclass(frozen=True, slots=True)
class Failure:
    """When an engine failed, in seconds of the monotonic clock, and how."""

    at: float
    error: LeanVibeError

    def remaining(self, now: float, cooldown: float) -> float:
        """Seconds for which the engine is not to be tried again; 0.0 when it may be."""
        return max(0.0, self.at + cooldown - now)
