"""TCP and WebSocket: any number of clients, one session each. One leaving never ends another.

Loopback unless a person named another host. A web page in a browser may reach a loopback port too, so what begins like
an HTTP request is hung up on, and a WebSocket is opened for pages of this machine only. Any program of this machine may
reach it as well, so over a listener only open documents are served, never files (`reads_files` of `make_server`).
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.errors import BackendError, UsageError
from leanvibe_lsp.lsp.framing import Fault, FrameDecoder, encode, parse
from leanvibe_lsp.lsp.server import LeanVibeServer

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

_log = logging.getLogger(__name__)
_HTTP = re.compile(rb"[A-Z]{3,7} \S+ HTTP/1")
_LOCAL_PAGE = re.compile(r"(https?|vscode-webview)://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?", re.IGNORECASE)

MakeServer = Callable[[], LeanVibeServer]
Announce = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; port 0 lets the system choose."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """True when only this machine can connect."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """`HOST:PORT`, `:PORT`, `PORT` or `[IPV6]:PORT`; without a host it is 127.0.0.1. Raises UsageError."""
    host, _, port = text.rpartition(":")
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 0xFFFF:
        raise UsageError(
            f"{text!r} is not HOST:PORT.", next_step="Write for example 127.0.0.1:7345; port 0 is any free one."
        )
    return Address(host.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port))


class Connections:
    """Counts the clients, and ends their sessions when the listener ends."""

    def __init__(self, make_server: MakeServer) -> None:
        self._make_server = make_server
        self._sessions: set[asyncio.Task[None]] = set()

    def admit(self) -> bool:
        """Whether one more client may come."""
        if len(self._sessions) < limit("rpc.connections"):
            return True
        _log.warning("One more client than rpc.connections (%d) was turned away.", limit("rpc.connections"))
        return False

    async def serve(self, wire: StreamWire | SocketWire, messages: AsyncIterator[object]) -> None:
        """One client's session, from its first message to its last."""
        task = asyncio.current_task()
        assert task is not None
        self._sessions.add(task)
        server = self._make_server()
        server.attach(wire)
        reading = asyncio.ensure_future(_pump(messages, server))
        ended = asyncio.ensure_future(server.ended.wait())
        try:
            waited: set[asyncio.Future[Any]] = {reading, ended, wire.lost}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._sessions.discard(task)
            for waiting in (reading, ended):
                waiting.cancel()
            await asyncio.gather(reading, ended, return_exceptions=True)
            await server.finish(within=limit("rpc.shutdown_milliseconds") / 1000)
            server.give_back_services()

    async def end(self) -> None:
        """End every session."""
        tasks = tuple(self._sessions)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class StreamWire:
    """A wire over a TCP stream."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def send(self, body: bytes) -> None:
        """Queue one message in the stream's buffer."""
        if self.lost.done() or self._writer.is_closing():
            return
        self._writer.write(encode(body))
        if self._writer.transport.get_write_buffer_size() > limit("rpc.unsent_bytes"):
            _log.warning("A client does not read; its connection is closed.")
            self._writer.transport.abort()
            self.lost.set_result(None)


class SocketWire:
    """A wire over a WebSocket; one text message each."""

    def __init__(self, socket: ServerConnection) -> None:
        self._socket = socket
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._unsent = 0
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sending = asyncio.ensure_future(self._send_queued())

    def send(self, body: bytes) -> None:
        """Queue one message."""
        if self.lost.done():
            return
        self._unsent += len(body)
        if self._unsent > limit("rpc.unsent_bytes"):
            _log.warning("A client does not read; its connection is closed.")
            self._lose()
        else:
            self._queue.put_nowait(body)

    async def close(self) -> None:
        """Send what is queued, for at most `rpc.shutdown_milliseconds`."""
        self._queue.put_nowait(None)
        await asyncio.wait({self._sending}, timeout=limit("rpc.shutdown_milliseconds") / 1000)
        self._sending.cancel()
        await asyncio.gather(self._sending, return_exceptions=True)

    async def _send_queued(self) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            while (body := await self._queue.get()) is not None:
                await self._socket.send(body.decode("ascii"))
                self._unsent -= len(body)
        except ConnectionClosed:
            self._lose()

    def _lose(self) -> None:
        if not self.lost.done():
            self.lost.set_result(None)


