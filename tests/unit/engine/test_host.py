from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import Chunk, Engine, Event, Finished, GenerationRequest
from leanvibe_lsp.engine.host import EngineHost, Ready
from leanvibe_lsp.engine.models.selftest import State
from leanvibe_lsp.engine.scheduler import Priority, Scheduler
from leanvibe_lsp.engine.select import Selection
from leanvibe_lsp.errors import Cancelled, EngineError, ModelNotFound, ModelUnverified
from tests.support.engines import WAIT, EndlessEngine, KnowingEngine, located

MakeHost = Callable[..., EngineHost]
_REQUEST = GenerationRequest(tuple(map(ord, "hello")), max_tokens=8)


def _selection(_cancel: CancelToken) -> Selection:
    return Selection("llama.cpp", located(), ())


@pytest.fixture
def make_host() -> Iterator[MakeHost]:
    """Hosts over a given engine or plan; all are closed after the test."""
    hosts: list[EngineHost] = []

    def make(engine: Engine, plan: Callable[[CancelToken], Selection] = _selection) -> EngineHost:
        hosts.append(EngineHost(plan, lambda _: engine, Scheduler(capacity=8)))
        return hosts[-1]

    yield make
    for host in hosts:
        assert host.close(WAIT)


def ready(host: EngineHost, cancel: CancelToken | None = None) -> Future[Ready]:
    return host.ready(priority=Priority.QUESTION, cancel=cancel or CancelToken(), deadline=Deadline.never())


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
