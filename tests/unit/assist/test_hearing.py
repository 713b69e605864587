from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.assist.answer import AskEvent, Stage, TextDelta
from leanvibe_lsp.assist.hearing import Hearing
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.base import Chunk, Event, Finished, FinishReason, Prefill, Timing, Usage


class Room:
    """A hearing with a clock and an event loop that move by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.said: list[AskEvent] = []
        self.cancel = CancelToken()
        self.loop = asyncio.new_event_loop()
        self.hearing = Hearing(self.said.append, self.cancel, self.loop, clock=lambda: self.now)

    def hear(self, *events: Event, after: float = 0.0) -> None:
        """Events from the engine, `after` seconds before each; then the loop does what it was woken for."""
        for event in events:
            self.now += after
            self.hearing.hear(event)
        self.loop.run_until_complete(asyncio.sleep(0))

    @property
    def text(self) -> list[str]:
        """The deltas so far."""
        return [event.text for event in self.said if isinstance(event, TextDelta)]


@pytest.fixture
def room() -> Iterator[Room]:
    """One hearing."""
    room = Room()
    yield room
    room.loop.close()


def finished(text: str) -> Finished:
    """The end of a generation with this text."""
    return Finished(text, FinishReason.STOP, Usage(1, 0, 1), Timing(0.0, 0.0))


def test_the_first_token_comes_at_once(room: Room) -> None:
    """The first event and the first token are handed over without waiting, however close they are."""
    room.hear(Prefill(0, 4, 0))
    room.hear(Chunk("a", 1, -0.1), after=0.001)
    assert room.said == [Stage("reading prompt", 0), TextDelta("a", 1)]


def test_later_tokens_come_together(room: Room) -> None:
    """100 tokens a second make at most 20 deltas a second, and none is lost."""
    room.hear(Chunk("x", 1, -0.1))
    for _ in range(200):
        room.hear(Chunk("x", 1, -0.1), after=0.01)
    assert len(room.text) <= 41
    room.hearing.finish(finished("x" * 201))
    assert "".join(room.text) == "x" * 201
    assert len(room.hearing.chunks) == 201


@given(st.lists(st.tuples(st.text(max_size=4), st.floats(0, 0.2)), max_size=30), st.text(max_size=5))
def test_all_deltas_are_the_text(tokens: list[tuple[str, float]], held: str) -> None:
    """Whatever the tokens and their times, and with text that was held back: the deltas joined are the final text."""
    room = Room()
    for text, pause in tokens:
        room.hear(Chunk(text, 1, -0.5), after=pause)
    whole = "".join(text for text, _ in tokens) + held
    room.hearing.finish(finished(whole))
    assert "".join(room.text) == whole
    room.loop.close()


def test_nothing_is_said_after_the_end(room: Room) -> None:
    """Once closed, a token that still comes is not heard."""
    room.hearing.close()
    room.hear(Chunk("late", 1, -0.1))
    assert room.said == []


def test_a_failing_sink_stops_the_engine(room: Room) -> None:
    """The sink's error is kept, the engine is told to stop, and the error is raised at the end."""

    def fail(_: AskEvent) -> None:
        raise BrokenPipeError("nobody reads")

    hearing = Hearing(fail, room.cancel, room.loop, clock=lambda: 0.0)
    hearing.hear(Chunk("a", 1, -0.1))
    room.loop.run_until_complete(asyncio.sleep(0))
    assert room.cancel.cancelled
    with pytest.raises(BrokenPipeError):
        hearing.finish(finished("a"))


def test_a_closed_loop_stops_the_engine(room: Room) -> None:
    """When the program is on its way out, the engine's thread is not hurt and stops."""
    room.loop.close()
    room.hearing.hear(Chunk("a", 1, -0.1))
    assert room.cancel.cancelled
