"""A circuit breaker: a server that failed several times in a row is left alone for a while. Pure: time is given."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from leanvibe_lsp.config.limits import limit


class Circuit(StrEnum):
    """Whether a server may be asked."""

    CLOSED = "closed"  # yes
    OPEN = "open"  # not before some time has passed
    HALF_OPEN = "half-open"  # once: how that ends decides


@dataclass(frozen=True, slots=True)
class Breaker:
    """How a server has behaved. Times are seconds on one clock, the caller's."""

    failures: int = 0  # in a row
    until: float = 0.0

    def state(self, now: float) -> Circuit:
        """What holds at `now`."""
        if self.failures < limit("remote.breaker_failures"):
            return Circuit.CLOSED
        return Circuit.OPEN if now < self.until else Circuit.HALF_OPEN

    def failed(self, now: float) -> Breaker:
        """After a use that failed by the server's fault."""
        return Breaker(self.failures + 1, now + limit("remote.breaker_seconds"))

    def succeeded(self) -> Breaker:
        """After the server answered, be it by refusing."""
        return Breaker()
