"""What follows from opening and closing documents, beside the documents themselves (`documents/test_store.py`)."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.documents import trimming
from tests.unit.lsp.conftest import URI


@pytest.fixture
def trims(monkeypatch: pytest.MonkeyPatch) -> Trims:
    """Every trim that begins, held up until it may end."""
    trims = Trims()
    monkeypatch.setattr(trimming, "trim", trims.trim)
    return trims


class Trims:
    """Stands in for `trim`."""

    def __init__(self) -> None:
        self.threads: list[int] = []
        self.go_on = threading.Event()
        self._begun = threading.Semaphore(0)

    def trim(self) -> bool:
        """Begin, and wait."""
        self.threads.append(threading.get_ident())
        self._begun.release()
        return self.go_on.wait(20)

    async def begun(self) -> None:
        """Wait until one more has begun."""
        assert await asyncio.to_thread(self._begun.acquire, timeout=20)


def _close(session: Any, *uris: str) -> None:
    for uri in uris:
        session.notify("textDocument/didClose", {"textDocument": {"uri": uri}})


async def _settled(session: Any) -> None:
    """What was begun before is under way: a reply came, and what the threads were given next is done."""
    await session.call("leanvibe/health")
    await session.server.beside(lambda: None)


async def test_closed_documents_give_their_memory_back_together(session: Any, trims: Trims) -> None:
    """Beside the loop, once for the first that is closed, and once more for all that were closed meanwhile."""
    uris = [f"file:///project/{number}.txt" for number in range(9)]
    for uri in uris:
        session.open("text", uri=uri)
    _close(session, uris[0])
    await trims.begun()
    _close(session, *uris[1:])
    await _settled(session)
    assert len(trims.threads) == 1
    trims.go_on.set()
    await trims.begun()
    await _settled(session)
    assert len(trims.threads) == 2
    assert threading.get_ident() not in trims.threads
    session.open("text", uri=uris[0])
    _close(session, uris[0])
    await trims.begun()
    assert len(trims.threads) == 3


async def test_open_documents_trim_nothing(session: Any, trims: Trims) -> None:
    """Opening and editing give no memory back."""
    session.open("text", uri="file:///project/a.txt")
    document = {"uri": "file:///project/a.txt", "version": 2}
    session.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": "other"}]})
    await _settled(session)
    trims.go_on.set()
    assert trims.threads == []


LARGE = "x = 1\n" * ((3 << 20) // 6 + 1)
UNPARSED = {
    LARGE: "3.1 MB, more than 2 MB",
    "x = 1\n\0": "the text is binary: it has a NUL character",
    f"x = '{'a' * limit('document.line_characters')}'": "a line is longer than 20,000 characters",
}


def logged(session: Any) -> list[str]:
    return [m["params"]["message"] for m in session.sent if m.get("method") == "window/logMessage"]


@pytest.mark.parametrize(("text", "reason"), UNPARSED.items(), ids=["large", "binary", "long line"])
async def test_a_file_that_is_not_parsed_is_said_so(session: Any, text: str, reason: str) -> None:
    """Once in the log, however often it changes; in a hover at any place, as plain text; and by leanvibe/health."""
    said = f"LeanVibe does not parse this file: {reason}."
    session.open(text)
    for _ in range(2):
        session.change("y", {"line": 0, "character": 0})
    await session.method("window/logMessage")
    at = {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 3}}
    hover = (await session.call("textDocument/hover", at))["result"]
    assert hover == {"contents": {"kind": "plaintext", "value": said}}
    assert (await session.call("leanvibe/health"))["result"]["unparsed"] == [{"uri": URI, "reason": said}]
    assert logged(session) == [f"{URI}: {said}"]


@pytest.mark.parametrize(("language", "uri"), [("python", URI), ("klingon", "file:///a.tlh"), ("json", "untitled:1")])
async def test_of_other_files_nothing_is_said(session: Any, language: str, uri: str) -> None:
    """Those that are parsed, and those of a language that nobody here knows."""
    session.open("{}\n" if language == "json" else "f()\n", uri, language)
    at = {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 0}}
    assert (await session.call("textDocument/hover", at))["result"] is None
    assert "unparsed" not in (await session.call("leanvibe/health"))["result"]
    assert logged(session) == []
