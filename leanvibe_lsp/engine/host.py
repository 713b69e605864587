"""One model, asked through the scheduler: what may be called from any thread. What it holds is a `Resident`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.core.clock import Clock
from leanvibe_lsp.engine.base import Engine, Event, Finished, GenerationRequest, Job, Loaded, Pause, Sink
from leanvibe_lsp.engine.batching import Pool
from leanvibe_lsp.engine.ledger import Ledger
from leanvibe_lsp.engine.resident import Resident, StablePrefix
from leanvibe_lsp.engine.scheduler import Priority, Scheduler
from leanvibe_lsp.engine.select import Selection
from leanvibe_lsp.engine.status import HostStatus, Pulse, Ready
from leanvibe_lsp.engine.suspend import ReadClocks, read_clocks
from leanvibe_lsp.errors import Busy, Cancelled, LeanVibeError

__all__ = ["EngineHost", "HostStatus", "Pulse", "Ready"]


class EngineHost:
    """Holds at most one loaded engine. `plan` chooses, `build` makes an engine of it; both run on the engine thread.

    In `ledger` the host is the owner of its model's memory.
    """

    def __init__(
        self,
        plan: Callable[[CancelToken], Selection],
        build: Callable[[Selection], Engine],
        scheduler: Scheduler,
        *,
        name: str = "the model",
        prefix: StablePrefix | None = None,
        clock: Clock | None = None,
        read_clocks: ReadClocks = read_clocks,
        ledger: Ledger | None = None,
    ) -> None:
        self._scheduler = scheduler
        self._name = name
        self._has_prefix = prefix is not None
        self._clock = clock or Clock()
        self._resident = Resident(
            plan,
            build,
            prefix=prefix,
            clock=self._clock,
            read_clocks=read_clocks,
            ledger=ledger or Ledger(),
            owner=self,
        )
        self._pools = {
            rank: Pool(scheduler, rank, self._resident.run_jobs) for rank in (Priority.REVIEW, Priority.BACKGROUND)
        }
        scheduler.when_idle(self._idle)

    @property
    def name(self) -> str:
        """Model and backend, for a person: "smollm2 on llama.cpp"."""
        return self._resident.name or self._name

    @property
    def status(self) -> HostStatus:
        """The last known state; never waits."""
        return self._resident.status

    @property
    def queue_depth(self) -> int:
        """Requests that wait for the model."""
        return self._scheduler.depth

    def pulse(self, timeout: float) -> Pulse:
        """Ask the engine's own thread for a sign of life, and wait for it up to `timeout` seconds.

        A thread at work is busy until it was silent for longer than a step may take; a server may be silent longer.
        """
        begin, busy = self._clock.now(), self._scheduler.busy
        try:
            pulse = self._scheduler.pulse()
        except Cancelled:
            return Pulse("closed", 0.0)
        try:
            pulse.result(timeout)
        except TimeoutError:
            pulse.cancel()
            return self._silent(self.status)
        return Pulse("busy" if busy else "ok", (self._clock.now() - begin) * 1000)

    def _silent(self, status: HostStatus) -> Pulse:
        """What to make of a thread that does not respond at once."""
        if status.state == "loading":
            state, silence, longest = "loading", self._clock.now() - status.since, limit("health.loading_seconds")
        else:
            state, silence, longest = "busy", self._scheduler.silence, limit("health.silent_seconds")
            if status.ready is not None and status.ready.selection.is_remote:
                longest = max(longest, limit("remote.first_byte_seconds"))
        return Pulse(state if silence < longest else "stalled", silence * 1000)

    def ready(self, *, priority: Priority, cancel: CancelToken, deadline: Deadline) -> Future[Ready]:
        """Load and prove the model if that was not done yet.

        The future raises ModelError, BackendError, EngineError; those who wait while a load fails get the same error.
        """
        failed_loads = self._resident.failed_loads
        return self._scheduler.submit(
            lambda _pause: self._resident.make_ready(cancel, failed_loads=failed_loads),
            priority=priority,
            cancel=cancel,
            deadline=deadline,
        )

    def prove(self, *, older_than: float, cancel: CancelToken, deadline: Deadline) -> Future[Ready]:
        """Ask the known answers again, if the last proof is more than `older_than` seconds old.

        It waits until nothing else runs: an engine that fails is freed. The future raises as that of `ready` does.
        """
        return self._scheduler.submit(
            lambda _pause: self._resident.prove(older_than, cancel),
            priority=Priority.BACKGROUND,
            cancel=cancel,
            deadline=deadline,
        )

    def give_up(self, error: LeanVibeError, *, priority: Priority, cancel: CancelToken) -> Future[None]:
        """Free the model as one that failed with `error`, which was found outside of its engine."""
        return self._scheduler.submit(
            lambda _pause: self._resident.give_up(error), priority=priority, cancel=cancel, deadline=Deadline.never()
        )

    def unload(self, cancel: CancelToken) -> Future[None]:
        """Give the model's memory back, once nothing else runs or waits."""
        return self._scheduler.submit(
            lambda _pause: self._resident.unload(),
            priority=Priority.BACKGROUND,
            cancel=cancel,
            deadline=Deadline.never(),
        )

    def generate(
        self,
        request: GenerationRequest,
        sink: Sink,
        *,
        priority: Priority,
        cancel: CancelToken,
        deadline: Deadline,
        loaded: Loaded | None = None,
    ) -> Future[Finished]:
        """Generate with the proven model. `sink` is called on the engine thread.

        `loaded` is the model the prompt was written for: no other one is given it, the future raises ModelChanged.
        Reviews and background work run together where the backend is faster with several at once.
        """

        def hear(event: Event) -> None:
            self._scheduler.beat()
            sink(event)

        job = Job(request, hear, cancel, deadline, Future(), loaded)
        if priority in self._pools:
            return self._pools[priority].submit(job)

        def work(pause: Pause) -> Finished:
            self._resident.make_ready_for(job)
            return self._resident.generate(job, pause)

        return self._scheduler.submit(work, priority=priority, cancel=cancel, deadline=deadline)

    def close(self, timeout: float) -> bool:
        """Stop what runs, free the model; True when the engine thread ended within `timeout` seconds. Idempotent."""
        for pool in self._pools.values():
            pool.close()
        ended = self._scheduler.close(timeout)
        if ended:
            self._resident.free()
        return ended

    def _idle(self) -> float | None:
        """On the engine thread, while nothing is asked: compute ahead, or give memory back."""
        if self._has_prefix and self._resident.cold:
            return self._warm_up()
        return self._resident.free_when_unused()

    def _warm_up(self) -> float | None:
        rest = self._resident.unused_until(limit("engine.warm_milliseconds") / 1000)
        if rest > 0:
            return rest
        cancel = CancelToken()
        try:
            self._scheduler.submit(
                lambda pause: self._resident.warm(cancel, pause),
                priority=Priority.BACKGROUND,
                cancel=cancel,
                deadline=Deadline.never(),
            )
        except (Busy, Cancelled):
            return None  # there is more urgent work, or none to come
        return None
