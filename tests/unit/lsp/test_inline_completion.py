from __future__ import annotations

import asyncio
from typing import Any

import pytest

from leanvibe_lsp.assist.complete import Completion
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.errors import ModelNotFound
from tests.unit.lsp.conftest import URI

METHOD = "textDocument/inlineCompletion"
TEXT = "é𝒻 = \n"
ON = {"inlineCompletion": {"enabled": True}}
DYNAMIC = {"textDocument": {"inlineCompletion": {"dynamicRegistration": True}}}


def at(line: int, character: int, kind: int = 2, uri: str = URI, **context: object) -> dict[str, object]:
    where = {"line": line, "character": character}
    return {"textDocument": {"uri": uri}, "position": where, "context": {"triggerKind": kind, **context}}


@pytest.fixture
async def completing(new_session: Any) -> Any:
    """A session whose settings want completions, and TEXT open."""
    await new_session.initialize(initializationOptions=ON)
    new_session.open(TEXT)
    return new_session


async def test_off_unless_wanted(session: Any) -> None:
    """Off by default: announced to a client that cannot be told later, and answered with null."""
    session.open(TEXT)
    assert (await session.call(METHOD, at(0, 6)))["result"] is None
    assert session.services.completions == []
    assert session.server.protocol.server_capabilities.inline_completion_provider is not None


@pytest.mark.parametrize(("encoding", "column"), [("utf-8", 9), ("utf-16", 6), ("utf-32", 5)])
async def test_one_item_at_the_cursor(new_session: Any, encoding: str, column: int) -> None:
    """Inserted text only: an empty range, in the client's columns."""
    await new_session.initialize({"general": {"positionEncodings": [encoding]}}, initializationOptions=ON)
    new_session.open(TEXT)
    new_session.services.completion = Completion("1", "fake", 0.1)
    where = {"line": 0, "character": column}
    reply = await new_session.call(METHOD, at(0, column))
    assert reply["result"] == {"items": [{"insertText": "1", "range": {"start": where, "end": where}}]}
    (request,) = new_session.services.completions
    assert (request.span, request.begun, request.invoked) == (Span(5, 5), "", False)


async def test_the_selected_item_of_a_list_is_gone_on_from(completing: Any) -> None:
    """A completion begins with what the editor's own list has selected, and replaces what that replaces."""
    completing.services.completion = Completion("(1)", "fake", 0.1)
    selected = {"range": {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 3}}, "text": "print"}
    reply = await completing.call(METHOD, at(0, 3, selectedCompletionInfo=selected))
    assert reply["result"]["items"] == [{"insertText": "print(1)", "range": selected["range"]}]
    (request,) = completing.services.completions
    assert (request.span, request.begun) == (Span(0, 2), "print")


async def test_nothing_to_say_is_null(completing: Any) -> None:
    """Null for no completion, and for a document that is not open."""
    assert (await completing.call(METHOD, at(0, 6)))["result"] is None
    assert (await completing.call(METHOD, at(0, 6, uri="file:///other.py")))["result"] is None
    assert len(completing.services.completions) == 1


async def test_a_newer_request_ends_the_one_before(completing: Any) -> None:
    """The old one is answered with null at once, its engine stopped; the new one with what it came for."""
    services = completing.services
    services.gate, services.completion = asyncio.Event(), Completion("1", "fake", 0.1)
    first = completing.request(METHOD, at(0, 6))
    await services.asked.wait()
    second = completing.request(METHOD, at(0, 6))
    assert (await completing.reply(first))["result"] is None
    assert services.tokens[0].cancelled
    services.gate.set()
    assert (await completing.reply(second))["result"]["items"][0]["insertText"] == "1"
    assert [len(completing.replies(one)) for one in (first, second)] == [1, 1]


async def test_an_edit_ends_a_request(completing: Any) -> None:
    """didChange, and didClose: null at once."""
    services = completing.services
    services.gate = asyncio.Event()
    for number in range(2):
        services.asked.clear()
        request = completing.request(METHOD, at(0, 6))
        await services.asked.wait()
        if number:
            completing.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
        else:
            completing.change("x", {"line": 0, "character": 0})
        assert (await completing.reply(request))["result"] is None
        assert services.tokens[-1].cancelled


async def test_requests_at_once_leave_one(completing: Any) -> None:
    """Ten in a row before any begins: one reply each, and only the newest reaches the services."""
    completing.services.completion = Completion("1", "fake", 0.1)
    requests = [completing.request(METHOD, at(0, 6)) for _ in range(10)]
    replies = [await completing.reply(one) for one in requests]
    assert [reply["result"] is None for reply in replies] == [True] * 9 + [False]
    assert len(completing.services.completions) == 1


async def test_another_document_is_left_alone(completing: Any) -> None:
    """A request is superseded by one for its own document."""
    services = completing.services
    services.gate, services.completion = asyncio.Event(), Completion("1", "fake", 0.1)
    completing.open(TEXT, uri="file:///project/b.py")
    requests = [completing.request(METHOD, at(0, 6, uri=uri)) for uri in (URI, "file:///project/b.py")]
    services.gate.set()
    assert [(await completing.reply(one))["result"] is None for one in requests] == [False, False]


async def test_the_client_cancels(completing: Any) -> None:
    """$/cancelRequest: -32800, and the engine is stopped."""
    completing.services.gate = asyncio.Event()
    request = completing.request(METHOD, at(0, 6))
    await completing.services.asked.wait()
    completing.notify("$/cancelRequest", {"id": request})
    assert (await completing.reply(request))["error"]["code"] == -32800
    assert completing.services.tokens[0].cancelled


async def test_a_person_who_asks_is_told_what_is_wrong(completing: Any) -> None:
    """Invoked by hand, without delay; an error is an error with its next step. While typing it is null."""
    completing.services.error = ModelNotFound("No model.", next_step="Pull one.")
    assert (await completing.call(METHOD, at(0, 6)))["result"] is None
    reply = await completing.call(METHOD, at(0, 6, kind=1))
    assert reply["error"]["message"] == "No model. Pull one."
    request = completing.services.completions[1]
    assert (request.invoked, request.delay) == (True, 0.0)


async def test_a_client_that_can_be_told_later_is(new_session: Any) -> None:
    """No capability at first; registered once when a setting wants it, live."""
    await new_session.initialize(DYNAMIC)
    assert new_session.server.protocol.server_capabilities.inline_completion_provider is None
    for enabled in (True, False, True):
        new_session.notify(
            "workspace/didChangeConfiguration",
            {"settings": {"leanvibe": {"inlineCompletion": {"enabled": enabled}}}},
        )
    told = await new_session.method("client/registerCapability")
    assert [one["method"] for one in told["params"]["registrations"]] == [METHOD]
    new_session.respond(told["id"], result=None)
    assert len([one for one in new_session.sent if one.get("method") == "client/registerCapability"]) == 1
    new_session.open(TEXT)
    new_session.services.completion = Completion("1", "fake", 0.1)
    assert (await new_session.call(METHOD, at(0, 6)))["result"] is not None
