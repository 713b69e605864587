"""The table of running requests: who can be cancelled, and by what. Event-loop thread only.

A request is in the table from its arrival until its reply, and its reply is sent from one place, once. Cancelling sets
the request's CancelToken (the engine looks at it) and cancels its task (an await ends at once).
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.errors import Cancelled

RequestId = int | str
ProgressToken = int | str


@dataclass(slots=True, eq=False)
class Running:
    """One request between its arrival and its reply."""

    id: RequestId
    cancel: CancelToken = field(default_factory=CancelToken)
    protected: bool = False  # a client cannot cancel it
    generates: bool = False  # a model works, or will work, on it
    task: asyncio.Task[Any] | None = None
    progress: set[ProgressToken] = field(default_factory=set)
    answered: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request ended: a result, or the error when there is one."""

    result: object = None
    error: BaseException | None = None


_current: contextvars.ContextVar[Running] = contextvars.ContextVar("running request")


class RunningRequests:
    """All requests of one client that have no reply yet. `reply` is called exactly once for each."""

    def __init__(self, reply: Callable[[RequestId, Outcome], None]) -> None:
        self._reply = reply
        self._running: dict[RequestId, Running] = {}
        self._by_progress: dict[ProgressToken, Running] = {}
        self._beside: set[Running] = set()

    def __len__(self) -> int:
        return len(self._running)

    def __contains__(self, request_id: RequestId) -> bool:
        return request_id in self._running

    @property
    def progress_tokens(self) -> int:
        """How many progress tokens lead to a running request."""
        return len(self._by_progress)

    def start(self, request_id: RequestId, call: Callable[[], object], *, protected: bool = False) -> None:
        """Call the handler now, before the next message is looked at; what it returns is the result, or is awaited."""
        running = Running(request_id, protected=protected)
        self._running[request_id] = running
        context = contextvars.copy_context()
        context.run(_current.set, running)
        try:
            result = context.run(call)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is its reply
            self._finish(running, Outcome(error=error))
            return
        if inspect.iscoroutine(result):
            running.task = asyncio.get_running_loop().create_task(result, context=context)
            running.task.add_done_callback(partial(self._done, running))
        else:
            self._finish(running, Outcome(result))

    def cancel(self, request_id: RequestId) -> bool:
        """Cancel by request id. False for one that is not running (any more)."""
        return self._stop(self._running.get(request_id), "cancelled by the client")

    def cancel_progress(self, token: ProgressToken) -> bool:
        """Cancel the request that reports its progress under `token`."""
        return self._stop(self._by_progress.get(token), "cancelled in the editor")

    def cancel_generations(self) -> int:
        """Cancel every request that a model works on; how many there were."""
        generating = [running for running in (*self._running.values(), *self._beside) if running.generates]
        return sum(self._stop(running, "cancelled by the client") for running in generating)

    def adopt(self, running: Running) -> None:
        """Work that nobody requested, and that a client can stop as if it were a request. `release` it in the end."""
        self._beside.add(running)

    def release(self, running: Running) -> None:
        """The work is over."""
        self._beside.discard(running)
        running.answered = True
        self._forget_progress(running)

    def bind_progress(self, running: Running, token: ProgressToken) -> None:
        """From now until its reply, `token` means this request."""
        if not running.answered:
            running.progress.add(token)
            self._by_progress[token] = running

    async def cancel_all(self, *, within: float) -> None:
        """Cancel every request but protected ones. After `within` seconds each has its reply, ended or not."""
        others = [running for running in self._running.values() if not running.protected]
        for running in others:
            self._stop(running, "the server is shutting down")
        await self._see_off(others, within)

    async def end_all(self, *, within: float) -> None:
        """The same, and wait for protected ones too: after twice `within` nothing is left."""
        await self.cancel_all(within=within)
        await self._see_off(list(self._running.values()), within)

    async def those_running(self) -> None:
        """Wait until every request that is running now has ended."""
        if tasks := [running.task for running in self._running.values() if running.task is not None]:
            await asyncio.wait(tasks)

    async def _see_off(self, leaving: list[Running], within: float) -> None:
        tasks = [running.task for running in leaving if running.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=within)
        for running in leaving:
            self._finish(running, Outcome(error=_cancelled(running)))

    def _stop(self, running: Running | None, reason: str) -> bool:
        if running is None or running.protected:
            return False
        running.cancel.cancel(reason)
        if running.task is not None:
            running.task.cancel()
        return True

    def _done(self, running: Running, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            outcome = Outcome(error=_cancelled(running))
        elif (error := task.exception()) is not None:
            outcome = Outcome(error=error)
        else:
            outcome = Outcome(task.result())
        self._finish(running, outcome)

    def _finish(self, running: Running, outcome: Outcome) -> None:
        if running.answered:
            return
        running.answered = True
        del self._running[running.id]
        self._forget_progress(running)
        self._reply(running.id, outcome)

    def _forget_progress(self, running: Running) -> None:
        for token in running.progress:
            if self._by_progress.get(token) is running:
                del self._by_progress[token]


def current() -> Running:
    """The request that is being handled. Raises LookupError outside of one."""
    return _current.get()


def _cancelled(running: Running) -> Cancelled:
    return Cancelled(f"Stopped: {running.cancel.reason or 'cancelled'}.")
