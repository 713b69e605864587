from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import pytest

from tests.support.rpc import ServerProcess

pytestmark = pytest.mark.real_model

URI = "file:///project/adding.py"
TEXT = "def add(a, b):\n    return \n\n\nprint(add(1, 2))\n"
METHOD = "textDocument/inlineCompletion"
OPTIONS = {"inlineCompletion": {"enabled": True}}
MARKDOWN = {"textDocument": {"hover": {"contentFormat": ["markdown"]}}}
Start = Callable[..., ServerProcess]


class Writer:
    """A client with one document, in which it types and asks."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.version = 1
        server.initialize(MARKDOWN, initializationOptions=OPTIONS)
        server.open(URI, TEXT)

    def type(self, text: str, line: int, character: int) -> None:
        """Insert text."""
        self.version += 1
        at = {"line": line, "character": character}
        change = {"range": {"start": at, "end": at}, "text": text}
        document = {"uri": URI, "version": self.version}
        self.server.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})

    def ask(self, line: int, character: int, *, invoked: bool = True) -> int | str:
        """Ask for a completion; the id."""
        where = {"line": line, "character": character}
        context = {"triggerKind": 1 if invoked else 2}
        return self.server.request(METHOD, {"textDocument": {"uri": URI}, "position": where, "context": context})

    def said(self, request: int | str) -> str | None:
        """The text to insert; its range must be empty and at one place."""
        reply = self.server.reply(request)
        assert "error" not in reply, reply
        if reply["result"] is None:
            return None
        (item,) = reply["result"]["items"]
        assert item["range"]["start"] == item["range"]["end"]
        text: str = item["insertText"]
        return text


@pytest.fixture
def writer(start_server: Start) -> Writer:
    return Writer(start_server("--stdio", "--model", "smollm2", "--engine", "llama.cpp", "--log-level", "debug"))


def test_a_completion_arrives_and_is_inserted_text_only(writer: Writer) -> None:
    """`return ` goes on; typing on into it, and asking again, ask no model."""
    assert writer.said(writer.ask(1, 11, invoked=False)) is None  # no model is ready: it is loaded beside
    text = writer.said(writer.ask(1, 11))
    assert text is not None
    assert text.startswith("a")
    assert "\n" not in text
    writer.type(text[:1], 1, 11)
    begin = perf_counter()
    assert writer.said(writer.ask(1, 12, invoked=False)) == text[1:]
    typed_on = perf_counter() - begin
    writer.type("\n\ndef subtract(a, b):\n    return ", 5, 0)
    begin = perf_counter()
    other = writer.said(writer.ask(8, 11))
    print(f"\n{text!r}; typed on: {typed_on * 1000:.1f} ms; another place: {(perf_counter() - begin) * 1000:.0f} ms")
    assert other is not None


def test_rapid_requests_leave_at_most_two_generations(writer: Writer, tmp_path: Path) -> None:
    """Ten keys, ten requests: one reply for each, and all but two generations at most were stopped or never began."""
    assert writer.said(writer.ask(1, 11)) is not None
    requests = []
    for number, key in enumerate("def multi("):
        writer.type(key, 5, number)
        requests.append(writer.ask(5, number + 1, invoked=number % 2 == 0))
    replies = [writer.server.reply(one) for one in requests]
    assert ["error" in reply for reply in replies] == [False] * 10
    assert [reply["result"] is None for reply in replies[:9]].count(True) >= 8
    assert len([reply for reply in writer.server.replies() if reply["id"] in requests]) == 10
    assert writer.server.call("shutdown")["result"] is None
    log = (tmp_path / "server.log").read_text(encoding="utf-8")
    assert 1 <= log.count("a completion was made in") - 1 <= 2
    assert writer.server.stray == b""


def test_a_hover_gets_its_summary_from_a_model_in_memory(writer: Writer) -> None:
    """None is loaded for a hover; once one is there, its two lines follow at this hover or one of the next."""
    given = {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 5}}

    def hovered() -> str:
        value: str = writer.server.call("textDocument/hover", given)["result"]["contents"]["value"]
        return value

    facts = "```python\ndef add(a, b)\n```\n\n*function* · 2 lines"
    assert hovered() == facts
    assert writer.server.call("leanvibe/health")["result"]["inference_ready"] is False
    writer.said(writer.ask(1, 11))
    values = [facts]
    while values[-1] == facts and len(values) < 200:
        values.append(hovered())
    print(f"\n{len(values) - 1} hovers: {values[-1]!r}")
    assert values[-1].startswith(f"{facts}\n\n*smollm2, not verified:* ")
    assert 0 < len(values[-1].removeprefix(facts).strip().splitlines()) <= 2
