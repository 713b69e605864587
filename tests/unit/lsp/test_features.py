from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leanvibe_lsp.assist.answer import AskRequest, Turn
from leanvibe_lsp.assist.answer_json import answer_json
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.scopes import Symbol
from leanvibe_lsp.engine.base import Source
from leanvibe_lsp.engine.models.selftest import State, Verdict
from leanvibe_lsp.errors import BackendError, Busy, ModelNotFound
from leanvibe_lsp.lsp.features.hover import as_markdown, as_plain_text
from leanvibe_lsp.tiers.intent.values import Intent, IntentGuess
from tests.support.fake_services import answer_of
from tests.unit.lsp.conftest import URI

TEXT = 'class Box:\n    def 𝒻x(self):\n        """Say 𝒻."""\n        return 1\n\nBox()\n'
RANGE = {"start": {"line": 1, "character": 4}, "end": {"line": 3, "character": 16}}


def hover_at(line: int, character: int, uri: str = URI) -> dict[str, object]:
    return {"textDocument": {"uri": uri}, "position": {"line": line, "character": character}}


@pytest.fixture
async def session(new_session: Any) -> Any:
    """A session with a client that shows Markdown."""
    await new_session.initialize({"textDocument": {"hover": {"contentFormat": ["markdown", "plaintext"]}}})
    return new_session


async def test_hover_tells_kind_signature_docstring_and_size(session: Any) -> None:
    """Markdown: signature in a fenced block of the language, kind and place and size, the docstring."""
    session.open(TEXT)
    result = (await session.call("textDocument/hover", hover_at(1, 9)))["result"]
    value = "```python\ndef 𝒻x(self)\n```\n\n*method* in `Box` · 3 lines\n\nSay 𝒻."
    assert result["contents"] == {"kind": "markdown", "value": value}
    assert result["range"] == {"start": {"line": 1, "character": 8}, "end": {"line": 1, "character": 11}}


@pytest.mark.parametrize("hover", [{}, {"contentFormat": []}, {"contentFormat": ["plaintext"]}])
async def test_hover_in_plain_text(new_session: Any, hover: dict[str, object]) -> None:
    """A client that does not say that it shows Markdown gets none."""
    await new_session.initialize({"textDocument": {"hover": hover}})
    new_session.open(TEXT)
    result = (await new_session.call("textDocument/hover", hover_at(1, 9)))["result"]
    assert result["contents"] == {"kind": "plaintext", "value": "def 𝒻x(self)\nmethod in Box · 3 lines\n\nSay 𝒻."}


@pytest.mark.parametrize(("encoding", "end"), [("utf-8", 13), ("utf-16", 11), ("utf-32", 10)])
async def test_hover_in_every_encoding(new_session: Any, encoding: str, end: int) -> None:
    """Columns are the client's: UTF-8, UTF-16 or UTF-32."""
    await new_session.initialize({"general": {"positionEncodings": [encoding]}})
    new_session.open(TEXT)
    result = (await new_session.call("textDocument/hover", hover_at(1, end)))["result"]
    assert result["range"]["end"] == {"line": 1, "character": end}


async def test_hover_over_a_use_marks_the_use(session: Any) -> None:
    """Hovering a name where it is used marks it there, not where it is defined."""
    session.open(TEXT)
    result = (await session.call("textDocument/hover", hover_at(5, 2)))["result"]
    assert result["contents"]["value"].startswith("```python\nclass Box\n```")
    assert result["range"] == {"start": {"line": 5, "character": 0}, "end": {"line": 5, "character": 3}}


async def test_hover_over_nothing_is_null(session: Any) -> None:
    """No symbol: null, not an error."""
    session.open(TEXT)
    assert (await session.call("textDocument/hover", hover_at(4, 0)))["result"] is None


