from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from leanvibe_lsp.config import limits
from leanvibe_lsp.config.settings import RemoteSettings
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import Chunk, Event, Finished, GenerationRequest, Message
from leanvibe_lsp.engine.remote import RemoteEngine
from leanvibe_lsp.engine.remote.receipts import Receipts
from tests.support.fault_server import FaultServer, serve

QUESTION = (Message("user", "What is this?"),)


class Asking:
    """An engine before a planted server, and what it gave."""

    def __init__(self, server: FaultServer, receipts: Receipts) -> None:
        self.server = server
        self.receipts = receipts
        self.events: list[Event] = []
        self.engine = self.make()

    def make(self, environment: dict[str, str] | None = None, **settings: object) -> RemoteEngine:
        """Another engine, for the same server."""
        chosen = RemoteSettings(**{"url": self.server.url, **settings})  # type: ignore[arg-type]
        self.engine = RemoteEngine(chosen, receipts=self.receipts, environment=environment or {})
        return self.engine

    def __call__(
        self,
        request: GenerationRequest | None = None,
        cancel: CancelToken | None = None,
        deadline: Deadline | None = None,
        sink: Callable[[Event], None] | None = None,
    ) -> Finished:
        """Load and ask."""
        self.events = []
        if not self.engine.model:
            self.engine.load(CancelToken())
        return self.engine.generate(
            request or GenerationRequest((), 16, messages=QUESTION),
            sink or self.events.append,
            cancel or CancelToken(),
            deadline or Deadline.never(),
        )

    @property
    def chunks(self) -> list[Chunk]:
        """The events of text."""
        return [event for event in self.events if isinstance(event, Chunk)]


@pytest.fixture
def set_limit(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, float], None]:
    """Put another value in force."""

    def change(name: str, value: float) -> None:
        monkeypatch.setitem(limits.LIMITS, name, dataclasses.replace(limits.LIMITS[name], default=value))

    return change


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with serve() as found:
        yield found


@pytest.fixture
def receipts(tmp_path: Path) -> Receipts:
    return Receipts(tmp_path / "state" / "receipts.jsonl")


@pytest.fixture
def asking(server: FaultServer, receipts: Receipts, set_limit: Callable[[str, float], None]) -> Iterator[Asking]:
    set_limit("remote.retry_milliseconds", 1)
    found = Asking(server, receipts)
    yield found
    found.engine.close()
