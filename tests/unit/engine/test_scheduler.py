from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, wait
from dataclasses import dataclass
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import Pause
from leanvibe_lsp.engine.scheduler import THREAD_NAME, Priority, Scheduler
from leanvibe_lsp.errors import Busy, Cancelled, DeadlineExceeded, EngineError
from tests.support.clock import ManualClock
from tests.support.engines import WAIT

T = TypeVar("T")


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    """A scheduler with room for three, ended after the test."""
    made = Scheduler(capacity=3)
    yield made
    assert made.close(WAIT)


def submit(
    scheduler: Scheduler,
    work: Callable[[], T],
    *,
    priority: Priority = Priority.QUESTION,
    cancel: CancelToken | None = None,
    deadline: Deadline | None = None,
) -> Future[T]:
    return scheduler.submit(
        lambda _pause: work(), priority=priority, cancel=cancel or CancelToken(), deadline=deadline or Deadline.never()
    )


class Gate:
    """Work that tells when it runs and holds the thread until it is opened or its token is pulled."""

    def __init__(self, scheduler: Scheduler, cancel: CancelToken | None = None) -> None:
        self.token = cancel or CancelToken()
        self.running = threading.Event()
        self.open = threading.Event()
        self.token.on_cancel(self.open.set)
        self.future = submit(scheduler, self._work, cancel=self.token)
        assert self.running.wait(WAIT)

    def _work(self) -> str:
        self.running.set()
        assert self.open.wait(WAIT)
        self.token.check()
        return "through"


def test_one_thread_runs_everything(scheduler: Scheduler) -> None:
    """All work runs on the one owner thread, and never on the caller's."""
    names = [submit(scheduler, threading.get_ident).result(WAIT) for _ in range(5)]
    assert len(set(names)) == 1
    assert names[0] != threading.get_ident()


def test_priority_first_then_arrival() -> None:
    """The most urgent goes first; equals keep their order of arrival."""
    scheduler = Scheduler(capacity=10)
    gate, order = Gate(scheduler), []
    wanted = [
        (Priority.BACKGROUND, "background"),
        (Priority.QUESTION, "question 1"),
        (Priority.REVIEW, "review"),
        (Priority.KEYSTROKE, "keystroke"),
        (Priority.QUESTION, "question 2"),
        (Priority.ACTION, "action"),
    ]
    futures = [submit(scheduler, lambda name=name: order.append(name), priority=rank) for rank, name in wanted]
    gate.open.set()
    wait(futures, WAIT)
    assert order == ["keystroke", "question 1", "question 2", "action", "review", "background"]
    assert scheduler.close(WAIT)


def test_full_is_busy_at_once(scheduler: Scheduler) -> None:
    """With the queue full the answer is Busy, the work never runs; with room again the next one is taken."""
    gate, ran = Gate(scheduler), []
    waiting = [submit(scheduler, lambda: None) for _ in range(3)]
    assert scheduler.depth == 3
    assert scheduler.busy
    with pytest.raises(Busy) as caught:
        submit(scheduler, lambda: ran.append("refused"))
    assert caught.value.retryable
    assert caught.value.next_step
    gate.open.set()
    wait(waiting, WAIT)
    submit(scheduler, lambda: ran.append("taken")).result(WAIT)
    assert ran == ["taken"]


def test_cancel_of_waiting_work_answers_at_once_and_frees_its_place(scheduler: Scheduler) -> None:
    """The answer is there when `cancel` returns, the work never starts, the place is free for another."""
    gate, token, ran = Gate(scheduler), CancelToken(), []
    future = submit(scheduler, lambda: ran.append("cancelled work"), cancel=token)
    others = [submit(scheduler, lambda: None) for _ in range(2)]
    token.cancel("not needed")
    assert future.done()
    with pytest.raises(Cancelled, match="not needed"):
        future.result(0)
    assert scheduler.depth == 2
    others.append(submit(scheduler, lambda: None))
    gate.open.set()
    wait(others, WAIT)
    assert ran == []


