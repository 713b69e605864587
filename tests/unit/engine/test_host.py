from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leanvibe_lsp.config.limits import LIMITS, limit
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.core.clock import Clock
from leanvibe_lsp.engine.base import Chunk, Engine, Event, Finished, GenerationRequest, Loaded
from leanvibe_lsp.engine.host import EngineHost, Pulse, Ready
from leanvibe_lsp.engine.ledger import Ledger
from leanvibe_lsp.engine.memory import Budget
from leanvibe_lsp.engine.models.selftest import State, Verdict
from leanvibe_lsp.engine.scheduler import Priority, Scheduler
from leanvibe_lsp.engine.select import Selection
from leanvibe_lsp.engine.suspend import Clocks
from leanvibe_lsp.errors import (
    Cancelled,
    DeadlineExceeded,
    EngineError,
    Incomplete,
    ModelChanged,
    ModelNotFound,
    ModelUnverified,
    RemoteError,
)
from tests.support.clock import ManualClock
from tests.support.engines import WAIT, EndlessEngine, KnowingEngine, SteppingEngine, located

MakeHost = Callable[..., EngineHost]
_REQUEST = GenerationRequest(tuple(map(ord, "hello")), max_tokens=8)


def _selection(_cancel: CancelToken) -> Selection:
    return Selection("llama.cpp", located(), ())


def _server(_cancel: CancelToken) -> Selection:
    return Selection("remote", None, (), "m at https://example.org/v1")


class Server(SteppingEngine):
    """As one that gives no probabilities."""

    def prove(self, loaded: Loaded, cancel: CancelToken) -> Verdict | None:
        """There is none to be had."""
        return None


@pytest.fixture
def make_host() -> Iterator[MakeHost]:
    """Hosts over a given engine or plan; all are closed after the test."""
    hosts: list[EngineHost] = []

    def make(
        engine: Engine,
        plan: Callable[[CancelToken], Selection] = _selection,
        clock: Clock | None = None,
        **options: Any,
    ) -> EngineHost:
        scheduler = Scheduler(capacity=8, clock=clock)
        hosts.append(EngineHost(plan, lambda _: engine, scheduler, clock=clock, **options))
        return hosts[-1]

    yield make
    for host in hosts:
        assert host.close(WAIT)


def ready(host: EngineHost, cancel: CancelToken | None = None) -> Future[Ready]:
    return host.ready(priority=Priority.QUESTION, cancel=cancel or CancelToken(), deadline=Deadline.never())


def submit(host: EngineHost, name: str, priority: Priority, cancel: CancelToken | None = None) -> Future[Finished]:
    request = GenerationRequest(tuple(map(ord, name)), max_tokens=8)
    return host.generate(
        request, lambda _: None, priority=priority, cancel=cancel or CancelToken(), deadline=Deadline.never()
    )


def generate(host: EngineHost, sink: Callable[[Event], Any] = lambda _: None) -> Any:
    return host.generate(
        _REQUEST, sink, priority=Priority.QUESTION, cancel=CancelToken(), deadline=Deadline.never()
    ).result(WAIT)


def test_the_model_is_loaded_once_and_on_the_engine_thread(make_host: MakeHost) -> None:
    """Many requests, one load; nothing but the owner thread touches the engine."""
    engine = KnowingEngine()
    host = make_host(engine)
    futures = [ready(host) for _ in range(5)]
    values = [future.result(WAIT) for future in futures]
    generate(host)
    assert all(value is values[0] for value in values)
    assert engine.loads == 1
    assert engine.threads == {"leanvibe-engine"}


def test_idle_loading_ready(make_host: MakeHost) -> None:
    """The status goes from idle over loading to ready, with the verdict and the facts."""
    host: EngineHost
    seen: list[str] = []
    host = make_host(KnowingEngine(on_load=lambda _: seen.append(host.status.state)))
    assert host.status.state == "idle"
    value = ready(host).result(WAIT)
    assert seen == ["loading"]
    assert host.status.state == "ready"
    assert host.status.ready is value
    assert value.model == "planted"
    assert value.verdict is not None
    assert value.verdict.state is State.VERIFIED
    assert host.status.verdict == value.verdict


