from __future__ import annotations

import threading

import pytest

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import Chunk, Event, FinishReason, GenerationRequest, Prefill
from leanvibe_lsp.engine.mock import NOTICE, SCRIPT, CharacterTokenizer, MockEngine
from leanvibe_lsp.errors import Cancelled, DeadlineExceeded

_REQUEST = GenerationRequest((1, 2, 3), max_tokens=100)


def test_it_says_what_it_is_first() -> None:
    """An answer begins by saying that no model was asked; the chunks add up to the text."""
    events: list[Event] = []
    finished = MockEngine().generate(_REQUEST, events.append, CancelToken(), Deadline.never())
    chunks = [event for event in events if isinstance(event, Chunk)]
    assert events[0] == Prefill(3, 3, 0)
    assert chunks[0].text == NOTICE
    assert finished.text == "".join(chunk.text for chunk in chunks) == NOTICE + "".join(SCRIPT)
    assert finished.reason is FinishReason.STOP
    assert (finished.usage.prompt_tokens, finished.usage.completion_tokens) == (3, len(chunks))


def test_it_keeps_max_tokens() -> None:
    """Cut short it says so, and the notice is there even then."""
    finished = MockEngine().generate(
        GenerationRequest((1,), max_tokens=2), lambda _: None, CancelToken(), Deadline.never()
    )
    assert finished.text == NOTICE + SCRIPT[0]
    assert finished.reason is FinishReason.LENGTH


def test_it_stops_as_the_real_ones_do() -> None:
    """Cancelled within one token, also in the middle of a pause; and when the time is up."""
    token = CancelToken()
    heard: list[Event] = []

    def sink(event: Event) -> None:
        heard.append(event)
        if isinstance(event, Chunk):
            token.cancel("enough")

    with pytest.raises(Cancelled):
        MockEngine(pause=60).generate(_REQUEST, sink, token, Deadline.never())
    assert len(heard) == 2
    with pytest.raises(DeadlineExceeded):
        MockEngine().generate(_REQUEST, lambda _: None, CancelToken(), Deadline.after(0))
    pulled = CancelToken()
    pulled.cancel()
    with pytest.raises(Cancelled):
        MockEngine().load(pulled)


def test_a_pause_ends_with_a_cancel_from_another_thread() -> None:
    """A long pause does not hold a cancel up."""
    token, speaking = CancelToken(), threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            MockEngine(pause=60).generate(_REQUEST, lambda _: speaking.set(), token, Deadline.never())
        except Cancelled as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert speaking.wait(5)
    token.cancel()
    thread.join(5)
    assert not thread.is_alive()
    assert len(errors) == 1


def test_what_it_loads() -> None:
    """The window is the one asked for; its tokens are characters, none special."""
    engine = MockEngine(window=1_000)
    loaded = engine.load(CancelToken())
    engine.close()
    assert loaded.window == 1_000
    tokenizer = CharacterTokenizer()
    assert tokenizer.encode("a😀") == [0x61, 0x1F600]
    assert b"".join(map(tokenizer.token_bytes, tokenizer.encode("a😀"))) == "a😀".encode()
    assert tokenizer.token_bytes(0xD800) == b"?"
    assert tokenizer.special("<s>") is None
