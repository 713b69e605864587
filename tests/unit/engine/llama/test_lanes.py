"""Several generations at once, without llama.cpp: what each lane does is told by events, never by a clock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import (
    NO_PAUSE,
    Chunk,
    Event,
    Finished,
    FinishReason,
    GenerationRequest,
    Job,
    Pause,
    Sink,
    Timing,
    Usage,
)
from leanvibe_lsp.engine.llama.lanes import Lanes
from leanvibe_lsp.errors import Cancelled, EngineError

DONE = Finished("", FinishReason.STOP, Usage(1, 0, 1), Timing(0.0, 0.0))
Work = Callable[[Job, Sink, CancelToken, Pause], Finished]


def job(number: int, sink: Sink = lambda _: None) -> Job:
    return Job(GenerationRequest((number,), max_tokens=1), sink, CancelToken(), Deadline.never(), Future())


def run(jobs: list[Job], work: Work, *, lanes: int = 2, pause: Pause = NO_PAUSE, room: int = 99) -> list[int]:
    """Run them; gives how many `take` was asked for, each time."""
    left = list(jobs)
    asked: list[int] = []
    used: list[Job] = []

    def take(count: int) -> list[Job]:
        asked.append(count)
        given = left[:count]
        del left[:count]
        return given

    def place(one: Job, wait: bool) -> int | None:
        if len(used) >= room and not wait:
            return None
        used.append(one)
        return 0

    def generate(one: Job, slot: int, sink: Sink, cancel: CancelToken, own: Pause) -> Finished:
        try:
            return work(one, sink, cancel, own)
        finally:
            used.remove(one)

    Lanes(lanes, place, generate, take, pause).run()
    return asked


def step(sink: Sink, pause: Pause) -> None:
    """One token and its boundary, as a backend does it."""
    sink(Chunk("x", 1, 0.0))
    if pause.wanted:
        pause.run()


def test_lanes_run_together() -> None:
    """Two jobs are under way at the same time: each waits for the other. A third comes when a lane is free."""
    together = threading.Barrier(2, timeout=5)

    def work(one: Job, sink: Sink, cancel: CancelToken, pause: Pause) -> Finished:
        if one.request.prompt != (3,):
            together.wait()
        return DONE

    jobs = [job(number) for number in (1, 2, 3)]
    asked = run(jobs, work)
    assert [one.future.result(0) for one in jobs] == [DONE] * 3
    assert asked[0] == 2


def test_sinks_are_called_on_the_engines_thread() -> None:
    """What a lane says is heard where `generate_batch` was called."""
    heard: list[tuple[threading.Thread, Event]] = []

    def work(one: Job, sink: Sink, cancel: CancelToken, pause: Pause) -> Finished:
        step(sink, pause)
        return DONE

    run([job(1, lambda event: heard.append((threading.current_thread(), event)))], work)
    assert [thread for thread, _ in heard] == [threading.current_thread()]


def test_one_jobs_failure_is_its_own() -> None:
    """An error, a sink that fails and a cancel settle their own jobs; the fourth never notices."""
    cancelled = job(3)
    failing = job(2, lambda _: (_ for _ in ()).throw(BrokenPipeError("gone")))
    jobs = [job(1), failing, cancelled, job(4)]

    def work(one: Job, sink: Sink, cancel: CancelToken, pause: Pause) -> Finished:
        if one is jobs[0]:
            raise EngineError("refused")
        if one is cancelled:
            one.cancel.cancel("enough")
        if one is not jobs[3]:
            stopped = threading.Event()
            cancel.on_cancel(stopped.set)
            sink(Chunk("x", 1, 0.0))
            assert stopped.wait(5)
            cancel.check()
        return DONE

    run(jobs, work, lanes=4)
    assert [type(one.future.exception(0)) for one in jobs] == [EngineError, BrokenPipeError, Cancelled, type(None)]


def test_all_rest_while_urgent_work_is_done() -> None:
    """While the pause runs nobody makes a token; afterwards all go on."""
    entered, made = threading.Barrier(2, timeout=5), [0, 0]
    heard = [threading.Semaphore(0), threading.Semaphore(0)]
    resting = [threading.Event(), threading.Event()]
    seen: list[list[int]] = []

    class Urgent:
        asked = 0

        @property
        def wanted(self) -> bool:
            self.asked += 1
            return self.asked == 6

        def run(self) -> None:
            assert all(one.wait(5) for one in resting)
            seen.append(list(made))

    def work(one: Job, sink: Sink, cancel: CancelToken, pause: Pause) -> Finished:
        me = one.request.prompt[0]
        entered.wait()
        for _ in range(50):
            made[me] += 1
            sink(Chunk("x", 1, 0.0))
            assert heard[me].acquire(timeout=5)
            if pause.wanted:
                resting[me].set()
                pause.run()
                assert seen  # the urgent work was done meanwhile
        return DONE

    jobs = [job(me, lambda _, me=me: heard[me].release()) for me in (0, 1)]  # type: ignore[misc]
    run(jobs, work, pause=Urgent())
    assert [one.future.result(0) for one in jobs] == [DONE, DONE]
    assert len(seen) == 1
    assert sum(seen[0]) < 20
    assert made == [50, 50]


def test_what_cannot_rest_is_not_waited_for() -> None:
    """A structured answer goes on beside urgent work; the urgent work does not wait for its end."""
    urgent = threading.Event()

    class Urgent:
        @property
        def wanted(self) -> bool:
            return not urgent.is_set()

        def run(self) -> None:
            urgent.set()

    def work(one: Job, sink: Sink, cancel: CancelToken, pause: Pause) -> Finished:
        for _ in range(4):
            sink(Chunk("x", 1, 0.0))
        assert urgent.wait(5)
        return DONE

    only = job(1)
    run([only], work, pause=Urgent())
    assert only.future.result(0) is DONE


def test_a_job_without_room_waits_for_it() -> None:
    """With room for one, the second starts when the first has ended; cancelled meanwhile, it never starts."""
    jobs = [job(1), job(2), job(3)]
    order: list[int] = []

    def work(one: Job, sink: Sink, cancel: CancelToken, pause: Pause) -> Finished:
        order.append(one.request.prompt[0])
        jobs[1].cancel.cancel("enough")
        return DONE

    run(jobs, work, lanes=3, room=1)
    assert order == [1, 3]
    assert isinstance(jobs[1].future.exception(0), Cancelled)


def test_every_job_is_settled_when_the_engine_fails() -> None:
    """A `take` that fails ends the call with its error; what ran is cancelled and settled first."""
    only = job(1)
    calls: list[int] = []

    def take(count: int) -> list[Job]:
        calls.append(count)
        if len(calls) > 1:
            raise EngineError("broken")
        return [only]

    def generate(one: Job, slot: int, sink: Sink, cancel: CancelToken, pause: Pause) -> Finished:
        stopped = threading.Event()
        cancel.on_cancel(stopped.set)
        sink(Chunk("x", 1, 0.0))
        assert stopped.wait(5)
        cancel.check()
        return DONE

    with pytest.raises(EngineError, match="broken"):
        Lanes(2, lambda one, wait: 0, generate, take, NO_PAUSE).run()
    assert isinstance(only.future.exception(0), Cancelled)