def test_a_plan_that_fails_is_tried_again(make_host: MakeHost) -> None:
    """No model at first: failed, with the error; the person pulls one: the next request is answered."""
    plans = iter([ModelNotFound("none", next_step="pull"), None])

    def plan(_cancel: CancelToken) -> Selection:
        failure = next(plans)
        if failure is not None:
            raise failure
        return _selection(_cancel)

    host = make_host(KnowingEngine(), plan)
    assert isinstance(ready(host).exception(WAIT), ModelNotFound)
    assert host.status.state == "failed"
    assert isinstance(host.status.failure, ModelNotFound)
    assert host.status.ready is None
    ready(host).result(WAIT)
    assert host.status.state == "ready"
    assert host.status.failure is None


def test_a_model_that_fails_the_self_test_is_refused(make_host: MakeHost) -> None:
    """ModelUnverified with the model's name and a next step; its engine is closed; it never answers."""
    engine = KnowingEngine(logprob=-9.0)
    host = make_host(engine)
    error = ready(host).exception(WAIT)
    assert isinstance(error, ModelUnverified)
    assert "planted" in error.message
    assert "models verify planted" in error.next_step
    assert engine.closed == 1
    assert host.status.state == "failed"
    assert host.status.ready is None
    assert host.status.verdict is not None
    assert host.status.verdict.state is State.UNVERIFIED
    with pytest.raises(ModelUnverified):
        generate(host)


def test_a_fault_in_the_load_is_failed_and_not_loading(make_host: MakeHost) -> None:
    """An error without a name becomes an EngineError with the cause; the status does not say "loading" for ever."""

    def break_down(_: CancelToken) -> None:
        raise KeyError("general.architecture")

    engine = KnowingEngine(on_load=break_down)
    host = make_host(engine)
    error = ready(host).exception(WAIT)
    assert isinstance(error, EngineError)
    assert "KeyError" in error.message
    assert host.status.state == "failed"
    assert engine.closed == 1


def test_cancel_during_the_load_goes_back_to_idle(make_host: MakeHost) -> None:
    """The load stops at its next look at the token, frees what it had, and the next request loads again."""
    loading, pulled = threading.Event(), CancelToken()

    def hold(cancel: CancelToken) -> None:
        if engine.loads == 1:
            stop = threading.Event()
            cancel.on_cancel(stop.set)
            loading.set()
            assert stop.wait(WAIT)
            cancel.check()

    engine = KnowingEngine(on_load=hold)
    host = make_host(engine)
    future = ready(host, pulled)
    assert loading.wait(WAIT)
    assert host.status.state == "loading"
    pulled.cancel("changed my mind")
    assert isinstance(future.exception(WAIT), Cancelled)
    assert host.status.state == "idle"
    assert engine.closed == 1
    ready(host).result(WAIT)
    assert engine.loads == 2


def test_generate_notes_what_it_took(make_host: MakeHost) -> None:
    """After an answer the status knows its time, its speed and how many there were."""
    host = make_host(KnowingEngine())
    assert host.status.last_inference_ms is None
    events: list[Event] = []
    finished = generate(host, events.append)
    assert finished.text == "".join(event.text for event in events if isinstance(event, Chunk))
    assert host.status.last_inference_ms is not None
    assert host.status.last_inference_ms >= 0
    assert host.status.tokens_per_second == pytest.approx(50.0)
    assert host.status.requests == 1


def test_what_a_cancelled_generation_left_in_the_cache_counts(make_host: MakeHost) -> None:
    """The next question goes on from it; a model that was freed holds nothing."""
    cancel = CancelToken()
    engine = SteppingEngine(on_step=lambda _name, step: cancel.cancel("enough") if step else None)
    engine.cache_bytes = 946
    host = make_host(engine)
    with pytest.raises(Cancelled):
        submit(host, "a", Priority.QUESTION, cancel).result(WAIT)
    assert host.status.cache_bytes == 946
    host.unload(CancelToken()).result(WAIT)
    assert host.status.cache_bytes == 0


