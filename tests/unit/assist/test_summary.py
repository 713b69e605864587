from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from leanvibe_lsp.assist.summary import SYSTEM, Summaries, Summary, SummaryRequest, worth_showing
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.engine.base import Finished, FinishReason, Timing, Usage
from leanvibe_lsp.errors import Cancelled, EngineError
from tests.support.engines import WAIT
from tests.support.saying import Room, SayingEngine, at_bar

CODE = "def add(a, b):\n    return a + b\n"
Open = Callable[..., tuple[Room, Summaries]]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Rooms that are closed after the test."""
    rooms: list[Room] = []

    def make(*pieces: str, **options: Any) -> tuple[Room, Summaries]:
        room = Room(SayingEngine(*pieces, **options))
        rooms.append(room)
        return room, Summaries(room, room.workers)

    yield make
    for room in rooms:
        room.close()


def about(text: str = CODE, uri: str = "file:///project/code.py", **fields: Any) -> SummaryRequest:
    snapshot, _ = at_bar(text, uri)
    return SummaryRequest(snapshot, Span(0, len(snapshot.text)), **fields)


async def test_no_model_is_loaded_for_a_hover(opened: Open) -> None:
    """Nothing in memory: no summary, no load."""
    room, summaries = opened("Adds.")
    assert await summaries.summary(about(), CancelToken()) is None
    assert room.engine.loads == 0
    assert room.host.status.state == "idle"


async def test_the_model_in_memory_says_it_once(opened: Open) -> None:
    """The same code is asked about once; other code again."""
    room, summaries = opened("Adds two ", "numbers.\nIt returns the sum.\nMore.")
    await room.load()
    said = Summary("Adds two numbers.\nIt returns the sum.", "planted")
    assert [await summaries.summary(about(), CancelToken()) for _ in range(3)] == [said] * 3
    (prompt,) = room.engine.prompts()
    assert prompt == f"system: {SYSTEM}\nuser: ```python\n{CODE}```\n"
    await summaries.summary(about("def g(): ...\n"), CancelToken())
    assert len(room.engine.asked) == 2


async def test_what_is_not_worth_showing_is_remembered_too(opened: Open) -> None:
    """A bad summary is not made again and again."""
    room, summaries = opened("  ")
    await room.load()
    assert [await summaries.summary(about(), CancelToken()) for _ in range(2)] == [None, None]
    assert len(room.engine.asked) == 1


async def test_secrets_are_not_shown_to_the_model(opened: Open) -> None:
    """A file of secrets has no summary; a secret in the code is covered."""
    room, summaries = opened("Sets a token.")
    await room.load()
    secret = "ghp_" + "a1B2c3D4e5" * 4
    assert await summaries.summary(about(uri="file:///project/.env"), CancelToken()) is None
    assert await summaries.summary(about(uri="file:///project/a.x", secrets=("*.x",)), CancelToken()) is None
    assert room.engine.asked == []
    await summaries.summary(about(f'def f():\n    token = "{secret}"\n    return 1\n'), CancelToken())
    (prompt,) = room.engine.prompts()
    assert secret not in prompt
    assert "return 1" in prompt


async def test_long_code_is_cut(opened: Open) -> None:
    """No more of a definition is shown than the limit says."""
    room, summaries = opened("Long.")
    await room.load()
    await summaries.summary(about("x = 1\n" * 5_000), CancelToken())
    assert len(room.engine.asked[0].prompt) < limit("summary.code_tokens") + 300


async def test_a_failure_is_no_summary_and_is_tried_again(opened: Open) -> None:
    """An engine that failed says nothing; nor is that remembered."""
    room, summaries = opened("Adds.")
    await room.load()
    room.engine.error = EngineError("It broke.")
    assert await summaries.summary(about(), CancelToken()) is None
    room.engine.error = None
    await room.load()
    assert await summaries.summary(about(), CancelToken()) == Summary("Adds.", "planted")


async def test_a_cancel_stops_the_engine(opened: Open) -> None:
    """Pulled in the middle: not a word more, and nothing remembered."""
    room, summaries = opened("Adds.")
    await room.load()
    room.engine.hold = True
    token = CancelToken()
    task = asyncio.ensure_future(summaries.summary(about(), token))
    assert await asyncio.to_thread(room.engine.started.acquire, timeout=WAIT)
    token.cancel("the code was changed")
    with pytest.raises(Cancelled):
        await task
    assert room.engine.said == 0


@pytest.mark.parametrize(
    ("text", "reason", "sure", "shown"),
    [
        ("It adds.", FinishReason.STOP, -0.1, "It adds."),
        ("One.\nTwo.\nThree.", FinishReason.STOP, -0.1, "One.\nTwo."),
        ("Summary:\n\nIt adds.\n\nExample usage:", FinishReason.STOP, -0.1, "It adds."),
        ("It adds. Then it", FinishReason.LENGTH, -0.1, "It adds."),
        ("It adds and then", FinishReason.LENGTH, -0.1, ""),
        ("It adds.", FinishReason.LOOP, -0.1, ""),
        ("It adds.", FinishReason.STOP, -3.0, ""),
        ("```\ncode\n```", FinishReason.STOP, -0.1, "code"),
        (" \n", FinishReason.STOP, -0.1, ""),
        ("a" * 100 + " " + "b" * 100, FinishReason.STOP, -0.1, "a" * 100 + " …"),
    ],
)
def test_two_lines_that_are_worth_it(text: str, reason: FinishReason, sure: float, shown: str) -> None:
    """Cut at two lines; loops, guesses and halves of a sentence are not shown."""
    finished = Finished(text, reason, Usage(1, 0, 2), Timing(0.0, 0.1))
    assert worth_showing(finished, [sure, sure]) == shown
    assert worth_showing(finished, []) == ""