def test_a_token_that_was_pulled_before_never_starts(scheduler: Scheduler) -> None:
    """Work submitted with a cancelled token answers at once and takes no place."""
    gate, token, ran = Gate(scheduler), CancelToken(), []
    token.cancel("before")
    future = submit(scheduler, lambda: ran.append(1), cancel=token)
    assert isinstance(future.exception(0), Cancelled)
    assert scheduler.depth == 0
    gate.open.set()
    gate.future.result(WAIT)
    assert ran == []


def test_cancel_of_running_work_reaches_its_token(scheduler: Scheduler) -> None:
    """Running work sees the cancel and ends as Cancelled; the next one runs."""
    gate = Gate(scheduler)
    following = submit(scheduler, lambda: "next")
    gate.token.cancel("stop now")
    with pytest.raises(Cancelled, match="stop now"):
        gate.future.result(WAIT)
    assert following.result(WAIT) == "next"


def test_work_whose_time_passed_in_the_queue_never_starts(scheduler: Scheduler) -> None:
    """A deadline that passes while the work waits is DeadlineExceeded, and nothing ran."""
    gate, ran = Gate(scheduler), []
    future = submit(scheduler, lambda: ran.append(1), deadline=Deadline.after(0))
    gate.open.set()
    assert isinstance(future.exception(WAIT), DeadlineExceeded)
    assert ran == []


@pytest.mark.parametrize("error", [ValueError("odd"), EngineError("known"), SystemExit(3), KeyboardInterrupt()])
def test_an_error_is_the_futures_and_the_thread_lives_on(scheduler: Scheduler, error: BaseException) -> None:
    """Whatever work raises goes to its own future; the thread serves the next one."""

    def fail() -> None:
        raise error

    future = submit(scheduler, fail)
    assert future.exception(WAIT) is error
    assert submit(scheduler, lambda: "alive").result(WAIT) == "alive"
    assert not scheduler.busy


def test_a_future_given_up_while_it_waits_never_starts(scheduler: Scheduler) -> None:
    """An owner that cancels the future itself (asyncio does) costs no work and does no harm."""
    gate, ran = Gate(scheduler), []
    future = submit(scheduler, lambda: ran.append(1))
    assert future.cancel()
    gate.open.set()
    assert submit(scheduler, lambda: "alive").result(WAIT) == "alive"
    with pytest.raises(CancelledError):
        future.result(0)
    assert ran == []


def test_a_given_up_future_may_be_cancelled_twice(scheduler: Scheduler) -> None:
    """The token pulled after the future was given up: nothing raises, the thread lives on."""
    gate, token = Gate(scheduler), CancelToken()
    future = submit(scheduler, lambda: None, cancel=token)
    assert future.cancel()
    token.cancel()
    assert scheduler.depth == 0
    gate.open.set()
    assert submit(scheduler, lambda: "alive").result(WAIT) == "alive"


def test_close_cancels_running_and_waiting_work() -> None:
    """Everything ends as Cancelled, the thread ends, and a second close is fine."""
    scheduler = Scheduler(capacity=5)
    gate = Gate(scheduler)
    waiting = [submit(scheduler, lambda: "never") for _ in range(3)]
    assert scheduler.close(WAIT)
    for future in (gate.future, *waiting):
        assert isinstance(future.exception(0), Cancelled)
    assert scheduler.close(0)
    with pytest.raises(Cancelled):
        submit(scheduler, lambda: None)


def test_close_says_when_the_thread_did_not_end() -> None:
    """Work that does not look at its token: close waits only as long as it may, and says so."""
    scheduler, running, release = Scheduler(capacity=1), threading.Event(), threading.Event()

    def deaf() -> None:
        running.set()
        release.wait(WAIT)

    future = submit(scheduler, deaf)
    assert running.wait(WAIT)
    assert not scheduler.close(0)
    release.set()
    future.result(WAIT)
    assert scheduler.close(WAIT)


def test_close_from_the_owner_thread_does_not_wait_for_itself() -> None:
    """Work that closes the scheduler returns; the thread ends afterwards."""
    scheduler = Scheduler(capacity=1)
    assert submit(scheduler, lambda: scheduler.close(WAIT)).result(WAIT) is False
    assert scheduler.close(WAIT)