async def serve_tcp(address: Address, make_server: MakeServer, announce: Announce) -> None:
    """Serve clients over TCP until cancelled. Raises UsageError when the address cannot be had."""
    connections = Connections(make_server)

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if connections.admit():
                wire = StreamWire(writer)
                with suppress(asyncio.CancelledError):
                    await connections.serve(wire, _stream_messages(reader))
                async with asyncio.timeout(limit("rpc.shutdown_milliseconds") / 1000):
                    await writer.drain()
        except (OSError, TimeoutError) as error:
            _log.info("A client left: %s", error)
        finally:
            writer.close()

    try:
        listener = await asyncio.start_server(client, address.host, address.port)
    except OSError as error:
        raise _cannot_listen(address, error) from error
    try:
        _announce(announce, [socket.getsockname() for socket in listener.sockets])
        await asyncio.get_running_loop().create_future()
    finally:
        listener.close()
        await connections.end()


async def serve_websocket(address: Address, make_server: MakeServer, announce: Announce) -> None:
    """Serve clients over WebSocket until cancelled. Raises UsageError as `serve_tcp`; BackendError without `ws`."""
    try:
        from websockets.asyncio.server import serve
    except ImportError:
        raise BackendError(
            "WebSocket needs the package websockets, which is not installed.",
            next_step="Install it with: pip install 'leanvibe-lsp[ws]'",
        ) from None
    connections = Connections(make_server)

    async def client(socket: ServerConnection) -> None:
        wire = SocketWire(socket)
        with suppress(asyncio.CancelledError):
            await connections.serve(wire, _socket_messages(socket))
        await wire.close()

    def check(socket: ServerConnection, request: Request) -> Response | None:
        origin = request.headers.get("Origin")
        if origin is not None and not _LOCAL_PAGE.fullmatch(origin):
            return socket.respond(HTTPStatus.FORBIDDEN, "Only pages of this machine may connect.\n")
        if not connections.admit():
            return socket.respond(HTTPStatus.SERVICE_UNAVAILABLE, "Too many clients.\n")
        return None

    try:
        listener = await serve(
            client, address.host, address.port, process_request=check, max_size=limit("rpc.message_bytes")
        )
    except OSError as error:
        raise _cannot_listen(address, error) from error
    try:
        _announce(announce, [socket.getsockname() for socket in listener.sockets])
        await asyncio.get_running_loop().create_future()
    finally:
        listener.close(close_connections=False)
        await connections.end()
        listener.close()
        await listener.wait_closed()


async def _pump(messages: AsyncIterator[object], server: LeanVibeServer) -> None:
    async for message in messages:
        server.take(message)


async def _stream_messages(reader: asyncio.StreamReader) -> AsyncIterator[object]:
    decoder = FrameDecoder()
    data = await _read_first_line(reader)
    first_line = data.partition(b"\n")[0]
    if _HTTP.match(first_line) or len(first_line) > limit("rpc.header_bytes"):
        _log.warning("Something that is no editor (a web page?) spoke to the language server; hung up.")
        return
    while data:
        for item in decoder.feed(data):
            yield item if isinstance(item, Fault) else parse(item)
        data = await reader.read(limit("rpc.read_bytes"))


async def _read_first_line(reader: asyncio.StreamReader) -> bytes:
    """The stream's first line with what came behind it; not all of the line when it is longer than a header."""
    data = b""
    while b"\n" not in data and len(data) <= limit("rpc.header_bytes"):
        more = await reader.read(limit("rpc.read_bytes"))
        if not more:
            break
        data += more
    return data


async def _socket_messages(socket: ServerConnection) -> AsyncIterator[object]:
    async for message in socket:
        yield parse(message)


def _announce(announce: Announce, names: list[tuple[str, int]]) -> None:
    for host, port, *_ in names:
        announce(f"listening on {Address(host, port)}")


def _cannot_listen(address: Address, error: OSError) -> UsageError:
    reason = error.strerror or error
    return UsageError(f"Cannot listen on {address}: {reason}.", next_step="Choose another address or port.")
