"""The pure parts: events, retries, the circuit breaker."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.remote.breaker import Breaker, Circuit
from leanvibe_lsp.engine.remote.retry import asked_wait, may_pass, pause
from leanvibe_lsp.engine.remote.sse import Events, EventTooLong

_DATA = st.binary(max_size=20).filter(lambda data: not set(data) & set(b"\r\n") and not data.startswith(b" "))


@given(
    st.lists(st.lists(_DATA, min_size=1, max_size=3), max_size=5),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.lists(st.integers(0, 200), max_size=8),
)
def test_events_do_not_depend_on_the_cuts(events: list[list[bytes]], end: bytes, cuts: list[int]) -> None:
    """Whatever the line ends, wherever the network cuts, comments and other fields between."""
    text = b"".join(
        b": ping" + end + b"event: x" + end + b"".join(b"data: " + line + end for line in event) + end
        for event in events
    )
    reader, found, at = Events(), [], 0
    for cut in sorted({*(one for one in cuts if one < len(text)), len(text)}):
        found += reader.push(text[at:cut])
        at = cut
    assert found == [b"\n".join(event) for event in events]


def test_an_event_is_bounded() -> None:
    """Also one that never ends, line by line or byte by byte."""
    most = limit("remote.event_bytes")
    for piece in (b"x" * 1000, b"data: " + b"x" * 1000 + b"\n", b"data:\n" * 100):
        reader = Events()
        for _ in range(most // 1100):
            assert reader.push(piece) == []
        with pytest.raises(EventTooLong):
            reader.push(piece * 2000)


@pytest.mark.parametrize(
    ("status", "again"), [(408, True), (429, True), (500, True), (503, True), (501, False), (400, False), (404, False)]
)
def test_what_may_pass(status: int, again: bool) -> None:
    """A server's trouble, not the request's."""
    assert may_pass(status) is again


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        ("-4", 0.0),
        ("Sat, 21 Nov 2026 12:00:30 GMT", 30.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("inf", None),
        ("nan", None),
    ],
)
def test_what_a_server_asks_for(header: str, seconds: float | None) -> None:
    """Seconds, or a date; nonsense is nothing."""
    assert asked_wait(header, datetime(2026, 11, 21, 12, tzinfo=UTC)) == seconds


@given(st.integers(1, 100), st.none() | st.floats(0, 1e6), st.floats(0, 1))
def test_pauses_are_bounded(tries: int, asked: float | None, chance: float) -> None:
    """Never less than the server asked for, never more than the row, and not for ever."""
    found = pause(tries, asked, chance)
    if found is None:
        assert tries >= limit("remote.tries") or (asked or 0) > limit("remote.retry_seconds")
    else:
        assert tries < limit("remote.tries")
        assert (asked or 0) <= found <= limit("remote.retry_seconds")


def test_pauses_grow_and_differ() -> None:
    """Each is twice the one before, and chance spreads them over half of that."""
    step = limit("remote.retry_milliseconds") / 1000
    assert [pause(tries, None, 0.0) for tries in (1, 2, 3)] == [step, 2 * step, 4 * step]
    assert pause(1, None, 1.0) == step / 2


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), max_size=60))
def test_the_breaker_keeps_its_promise(history: list[tuple[bool, int]]) -> None:
    """Open exactly while enough failures in a row are fresh; one success closes it."""
    breaker, now, failures, last = Breaker(), 0, 0, 0
    for good, seconds in history:
        now += seconds
        if failures < limit("remote.breaker_failures"):
            assert breaker.state(now) is Circuit.CLOSED
        else:
            fresh = now < last + limit("remote.breaker_seconds")
            assert breaker.state(now) is (Circuit.OPEN if fresh else Circuit.HALF_OPEN)
            if fresh:
                continue
        failures, last = (0, last) if good else (failures + 1, now)
        breaker = breaker.succeeded() if good else breaker.failed(now)
