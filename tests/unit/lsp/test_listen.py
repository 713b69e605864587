from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.errors import BackendError, UsageError
from leanvibe_lsp.lsp import listen
from leanvibe_lsp.lsp.assembly import make_server
from leanvibe_lsp.lsp.framing import encode
from leanvibe_lsp.lsp.listen import Address, parse_address, serve_tcp, serve_websocket
from leanvibe_lsp.lsp.sharing import SharedServices
from tests.support.fake_services import FakeServices


def message(request_id: int, method: str, params: object = None) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}).encode()


INITIALIZE = message(1, "initialize", {"processId": None, "rootUri": None, "capabilities": {}})


@asynccontextmanager
async def listening(
    serve: Any,
    services: FakeServices,
    workers: ThreadPoolExecutor,
    create: Callable[[Settings], FakeServices] | None = None,
) -> AsyncIterator[int]:
    shared = SharedServices(create or (lambda settings: services), kept=Settings())
    announced: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(
        serve(
            Address("127.0.0.1", 0),
            lambda: make_server(shared, settings=Settings(), workers=workers, reads_files=False),
            announced.set_result,
        )
    )
    line = await asyncio.wait_for(announced, 20)
    assert line.startswith("listening on 127.0.0.1:")
    yield int(line.rpartition(":")[2])
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class _TcpClient:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, body: bytes) -> None:
        self.writer.write(encode(body))

    async def receive(self) -> dict[str, Any]:
        header = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 20)
        return json.loads(await self.reader.readexactly(int(header.split(b":")[1])))

    async def call(self, body: bytes) -> dict[str, Any]:
        self.send(body)
        return await self.receive()

    async def at_end(self) -> bool:
        return await asyncio.wait_for(self.reader.read(1), 20) == b""

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


async def tcp(port: int) -> _TcpClient:
    return _TcpClient(*await asyncio.open_connection("127.0.0.1", port))


@pytest.mark.parametrize(
    ("text", "address", "loopback"),
    [
        ("127.0.0.1:80", Address("127.0.0.1", 80), True),
        (":0", Address("127.0.0.1", 0), True),
        ("7345", Address("127.0.0.1", 7345), True),
        ("[::1]:5", Address("::1", 5), True),
        ("LOCALHOST:5", Address("LOCALHOST", 5), True),
        ("0.0.0.0:5", Address("0.0.0.0", 5), False),
        ("example.org:5", Address("example.org", 5), False),
    ],
)
def test_addresses(text: str, address: Address, loopback: bool) -> None:
    """HOST:PORT in every form; loopback is the default, and other hosts are known as such."""
    assert parse_address(text) == address
    assert address.loopback is loopback
    assert parse_address(str(address)) == address


@pytest.mark.parametrize("text", ["", "host", "host:", "host:x", "host:65536", "host:-1", "host:٣"])
def test_what_is_no_address(text: str) -> None:
    """A bad address is a usage error that says how it should look."""
    with pytest.raises(UsageError, match="HOST:PORT"):
        parse_address(text)


async def test_two_tcp_clients_and_one_leaves(services: FakeServices, workers: ThreadPoolExecutor) -> None:
    """Trap 11: two clients are served at once, each in its own session; one leaving does not end the other."""
    async with listening(serve_tcp, services, workers) as port:
        first, second = await tcp(port), await tcp(port)
        assert "result" in await first.call(INITIALIZE)
        assert (await second.call(message(1, "leanvibe/health")))["error"]["code"] == -32002
        assert "result" in await second.call(INITIALIZE)
        await first.close()
        assert "result" in await second.call(message(2, "leanvibe/health"))
        second.send(json.dumps({"jsonrpc": "2.0", "method": "exit"}).encode())
        assert await second.at_end()
        await second.close()
        third = await tcp(port)
        assert "result" in await third.call(INITIALIZE)
        await third.close()