def test_the_mock_needs_no_proof(make_host: MakeHost) -> None:
    """The mock has no weights to prove: no verdict, and it is called mock."""
    host = make_host(EndlessEngine(), lambda _: Selection("mock", None, ()))
    value = ready(host).result(WAIT)
    assert value.verdict is None
    assert value.model == "mock"


def test_close_stops_what_runs_and_frees_the_engine(make_host: MakeHost) -> None:
    """A running answer is cancelled, the engine is closed once, and a second close is fine."""
    engine = EndlessEngine()
    host = make_host(engine, lambda _: Selection("mock", None, ()))
    future = host.generate(
        _REQUEST, lambda _: None, priority=Priority.QUESTION, cancel=CancelToken(), deadline=Deadline.never()
    )
    assert engine.started.wait(WAIT)
    assert host.close(WAIT)
    assert isinstance(future.exception(0), Cancelled)
    assert engine.idle.is_set()
    assert engine.closed == 1
    assert host.close(WAIT)
    assert engine.closed == 1


def test_an_unexpected_failure_has_a_name(make_host: Callable[..., EngineHost]) -> None:
    """An exception that nobody foresaw inside an engine becomes an EngineError that says what it was."""

    class Broken(KnowingEngine):
        def generate(self, request: GenerationRequest, *rest: Any) -> Finished:
            if request is _REQUEST:
                raise ZeroDivisionError("division by zero")
            return super().generate(request, *rest)

    host = make_host(Broken())
    future = host.generate(
        _REQUEST, lambda _: None, priority=Priority.QUESTION, cancel=CancelToken(), deadline=Deadline.never()
    )
    with pytest.raises(EngineError, match="ZeroDivisionError: division by zero"):
        future.result(WAIT)


def test_a_keystroke_goes_in_the_middle_of_a_review(make_host: MakeHost) -> None:
    """The review pauses at a token, the keystroke is answered whole, and the review goes on to its end."""
    inside: list[Future[Finished]] = []

    def press(name: str, step: int) -> None:
        if (name, step) == ("review", 1):
            inside.append(submit(host, "keystroke", Priority.KEYSTROKE))

    engine = SteppingEngine(on_step=press)
    host = make_host(engine)
    assert submit(host, "review", Priority.REVIEW).result(WAIT).text == "word word word "
    assert inside[0].result(WAIT).text == "word word word "
    assert engine.begun == ["review", "keystroke"]
    assert engine.ended == ["keystroke", "review"]


def test_a_failed_engine_is_freed_and_loaded_again(make_host: MakeHost) -> None:
    """A failure in a generation is reported, the engine is closed, and the next request loads and proves it again."""
    engine = SteppingEngine(on_step=lambda name, _: (_ for _ in ()).throw(Panic("odd")) if name == "bad" else None)
    host = make_host(engine)
    error = submit(host, "bad", Priority.QUESTION).exception(WAIT)
    assert isinstance(error, EngineError)
    assert "Panic: odd" in error.message
    assert (host.status.state, host.status.failure, engine.closed) == ("failed", error, 1)
    assert submit(host, "good", Priority.QUESTION).result(WAIT).text
    assert (host.status.state, host.status.failure, engine.loads) == ("ready", None, 2)


class Panic(BaseException):
    """As Rust's: no Exception."""


def test_a_load_that_crashes_is_tried_again(make_host: MakeHost) -> None:
    """Even by what is no Exception: an error with a name, the engine closed, the thread alive."""

    def crash(_: CancelToken) -> None:
        if engine.loads == 1:
            raise Panic("in the loader")

    engine = KnowingEngine(on_load=crash)
    host = make_host(engine)
    error = ready(host).exception(WAIT)
    assert isinstance(error, EngineError)
    assert "Panic: in the loader" in error.message
    assert engine.closed == 1
    assert ready(host).result(WAIT)


