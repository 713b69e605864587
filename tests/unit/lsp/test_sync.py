"""What follows from opening and closing documents, beside the documents themselves (`documents/test_store.py`)."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from leanvibe_lsp.documents import trimming


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
