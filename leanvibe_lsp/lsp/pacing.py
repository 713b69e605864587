"""How long to wait, while a person types, before a model is asked for a completion.

Two reasons bound the wait: a person who types on would type the next key within their own rhythm, so the answer would
be for nothing; and waiting longer than the model needs to answer costs more than it saves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from leanvibe_lsp.config.limits import limit


def delay(gaps: Sequence[float], since: float, latency: float | None) -> float:
    """Seconds to wait. Pure: `gaps` between keys, `since` the last one, `latency` of the model where it is known.

    Half as long again as a usual gap; never longer than the model takes, nor than `completion.wait_milliseconds`.
    """
    if not gaps:
        return 0.0
    wait = min(1.5 * _middle(gaps) - since, limit("completion.wait_milliseconds") / 1000)
    return max(0.0, wait if latency is None else min(wait, latency))


class Pacing:
    """One client's rhythm, and how long completions took of late. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._gaps: deque[float] = deque(maxlen=limit("completion.rhythm_keys"))
        self._latencies: deque[float] = deque(maxlen=limit("completion.rhythm_keys"))
        self._last: float | None = None

    def typed(self) -> None:
        """A document was edited. A pause is no part of the rhythm."""
        now = self._clock()
        if self._last is not None and now - self._last <= limit("completion.pause_milliseconds") / 1000:
            self._gaps.append(now - self._last)
        self._last = now

    def took(self, seconds: float) -> None:
        """A model made a completion in so many seconds."""
        self._latencies.append(seconds)

    def delay(self, *, invoked: bool) -> float:
        """Seconds to wait now; none for a person who asked."""
        if invoked or self._last is None:
            return 0.0
        latency = _middle(self._latencies) if self._latencies else None
        return delay(self._gaps, self._clock() - self._last, latency)


def _middle(values: Iterable[float]) -> float:
    """The upper median; the standard library's is in a module that takes long to import."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2]
