from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import Finished, GenerationRequest, Loaded
from leanvibe_lsp.engine.host import EngineHost
from leanvibe_lsp.engine.scheduler import Priority, Scheduler
from leanvibe_lsp.engine.select import Selection
from leanvibe_lsp.errors import Cancelled, DeadlineExceeded, EngineError, ModelChanged
from tests.support.engines import WAIT, LanesEngine, SteppingEngine, located


class Room:
    """A host over an engine whose work named "gate" waits until it is opened."""

    def __init__(self, engine: SteppingEngine) -> None:
        self.engine = engine
        engine.on_step = self._step
        self.open, self.reached = threading.Event(), threading.Event()
        self.host = EngineHost(
            lambda _: Selection("llama.cpp", located(), ()), lambda _: engine, Scheduler(capacity=32)
        )
        self.gate = self.submit("gate", priority=Priority.QUESTION)
        assert self.reached.wait(WAIT)

    def _step(self, name: str, step: int) -> None:
        if name == "gate" and step == 0:
            self.reached.set()
            assert self.open.wait(WAIT)

    def submit(
        self,
        name: str,
        *,
        priority: Priority = Priority.REVIEW,
        cancel: CancelToken | None = None,
        deadline: Deadline | None = None,
        loaded: Loaded | None = None,
    ) -> Future[Finished]:
        """A generation whose prompt is its name."""
        request = GenerationRequest(tuple(map(ord, name)), max_tokens=8)
        return self.host.generate(
            request,
            lambda _: None,
            priority=priority,
            cancel=cancel or CancelToken(),
            deadline=deadline or Deadline.never(),
            loaded=loaded,
        )

    def close(self) -> None:
        """Open the gate and end the thread."""
        self.open.set()
        assert self.host.close(WAIT)


@pytest.fixture
def room() -> Iterator[Room]:
    """Two lanes."""
    made = Room(LanesEngine(lanes=2))
    yield made
    made.close()


def lanes(room: Room) -> list[tuple[str, ...]]:
    assert isinstance(room.engine, LanesEngine)
    return room.engine.rounds


def test_reviews_that_wait_run_together(room: Room) -> None:
    """Two at once, the next one as soon as a lane is free; the queue is empty afterwards."""
    futures = [room.submit(name) for name in "abc"]
    assert room.host.queue_depth == 3
    room.open.set()
    assert all(future.result(WAIT).text for future in futures)
    assert lanes(room) == [("a", "b")] * 3 + [("c",)] * 3
    assert room.host.queue_depth == 0
    assert room.host.status.requests == 4


def test_classes_are_not_mixed(room: Room) -> None:
    """Background work does not fill a review's lanes: it would hold the next review up."""
    futures = [room.submit("b", priority=Priority.BACKGROUND), room.submit("r")]
    room.open.set()
    wait(futures, WAIT)
    assert lanes(room) == [("r",)] * 3 + [("b",)] * 3


def test_one_that_was_cancelled_while_it_waited_never_starts(room: Room) -> None:
    """By its token, by its owner, by its deadline: each ends as it should, and the others run."""
    token = CancelToken()
    cancelled = room.submit("a", cancel=token)
    given_up = room.submit("b")
    late = room.submit("c", deadline=Deadline.after(0))
    kept = room.submit("d")
    token.cancel("not needed")
    assert isinstance(cancelled.exception(0), Cancelled)
    assert given_up.cancel()
    room.open.set()
    assert kept.result(WAIT).text
    assert isinstance(late.exception(WAIT), DeadlineExceeded)
    assert {name for names in lanes(room) for name in names} == {"d"}


def test_a_cancel_in_a_batch_is_ones_own(room: Room) -> None:
    """One lane ends, the other goes on to its end: also when it is the one whose turn began the batch."""
    token = CancelToken()
    first, second = room.submit("a", cancel=token), room.submit("b")
    step = room.engine.on_step
    room.engine.on_step = lambda name, at: token.cancel() if (name, at) == ("a", 1) else step(name, at)
    room.open.set()
    assert isinstance(first.exception(WAIT), Cancelled)
    assert second.result(WAIT).text


def test_close_cancels_those_that_run_together(room: Room) -> None:
    """A whole batch and what waits behind it."""
    begun, tokens = threading.Event(), [CancelToken() for _ in range(3)]
    pulled = threading.Event()
    tokens[1].on_cancel(pulled.set)

    def hold(name: str, _step: int) -> None:
        if name == "b":
            begun.set()
            assert pulled.wait(WAIT)

    futures = [room.submit(name, cancel=token) for name, token in zip("abc", tokens, strict=True)]
    step = room.engine.on_step
    room.engine.on_step = lambda name, at: hold(name, at) or step(name, at)
    room.open.set()
    assert begun.wait(WAIT)
    assert room.host.close(WAIT)
    assert [type(future.exception(WAIT)) for future in futures] == [Cancelled] * 3


def test_a_batch_that_breaks_down_settles_everybody(room: Room) -> None:
    """An error that says so for each that ran, the engine freed; who waits behind has an end too."""
    engine = room.engine
    assert isinstance(engine, LanesEngine)
    engine.fails_after = 1
    futures = [room.submit(name) for name in "ab"]
    behind = room.submit("c", priority=Priority.BACKGROUND)
    room.open.set()
    for future in futures:
        assert isinstance(future.exception(WAIT), EngineError)
        assert "the batch broke down" in str(future.exception())
    wait([behind], WAIT)
    assert behind.done()
    assert engine.closed >= 1


