"""One model, asked through the scheduler: what may be called from any thread. What it holds is a `Resident`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.core.clock import Clock
from leanvibe_lsp.engine.base import Engine, Event, Finished, GenerationRequest, Job, Pause, Sink
from leanvibe_lsp.engine.batching import Pool
from leanvibe_lsp.engine.resident import Resident, StablePrefix
from leanvibe_lsp.engine.scheduler import Priority, Scheduler
from leanvibe_lsp.engine.select import Selection
from leanvibe_lsp.engine.status import HostStatus, Pulse, Ready
from leanvibe_lsp.engine.suspend import ReadClocks, read_clocks
from leanvibe_lsp.errors import Busy, Cancelled

__all__ = ["EngineHost", "HostStatus", "Pulse", "Ready"]


class EngineHost:
    """Holds at most one loaded engine. `plan` chooses, `build` makes an engine of it; both run on the engine thread."""

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
    ) -> None:
        self._scheduler = scheduler
        self._name = name
        self._has_prefix = prefix is not None
        self._clock = clock or Clock()
        self._resident = Resident(plan, build, prefix=prefix, clock=self._clock, read_clocks=read_clocks)
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
        """Ask the engine's own thread for a sign of life, and wait for it up to `timeout` seconds."""
        begin, busy = self._clock.now(), self._scheduler.busy
        try:
            pulse = self._scheduler.pulse()
        except Cancelled:
            return Pulse("closed", 0.0)
        try:
            pulse.result(timeout)
        except TimeoutError:
            pulse.cancel()
            status, now = self.status, self._clock.now()
            if status.state != "loading":
                return Pulse("stalled", (now - begin) * 1000)
            state = "loading" if now - status.since < limit("health.loading_seconds") else "stalled"
            return Pulse(state, (now - status.since) * 1000)
        return Pulse("busy" if busy else "ok", (self._clock.now() - begin) * 1000)

    def ready(self, *, priority: Priority, cancel: CancelToken, deadline: Deadline) -> Future[Ready]:
        """Load and prove the model if that was not done yet.

        The future raises ModelError, BackendError, EngineError.
        """
        return self._scheduler.submit(
            lambda _pause: self._resident.make_ready(cancel), priority=priority, cancel=cancel, deadline=deadline
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

    def generate(
        self,
        request: GenerationRequest,
        sink: Sink,
        *,
        priority: Priority,
        cancel: CancelToken,
        deadline: Deadline,
    ) -> Future[Finished]:
        """Generate with the proven model. `sink` is called on the engine thread.

        Reviews and background work run together where the backend is faster with several at once.
        """

        def hear(event: Event) -> None:
            self._scheduler.beat()
            sink(event)

        if priority in self._pools:
            return self._pools[priority].submit(request, hear, cancel=cancel, deadline=deadline)
        job = Job(request, hear, cancel, deadline, Future())

        def work(pause: Pause) -> Finished:
            self._resident.make_ready(cancel)
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