def test_nothing_is_freed_from_under_a_paused_generation(make_host: MakeHost) -> None:
    """The urgent one fails; the paused one ends on its engine; only then is that closed."""
    closed: list[int] = []

    def step(name: str, step: int) -> None:
        if (name, step) == ("review", 1):
            submit(host, "bad", Priority.QUESTION)
        if name == "bad":
            raise EngineError("planted")
        if (name, step) == ("review", 2):
            closed.append(engine.closed)
            assert host.status.state == "failed"

    engine = SteppingEngine(on_step=step)
    host = make_host(engine)
    assert submit(host, "review", Priority.REVIEW).result(WAIT).text
    assert closed == [0]
    assert ready(host).result(WAIT)
    assert (engine.closed, engine.loads) == (1, 2)


@pytest.mark.parametrize("error", [Cancelled("planted"), DeadlineExceeded("planted"), Incomplete("planted")])
def test_what_is_the_requests_own_frees_nothing(make_host: MakeHost, error: Exception) -> None:
    """A cancel, a deadline, a document that was cut: the engine stays as it is."""

    def step(name: str, _step: int) -> None:
        if name == "bad":
            raise error

    engine = SteppingEngine(on_step=step)
    host = make_host(engine)
    assert submit(host, "bad", Priority.QUESTION).exception(WAIT) is error
    assert (host.status.state, host.status.failure, engine.closed) == ("ready", None, 0)


def test_changed_files_are_loaded_and_proven_anew(make_host: MakeHost, tmp_path: Path) -> None:
    """A model whose file was replaced is not answered from the old one in memory."""
    path = tmp_path / "model.gguf"
    path.write_bytes(b"one")
    engine = KnowingEngine()
    host = make_host(engine, lambda _: Selection("llama.cpp", replace(located(), path=path), ()))
    ready(host).result(WAIT)
    ready(host).result(WAIT)
    assert (engine.loads, engine.closed) == (1, 0)
    path.write_bytes(b"two!")
    ready(host).result(WAIT)
    assert (engine.loads, engine.closed) == (2, 1)


def test_after_sleep_the_model_is_proven_again(make_host: MakeHost) -> None:
    """The known answers are asked before the next request is served, once; a model that fails them is refused."""
    sleep = [0.0]
    engine = KnowingEngine()
    host = make_host(engine, read_clocks=lambda: Clocks(100.0 + sleep[0], 100.0))
    ready(host).result(WAIT)
    asked = engine.generations
    ready(host).result(WAIT)
    assert engine.generations == asked
    sleep[0] = 3_600.0
    ready(host).result(WAIT)
    ready(host).result(WAIT)
    assert engine.generations == 2 * asked
    sleep[0] = 7_200.0
    engine.logprob = -9.0
    assert isinstance(ready(host).exception(WAIT), ModelUnverified)
    assert (host.status.state, engine.closed) == ("failed", 1)


def test_prove_asks_again_only_when_the_proof_is_old(make_host: MakeHost) -> None:
    """A fresh proof is taken; an old one is renewed, and its verdict is the new one."""
    clock, engine = ManualClock(), KnowingEngine()
    host = make_host(engine, clock=clock)

    def prove() -> Ready:
        return host.prove(older_than=60, cancel=CancelToken(), deadline=Deadline.never()).result(WAIT)

    first = prove()
    asked = engine.generations
    assert prove() is first
    clock.advance(61)
    assert prove().verdict == first.verdict
    assert engine.generations == 2 * asked
    assert engine.loads == 1
    assert host.status.proven_at == clock.now()


def test_an_unused_model_gives_its_memory_back(make_host: MakeHost) -> None:
    """After the time without requests the engine is closed; a pulse is no request; the next request loads again."""
    clock, engine = ManualClock(), KnowingEngine()
    host = make_host(engine, clock=clock)
    ready(host).result(WAIT)
    clock.advance(limit("engine.idle_seconds") - 1)
    assert host.pulse(WAIT).state == "ok"
    assert engine.closed == 0
    clock.advance(1)
    assert host.pulse(WAIT).state == "ok"
    assert (host.status.state, host.status.ready, engine.closed) == ("unloaded", None, 1)
    ready(host).result(WAIT)
    assert (host.status.state, engine.loads) == ("ready", 2)


