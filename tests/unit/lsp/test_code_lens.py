from __future__ import annotations

from typing import Any

import pytest

from tests.unit.lsp.conftest import URI

TEXT = "class Box:\n    def 𝒻x(self):\n        return 1\n"
LENS = {"textDocument": {"uri": URI}}
NAME = {"start": {"line": 1, "character": 8}, "end": {"line": 1, "character": 11}}
WHOLE = {"start": {"line": 1, "character": 4}, "end": {"line": 2, "character": 16}}


async def lenses(session: Any, given: object = LENS) -> list[dict[str, Any]]:
    return (await session.call("textDocument/codeLens", given))["result"]


@pytest.fixture
async def wanting(new_session: Any) -> Any:
    """A session whose settings want lenses, and TEXT open."""
    await new_session.initialize(
        {"workspace": {"codeLens": {"refreshSupport": True}}}, initializationOptions={"codeLens": {"enabled": True}}
    )
    new_session.open(TEXT)
    return new_session


async def test_no_lens_unless_wanted(session: Any) -> None:
    """Off by default; announced all the same, since a setting may change."""
    session.open(TEXT)
    assert await lenses(session) == []
    assert session.server.protocol.server_capabilities.code_lens_provider is not None


async def test_each_definition_has_three(wanting: Any) -> None:
    """Ask, Tests, Document, over the name, about all of it."""
    found = await lenses(wanting)
    assert [lens["command"]["title"] for lens in found] == ["Ask", "Tests", "Document"] * 2
    assert found[3:] == [
        {
            "range": NAME,
            "command": {
                "title": "Ask",
                "command": "leanvibe.explain",
                "arguments": [{"uri": URI, "range": WHOLE}],
            },
        },
        *(
            {
                "range": NAME,
                "command": {
                    "title": title,
                    "command": "leanvibe.change",
                    "arguments": [{"uri": URI, "range": WHOLE, "version": 1, "kind": kind}],
                },
            }
            for title, kind in (("Tests", "tests"), ("Document", "document"))
        ),
    ]
    assert wanting.services.requests == []


async def test_a_document_that_is_not_open_has_none(wanting: Any) -> None:
    """An empty list, not an error."""
    assert await lenses(wanting, {"textDocument": {"uri": "file:///other.py"}}) == []


async def test_the_client_asks_again_when_settings_change(wanting: Any) -> None:
    """workspace/codeLens/refresh, where the client knows it."""
    wanting.notify("workspace/didChangeConfiguration", {"settings": {"leanvibe": {"codeLens": {"enabled": False}}}})
    await wanting.method("workspace/codeLens/refresh")
