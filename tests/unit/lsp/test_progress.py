from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.errors import Cancelled
from leanvibe_lsp.lsp import progress
from leanvibe_lsp.lsp.progress import PartialResults


class _ManualClock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self._timers: list[tuple[float, int, list[Callable[[], None]]]] = []
        self._count = 0

    def __call__(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> Any:
        self._count += 1
        entry = [callback]
        heapq.heappush(self._timers, (self.now + delay, self._count, entry))
        return type("Timer", (), {"cancel": lambda _: entry.clear()})()

    def advance(self, seconds: float) -> None:
        until = self.now + seconds
        while self._timers and self._timers[0][0] <= until:
            at, _, entry = heapq.heappop(self._timers)
            self.now = max(self.now, at)
            for callback in entry:
                callback()
        self.now = until


@given(
    st.lists(st.tuples(st.text(max_size=5), st.floats(0, 0.4)), max_size=120),
    st.integers(2, 60),
)
def test_pieces_add_up_and_keep_the_rate(steps: list[tuple[str, float]], per_second: int) -> None:
    """The pieces together are the answer, and no second sees more than the rate, the flush included."""
    clock = _ManualClock()
    sent: list[tuple[float, str]] = []
    partial = PartialResults(
        lambda text: sent.append((clock.now, text)),
        per_second=per_second,
        clock=clock,
        call_later=clock.call_later,
    )
    for text, pause in steps:
        partial.add(text)
        clock.advance(pause)
    partial.finish("".join(text for text, _ in steps))
    assert "".join(text for _, text in sent) == "".join(text for text, _ in steps)
    assert all(text for _, text in sent)
    for at, _ in sent:
        assert sum(1 for other, _ in sent if at - 1e-9 <= other < at + 1 - 1e-6) <= per_second


def test_first_piece_is_not_held_back() -> None:
    """The first text goes out at once; what follows waits for its turn and goes without another call."""
    clock = _ManualClock()
    sent: list[str] = []
    partial = PartialResults(sent.append, per_second=20, clock=clock, call_later=clock.call_later)
    partial.add("a")
    assert sent == ["a"]
    partial.add("b")
    partial.add("c")
    assert sent == ["a"]
    clock.advance(0.06)
    assert sent == ["a", "bc"]


def test_a_restart_takes_back_what_was_sent_and_what_was_pending() -> None:
    """What follows a restart is the whole of the new answer; nothing of the old one comes late."""
    clock = _ManualClock()
    sent: list[Any] = []
    partial = PartialResults(sent.append, per_second=10, clock=clock, call_later=clock.call_later)
    partial.add("old")
    partial.add(" and pending")
    partial.restart("it failed")
    partial.add("new")
    clock.advance(1)
    partial.finish("new answer")
    at = sent.index({"restart": "it failed"})
    assert sent[:at] == ["old"]
    assert "".join(sent[at + 1 :]) == "new answer"


def test_a_restart_keeps_the_rate_and_is_told_once() -> None:
    """It waits for its turn, as text does; no empty piece comes late, and text behind it waits for the next turn."""
    clock = _ManualClock()
    sent: list[tuple[float, Any]] = []
    partial = PartialResults(
        lambda value: sent.append((round(clock.now, 3), value)), per_second=11, clock=clock, call_later=clock.call_later
    )
    partial.add("a")
    partial.add("pending")
    partial.restart("it failed")
    assert sent == [(0.0, "a")]
    clock.advance(1)
    assert sent[1:] == [(0.1, {"restart": "it failed"})]
    partial.restart("that one too")
    partial.add("b")
    clock.advance(1)
    assert sent[2:] == [(1.0, {"restart": "that one too"}), (1.1, "b")]
    partial.restart("and the third")
    partial.restart("and the fourth")
    partial.add("c")
    partial.finish("c")
    clock.advance(1)
    assert sent[4:] == [(2.0, {"restart": "and the third"}), (2.0, {"restart": "and the fourth"}), (2.0, "c")]


def test_nothing_after_close() -> None:
    """A cancelled answer sends nothing any more, not even what was pending."""
    clock = _ManualClock()
    sent: list[str] = []
    partial = PartialResults(sent.append, per_second=20, clock=clock, call_later=clock.call_later)
    partial.add("a")
    partial.add("b")
    partial.close()
    partial.add("c")
    partial.finish("abc")
    clock.advance(5)
    assert sent == ["a"]


ASK = {"question": "why?", "workDoneToken": "bar", "partialResultToken": 9}


async def test_work_done_begins_reports_and_ends(session: Any) -> None:
    """With the client's token: begin with a stage, reports of stages and tokens, end before the reply."""
    await session.call("leanvibe/ask", ASK)
    values = session.progress("bar")
    assert values[0] == {"kind": "begin", "title": "LeanVibe", "cancellable": True, "message": "reading context"}
    assert [value["message"] for value in values[1:]] == ["thinking", "1 token", "done"]
    assert values[-1]["kind"] == "end"
    assert "result" in session.sent[-1]


async def test_partial_results_are_the_answer(session: Any) -> None:
    """The chunks' concatenation is the final answer, which is sent whole too."""
    reply = await session.call("leanvibe/ask", ASK)
    assert "".join(session.progress(9)) == reply["result"]["answer"] == "The answer."


@pytest.mark.parametrize(("error", "message"), [(ValueError("no"), "failed"), (Cancelled("stop"), "cancelled")])
async def test_end_is_sent_on_errors(session: Any, error: Exception, message: str) -> None:
    """An error ends the progress bar too."""
    session.services.error = error
    assert "error" in await session.call("leanvibe/ask", ASK)
    assert session.progress("bar")[-1] == {"kind": "end", "message": message}


async def test_cancel_from_the_progress_bar(session: Any) -> None:
    """window/workDoneProgress/cancel stops the engine: one reply, -32800, and an end."""
    session.services.gate = asyncio.Event()
    request_id = session.request("leanvibe/ask", ASK)
    await session.wait_for(lambda m: m.get("method") == "$/progress" and m["params"]["token"] == 9)
    session.notify("window/workDoneProgress/cancel", {"token": "bar"})
    reply = await session.reply(request_id)
    assert reply["error"]["code"] == -32800
    assert session.services.tokens[0].cancelled
    assert session.services.stopped == 1
    assert session.progress("bar")[-1] == {"kind": "end", "message": "cancelled"}


async def test_token_of_our_own_when_the_client_can(new_session: Any) -> None:
    """Without a token from the client one is created; the bar begins when the client agreed, and can cancel."""
    session = new_session
    await session.initialize({"window": {"workDoneProgress": True}})
    session.services.gate = asyncio.Event()
    request_id = session.request("leanvibe/ask", {"question": "why?"})
    create = await session.method("window/workDoneProgress/create")
    token = create["params"]["token"]
    assert session.progress(token) == []
    session.respond(create["id"], result=None)
    await session.method("$/progress")
    assert session.progress(token)[0]["message"] in ("thinking", "The")
    session.notify("window/workDoneProgress/cancel", {"token": token})
    assert (await session.reply(request_id))["error"]["code"] == -32800
    assert [value["kind"] for value in session.progress(token)] == ["begin", "end"]


async def test_late_agreement_still_gets_begin_and_end(new_session: Any) -> None:
    """The answer does not wait for the client's agreement; a bar agreed to later begins and ends."""
    session = new_session
    await session.initialize({"window": {"workDoneProgress": True}})
    assert "result" in await session.call("leanvibe/ask", {"question": "why?"})
    create = await session.method("window/workDoneProgress/create")
    session.respond(create["id"], result=None)
    await session.wait_for(lambda m: m.get("method") == "$/progress" and m["params"]["value"]["kind"] == "end")
    assert [value["kind"] for value in session.progress(create["params"]["token"])] == ["begin", "end"]


async def test_refused_progress_bar_does_no_harm(new_session: Any) -> None:
    """A client that refuses the bar still gets the answer, and no progress."""
    session = new_session
    await session.initialize({"window": {"workDoneProgress": True}})
    session.services.gate = asyncio.Event()
    request_id = session.request("leanvibe/ask", {"question": "why?"})
    create = await session.method("window/workDoneProgress/create")
    session.respond(create["id"], error={"code": -32603, "message": "no bars here"})
    session.services.gate.set()
    assert "result" in await session.reply(request_id)
    assert session.progress(create["params"]["token"]) == []


LONG = tuple(f"line {number}\n" for number in range(300))


@pytest.mark.parametrize("rung", ["pieces", "bar of the client's", "bar of ours", "nothing"])
async def test_the_answer_is_the_same_on_every_rung(new_session: Any, rung: str) -> None:
    """Pieces, a bar with the newest text, or nothing until the end: the final text has the same bytes."""
    session = new_session
    session.services.deltas = LONG
    await session.initialize({"window": {"workDoneProgress": rung == "bar of ours"}})
    params: dict[str, object] = {"question": "why?"}
    if rung == "pieces":
        params["partialResultToken"] = "p"
    elif rung == "bar of the client's":
        params["workDoneToken"] = "p"
    request_id = session.request("leanvibe/ask", params)
    if rung == "bar of ours":
        create = await session.method("window/workDoneProgress/create")
        session.respond(create["id"], result=None)
    reply = await session.reply(request_id)
    assert reply["result"]["answer"] == "".join(LONG)
    if rung == "pieces":
        assert "".join(session.progress("p")) == "".join(LONG)
    if rung == "nothing":
        assert [message["method"] for message in session.sent if "method" in message] == []


async def test_a_bar_shows_the_newest_text_on_one_short_line(
    session: Any, services: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that takes no pieces sees the end of what was made so far; a restart begins it anew."""
    limits = {"stream.reports_per_second": 1_000_000_000, "stream.report_characters": 12}
    monkeypatch.setattr(progress, "limit", lambda name: limits.get(name, limit(name)))
    services.deltas = ("def f():\n", "    return 1", " + 2")
    services.restart = "it failed"
    await session.call("leanvibe/ask", {"question": "why?", "workDoneToken": "bar"})
    assert [value["message"] for value in session.progress("bar")] == [
        "reading context",
        "thinking",
        "def f():",
        "it failed",
        "def f():",
        "return 1",
        "return 1 + 2",
        "done",
    ]