def test_a_request_puts_the_end_off(make_host: MakeHost) -> None:
    """The time counts from the last use."""
    clock, engine = ManualClock(), KnowingEngine()
    host = make_host(engine, clock=clock)
    generate(host)
    clock.advance(limit("engine.idle_seconds") - 1)
    generate(host)
    clock.advance(limit("engine.idle_seconds") - 1)
    assert host.pulse(WAIT).state == "ok"
    assert engine.closed == 0


def test_the_beginning_of_prompts_is_computed_when_nothing_is_asked(make_host: MakeHost) -> None:
    """Once after each load, after a moment without requests; a failure there is nobody's."""
    clock, engine = ManualClock(), KnowingEngine()
    host = make_host(engine, clock=clock, prefix=lambda _loaded: (1, 2, 3))
    ready(host).result(WAIT)
    assert host.pulse(WAIT).state == "ok"
    assert engine.warmed == []
    clock.advance(limit("engine.warm_milliseconds") / 1000)
    assert engine.warm_done.wait(WAIT)
    assert engine.warmed == [(1, 2, 3)]
    ready(host).result(WAIT)
    clock.advance(1)
    assert host.pulse(WAIT).alive
    assert engine.warmed == [(1, 2, 3)]


def test_a_pulse_says_how_things_stand(make_host: MakeHost) -> None:
    """Idle: ok. At work: busy, and for how long it was silent; stalled after the limit. Closed: closed."""
    clock, working, go_on = ManualClock(), threading.Event(), threading.Event()

    def hang(name: str, step: int) -> None:
        if name == "hang":
            working.set()
            assert go_on.wait(WAIT)

    host = make_host(SteppingEngine(on_step=hang), clock=clock)
    assert host.pulse(WAIT).state == "ok"
    future = submit(host, "hang", Priority.QUESTION)
    assert working.wait(WAIT)
    clock.advance(limit("health.silent_seconds") - 1)
    busy = host.pulse(0.01)
    assert (busy, busy.alive) == (Pulse("busy", (limit("health.silent_seconds") - 1) * 1000), True)
    clock.advance(1)
    stalled = host.pulse(0.01)
    assert host.status.state == "ready"
    assert (stalled.state, stalled.alive) == ("stalled", False)
    answered: list[Pulse] = []
    asking = threading.Thread(target=lambda: answered.append(host.pulse(WAIT)))
    asking.start()
    go_on.set()
    asking.join(WAIT)
    future.result(WAIT)
    assert answered[0].alive
    host.close(WAIT)
    assert host.pulse(WAIT).state == "closed"


def test_what_an_engine_says_is_a_sign_of_life(make_host: MakeHost) -> None:
    """An engine that never looks at its pause, and tells a token: the silence begins anew."""
    clock, told, go_on = ManualClock(), threading.Event(), threading.Event()

    class Talking(KnowingEngine):
        def generate(self, request: GenerationRequest, sink: Any, *rest: Any) -> Finished:
            if request.max_tokens == 1:
                return super().generate(request, sink, *rest)
            clock.advance(limit("health.silent_seconds"))
            sink(Chunk("word", 1, -0.1))
            told.set()
            assert go_on.wait(WAIT)
            return super().generate(request, sink, *rest)

    host = make_host(Talking(), clock=clock)
    future = submit(host, "q", Priority.QUESTION)
    assert told.wait(WAIT)
    assert host.pulse(0.01) == Pulse("busy", 0.0)
    go_on.set()
    assert future.result(WAIT).text


