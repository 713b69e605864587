from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.lsp.assembly import make_server
from leanvibe_lsp.lsp.server import LeanVibeServer
from leanvibe_lsp.lsp.sharing import SharedServices
from tests.support.fake_services import FakeServices

URI = "file:///project/a.py"


class Session:
    """A server and the messages it sent, without any transport."""

    def __init__(self, server: LeanVibeServer, services: FakeServices) -> None:
        self.server = server
        self.services = services
        self.sent: list[dict[str, Any]] = []
        self._changed = asyncio.Event()
        self._last_id = 0
        server.attach(self)

    def send(self, body: bytes) -> None:
        """The wire: keep what was sent."""
        self.sent.append(json.loads(body))
        self._changed.set()

    def request(self, method: str, params: object = None, request_id: int | str | None = None) -> int | str:
        """Send a request; its id."""
        if request_id is None:
            self._last_id += 1
            request_id = self._last_id
        self.server.take({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})
        return request_id

    def notify(self, method: str, params: object = None) -> None:
        """Send a notification."""
        self.server.take({"jsonrpc": "2.0", "method": method, "params": params})

    def respond(self, request_id: object, **outcome: object) -> None:
        """Answer a request of the server."""
        self.server.take({"jsonrpc": "2.0", "id": request_id, **outcome})

    async def wait_for(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first message, past or future, that is wanted."""
        async with asyncio.timeout(20):
            while True:
                for message in self.sent:
                    if wanted(message):
                        return message
                self._changed.clear()
                await self._changed.wait()

    async def reply(self, request_id: object) -> dict[str, Any]:
        """The reply to a request."""
        return await self.wait_for(lambda m: "method" not in m and m["id"] == request_id)

    async def call(self, method: str, params: object = None) -> dict[str, Any]:
        """A request and its reply."""
        return await self.reply(self.request(method, params))

    async def method(self, method: str) -> dict[str, Any]:
        """The first message with that method."""
        return await self.wait_for(lambda m: m.get("method") == method)

    async def initialize(self, capabilities: object = None, **params: object) -> dict[str, Any]:
        """The handshake; the reply to initialize."""
        reply = await self.call(
            "initialize", {"processId": None, "rootUri": None, "capabilities": capabilities or {}, **params}
        )
        self.notify("initialized", {})
        return reply

    def open(self, text: str, uri: str = URI, language_id: str = "python") -> None:
        """didOpen at version 1."""
        document = {"uri": uri, "languageId": language_id, "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def change(self, text: str, at: dict[str, int], uri: str = URI) -> None:
        """didChange: insert `text` at a position; the version goes up by one."""
        known = self.server.documents.get(uri)
        assert known is not None
        change = {"range": {"start": at, "end": at}, "text": text}
        document = {"uri": uri, "version": (known.version or 0) + 1}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})

    def progress(self, token: object) -> list[Any]:
        """The values of `$/progress` under a token."""
        return [
            message["params"]["value"]
            for message in self.sent
            if message.get("method") == "$/progress" and message["params"]["token"] == token
        ]

    def replies(self, request_id: object) -> list[dict[str, Any]]:
        """Every reply to an id."""
        return [message for message in self.sent if "method" not in message and message["id"] == request_id]


@pytest.fixture(scope="session")
def workers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


@pytest.fixture
async def new_session(services: FakeServices, workers: ThreadPoolExecutor) -> AsyncIterator[Session]:
    """A session before initialize."""
    server = make_server(
        SharedServices(lambda settings: services), settings=Settings(), workers=workers, reads_files=True
    )
    session = Session(server, services)
    yield session
    await server.finish(within=1)
    assert len(server.protocol.requests) == 0
    assert server.protocol.requests.progress_tokens == 0


@pytest.fixture
async def session(new_session: Session) -> Session:
    """A session after initialize."""
    await new_session.initialize()
    return new_session