@given(st.lists(st.tuples(st.sampled_from(Priority), st.booleans()), max_size=24))
def test_the_order_holds_after_cancels(jobs: list[tuple[Priority, bool]]) -> None:
    """Taking cancelled work out of the middle of the queue leaves the others in order."""
    scheduler = Scheduler(capacity=64)
    gate, order = Gate(scheduler), []
    tokens = [CancelToken() for _ in jobs]
    futures = [
        submit(scheduler, lambda rank=rank, number=number: order.append((rank, number)), priority=rank, cancel=token)
        for number, ((rank, _), token) in enumerate(zip(jobs, tokens, strict=True))
    ]
    for token, (_, cancelled) in zip(tokens, jobs, strict=True):
        if cancelled:
            token.cancel()
    gate.open.set()
    wait(futures, WAIT)
    assert scheduler.close(WAIT)
    assert order == sorted((rank, number) for number, (rank, cancelled) in enumerate(jobs) if not cancelled)


_STEP = st.sampled_from(["submit", "submit", "submit", "cancel", "give up", "open"])


@given(st.lists(st.tuples(_STEP, st.integers(0, 9), st.sampled_from(Priority)), max_size=40), st.booleans())
def test_every_future_ends_exactly_once(steps: list[tuple[str, int, Priority]], hold: bool) -> None:
    """Random submits, cancels and give-ups: each future ends once, no work runs twice, nothing is left behind."""
    scheduler = Scheduler(capacity=4)
    gate = Gate(scheduler) if hold else None
    ran: list[int] = []
    ends: list[int] = []
    tokens: list[CancelToken] = []
    futures: list[Future[int]] = []
    for step, pick, priority in steps:
        if step == "submit":
            number, token = len(tokens), CancelToken()

            def work(number: int = number, token: CancelToken = token) -> int:
                ran.append(number)
                token.check()
                return number

            try:
                future = submit(scheduler, work, priority=priority, cancel=token)
            except Busy:
                continue
            tokens.append(token)
            futures.append(future)
            future.add_done_callback(lambda _, number=number: ends.append(number))
        elif step == "open" and gate is not None:
            gate.open.set()
        elif tokens and step == "cancel":
            tokens[pick % len(tokens)].cancel()
        elif futures and step == "give up":
            futures[pick % len(futures)].cancel()
    if gate is not None:
        gate.open.set()
    done, left = wait(futures, WAIT)
    assert scheduler.close(WAIT)
    assert left == set()
    assert len(done) == len(futures)
    assert sorted(ends) == list(range(len(futures)))
    assert len(ran) == len(set(ran))
    assert scheduler.depth == 0


@given(st.integers(1, 8), st.integers(1, 6))
def test_threads_that_submit_and_cancel_at_once(threads: int, each: int) -> None:
    """Submits, cancels and a close from many threads at the same moment: every future ends, none hangs."""
    scheduler = Scheduler(capacity=64)
    barrier = threading.Barrier(threads + 1)
    futures: list[Future[None]] = []

    def hammer() -> None:
        barrier.wait(WAIT)
        for number in range(each):
            token = CancelToken()
            try:
                futures.append(submit(scheduler, lambda: None, cancel=token))
            except Cancelled:
                return
            if number % 2:
                token.cancel()

    workers = [threading.Thread(target=hammer) for _ in range(threads)]
    for worker in workers:
        worker.start()
    barrier.wait(WAIT)
    assert scheduler.close(WAIT)
    for worker in workers:
        worker.join(WAIT)
    _, left = wait(futures, WAIT)
    assert left == set()


def submit_pausing(scheduler: Scheduler, work: Callable[[Pause], T], priority: Priority) -> Future[T]:
    return scheduler.submit(work, priority=priority, cancel=CancelToken(), deadline=Deadline.never())


