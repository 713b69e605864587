"""One thread owns the model; everybody else waits in one bounded, ordered queue.

Work is a function that runs on the owner thread and looks at its own cancel token and deadline. Work that is cancelled,
given up (its future), or whose time is up while it waits never starts. When the queue is full the answer is `Busy`, at
once.

Work gets its `Pause`: where it looks at it, more urgent work has its turn in between, on the same thread. So a stack of
work runs, each more urgent than the one below it. Looking is also a sign of life: it answers `pulse`.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, TypeVar

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.core.clock import Clock
from leanvibe_lsp.engine.base import Pause
from leanvibe_lsp.errors import Busy, Cancelled, LeanVibeError

log = logging.getLogger(__name__)
T = TypeVar("T")
THREAD_NAME = "leanvibe-engine"
# What to do while nothing is asked; gives the seconds after which it wants to be called again, None for never.
Idle = Callable[[], float | None]


class Priority(IntEnum):
    """Who goes first. Equal priorities keep their order of arrival."""

    KEYSTROKE = 0
    QUESTION = 1
    ACTION = 2
    REVIEW = 3
    BACKGROUND = 4


@dataclass(order=True, slots=True)
class _Item:
    priority: int
    number: int
    work: Callable[[Pause], Any] = field(compare=False)
    future: Future[Any] = field(compare=False)
    cancel: CancelToken = field(compare=False)
    deadline: Deadline = field(compare=False)


class _Turn:
    """The `Pause` of one running item: work more urgent than it goes in between."""

    __slots__ = ("_run", "_wanted")

    def __init__(self, wanted: Callable[[], bool], run: Callable[[], None]) -> None:
        self._wanted = wanted
        self._run = run

    @property
    def wanted(self) -> bool:
        return self._wanted()

    def run(self) -> None:
        self._run()


class Scheduler:
    """The owner thread and its queue. `submit` and `pulse` may be called from any thread."""

    def __init__(self, *, capacity: int, name: str = THREAD_NAME, clock: Clock | None = None) -> None:
        self._capacity = capacity
        self._clock = clock or Clock()
        self._condition = threading.Condition()
        self._queue: list[_Item] = []
        self._numbers = itertools.count()
        self._running: list[_Item] = []  # the last one runs, those before it are paused
        self._pulses: list[Future[None]] = []
        self._idle: Idle = lambda: None
        self._silent_since = self._clock.now()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def depth(self) -> int:
        """How many pieces of work wait; running, paused and given-up ones are not counted."""
        with self._condition:
            return self._count()

    @property
    def busy(self) -> bool:
        """True while the owner thread works on something."""
        with self._condition:
            return bool(self._running)

    @property
    def silence(self) -> float:
        """Seconds since the owner thread's last sign of life; of one that has nothing to do, since it was asked."""
        return self._clock.now() - self._silent_since

    def submit(
        self, work: Callable[[Pause], T], *, priority: Priority, cancel: CancelToken, deadline: Deadline
    ) -> Future[T]:
        """Queue `work`; its result or error is the future's.

        Raises Busy when the queue is full, Cancelled when closed.
        """
        future: Future[T] = Future()
        item = _Item(int(priority), next(self._numbers), work, future, cancel, deadline)
        with self._condition:
            if self._closed:
                raise Cancelled("The engine is shutting down.")
            if self._count() >= self._capacity:
                raise Busy(
                    f"The model is busy: {self._capacity} requests are waiting already.",
                    next_step="Ask again in a moment, or cancel one.",
                )
            heapq.heappush(self._queue, item)
            self._condition.notify()
        cancel.on_cancel(lambda: self._drop(item))
        return future

    def when_idle(self, idle: Idle) -> None:
        """From now on, call `idle` on the owner thread after each work that leaves an empty queue."""
        with self._condition:
            self._idle = idle
            self._condition.notify()

    def pulse(self) -> Future[None]:
        """Ends at the owner thread's next boundary; a stuck thread never ends it. Raises Cancelled when closed."""
        future: Future[None] = Future()
        with self._condition:
            if self._closed:
                raise Cancelled("The engine is shutting down.")
            if not (self._running or self._pulses):
                self._silent_since = self._clock.now()
            self._pulses = [pulse for pulse in self._pulses if not pulse.done()]
            self._pulses.append(future)
            self._condition.notify()
        return future

    def beat(self) -> None:
        """Answer who waits for a pulse; called on the owner thread, as often as it likes."""
        self._silent_since = self._clock.now()
        if not self._pulses:
            return
        with self._condition:
            pulses, self._pulses = self._pulses, []
        for pulse in pulses:
            _settle(pulse)

    def close(self, timeout: float) -> bool:
        """Cancel everything and wait up to `timeout` seconds for the thread; True when it ended. Idempotent."""
        with self._condition:
            self._closed = True
            tokens = [item.cancel for item in (*self._queue, *self._running)]
            self._condition.notify()
        for token in tokens:
            token.cancel("shutting down")
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _count(self) -> int:
        """How many wait, after forgetting those that were given up; the condition is held."""
        given_up = [item for item in self._queue if item.future.done()]
        for item in given_up:
            self._queue.remove(item)
            item.future.set_running_or_notify_cancel()  # tells who waits for it
        if given_up:
            heapq.heapify(self._queue)
        return len(self._queue)

    def _drop(self, item: _Item) -> None:
        """Answer a cancelled item that still waits; a running one answers for itself."""
        with self._condition:
            if item not in self._queue:
                return
            self._queue.remove(item)
            heapq.heapify(self._queue)
        if item.future.set_running_or_notify_cancel():  # False: its owner gave it up before
            _settle(item.future, error=Cancelled(f"Stopped: {item.cancel.reason}."))

    def _is_wanted(self, below: int) -> bool:
        self.beat()
        with self._condition:
            return bool(self._queue) and self._queue[0].priority < below

    def _run(self) -> None:
        while self._await_work():
            self._serve(len(Priority))
        self.beat()

    def _await_work(self) -> bool:
        """True when there is work, False at the end. Meanwhile pulses are answered, and `idle` has its turn."""
        while True:
            self.beat()
            with self._condition:
                if self._queue or self._closed:
                    return bool(self._queue)
            rest = self._call_idle()
            with self._condition:
                if not (self._queue or self._closed or self._pulses):
                    self._clock.wait(self._condition, rest)

    def _call_idle(self) -> float | None:
        try:
            return self._idle()
        except Exception:
            log.exception("what is done while nothing is asked failed")
            return None

    def _serve(self, below: int) -> None:
        """Do what waits and is more urgent than `below`, in order, until none is left."""
        while (item := self._take(below)) is not None:
            result, error = self._do(item)
            with self._condition:
                self._running.pop()
            _settle(item.future, result=result, error=error)
            self.beat()

    def _take(self, below: int) -> _Item | None:
        with self._condition:
            while self._queue and self._queue[0].priority < below:
                item = heapq.heappop(self._queue)
                if item.future.set_running_or_notify_cancel():  # False: its owner gave it up while it waited
                    self._running.append(item)
                    return item
            return None

    def _do(self, item: _Item) -> tuple[object, BaseException | None]:
        """The result of an item, or its error: what goes wrong is its own, and never reaches work that is paused."""
        try:
            item.cancel.check()
            item.deadline.check()
            turn = _Turn(lambda: self._is_wanted(item.priority), lambda: self._serve(item.priority))
            return item.work(turn), None
        except LeanVibeError as error:
            return None, error
        except BaseException as error:
            log.exception("work on the engine thread failed")
            return None, error


def _settle(future: Future[Any], *, result: object = None, error: BaseException | None = None) -> None:
    """Give the future its end; one that was cancelled by its owner stays as it is."""
    try:
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
    except InvalidStateError:
        log.debug("a result came for a future that was given up")
