from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.errors import Cancelled
from leanvibe_lsp.lsp import tasks
from leanvibe_lsp.lsp.tasks import Outcome, RequestId, RunningRequests


class _Replies:
    def __init__(self) -> None:
        self.got: list[tuple[RequestId, Outcome]] = []
        self.requests = RunningRequests(lambda request_id, outcome: self.got.append((request_id, outcome)))

    def ids(self) -> list[RequestId]:
        return [request_id for request_id, _ in self.got]


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
def replies() -> _Replies:
    return _Replies()


async def test_plain_result_is_replied_at_once(replies: _Replies) -> None:
    """A handler that returns a value has its reply before the next message."""
    replies.requests.start(1, lambda: "done")
    assert replies.got == [(1, Outcome("done"))]
    assert len(replies.requests) == 0


async def test_exception_is_an_outcome(replies: _Replies) -> None:
    """A handler's exception, in its first part or its last, is its reply."""

    async def later() -> None:
        raise KeyError("later")

    def now() -> None:
        raise KeyError("now")

    replies.requests.start(1, now)
    replies.requests.start(2, later)
    await settle()
    assert [str(outcome.error) for _, outcome in replies.got] == ["'now'", "'later'"]


async def test_cancel_before_the_first_step(replies: _Replies) -> None:
    """A request cancelled before its coroutine ran has one reply, and the coroutine does not run."""
    ran = False

    async def work() -> None:
        nonlocal ran
        ran = True

    replies.requests.start("a", work)
    assert replies.requests.cancel("a")
    await settle()
    assert [type(outcome.error) for _, outcome in replies.got] == [Cancelled]
    assert not ran


async def test_cancel_reaches_coroutine_and_token(replies: _Replies) -> None:
    """Cancelling sets the request's token and ends its await; the reply comes once."""
    seen: list[Any] = []

    async def work() -> None:
        token = tasks.current().cancel
        try:
            await asyncio.Event().wait()
        finally:
            seen.append((token.cancelled, token.reason))

    replies.requests.start(7, work)
    await settle()
    replies.requests.cancel(7)
    replies.requests.cancel(7)
    await settle()
    assert seen == [(True, "cancelled by the client")]
    assert replies.ids() == [7]
    assert not replies.requests.cancel(7)


async def test_cancel_by_progress_token(replies: _Replies) -> None:
    """Trap 12: a progress token leads to its request until the reply, and no longer."""

    async def work() -> None:
        replies.requests.bind_progress(tasks.current(), "bar")
        await asyncio.Event().wait()

    replies.requests.start(1, work)
    await settle()
    assert replies.requests.progress_tokens == 1
    assert replies.requests.cancel_progress("bar")
    await settle()
    assert replies.ids() == [1]
    assert replies.requests.progress_tokens == 0
    assert not replies.requests.cancel_progress("bar")


async def test_late_progress_token_is_not_kept(replies: _Replies) -> None:
    """A token that is bound after the reply leaks nothing."""
    running: list[tasks.Running] = []
    replies.requests.start(1, lambda: running.append(tasks.current()))
    replies.requests.bind_progress(running[0], "bar")
    assert replies.requests.progress_tokens == 0


async def test_stubborn_request_has_its_reply_in_time(replies: _Replies) -> None:
    """A coroutine that ignores the cancel is answered for, once, when the time is up."""
    release = asyncio.Event()

    async def stubborn() -> str:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return "late"

    replies.requests.start(1, stubborn)
    await settle()
    await replies.requests.cancel_all(within=0.01)
    assert replies.ids() == [1]
    release.set()
    await settle()
    assert replies.ids() == [1]


async def test_protected_request_outlives_cancels(replies: _Replies) -> None:
    """shutdown itself cannot be cancelled, and has its own reply even when exit comes right behind it."""
    gate = asyncio.Event()

    async def work() -> str:
        await gate.wait()
        return "ok"

    replies.requests.start(1, work, protected=True)
    await settle()
    assert not replies.requests.cancel(1)
    await replies.requests.cancel_all(within=0.01)
    asyncio.get_running_loop().call_soon(gate.set)
    await replies.requests.end_all(within=20)
    assert replies.got == [(1, Outcome("ok"))]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["start", "fail", "cancel", "tick", "all"]), st.integers(0, 9)), max_size=60))
def test_one_reply_for_each_request_whatever_happens(steps: list[tuple[str, int]]) -> None:
    """Any order of starts, failures, cancels and shutdowns gives each request one reply and empties the table."""

    async def scenario() -> None:
        replies = _Replies()
        started: list[RequestId] = []

        async def work(turns: int, *, fails: bool) -> int:
            for _ in range(turns):
                await asyncio.sleep(0)
            if fails:
                raise ValueError(turns)
            return turns

        for number, (step, value) in enumerate(steps):
            if step in ("start", "fail"):
                fails = step == "fail"
                started.append(number)
                replies.requests.start(number, lambda value=value, fails=fails: work(value, fails=fails))
            elif step == "cancel" and started:
                replies.requests.cancel(started[value % len(started)])
            elif step == "tick":
                await asyncio.sleep(0)
            elif step == "all":
                await replies.requests.cancel_all(within=1)
        await replies.requests.cancel_all(within=1)
        assert sorted(replies.ids(), key=int) == started
        assert len(replies.requests) == 0

    asyncio.run(scenario())