def test_urgent_work_runs_inside_work_that_looks_at_its_pause() -> None:
    """A review that pauses lets the question and the keystroke through, the most urgent first, and then goes on."""
    scheduler, order = Scheduler(capacity=8), []
    inside: list[Future[None]] = []

    def review(pause: Pause) -> str:
        order.append("review begins")
        assert not pause.wanted
        for name, rank in (("background", 4), ("question", 1), ("keystroke", 0), ("review 2", 3)):
            inside.append(submit(scheduler, lambda name=name: order.append(name), priority=Priority(rank)))
        assert pause.wanted
        pause.run()
        assert not pause.wanted
        order.append("review ends")
        return "whole"

    assert submit_pausing(scheduler, review, Priority.REVIEW).result(WAIT) == "whole"
    wait(inside, WAIT)
    assert order == ["review begins", "keystroke", "question", "review ends", "review 2", "background"]
    assert scheduler.close(WAIT)


def test_a_nested_failure_does_not_reach_the_paused_work(scheduler: Scheduler) -> None:
    """What goes wrong in between is the urgent one's own, whatever it raises."""
    failing: list[Future[None]] = []

    def fail() -> None:
        raise SystemExit(3)

    def background(pause: Pause) -> str:
        failing.append(submit(scheduler, fail, priority=Priority.KEYSTROKE))
        pause.run()
        return "whole"

    assert submit_pausing(scheduler, background, Priority.BACKGROUND).result(WAIT) == "whole"
    assert isinstance(failing[0].exception(WAIT), SystemExit)


def test_close_cancels_paused_work_too() -> None:
    """Of a stack, the one that runs and those that are paused hear of it."""
    scheduler, nested = Scheduler(capacity=4), threading.Event()
    tokens = [CancelToken(), CancelToken()]

    def hold(_pause: Pause) -> None:
        pulled = threading.Event()
        tokens[1].on_cancel(pulled.set)
        nested.set()
        assert pulled.wait(WAIT)
        tokens[1].check()

    def outer(pause: Pause) -> None:
        scheduler.submit(hold, priority=Priority.KEYSTROKE, cancel=tokens[1], deadline=Deadline.never())
        pause.run()
        tokens[0].check()

    future = scheduler.submit(outer, priority=Priority.REVIEW, cancel=tokens[0], deadline=Deadline.never())
    assert nested.wait(WAIT)
    assert scheduler.busy
    assert scheduler.close(WAIT)
    assert isinstance(future.exception(0), Cancelled)
    assert [token.reason for token in tokens] == ["shutting down", "shutting down"]


def test_given_up_work_is_not_counted() -> None:
    """A place in the queue that its owner gave up is free again, and `depth` says so."""
    scheduler = Scheduler(capacity=1)
    gate = Gate(scheduler)
    given_up = submit(scheduler, lambda: None)
    assert scheduler.depth == 1
    given_up.cancel()
    assert scheduler.depth == 0
    kept = submit(scheduler, lambda: "kept")
    gate.open.set()
    assert kept.result(WAIT) == "kept"
    assert scheduler.close(WAIT)


def test_a_pulse_is_answered_where_work_looks_at_its_pause(scheduler: Scheduler) -> None:
    """In the middle of work, without a pause: a sign of life is no reason to stop."""
    gate, look = Gate(scheduler), threading.Event()

    def work(pause: Pause) -> bool:
        assert look.wait(WAIT)
        return pause.wanted

    future = submit_pausing(scheduler, work, Priority.REVIEW)
    gate.open.set()
    pulse = scheduler.pulse()
    look.set()
    assert future.result(WAIT) is False
    assert pulse.result(WAIT) is None
    assert scheduler.depth == 0


def test_a_pulse_of_a_stuck_thread_never_ends() -> None:
    """Nothing answers for a thread that hangs; after the end there is no pulse at all."""
    scheduler = Scheduler(capacity=2)
    gate = Gate(scheduler)
    pulse = scheduler.pulse()
    assert not pulse.done()
    gate.open.set()
    pulse.result(WAIT)
    assert scheduler.close(WAIT)
    with pytest.raises(Cancelled):
        scheduler.pulse()


