"""The one resident model: loaded on first use, proven before it answers, asked through the scheduler.

Everything that touches the engine runs on the scheduler's thread. A load that failed is tried again at the next
request: the person may have pulled the model meanwhile.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import Alternative, Chunk, Engine, Finished, GenerationRequest, Loaded, Prefill, Sink
from leanvibe_lsp.engine.models.selftest import State, Verdict, run_selftest
from leanvibe_lsp.engine.scheduler import Priority, Scheduler
from leanvibe_lsp.engine.select import Selection
from leanvibe_lsp.errors import Cancelled, EngineError, LeanVibeError, ModelUnverified

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ready:
    """A model that may answer. `verdict` is None for the mock engine alone."""

    selection: Selection
    loaded: Loaded
    verdict: Verdict | None
    load_seconds: float
    selftest_seconds: float

    @property
    def model(self) -> str:
        """The model's name, for a person."""
        return self.selection.located.name if self.selection.located is not None else "mock"


@dataclass(frozen=True, slots=True)
class HostStatus:
    """What the host knows without asking the engine. `state`: "idle", "loading", "ready", "failed"."""

    state: str
    ready: Ready | None = None
    failure: LeanVibeError | None = None
    verdict: Verdict | None = None  # also of a model that failed the self-test
    last_inference_ms: float | None = None
    tokens_per_second: float | None = None
    requests: int = 0


class EngineHost:
    """Holds at most one loaded engine. `plan` chooses, `build` makes an engine of it; both run on the engine thread."""

    def __init__(
        self, plan: Callable[[CancelToken], Selection], build: Callable[[Selection], Engine], scheduler: Scheduler
    ) -> None:
        self._plan = plan
        self._build = build
        self._scheduler = scheduler
        self._engine: Engine | None = None  # engine thread only
        self._lock = threading.Lock()
        self._status = HostStatus("idle")

    @property
    def status(self) -> HostStatus:
        """The last known state; never waits."""
        with self._lock:
            return self._status

    @property
    def queue_depth(self) -> int:
        """Requests that wait for the model."""
        return self._scheduler.depth

    def ready(self, *, priority: Priority, cancel: CancelToken, deadline: Deadline) -> Future[Ready]:
        """Load and prove the model if that was not done yet.

        The future raises ModelError, BackendError, EngineError.
        """
        return self._scheduler.submit(
            lambda: self._make_ready(cancel), priority=priority, cancel=cancel, deadline=deadline
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
        """Generate with the proven model. `sink` is called on the engine thread."""

        def work() -> Finished:
            self._make_ready(cancel)
            engine = self._engine
            if engine is None:
                raise EngineError("The model was unloaded.", next_step="Ask again.")
            sink(Prefill(done=0, total=len(request.prompt), cached=0))  # the wait in the queue is over
            begin = time.monotonic()
            try:
                finished = engine.generate(request, sink, cancel, deadline)
            except LeanVibeError:
                raise
            except Exception as error:
                log.exception("the engine failed")
                raise EngineError(
                    f"The engine failed: {type(error).__name__}: {error}.",
                    next_step="Ask again; if it happens again, run `leanvibe doctor`.",
                ) from error
            self._note_inference(finished, time.monotonic() - begin)
            return finished

        return self._scheduler.submit(work, priority=priority, cancel=cancel, deadline=deadline)

    def close(self, timeout: float) -> bool:
        """Stop what runs, free the model; True when the engine thread ended within `timeout` seconds. Idempotent."""
        ended = self._scheduler.close(timeout)
        if ended and self._engine is not None:
            self._engine.close()
            self._engine = None
        return ended

    def _make_ready(self, cancel: CancelToken) -> Ready:
        ready = self.status.ready
        if ready is not None:
            return ready
        self._set(replace(self.status, state="loading", failure=None))
        try:
            ready = self._load(cancel)
        except Cancelled:
            self._set(replace(self.status, state="idle"))
            raise
        except LeanVibeError as error:
            self._set(replace(self.status, state="failed", failure=error))
            raise
        except Exception as error:
            # A fault of ours; without this the status would say "loading" for ever.
            failure = EngineError(f"Loading the model failed: {type(error).__name__}: {error}.")
            self._set(replace(self.status, state="failed", failure=failure))
            raise failure from error
        self._set(replace(self.status, state="ready", ready=ready))
        return ready

    def _load(self, cancel: CancelToken) -> Ready:
        begin = time.monotonic()
        selection = self._plan(cancel)
        engine = self._build(selection)
        try:
            loaded = engine.load(cancel)
            loaded_at = time.monotonic()
            verdict = self._prove(engine, loaded, selection, cancel)
        except BaseException:
            engine.close()
            raise
        self._engine = engine
        return Ready(selection, loaded, verdict, loaded_at - begin, time.monotonic() - loaded_at)

    def _prove(self, engine: Engine, loaded: Loaded, selection: Selection, cancel: CancelToken) -> Verdict | None:
        if selection.located is None:
            return None
        verdict = run_selftest(loaded, lambda prompt: next_token(engine, prompt, cancel))
        self._set(replace(self.status, verdict=verdict))
        if verdict.state is State.UNVERIFIED:
            raise ModelUnverified(
                f"{selection.located.name} loaded, but does not give the known answers ({verdict.summary}): "
                "its weights or its tokenizer are not what they should be.",
                next_step=f"Run `leanvibe models verify {selection.located.name}`, then remove and pull it again.",
            )
        return verdict

    def _note_inference(self, finished: Finished, seconds: float) -> None:
        speed = finished.timing.tokens_per_second(finished.usage.completion_tokens)
        status = self.status
        self._set(
            replace(
                status,
                last_inference_ms=seconds * 1000,
                tokens_per_second=speed or status.tokens_per_second,
                requests=status.requests + 1,
            )
        )

    def _set(self, status: HostStatus) -> None:
        with self._lock:
            self._status = status


def next_token(engine: Engine, prompt: tuple[int, ...], cancel: CancelToken) -> tuple[Alternative, ...]:
    """What the model would say next, most probable first. Raises what `Engine.generate` raises."""
    chunks: list[Chunk] = []
    request = GenerationRequest(prompt, max_tokens=1, top_logprobs=limit("engine.top_alternatives"))
    engine.generate(
        request,
        lambda event: chunks.append(event) if isinstance(event, Chunk) else None,
        cancel,
        Deadline.never(),
    )
    return chunks[0].top if chunks else ()
