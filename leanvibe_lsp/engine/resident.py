"""The model in memory: loaded on first use, proven before it answers, freed when nobody asks. The engine thread's own.

A load that failed is tried again at the next request: the person may have pulled the model meanwhile. Before it serves
a request the model is proven anew when the machine was asleep, and loaded anew when its files changed. An engine that
failed is freed, and the next request loads it again. Nothing is taken from under a paused generation.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.core.clock import Clock
from leanvibe_lsp.engine.base import BatchEngine, Engine, Finished, Job, Loaded, Pause, Prefill
from leanvibe_lsp.engine.batching import Take
from leanvibe_lsp.engine.circuit import may_fall_back
from leanvibe_lsp.engine.ledger import Ledger
from leanvibe_lsp.engine.listener import Listener
from leanvibe_lsp.engine.models.selftest import Verdict
from leanvibe_lsp.engine.proof import Stamps, file_stamps, identity, prove, refuse
from leanvibe_lsp.engine.select import Selection
from leanvibe_lsp.engine.status import HostStatus, Ready
from leanvibe_lsp.engine.suspend import Clocks, ReadClocks, asleep_between
from leanvibe_lsp.errors import Cancelled, EngineError, LeanVibeError, ModelChanged

log = logging.getLogger(__name__)
# The ids that every prompt for this model begins with.
StablePrefix = Callable[[Loaded], tuple[int, ...]]


class Resident:
    """At most one loaded engine. Only `status`, `name` and `failed_loads` may be read from other threads."""

    def __init__(
        self,
        plan: Callable[[CancelToken], Selection],
        build: Callable[[Selection], Engine],
        *,
        prefix: StablePrefix | None,
        clock: Clock,
        read_clocks: ReadClocks,
        ledger: Ledger,
        owner: object,
    ) -> None:
        self._plan = plan
        self._build = build
        self._prefix = prefix
        self._clock = clock
        self._read_clocks = read_clocks
        self._ledger = ledger
        self._owner = owner  # in the ledger
        self._lock = threading.Lock()
        self._status = HostStatus("idle", since=clock.now())
        self._engine: Engine | None = None
        self._users = 0  # generations that run or are paused
        self._in_batch = False
        self.failed_loads = 0  # how many failed so far; may be read from other threads
        self._stamps: Stamps = {}
        self.name: str | None = None  # of what was chosen last, also when it failed
        self._awake: Clocks | None = None
        self._used_at = 0.0
        self.cold = False  # loaded, and the beginning of prompts not computed yet

    @property
    def status(self) -> HostStatus:
        """The last known state; never waits."""
        with self._lock:
            return self._status

    def make_ready(self, cancel: CancelToken, *, failed_loads: int | None = None) -> Ready:
        """The model, loaded and proven. Raises ModelError, BackendError, EngineError.

        `failed_loads` is what that was when the request came: who waited while a load failed gets its error.
        """
        status = self.status
        ready = status.ready
        if self._users:  # what was true when the paused generation began is taken as true
            if ready is None:
                raise status.failure or EngineError("The engine failed.", next_step="Ask again.")
            return ready
        if ready is None and status.failure is not None and failed_loads not in (None, self.failed_loads):
            raise status.failure
        if ready is not None and self._is_outdated(ready, cancel):
            self._unload("idle")
            ready = None
        if ready is None:
            return self._load(cancel)
        if asleep_between(self._awake, self._read_clocks()) >= limit("engine.asleep_seconds"):
            log.info("the machine was asleep")
            return self._prove_again(ready, cancel)
        return ready

    def prove(self, older_than: float, cancel: CancelToken) -> Ready:
        """The model, with a proof of at most `older_than` seconds. Never while a generation is paused."""
        ready, proven_at = self.make_ready(cancel), self.status.proven_at
        fresh = proven_at is not None and self._clock.now() - proven_at <= older_than
        return ready if fresh else self._prove_again(ready, cancel)

    def make_ready_for(self, job: Job) -> Ready:
        """The model, for a prompt that is written. Raises ModelChanged where that is another model's."""
        if job.loaded is not None and self.status.ready is None:
            raise _another_model()  # which one comes next is not known: nothing is loaded for it
        ready = self.make_ready(job.cancel)
        if not _is_for(job, ready.loaded):
            raise _another_model()
        return ready

    def generate(self, job: Job, pause: Pause) -> Finished:
        """One generation; its future is the caller's business. Raises what `Engine.generate` raises."""
        listener = Listener(job.sink)
        with self._in_use() as engine, listener.answering(), self._watched():
            listener.hear(Prefill(done=0, total=len(job.request.prompt), cached=0))  # the wait in the queue is over
            begin = time.monotonic()
            finished = engine.generate(job.request, listener.hear, job.cancel, job.deadline, pause)
            self._note(finished, time.monotonic() - begin)
        return finished

    def run_jobs(self, job: Job, take: Take, pause: Pause) -> None:
        """`job`, which `take` gives first, and those that wait with it where the backend is faster with several."""
        ready = self.make_ready_for(job)

        def take_own(count: int) -> list[Job]:
            return [one for one in take(count) if self._is_own(one, ready.loaded)]

        with self._in_use() as engine:
            if not isinstance(engine, BatchEngine) or engine.lanes < 2 or self._in_batch:
                for one in take_own(1):
                    one.future.set_result(self.generate(one, pause))
                return

            def take_begun(count: int) -> list[Job]:
                return [one for one in take_own(count) if self._begin(one)]

            self._in_batch = True
            try:
                with self._watched():
                    engine.generate_batch(take_begun, pause)
            finally:
                self._in_batch = False

    def warm(self, cancel: CancelToken, pause: Pause) -> None:
        """Compute the beginning that all prompts share; a failure costs only time later."""
        ready, self.cold = self.status.ready, False
        if ready is None or self._prefix is None:
            return
        try:
            with self._in_use() as engine:
                prefix = self._prefix(ready.loaded)
                if prefix:
                    engine.warm(prefix, cancel, pause)
        except Cancelled:
            log.debug("the prompt's beginning was not computed ahead: the engine is shutting down")
        except Exception:
            log.exception("the prompt's beginning was not computed ahead")

    def unused_until(self, seconds: float) -> float:
        """How many seconds are left until the model was not used for `seconds`."""
        return self._used_at + seconds - self._clock.now()

    def free_when_unused(self) -> float | None:
        """Free a model that nobody asked for long; else the seconds until then, None for never."""
        seconds = limit("engine.idle_seconds")
        if self._engine is None or not seconds:
            return None
        rest = self.unused_until(seconds)
        if rest > 0:
            return rest
        log.info("nobody asked the model for %s seconds", seconds)
        self._unload("unloaded")
        return None

    def unload(self) -> None:
        """Give the memory back. Never while a generation is paused."""
        if self._engine is not None:
            self._unload("unloaded")

    def give_up(self, error: LeanVibeError) -> None:
        """The model is of no use, for a reason that was found outside: it is freed, as one that failed."""
        self._judge(error)
        if not self._users and self.status.state == "failed":
            self.free()

    def free(self) -> None:
        """Close the engine. Idempotent; never raises."""
        engine, self._engine, self.cold = self._engine, None, False
        try:
            if engine is not None:
                engine.close()
        except Exception:
            log.exception("the engine did not close")
        self._ledger.release(self._owner)

    def _load(self, cancel: CancelToken) -> Ready:
        self._set(replace(self.status, state="loading", failure=None, since=self._clock.now()))
        with self._answering_for_the_load():
            begin = time.monotonic()
            selection = self._plan(cancel)
            self.name = selection.name
            self._stamps = file_stamps(selection.located)
            self._engine = engine = self._build(selection)
            loaded = engine.load(cancel)
            self._ledger.hold(self._owner, loaded.memory_bytes)
            loaded_at = time.monotonic()
            verdict = self._prove(engine, loaded, selection, cancel)
            ready = Ready(
                selection,
                loaded,
                verdict,
                loaded_at - begin,
                time.monotonic() - loaded_at,
                identity(selection, loaded.device, self._stamps),
            )
        self._used_at, self.cold = self._clock.now(), True
        self._set(replace(self.status, state="ready", ready=ready, since=self._used_at))
        return ready

    def _is_outdated(self, ready: Ready, cancel: CancelToken) -> bool:
        """Its files changed; or a server answers for want of a model here, and there is one now."""
        if file_stamps(ready.selection.located) != self._stamps:
            log.info("the files of %s changed", ready.model)
            return True
        if not ready.selection.is_remote:
            return False
        try:
            with self._answering_for_the_load():
                return self._plan(cancel).name != ready.selection.name
        finally:
            self._ledger.release(self._owner)  # a server takes no memory here

    def _prove_again(self, ready: Ready, cancel: CancelToken) -> Ready:
        with self._answering_for_the_load(), self._in_use() as engine:
            begin = time.monotonic()
            verdict = self._prove(engine, ready.loaded, ready.selection, cancel)
        ready = replace(ready, verdict=verdict, selftest_seconds=time.monotonic() - begin)
        self._set(replace(self.status, ready=ready))
        return ready

    def _prove(self, engine: Engine, loaded: Loaded, selection: Selection, cancel: CancelToken) -> Verdict | None:
        awake = self._read_clocks()
        verdict = prove(engine, loaded, selection, cancel)
        self._awake = awake
        self._set(replace(self.status, verdict=verdict, proven_at=self._clock.now()))
        refuse(verdict, selection)
        return verdict

    @contextmanager
    def _answering_for_the_load(self) -> Iterator[None]:
        """What goes wrong while a model is loaded or proven frees it, and the status says what it was."""
        try:
            yield
        except Cancelled:
            if self.status.state == "loading":
                self._unload("idle")
            raise
        except LeanVibeError as error:
            self._fail(error)
            raise
        except BaseException as error:
            # A fault of ours or of a library; Rust's panics are no Exception, and "loading" must not stay for ever.
            log.exception("loading the model failed")
            failure = EngineError(f"Loading the model failed: {type(error).__name__}: {error}.")
            self._fail(failure)
            raise failure from error

    @contextmanager
    def _in_use(self) -> Iterator[Engine]:
        """The engine, which stays until the last of its users has left."""
        if self._engine is None:
            raise EngineError("The model was unloaded.", next_step="Ask again.")
        self._users += 1
        try:
            yield self._engine
        finally:
            self._users -= 1
            self._used_at = self._clock.now()
            if not self._users and self.status.state == "failed":
                self.free()
            held = self._engine.cache_bytes if self._engine is not None else 0
            self._set(replace(self.status, cache_bytes=held))

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """What an engine raises has a name afterwards; a failure of its own ends its use."""
        try:
            yield
        except LeanVibeError as error:
            self._judge(error)
            raise
        except BaseException as error:
            log.exception("the engine failed")
            failure = EngineError(
                f"The engine failed: {type(error).__name__}: {error}.",
                next_step="Ask again; if it happens again, run `leanvibe doctor`.",
            )
            self._judge(failure)
            raise failure from error

    def _judge(self, error: BaseException) -> None:
        """An engine that failed is not trusted any more. A server may have a bad minute: only the status says so."""
        ready = self.status.ready
        if not isinstance(error, LeanVibeError) or not may_fall_back(error) or ready is None:
            return
        if ready.selection.is_remote:
            self._set(replace(self.status, failure=error))
        else:
            self._set(replace(self.status, state="failed", ready=None, failure=error, since=self._clock.now()))

    def _is_own(self, job: Job, loaded: Loaded) -> bool:
        """False, and the job has its end, when its prompt is another model's."""
        if not _is_for(job, loaded):
            job.future.set_exception(_another_model())
            return False
        return True

    def _begin(self, job: Job) -> bool:
        """Tell a job of a batch that its turn has come; False when it does not even take that."""
        begin = time.monotonic()

        def note(future: Future[Finished]) -> None:
            error = future.exception()
            if error is None:
                self._note(future.result(), time.monotonic() - begin)
            else:
                self._judge(error)

        try:
            job.sink(Prefill(done=0, total=len(job.request.prompt), cached=0))
        except Exception as error:  # noqa: BLE001 - what a listener raises ends its own request
            job.future.set_exception(error)
            return False
        job.future.add_done_callback(note)
        return True

    def _note(self, finished: Finished, seconds: float) -> None:
        speed = finished.timing.tokens_per_second(finished.usage.completion_tokens)
        status = self.status
        self._set(
            replace(
                status,
                failure=None if status.state == "ready" else status.failure,
                last_inference_ms=seconds * 1000,
                tokens_per_second=speed or status.tokens_per_second,
                requests=status.requests + 1,
            )
        )

    def _fail(self, failure: LeanVibeError) -> None:
        self._unload("failed", failure)
        self.failed_loads += 1

    def _unload(self, state: str, failure: LeanVibeError | None = None) -> None:
        """Free it; nothing uses it."""
        self.free()
        self._set(
            replace(self.status, state=state, ready=None, failure=failure, cache_bytes=0, since=self._clock.now())
        )

    def _set(self, status: HostStatus) -> None:
        with self._lock:
            self._status = status


def _is_for(job: Job, loaded: Loaded) -> bool:
    return job.loaded is None or job.loaded is loaded


def _another_model() -> ModelChanged:
    return ModelChanged("The model was exchanged while the prompt was written.", next_step="Ask again.")
