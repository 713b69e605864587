"""When an engine fails, the next one answers: an ordered chain of hosts, made only as they are needed.

On failure, not on doubt. The first host chooses when it loads, so a model that was pulled meanwhile is found; the
others are made of the candidates that came behind it. An engine that failed is freed by its host before the next one
loads, and is left alone for a while: not every request pays for it again, unless there is no other. When it comes back
and there is no room for both, those behind it give theirs up first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.core.clock import Clock
from leanvibe_lsp.engine.circuit import Failure, may_fall_back
from leanvibe_lsp.engine.host import EngineHost
from leanvibe_lsp.engine.select import Selection, Step
from leanvibe_lsp.errors import LeanVibeError

__all__ = ["EngineChain", "Skipped", "may_fall_back"]

# Gives a selection, on the engine's thread. Raises ModelError, BackendError, UsageError.
Choose = Callable[[CancelToken], Selection]
# A host for what `choose` gives; the text is its name until it has loaded.
MakeHost = Callable[[Choose, str], EngineHost]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A host that is left alone, because it failed a moment ago, and how it failed."""

    host: EngineHost
    error: LeanVibeError


class EngineChain:
    """The hosts by rank. May be used from any thread."""

    def __init__(
        self, candidates: Callable[[], tuple[Selection, ...]], make: MakeHost, *, clock: Clock | None = None
    ) -> None:
        self._candidates = candidates
        self._make = make
        self._clock = clock or Clock()
        self._lock = threading.Lock()
        self._found: tuple[Selection, ...] = ()
        self._failures: dict[EngineHost, Failure] = {}
        self._others: dict[str, EngineHost] = {}  # by the name of their selection
        self._closed = False
        self._head = make(self._choose, "the model")

    def first(self) -> tuple[EngineHost, tuple[Skipped, ...]]:
        """The best host that did not fail a moment ago, and those before it; the best of all when each of them did."""
        with self._lock:
            skipped: list[Skipped] = []
            for host in self._ranked():
                if not self._remaining(host):
                    return host, tuple(skipped)
                skipped.append(Skipped(host, self._failures[host].error))
            return self._head, ()

    def after(self, host: EngineHost, error: LeanVibeError) -> EngineHost | None:
        """The next host, after `host` failed, which is left alone now; None when there is none behind it.

        One that is left alone itself is next when every other one behind `host` is too: it may be well again.
        """
        with self._lock:
            self._failures[host] = Failure(self._clock.now(), error)
            waiting: EngineHost | None = None
            for selection in self._behind(host):
                following = self._others.get(selection.name) or self._add(selection)
                if following is None:
                    return None
                if not self._remaining(following):
                    return following
                waiting = waiting or following
            return waiting

    def free_behind(self, host: EngineHost, cancel: CancelToken) -> None:
        """Have the models of the hosts behind `host` freed, each when its work is done, and wait for that.

        For the thread of `host`. A host waits only for those behind it: no two wait for each other. Raises Busy,
        Cancelled.
        """
        with self._lock:
            ranked = self._ranked()
            before = ranked[: ranked.index(host) + 1] if host in ranked else ranked
            behind = [other for other in self._others.values() if other not in before]
        for freed in [other.unload(cancel) for other in behind]:
            freed.result()

    def hosts(self) -> tuple[EngineHost, ...]:
        """Those made so far, best first."""
        with self._lock:
            return self._ranked()

    def steps(self, candidates: tuple[Selection, ...]) -> tuple[Step, ...]:
        """Who answers, who would answer in its place, and why; of `candidates` where nothing was chosen yet."""
        with self._lock:
            found = self._found or candidates
            hosts = [self._head, *(self._others.get(selection.name) for selection in found[1:])]
            waits = [self._remaining(host) if host is not None else 0.0 for host in hosts]
            failures = [self._failure(host) if host is not None else None for host in hosts]
        first = next((number for number, wait in enumerate(waits) if not wait), None)
        steps: list[Step] = []
        for number, (selection, wait, failure) in enumerate(zip(found, waits, failures, strict=False)):
            if failure is not None:
                again = f"in {wait:.0f} s" if wait and first is not None else "with the next question"
                reason = f"it failed, and is tried again {again}: {failure.error}"
            else:
                reason = "it answers" if number == first else f"it answers when {found[first or 0].name} fails"
            steps.append(Step(selection.name, number == first, reason))
        return tuple(steps)

    def failed(self) -> tuple[tuple[str, LeanVibeError], ...]:
        """Those that failed when they were last tried, best first, and how."""
        with self._lock:
            found = ((host.name, self._failure(host)) for host in self._ranked())
            return tuple((name, failure.error) for name, failure in found if failure is not None)

    def close(self, timeout: float) -> bool:
        """Close every host; True when all ended within `timeout` seconds. Idempotent."""
        with self._lock:
            self._closed = True
            hosts = (self._head, *self._others.values())
        until = self._clock.now() + timeout
        for host in hosts:
            host.close(0)  # all are told before any is waited for
        ended = [host.close(max(0.0, until - self._clock.now())) for host in hosts]
        return all(ended)

    def _choose(self, cancel: CancelToken) -> Selection:
        """The head's choice, made anew each time it loads. Another host that has the same model gives it up."""
        found = self._candidates()
        with self._lock:
            self._found = found
            same = self._others.get(found[0].name)
        if same is not None:
            same.unload(cancel).result()
        return found[0]

    def _ranked(self) -> tuple[EngineHost, ...]:
        """The hosts of the candidates, best first."""
        behind = (self._others.get(selection.name) for selection in self._found[1:])
        return (self._head, *(host for host in behind if host is not None))

    def _behind(self, host: EngineHost) -> tuple[Selection, ...]:
        """The candidates behind a host's; nothing behind one that is no candidate any more."""
        if host is self._head:
            return self._found[1:]
        place = next((i for i, s in enumerate(self._found) if self._others.get(s.name) is host), len(self._found))
        return self._found[place + 1 :]

    def _add(self, selection: Selection) -> EngineHost | None:
        if self._closed:
            return None
        host = self._make(lambda _: selection, selection.name)
        self._others[selection.name] = host
        return host

    def _failure(self, host: EngineHost) -> Failure | None:
        """How it failed; None for one that is well again, or of which it is not known any more."""
        return self._failures.get(host) if host.status.failure is not None else None

    def _remaining(self, host: EngineHost) -> float:
        failure = self._failure(host)
        return failure.remaining(self._clock.now(), limit("engine.cooldown_seconds")) if failure is not None else 0.0
