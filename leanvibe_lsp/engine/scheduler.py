"""One thread owns the model; everybody else waits in one bounded, ordered queue.

Work is a function that runs on the owner thread and looks at its own cancel token and deadline. Work that is cancelled,
given up (its future), or whose time is up while it waits never starts. When the queue is full the answer is `Busy`, at
once.
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
from leanvibe_lsp.errors import Busy, Cancelled, LeanVibeError

log = logging.getLogger(__name__)
T = TypeVar("T")
THREAD_NAME = "leanvibe-engine"


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
    work: Callable[[], Any] = field(compare=False)
    future: Future[Any] = field(compare=False)
    cancel: CancelToken = field(compare=False)
    deadline: Deadline = field(compare=False)


class Scheduler:
    """The owner thread and its queue. `submit` may be called from any thread."""

    def __init__(self, *, capacity: int, name: str = THREAD_NAME) -> None:
        self._capacity = capacity
        self._condition = threading.Condition()
        self._queue: list[_Item] = []
        self._numbers = itertools.count()
        self._running: _Item | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def depth(self) -> int:
        """How many pieces of work wait; the running one is not counted."""
        with self._condition:
            return len(self._queue)

    @property
    def busy(self) -> bool:
        """True while the owner thread works on something."""
        with self._condition:
            return self._running is not None

    def submit(
        self, work: Callable[[], T], *, priority: Priority, cancel: CancelToken, deadline: Deadline
    ) -> Future[T]:
        """Queue `work`; its result or error is the future's.

        Raises Busy when the queue is full, Cancelled when closed.
        """
        future: Future[T] = Future()
        item = _Item(int(priority), next(self._numbers), work, future, cancel, deadline)
        with self._condition:
            if self._closed:
                raise Cancelled("The engine is shutting down.")
            if len(self._queue) >= self._capacity:
                raise Busy(
                    f"The model is busy: {len(self._queue)} requests are waiting already.",
                    next_step="Ask again in a moment, or cancel one.",
                )
            heapq.heappush(self._queue, item)
            self._condition.notify()
        cancel.on_cancel(lambda: self._drop(item))
        return future

    def close(self, timeout: float) -> bool:
        """Cancel everything and wait up to `timeout` seconds for the thread; True when it ended. Idempotent."""
        with self._condition:
            self._closed = True
            tokens = [item.cancel for item in self._queue]
            if self._running is not None:
                tokens.append(self._running.cancel)
            self._condition.notify()
        for token in tokens:
            token.cancel("shutting down")
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _drop(self, item: _Item) -> None:
        """Answer a cancelled item that still waits; a running one answers for itself."""
        with self._condition:
            if item not in self._queue:
                return
            self._queue.remove(item)
            heapq.heapify(self._queue)
        if item.future.set_running_or_notify_cancel():  # False: its owner gave it up before
            _settle(item.future, error=Cancelled(f"Stopped: {item.cancel.reason}."))

    def _next(self) -> _Item | None:
        with self._condition:
            while not self._queue and not self._closed:
                self._condition.wait()
            if not self._queue:
                return None
            self._running = heapq.heappop(self._queue)
            return self._running

    def _run(self) -> None:
        while (item := self._next()) is not None:
            if not item.future.set_running_or_notify_cancel():
                self._finish(item)  # its owner gave it up while it waited
                continue
            try:
                item.cancel.check()
                item.deadline.check()
                result = item.work()
            except LeanVibeError as error:
                self._finish(item, error=error)
            except BaseException as error:
                log.exception("work on the engine thread failed")
                self._finish(item, error=error)
            else:
                self._finish(item, result=result)

    def _finish(self, item: _Item, *, result: object = None, error: BaseException | None = None) -> None:
        with self._condition:
            self._running = None
        _settle(item.future, result=result, error=error)


def _settle(future: Future[Any], *, result: object = None, error: BaseException | None = None) -> None:
    """Give the future its end; one that was cancelled by its owner stays as it is."""
    try:
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
    except InvalidStateError:
        log.debug("a result came for a future that was given up")