async def test_hover_reads_a_file_that_is_not_open(session: Any, tmp_path: Path) -> None:
    """A file: URI that is not open is read from disk."""
    path = tmp_path / "b c.py"
    path.write_text("def g(): pass\n", encoding="utf-8")
    reply = await session.call("textDocument/hover", hover_at(0, 4, path.as_uri()))
    assert "def g()" in reply["result"]["contents"]["value"]


def test_fence_is_longer_than_any_in_the_signature() -> None:
    """Backticks in a signature cannot end the block."""
    symbol = Symbol("f", "function", Span(0, 9), Span(0, 1), Span(0, 9), "f(a='```')", "", (), 1)
    assert as_markdown(symbol, (), None, "python") == "````python\nf(a='```')\n````\n\n*function* · 1 line"
    assert as_plain_text(symbol, (), None) == "f(a='```')\nfunction · 1 line"


async def test_ask_hands_on_everything(session: Any) -> None:
    """Question, place, history and limits reach the use case; columns are converted."""
    session.open(TEXT)
    await session.call(
        "leanvibe/ask",
        {
            "question": " why? ",
            "textDocument": {"uri": URI},
            "range": {"start": RANGE["end"], "end": {"line": 1, "character": 10}},
            "position": {"line": 0, "character": 0},
            "history": [
                {"role": "user", "content": "a", "citations": []},
                {"role": "assistant", "content": "b", "citations": answer_json(answer_of("b"))["citations"]},
                {"role": "user", "content": "c"},
            ],
            "maxTokens": 7,
            "temperature": 1,
        },
    )
    (request,) = session.services.requests
    assert request == AskRequest(
        question="why?",
        places=request.places,
        history=(
            Turn("user", "a", ()),
            Turn("assistant", "b", (Source("file:///a.py", 2, 4),)),
            Turn("user", "c", None),
        ),
        max_tokens=7,
        temperature=1.0,
    )
    (place,) = request.places
    assert place.span == Span(TEXT.index("x(self)"), TEXT.index("return 1") + 8)


async def test_an_answer_that_begins_anew_is_told(session: Any) -> None:
    """The engine failed in the middle: a client that streams is told to forget what it has, and why."""
    session.services.restart = "the first engine failed"
    await session.call("leanvibe/ask", {"question": "x", "partialResultToken": 9})
    values = session.progress(9)
    at = values.index({"restart": "the first engine failed"})
    assert values[:at] == ["The "]
    assert "".join(values[at + 1 :]) == "The answer."


@pytest.mark.parametrize(
    ("where", "span"),
    [({}, None), ({"position": {"line": 5, "character": 1}}, Span(TEXT.index("Box()") + 1, TEXT.index("Box()") + 1))],
)
async def test_ask_about_a_position_or_all(session: Any, where: dict[str, object], span: Span | None) -> None:
    """A position is an empty span; without a place it is the whole document."""
    session.open(TEXT)
    await session.call("leanvibe/ask", {"question": "x", "textDocument": {"uri": URI}, **where})
    assert session.services.requests[0].places[0].span == span


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        (Busy("The queue is full.", next_step="Ask again."), "busy", True),
        (ModelNotFound("No model.", next_step="Run: leanvibe models pull phi3"), "modelNotFound", False),
        (BackendError("No MLX.", next_step="Use llama.cpp."), "backendError", False),
    ],
)
async def test_errors_of_the_house_are_request_failed(session: Any, error: Any, kind: str, retryable: bool) -> None:
    """-32803 with the message, the next step, and data for programs."""
    session.services.error = error
    reply = await session.call("leanvibe/ask", {"question": "x"})
    assert reply["error"] == {
        "code": -32803,
        "message": f"{error.message} {error.next_step}",
        "data": {"kind": kind, "nextStep": error.next_step, "retryable": retryable},
    }


async def test_health_is_handed_on(session: Any) -> None:
    """leanvibe/health is what the services say, with or without params."""
    for params in (None, {}, {"x": 1}):
        assert (await session.call("leanvibe/health", params))["result"] == {"status": "healthy", "model": "fake"}


