"""What an editor's question carries: what was found around it, and nothing of secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.gathered import Diagnostic

_TEXT = "from helpers import greet\n\ndef main():\n    greet(1)\n"


async def test_a_question_carries_what_belongs_to_it(new_session: Any, tmp_path: Path) -> None:
    """A definition from the workspace; once that file is open, its unsaved text; and what the editor says is wrong."""
    (tmp_path / "main.py").write_text(_TEXT)
    (tmp_path / "helpers.py").write_text("def greet(saved): ...\n")
    folder = {"uri": tmp_path.as_uri(), "name": "w"}
    await new_session.initialize(rootUri=tmp_path.as_uri(), workspaceFolders=[folder])
    place = {"line": 3, "character": 6}
    said = {"range": {"start": place, "end": place}, "message": "odd", "code": 7, "source": "lint", "severity": 1}
    params = {
        "question": "x",
        "textDocument": {"uri": (tmp_path / "main.py").as_uri()},
        "position": place,
        "diagnostics": [said],
    }
    await new_session.call("leanvibe/ask", params)
    new_session.open("def greet(unsaved): ...\n", uri=(tmp_path / "helpers.py").as_uri())
    await new_session.call("leanvibe/ask", params)
    gathered = [request.gathered for request in new_session.services.requests]
    assert [[one.symbol.signature for one in each.related] for each in gathered] == [
        ["def greet(saved)"],
        ["def greet(unsaved)"],
    ]
    at = _TEXT.index("eet(1)")
    assert gathered[0].diagnostics == (Diagnostic(Span(at, at), "odd", "7", "lint"),)


async def test_a_buffer_of_secrets_is_refused(session: Any) -> None:
    """Also one that was never saved; no model hears of it, and the reply says what to do."""
    session.open("KEY=1", uri="untitled:.env", language_id="dotenv")
    reply = await session.call("leanvibe/ask", {"question": "x", "textDocument": {"uri": "untitled:.env"}})
    assert reply["error"]["message"].startswith(".env is not shown to a model: files like '.env*' hold secrets.")
    assert reply["error"]["data"]["nextStep"].startswith("Copy what the question is about")
    assert session.services.requests == []