async def test_clients_over_the_limit_are_turned_away(
    services: FakeServices, workers: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more client than rpc.connections is hung up on; when one leaves there is room again."""
    real = listen.limit
    monkeypatch.setattr(listen, "limit", lambda name: 1 if name == "rpc.connections" else real(name))
    async with listening(serve_tcp, services, workers) as port:
        first = await tcp(port)
        assert "result" in await first.call(INITIALIZE)
        second = await tcp(port)
        assert await second.at_end()
        await second.close()
        assert "result" in await first.call(message(2, "leanvibe/health"))
        first.send(json.dumps({"jsonrpc": "2.0", "method": "exit"}).encode())
        assert await first.at_end()
        await first.close()
        third = await tcp(port)
        assert "result" in await third.call(INITIALIZE)
        await third.close()


async def test_a_web_page_is_hung_up_on(services: FakeServices, workers: ThreadPoolExecutor) -> None:
    """An HTTP request whose body is a valid message is not served."""
    async with listening(serve_tcp, services, workers) as port:
        client = await tcp(port)
        client.writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\n" + encode(INITIALIZE))
        assert await client.at_end()
        await client.close()


@pytest.mark.parametrize("pieces", [1, 40])
@pytest.mark.parametrize("path_bytes", [200, 2 * limit("rpc.header_bytes"), 4 * limit("rpc.read_bytes")])
async def test_a_web_page_with_a_long_path_is_hung_up_on(
    services: FakeServices, workers: ThreadPoolExecutor, pieces: int, path_bytes: int
) -> None:
    """The whole first line is judged, however long it is and in whatever pieces it comes."""
    request = b"POST /" + b"a" * path_bytes + b" HTTP/1.1\r\nHost: localhost\r\n" + encode(INITIALIZE)
    size = len(request) // pieces + 1
    async with listening(serve_tcp, services, workers) as port:
        client = await tcp(port)
        with suppress(ConnectionError):  # hung up on before the request was all there
            for start in range(0, len(request), size):
                client.writer.write(request[start : start + size])
                await client.writer.drain()
                await asyncio.sleep(0)
        with suppress(ConnectionResetError):
            assert await client.at_end()
        with suppress(ConnectionError):
            await client.close()


async def test_a_first_message_in_pieces(services: FakeServices, workers: ThreadPoolExecutor) -> None:
    """A client whose first header comes byte by byte is served."""
    async with listening(serve_tcp, services, workers) as port:
        client = await tcp(port)
        client.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in encode(INITIALIZE)[:30]:
            client.writer.write(bytes([byte]))
            await client.writer.drain()
            await asyncio.sleep(0)
        client.writer.write(encode(INITIALIZE)[30:])
        assert "result" in await client.receive()
        await client.close()


async def test_a_client_that_vanishes_frees_its_requests(services: FakeServices, workers: ThreadPoolExecutor) -> None:
    """A connection that is cut with a question running cancels the question."""
    services.gate = asyncio.Event()
    cancelled = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with listening(serve_tcp, services, workers) as port:
        client = await tcp(port)
        await client.call(INITIALIZE)
        assert (await client.call(message(2, "leanvibe/ask", {"question": "x", "workDoneToken": 1})))["method"]
        await asyncio.wait_for(services.asked.wait(), 20)
        services.tokens[0].on_cancel(lambda: loop.call_soon_threadsafe(cancelled.set))
        client.writer.transport.abort()
        await asyncio.wait_for(cancelled.wait(), 20)


async def test_services_of_a_clients_choice_end_with_its_last_session(
    services: FakeServices, workers: ThreadPoolExecutor
) -> None:
    """What clients chose stops when the last of them has left; the listener's own services stay for the next client."""
    made: list[str | None] = []
    stopped = threading.Event()

    def create(settings: Settings) -> FakeServices:
        made.append(settings.model)
        services = FakeServices()
        services.close = stopped.set if settings.model else lambda: pytest.fail("stopped")  # type: ignore[method-assign]
        return services

    async def use(model: str | None) -> _TcpClient:
        client = await tcp(port)
        options = {} if model is None else {"initializationOptions": {"model": model}}
        start = {"processId": None, "rootUri": None, "capabilities": {}, **options}
        assert "result" in await client.call(message(1, "initialize", start))
        assert "result" in await client.call(message(2, "leanvibe/health"))
        return client

    async def leave(client: _TcpClient) -> None:
        client.send(json.dumps({"jsonrpc": "2.0", "method": "exit"}).encode())
        assert await client.at_end()
        await client.close()

    async with listening(serve_tcp, services, workers, create) as port:
        own, first, second = await use(None), await use("big"), await use("big")
        await leave(own)
        await leave(first)
        assert not stopped.is_set()
        await leave(second)
        assert await asyncio.to_thread(stopped.wait, 20)
        await leave(await use("big"))
        await leave(await use(None))
    assert made == [None, "big", "big"]


async def test_the_listener_ends_its_sessions(services: FakeServices, workers: ThreadPoolExecutor) -> None:
    """When the listener ends, running requests get their reply and clients see the end."""
    services.gate = asyncio.Event()
    async with listening(serve_tcp, services, workers) as port:
        client = await tcp(port)
        await client.call(INITIALIZE)
        client.send(message(2, "leanvibe/ask", {"question": "x"}))
        await asyncio.wait_for(services.asked.wait(), 20)
    assert (await client.receive())["error"]["code"] == -32800
    assert await client.at_end()
    await client.close()


@pytest.mark.parametrize("serve", [serve_tcp, serve_websocket])
async def test_an_address_in_use_is_a_usage_error(
    serve: Callable[..., Any], services: FakeServices, workers: ThreadPoolExecutor
) -> None:
    """A port that cannot be had is an error with a next step, not a traceback."""
    async with listening(serve_tcp, services, workers) as port:
        with pytest.raises(UsageError, match="Cannot listen"):
            await serve(Address("127.0.0.1", port), lambda: None, lambda line: None)


async def test_websocket_clients(services: FakeServices, workers: ThreadPoolExecutor) -> None:
    """Each WebSocket client has its session; text and binary messages are taken, and one leaving ends no other."""
    async with listening(serve_websocket, services, workers) as port:
        url = f"ws://127.0.0.1:{port}"
        async with connect(url) as first, connect(url) as second:
            await first.send(INITIALIZE.decode())
            assert "result" in json.loads(await first.recv())
            await first.close()
            await second.send(INITIALIZE)
            assert "result" in json.loads(await second.recv())
            await second.send("{")
            assert json.loads(await second.recv())["error"]["code"] == -32700
            await second.send(json.dumps({"jsonrpc": "2.0", "method": "exit"}))
            await asyncio.wait_for(second.wait_closed(), 20)


@pytest.mark.parametrize(
    ("origin", "welcome"),
    [(None, True), ("http://localhost:3000", True), ("http://evil.example", False), ("null", False)],
)
async def test_websocket_from_web_pages(
    services: FakeServices, workers: ThreadPoolExecutor, origin: Any, welcome: bool
) -> None:
    """Pages from elsewhere cannot open a socket to the server of this machine."""
    async with listening(serve_websocket, services, workers) as port:
        if welcome:
            async with connect(f"ws://127.0.0.1:{port}", origin=origin) as socket:
                await socket.send(INITIALIZE)
                assert "result" in json.loads(await socket.recv())
        else:
            with pytest.raises(InvalidStatus, match="403"):
                await connect(f"ws://127.0.0.1:{port}", origin=origin)


async def test_websocket_clients_over_the_limit(
    services: FakeServices, workers: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more WebSocket client than rpc.connections is refused with 503."""
    real = listen.limit
    monkeypatch.setattr(listen, "limit", lambda name: 1 if name == "rpc.connections" else real(name))
    async with listening(serve_websocket, services, workers) as port, connect(f"ws://127.0.0.1:{port}") as first:
        await first.send(INITIALIZE)
        await first.recv()
        with pytest.raises(InvalidStatus, match="503"):
            await connect(f"ws://127.0.0.1:{port}")


async def test_websocket_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the error names the command that mends it."""
    monkeypatch.setitem(__import__("sys").modules, "websockets.asyncio.server", None)
    with pytest.raises(BackendError, match=r"pip install 'leanvibe-lsp\[ws\]'"):
        await serve_websocket(Address("127.0.0.1", 0), lambda: None, lambda line: None)