async def test_half_a_character_in_a_uri_harms_nobody(session: Any) -> None:
    """Such a document has no path; it is served like another, and questions about others are answered."""
    odd, code = "file:///tmp/\ud800.py", "def f(x=[]):\n    return x\n"
    session.open(code, odd)
    session.open(code)
    at = {"line": 0, "character": 4}
    document = {"textDocument": {"uri": odd}}
    hover = await session.call("textDocument/hover", {**document, "position": at})
    assert "def f(x=[])" in hover["result"]["contents"]["value"]
    actions = await session.call(
        "textDocument/codeAction", {**document, "range": {"start": at, "end": at}, "context": {"diagnostics": []}}
    )
    assert "Simplify 'f'" in [action["title"] for action in actions["result"]]
    pulled = await session.call("textDocument/diagnostic", document)
    assert [one["code"] for one in pulled["result"]["items"]] == ["python/mutable-default"]
    asked = await session.call("leanvibe/ask", {"question": "why?", "textDocument": {"uri": URI}, "position": at})
    assert asked["result"]["answer"] == "The answer."
    closed = await session.call("leanvibe/ask", {"question": "why?", "textDocument": {"uri": "file:///tmp/\ud801.py"}})
    assert closed["error"]["code"] == -32602


async def test_edits_arrive_in_the_store(session: Any) -> None:
    """Trap 1: X inserted at (0,3) in "ab\\ncd\\n" gives "abX\\ncd\\n"; closing forgets the document."""
    session.open("ab\ncd\n")
    at = {"line": 0, "character": 3}
    session.notify(
        "textDocument/didChange",
        {
            "textDocument": {"uri": URI, "version": 2},
            "contentChanges": [{"range": {"start": at, "end": at}, "text": "X"}],
        },
    )
    assert session.server.documents.get(URI).text == "abX\ncd\n"
    assert session.server.documents.get(URI).version == 2
    session.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    assert len(session.server.documents) == 0


def test_answer_json_has_every_field() -> None:
    """The JSON form, field by field."""
    assert answer_json(answer_of("yes")) == {
        "answer": "yes",
        "tier": "model",
        "model": "fake",
        "backend": "mock",
        "confidence": {"value": 0.5, "method": "mean token probability", "calibrated": False},
        "citations": [
            {
                "uri": "file:///a.py",
                "range": {"start": {"line": 2, "character": 0}, "end": {"line": 5, "character": 0}},
                "what": "function f",
            }
        ],
        "omitted": ["imports"],
        "usage": {"promptTokens": 10, "cachedTokens": 4, "completionTokens": 2, "draftedTokens": 0},
        "timing": {"queuedSeconds": 0.1, "firstTokenSeconds": 0.2, "totalSeconds": 0.3, "tokensPerSecond": 40.0},
        "finishReason": "stop",
        "fallbacks": [],
        "intent": None,
        "remembered": False,
        "selftest": None,
    }
    guessed = replace(answer_of("yes"), intent=IntentGuess(Intent.EXPLAIN, 0.9, "words"))
    assert answer_json(guessed)["intent"] == {"name": "explain", "confidence": 0.9, "method": "words"}
    verdict = Verdict(State.DEGRADED, 0.9, (), doubt="w: zeros alone")
    assert answer_json(replace(answer_of("yes"), verdict=verdict))["selftest"] == {
        "state": "degraded",
        "summary": "degraded: 0 of 0 known answers, mean probability 0.90; w: zeros alone",
    }


async def test_a_progress_cancel_before_begin_counts(new_session: Any) -> None:
    """A client may cancel its own token at once: the request ends as cancelled, with one reply."""
    await new_session.initialize({})
    request = new_session.request("leanvibe/ask", {"question": "why?", "workDoneToken": "mine"})
    new_session.notify("window/workDoneProgress/cancel", {"token": "mine"})
    reply = await new_session.wait_for(lambda m: m.get("id") == request)
    assert reply["error"]["code"] == -32800