def test_idle_is_called_when_nothing_waits_and_again_when_it_wants() -> None:
    """It runs on the owner thread after each work, and after the seconds it asked for; a fault in it does no harm."""
    clock, calls = ManualClock(), []
    scheduler = Scheduler(capacity=2, clock=clock)
    assert clock.asleep.acquire(timeout=WAIT)
    called = threading.Semaphore(0)

    def idle() -> float:
        calls.append((threading.current_thread().name, clock.now()))
        called.release()
        if len(calls) == 2:
            raise ValueError("odd")
        return 5.0

    scheduler.when_idle(idle)
    assert called.acquire(timeout=WAIT)
    assert clock.asleep.acquire(timeout=WAIT)
    assert clock.waits[-1] == 5.0
    clock.advance(5.0)
    assert called.acquire(timeout=WAIT)
    assert submit(scheduler, lambda: "alive").result(WAIT) == "alive"
    assert called.acquire(timeout=WAIT)
    assert calls[:2] == [(THREAD_NAME, 1_000.0), (THREAD_NAME, 1_005.0)]
    assert scheduler.close(WAIT)


@dataclass
class Task:
    """Work of a random tree: what it submits while it runs, and whether it is to be cancelled or to fail."""

    rank: Priority
    fate: str
    children: list[Task]


_TASKS = st.recursive(
    st.builds(
        Task, st.sampled_from(Priority), st.sampled_from(["ends", "fails", "cancelled", "given up"]), st.just([])
    ),
    lambda inner: st.builds(Task, st.sampled_from(Priority), st.just("ends"), st.lists(inner, max_size=4)),
    max_leaves=12,
)


@given(st.lists(_TASKS, max_size=4))
def test_any_tree_of_pausing_work(tasks: list[Task]) -> None:
    """Each settles once and runs at most once; only more urgent work runs inside, so the depth is bounded."""
    scheduler = Scheduler(capacity=256)
    gate = Gate(scheduler)
    running: list[Priority] = []
    deepest, ran, ends = [0], [], []
    futures: list[Future[None]] = []

    def start(task: Task) -> None:
        token = CancelToken()

        def work(pause: Pause) -> None:
            ran.append(id(task))
            assert not running or task.rank < running[-1]
            running.append(task.rank)
            deepest[0] = max(deepest[0], len(running))
            for child in task.children:
                start(child)
            if pause.wanted:
                pause.run()
            assert not pause.wanted
            assert running.pop() is task.rank
            if task.fate == "fails":
                raise EngineError("planted")

        future = scheduler.submit(work, priority=task.rank, cancel=token, deadline=Deadline.never())
        future.add_done_callback(lambda _: ends.append(id(task)))
        futures.append(future)
        if task.fate == "cancelled":
            token.cancel()
        if task.fate == "given up":
            future.cancel()

    for task in tasks:
        start(task)
    gate.open.set()
    while len(settled := wait(list(futures), WAIT).done) < len(futures):
        pass
    assert scheduler.close(WAIT)
    assert len(ends) == len(set(ends)) == len(settled)
    assert len(ran) == len(set(ran))
    assert deepest[0] <= len(Priority)
    assert all(isinstance(f.exception(), EngineError | None) for f in settled if not f.cancelled())
    assert running == []


def test_looking_at_the_pause_is_a_sign_of_life() -> None:
    """The silence begins anew, and who waits for a pulse has it."""
    clock = ManualClock()
    scheduler = Scheduler(capacity=1, clock=clock)
    seen: list[object] = []

    def work(pause: Pause) -> None:
        clock.advance(30)
        pulse = scheduler.pulse()
        seen.append(scheduler.silence)
        seen.append(pause.wanted)
        seen.append((scheduler.silence, pulse.done()))

    future = scheduler.submit(work, priority=Priority.QUESTION, cancel=CancelToken(), deadline=Deadline.never())
    future.result(WAIT)
    assert seen == [30, False, (0, True)]
    assert scheduler.close(WAIT)


def test_pulses_that_were_given_up_are_not_kept(scheduler: Scheduler) -> None:
    """Who asks a stuck thread again and again costs nothing."""
    gate = Gate(scheduler)
    pulse = scheduler.pulse()
    kept = weakref.ref(pulse)
    pulse.cancel()
    del pulse
    scheduler.pulse()
    gc.collect()
    assert kept() is None
    gate.open.set()
    gate.future.result(WAIT)