def test_a_server_may_be_silent_longer(make_host: MakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the first byte of its answer may take."""
    monkeypatch.setitem(LIMITS, "health.silent_seconds", replace(LIMITS["health.silent_seconds"], default=1))
    clock, working, go_on = ManualClock(), threading.Event(), threading.Event()

    def hang(name: str, _step: int) -> None:
        if name == "q":
            working.set()
            assert go_on.wait(WAIT)

    host = make_host(Server(on_step=hang), _server, clock=clock)
    future = submit(host, "q", Priority.QUESTION)
    assert working.wait(WAIT)
    clock.advance(limit("remote.first_byte_seconds") - 1)
    assert host.pulse(0.01).state == "busy"
    clock.advance(1)
    assert host.pulse(0.01).state == "stalled"
    go_on.set()
    future.result(WAIT)


def test_an_idle_thread_is_silent_from_the_question_on() -> None:
    """However long nothing was asked before, it is not called stalled for that."""
    clock, stuck, go_on = ManualClock(), threading.Event(), threading.Event()
    scheduler = Scheduler(capacity=1, clock=clock)
    assert clock.asleep.acquire(timeout=WAIT)

    def hang() -> None:
        stuck.set()
        assert go_on.wait(WAIT)

    scheduler.when_idle(hang)
    assert stuck.wait(WAIT)
    clock.advance(3_600)
    scheduler.pulse().cancel()
    assert scheduler.silence == 0
    clock.advance(5)
    scheduler.pulse()
    assert scheduler.silence == 5
    go_on.set()
    assert scheduler.close(WAIT)


def test_a_load_is_not_called_stalled_before_its_time(make_host: MakeHost) -> None:
    """C++ cannot be asked while it loads: "loading" and since when, until the generous limit has passed."""
    clock, loading, go_on = ManualClock(), threading.Event(), threading.Event()

    def hold(_: CancelToken) -> None:
        loading.set()
        assert go_on.wait(WAIT)

    host = make_host(KnowingEngine(on_load=hold), clock=clock)
    future = ready(host)
    assert loading.wait(WAIT)
    clock.advance(3)
    assert host.pulse(0.01) == Pulse("loading", 3_000.0)
    clock.advance(limit("health.loading_seconds"))
    assert host.pulse(0.01).state == "stalled"
    go_on.set()
    future.result(WAIT)


def test_a_server_that_failed_is_kept_and_the_status_says_so(make_host: MakeHost) -> None:
    """A bad minute of a server costs no new connection; the next answer clears the failure."""

    def step(name: str, _step: int) -> None:
        if name == "bad":
            raise RemoteError("503")

    engine = Server(on_step=step)
    host = make_host(engine, _server)
    assert isinstance(submit(host, "bad", Priority.QUESTION).exception(WAIT), RemoteError)
    assert isinstance(host.status.failure, RemoteError)
    assert host.status.ready is not None
    assert (host.status.ready.verdict, host.status.ready.is_mock, engine.closed) == (None, False, 0)
    assert host.name == "m at https://example.org/v1 on remote"
    submit(host, "good", Priority.QUESTION).result(WAIT)
    assert host.status.failure is None


def test_who_waits_while_a_load_fails_gets_its_error(make_host: MakeHost) -> None:
    """One load for all of them; who asks afterwards has a load of their own."""
    loading, go_on = threading.Event(), threading.Event()

    def fail(_: CancelToken) -> None:
        loading.set()
        assert go_on.wait(WAIT)
        raise EngineError("dead")

    engine = KnowingEngine(on_load=fail)
    host = make_host(engine)
    first = ready(host)
    assert loading.wait(WAIT)
    others = [ready(host) for _ in range(3)]
    go_on.set()
    assert all(future.exception(WAIT) is first.exception(WAIT) for future in others)
    assert engine.loads == 1
    assert isinstance(ready(host).exception(WAIT), EngineError)
    assert engine.loads == 2


def generate_for(host: EngineHost, loaded: Loaded, priority: Priority = Priority.QUESTION) -> Future[Finished]:
    return host.generate(
        _REQUEST, lambda _: None, priority=priority, cancel=CancelToken(), deadline=Deadline.never(), loaded=loaded
    )


@pytest.mark.parametrize("priority", [Priority.QUESTION, Priority.REVIEW])
def test_a_prompt_is_given_to_its_own_model_only(make_host: MakeHost, tmp_path: Path, priority: Priority) -> None:
    """The file was exchanged, or the model freed, since the prompt was written: ModelChanged, nothing generated."""
    path = tmp_path / "model.gguf"
    path.write_bytes(b"one")
    engine = SteppingEngine()
    host = make_host(engine, lambda _: Selection("llama.cpp", replace(located(), path=path), ()))
    loaded = ready(host).result(WAIT).loaded
    assert generate_for(host, loaded, priority).result(WAIT).text
    path.write_bytes(b"two!")
    assert isinstance(generate_for(host, loaded, priority).exception(WAIT), ModelChanged)
    assert engine.begun == ["hello"]
    loaded = ready(host).result(WAIT).loaded
    assert generate_for(host, loaded, priority).result(WAIT).text
    host.unload(CancelToken()).result(WAIT)
    loads = engine.loads
    assert isinstance(generate_for(host, loaded, priority).exception(WAIT), ModelChanged)
    assert engine.loads == loads


def test_files_that_change_in_a_pause_are_seen_after_it(make_host: MakeHost, tmp_path: Path) -> None:
    """The keystroke in the middle is answered by the model that is there; the next request loads the new one."""
    path = tmp_path / "model.gguf"
    path.write_bytes(b"one")
    inside: list[Future[Finished]] = []

    def press(name: str, step: int) -> None:
        if (name, step) == ("review", 1):
            path.write_bytes(b"two!")
            inside.append(submit(host, "keystroke", Priority.KEYSTROKE))

    engine = SteppingEngine(on_step=press)
    host = make_host(engine, lambda _: Selection("llama.cpp", replace(located(), path=path), ()))
    assert submit(host, "review", Priority.REVIEW).result(WAIT).text
    assert inside[0].result(WAIT).text
    assert (engine.ended, engine.loads, engine.closed) == (["keystroke", "review"], 1, 0)
    ready(host).result(WAIT)
    assert (engine.loads, engine.closed) == (2, 1)


def test_a_model_that_is_given_up_is_freed(make_host: MakeHost) -> None:
    """The status says why; the next request loads it again."""
    engine, error = KnowingEngine(), EngineError("no prompt can be written for it")
    host = make_host(engine)
    ready(host).result(WAIT)
    host.give_up(error, priority=Priority.QUESTION, cancel=CancelToken()).result(WAIT)
    assert (host.status.state, host.status.failure, engine.closed) == ("failed", error, 1)
    assert ready(host).result(WAIT)
    assert engine.loads == 2


def test_a_model_that_is_pulled_takes_over_from_the_server(make_host: MakeHost) -> None:
    """With the next request; while there is none here, the server is not connected to anew."""
    plans = [_server]
    engine = Server()
    host = make_host(engine, lambda cancel: plans[-1](cancel))
    ready(host).result(WAIT)
    assert ready(host).result(WAIT).selection.is_remote
    assert engine.loads == 1
    plans.append(_selection)
    assert ready(host).result(WAIT).model == "planted"
    assert (engine.loads, engine.closed) == (2, 1)


def test_the_ledger_knows_what_a_host_holds(make_host: MakeHost) -> None:
    """From the load to the end of the model; nothing for a load that failed."""
    books: list[int] = []
    ledger = Ledger(lambda held, coming: Budget(1 << 40, 0, 0, books.append(held) or held, coming))

    def held() -> int:
        ledger.reserve("somebody", "a model", 0)
        return books[-1]

    dead: list[bool] = []

    def load(_: CancelToken) -> None:
        if dead:
            raise EngineError("dead")

    def plan(cancel: CancelToken) -> Selection:
        ledger.reserve(host, "a model", 7)
        return _selection(cancel)

    host: EngineHost = make_host(KnowingEngine(on_load=load), plan, ledger=ledger)
    ready(host).result(WAIT)
    assert held() == 1_000_000
    host.unload(CancelToken()).result(WAIT)
    assert held() == 0
    dead.append(True)
    assert ready(host).exception(WAIT)
    assert held() == 0