def test_a_question_goes_in_the_middle_of_a_batch(room: Room) -> None:
    """More urgent work gets its turn at the batch's boundary."""
    urgent: list[Future[Finished]] = []

    def ask(name: str, step: int) -> None:
        if (name, step) == ("b", 0):
            urgent.append(room.submit("question", priority=Priority.QUESTION))

    futures = [room.submit(name) for name in "ab"]
    step = room.engine.on_step
    room.engine.on_step = lambda name, at: ask(name, at) or step(name, at)
    room.open.set()
    wait(futures, WAIT)
    assert urgent[0].result(WAIT).text
    assert len(lanes(room)) == 3


def test_without_lanes_one_after_the_other() -> None:
    """A backend that gains nothing by it runs them in their order of arrival."""
    room = Room(SteppingEngine())
    futures = [room.submit(name) for name in "abc"]
    room.open.set()
    wait(futures, WAIT)
    assert room.engine.ended == ["gate", "a", "b", "c"]
    room.close()


_FATES = st.sampled_from(["ends", "cancelled", "given up", "late", "cancelled in it"])


@given(
    st.lists(st.tuples(_FATES, st.sampled_from([Priority.REVIEW, Priority.BACKGROUND])), max_size=10), st.integers(1, 4)
)
def test_each_settles_exactly_once(jobs: list[tuple[str, Priority]], count: int) -> None:
    """Whatever happens to the others, and however many lanes there are; nothing is left in the queue."""
    room = Room(LanesEngine(lanes=count))
    tokens = {str(number): CancelToken() for number in range(len(jobs))}
    ends: list[str] = []
    step = room.engine.on_step

    def on_step(name: str, at: int) -> None:
        step(name, at)
        if name in tokens and jobs[int(name)][0] == "cancelled in it":
            tokens[name].cancel()

    room.engine.on_step = on_step
    futures: list[Future[Finished]] = []
    for (fate, priority), (name, token) in zip(jobs, tokens.items(), strict=True):
        deadline = Deadline.after(0) if fate == "late" else None
        futures.append(room.submit(name, priority=priority, cancel=token, deadline=deadline))
        futures[-1].add_done_callback(lambda _, name=name: ends.append(name))
    for (fate, _), token, future in zip(jobs, tokens.values(), futures, strict=True):
        if fate == "cancelled":
            token.cancel()
        if fate == "given up":
            future.cancel()
    room.open.set()
    _, left = wait(futures, WAIT)
    room.close()
    assert left == set()
    assert sorted(ends) == sorted(tokens)
    for (fate, _), future in zip(jobs, futures, strict=True):
        assert future.cancelled() == (fate == "given up")
        if fate == "ends":
            assert future.result().text
    assert room.host.queue_depth == 0


def test_a_batch_in_a_pause_runs_one_by_one(room: Room) -> None:
    """The backend runs one batch at a time; a review in the middle of background work has its turn all the same."""
    engine, depth, deepest = room.engine, [0], [0]
    assert isinstance(engine, LanesEngine)
    real, inside = engine.generate_batch, []

    def count(*arguments: Any) -> None:
        depth[0] += 1
        deepest[0] = max(deepest[0], depth[0])
        real(*arguments)
        depth[0] -= 1

    def step(name: str, step: int) -> None:
        room._step(name, step)
        if (name, step) == ("b", 0):
            inside.append(room.submit("r"))

    engine.on_step = step
    engine.generate_batch = count  # type: ignore[method-assign]
    background = room.submit("b", priority=Priority.BACKGROUND)
    room.open.set()
    assert background.result(WAIT).text
    assert inside[0].result(WAIT).text
    assert (engine.ended, deepest) == (["gate", "r"], [1])


def test_jobs_and_their_turns_are_in_one_order(room: Room) -> None:
    """Two threads at once: neither is told that it was not taken."""
    scheduler = room.host._scheduler
    real, others = scheduler.submit, list[threading.Thread]()
    futures: list[Future[Finished]] = []

    def submit(*arguments: Any, **options: Any) -> Any:
        item = real(*arguments, **options)
        if not others:
            others.append(threading.Thread(target=lambda: futures.append(room.submit("b"))))
            others[0].start()
            others[0].join(0.2)  # the other one goes in between, where it can
        return item

    room.engine.lanes = 1  # type: ignore[attr-defined]
    scheduler.submit = submit  # type: ignore[method-assign]
    futures.append(room.submit("a"))
    others[0].join(WAIT)
    room.open.set()
    assert [future.result(WAIT).text for future in futures] == ["word word word "] * 2


def test_the_end_stops_what_was_taken_along(room: Room) -> None:
    """Its place in the queue is gone: the pool itself cancels it."""
    running = threading.Event()

    def step(name: str, step: int) -> None:
        room._step(name, step)
        if name == "b" and step == 0:
            running.set()
            assert closing.wait(WAIT)

    closing = threading.Event()
    room.engine.on_step = step
    tokens = CancelToken(), CancelToken()
    tokens[1].on_cancel(closing.set)
    futures = [room.submit(name, cancel=token) for name, token in zip("ab", tokens, strict=True)]
    room.open.set()
    assert running.wait(WAIT)
    assert room.host.queue_depth == 0
    assert room.host.close(WAIT)
    assert [type(future.exception(WAIT)) for future in futures] == [Cancelled, Cancelled]


def test_a_prompt_of_another_model_is_not_taken_along(room: Room) -> None:
    """It ends with ModelChanged, and those beside it run."""
    status = room.host.status
    assert status.ready is not None
    own = room.submit("a", loaded=status.ready.loaded)
    foreign = room.submit("b", loaded=replace(status.ready.loaded))
    room.open.set()
    assert own.result(WAIT).text
    assert isinstance(foreign.exception(WAIT), ModelChanged)
    assert lanes(room) == [("a",)] * 3
