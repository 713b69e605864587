from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from leanvibe_lsp.assist.complete import Completer, Completion, CompletionRequest
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.engine.base import FinishReason
from leanvibe_lsp.errors import Cancelled, EngineError, ModelNotFound
from tests.support.engines import WAIT, SpecialTokenizer
from tests.support.saying import Room, SayingEngine, at_bar

SECRET = "ghp_" + "a1B2c3D4e5" * 4
Open = Callable[..., tuple[Room, Completer]]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Rooms that are closed after the test."""
    rooms: list[Room] = []

    def make(*pieces: Any, **options: Any) -> tuple[Room, Completer]:
        room = Room(SayingEngine(*pieces, **options))
        rooms.append(room)
        return room, Completer(room, room.workers)

    yield make
    for room in rooms:
        room.close()


def asked(marked: str, uri: str = "file:///project/code.py", **fields: Any) -> CompletionRequest:
    snapshot, place = at_bar(marked, uri)
    return CompletionRequest(snapshot, place, **fields)


async def complete(completer: Completer, marked: str, **fields: Any) -> str | None:
    found = await completer.complete(asked(marked, **fields), CancelToken())
    return found.text if found is not None else None


async def test_a_line_is_completed_and_the_engine_stopped_at_its_end(opened: Open) -> None:
    """What comes after the line is not even made."""
    room, completer = opened(" a", " +", " b\n", "print", "()")
    await room.load()
    found = await completer.complete(asked("def add(a, b):\n    return |\n"), CancelToken())
    assert found is not None
    assert (found.text, found.model, found.seconds is not None) == ("a + b", "planted", True)
    assert room.engine.prompts() == ["def add(a, b):\n    return"]
    assert room.engine.said == 3
    assert room.engine.whole == 0


async def test_the_same_place_and_typing_on_need_no_model(opened: Open) -> None:
    """A completion that is shown is gone on with; only other text asks the model again."""
    room, completer = opened(" a + b\n")
    await room.load()
    for typed, left in (("", "a + b"), ("", "a + b"), ("a", " + b"), ("a +", " b")):
        assert await complete(completer, f"return {typed}|") == left
    assert len(room.engine.asked) == 1
    assert await complete(completer, "return c|") == " a + b"
    assert len(room.engine.asked) == 2
    found = await completer.complete(asked("return |", delay=60), CancelToken())
    assert found == Completion("a + b", "planted")


async def test_nothing_to_say_is_remembered_too(opened: Open) -> None:
    """An empty completion is no reason to ask once more."""
    room, completer = opened("\n")
    await room.load()
    assert [await complete(completer, "x = 1|") for _ in range(2)] == [None, None]
    assert len(room.engine.asked) == 1


async def test_line_endings_are_the_files_own(opened: Open) -> None:
    """The model is shown and says line feeds; the file has what it has."""
    room, completer = opened(" a = 1\n    b = 2\nx")
    await room.load()
    assert await complete(completer, "import c\r\ndef f():\r\n    |\r\n") == "a = 1\r\n    b = 2"
    assert room.engine.prompts() == ["import c\ndef f():\n   "]


async def test_a_gap_is_filled_where_the_model_can(opened: Open) -> None:
    """The code behind the cursor is in the prompt; a token that ends the gap ends the completion."""
    tokenizer = SpecialTokenizer("<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<file_sep>")
    room, completer = opened("x", (" garbage", tokenizer.ids["<file_sep>"]), " more", tokenizer=tokenizer)
    await room.load()
    assert await complete(completer, "print(|)\n") == "x"
    (request,) = room.engine.asked
    assert tokenizer.show(request.prompt) == "⟦<fim_prefix>⟧print(⟦<fim_suffix>⟧)\n⟦<fim_middle>⟧"
    assert room.engine.said == 2


async def test_a_list_of_the_editors_own_is_gone_on_from(opened: Open) -> None:
    """What the list would insert stands there already for the model."""
    room, completer = opened("(a)\n")
    await room.load()
    snapshot, _ = at_bar("x = pri")
    request = CompletionRequest(snapshot, Span(4, 7), "print")
    assert (await completer.complete(request, CancelToken())) is not None
    assert room.engine.prompts() == ["x = print"]


@pytest.mark.parametrize("reason", [FinishReason.LOOP, FinishReason.LENGTH])
async def test_what_is_no_whole_line_is_not_shown(opened: Open, reason: FinishReason) -> None:
    """A text that repeats itself, or was cut in the middle of its line."""
    room, completer = opened(" a", " a", reason=reason)
    await room.load()
    assert await complete(completer, "x = |") is None


async def test_secrets_are_not_shown_to_the_model(opened: Open) -> None:
    """A file of secrets gets none, a cursor in a secret gets none, elsewhere secrets are covered and never said."""
    room, completer = opened(" [secret 1]\n")
    await room.load()
    assert await complete(completer, "A=|", uri="file:///project/.env") is None
    assert await complete(completer, "a = |", uri="file:///project/a.key2", secrets=("*.key2",)) is None
    assert await complete(completer, f'token = "{SECRET}|"') is None
    assert room.engine.asked == []
    assert await complete(completer, f'token = "{SECRET}"\nother = |') is None
    assert room.engine.prompts() == ['token = "[secret 1]"\nother =']


async def test_without_a_model_it_is_loaded_beside_and_the_log_says_so_once(
    opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """Keys wait for no load: nothing comes until the model is there, then it does."""
    go = threading.Event()
    loaded = threading.Event()

    def load(_: CancelToken) -> None:
        loaded.set()
        assert go.wait(WAIT)

    room, completer = opened(" 1\n", on_load=load)
    with caplog.at_level(logging.INFO):
        assert [await complete(completer, f"{name} = |") for name in "abc"] == [None, None, None]
        assert loaded.wait(WAIT)
        go.set()
        await room.load()
    assert [record.message for record in caplog.records if "completions" in record.message] == [
        "The model is loaded for completions, beside all else; until then there are none."
    ]
    assert room.engine.loads == 1
    assert await complete(completer, "a = |") == "1"


async def test_a_person_who_asks_waits_for_the_model(opened: Open) -> None:
    """Asked for by hand, the model is loaded and answers."""
    _, completer = opened(" 1\n")
    assert await complete(completer, "a = |", invoked=True) == "1"


async def test_a_model_that_cannot_be_loaded_is_no_error_while_typing(
    opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """One line in the log and no second try with the next key; a person who asks is told."""
    failed = ModelNotFound("No model.", next_step="Pull one.")

    def load(_: CancelToken) -> None:
        raise failed

    room, completer = opened(on_load=load)
    assert await complete(completer, "a = |") is None
    with pytest.raises(ModelNotFound):
        await room.load()
    loads = room.engine.loads
    assert [await complete(completer, f"{name} = |") for name in "bcd"] == [None, None, None]
    await asyncio.wrap_future(room.host.unload(CancelToken()))  # comes after all that waits
    assert room.engine.loads == loads
    assert len([record for record in caplog.records if record.message.startswith("No completions: No model.")]) == 1
    with pytest.raises(ModelNotFound):
        await complete(completer, "a = |", invoked=True)


async def test_an_engine_that_fails_is_told_to_the_chain(opened: Open) -> None:
    """While typing nothing is shown; the chain knows, so that another engine may answer."""
    room, completer = opened()
    await room.load()
    room.engine.error = EngineError("It broke.")
    assert await complete(completer, "a = |") is None
    assert [str(error) for error in room.failures] == ["It broke."]


async def test_a_cancel_stops_the_engine(opened: Open) -> None:
    """The token is pulled, or the task is cancelled: the engine does not say another word."""
    room, completer = opened(" a\n")
    await room.load()
    room.engine.hold = True
    for pull in (True, False):
        token = CancelToken()
        task = asyncio.ensure_future(completer.complete(asked("x = |"), token))
        assert await asyncio.to_thread(room.engine.started.acquire, timeout=WAIT)
        if pull:
            token.cancel("superseded")
        else:
            task.cancel()
        with pytest.raises((Cancelled, asyncio.CancelledError)):
            await task
    room.engine.hold = False
    assert await complete(completer, "y = |") == "a"
    assert room.engine.said == 1


async def test_while_it_waits_for_the_next_key_no_model_is_asked(opened: Open) -> None:
    """A request that is superseded within its delay costs nothing."""
    room, completer = opened(" a\n")
    await room.load()
    task = asyncio.ensure_future(completer.complete(asked("x = |", delay=60), CancelToken()))
    done, _ = await asyncio.wait((task,), timeout=0.05)
    assert not done
    task.cancel()
    await asyncio.wait((task,))
    assert room.engine.asked == []
