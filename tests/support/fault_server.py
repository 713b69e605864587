"""An OpenAI-compatible server on the loopback interface that does what it is told, mostly wrong.

A test gives the replies to each path in order (the last one stays); a reply is bytes to put on the wire and what to do
then. It records every request, and whether the client closed the connection while it was being answered.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

MODEL = "planted"


@dataclass(frozen=True)
class Reply:
    """`parts` are sent one by one. Then: close; or `hold`: stay silent until the client has gone."""

    parts: tuple[bytes, ...]
    hold: bool = False
    endless: bool = False  # the last part again and again


@dataclass(frozen=True)
class Request:
    """What came. Header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class FaultServer:
    """What it was told, and what it saw."""

    replies: dict[str, list[Reply]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)  # a client went away from a held reply
    asked: threading.Event = field(default_factory=threading.Event)  # a request came
    url: str = ""

    def on(self, path: str, *replies: Reply) -> None:
        """Say how to answer."""
        self.replies[path] = list(replies)

    def bodies(self, path: str = "/v1/chat/completions") -> list[Any]:
        """What was posted there."""
        return [request.json for request in self.requests if request.path == path]


def reply(
    body: bytes | Sequence[bytes],
    status: int = 200,
    content_type: str = "application/json",
    headers: dict[str, str] | None = None,
    **then: bool,
) -> Reply:
    """A reply whose body ends with the connection."""
    fields = {"Content-Type": content_type, "Connection": "close", **(headers or {})}
    head = f"HTTP/1.1 {status} Said\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
    parts = (body,) if isinstance(body, bytes) else tuple(body)
    return Reply((head.encode(), *parts), **then)


def document(value: Any, status: int = 200, **fields: str) -> Reply:
    """A JSON reply."""
    return reply(json.dumps(value).encode(), status, headers=fields)


def stream(*parts: bytes, **then: bool) -> Reply:
    """A reply of server-sent events, cut as given."""
    return reply(parts, content_type="text/event-stream; charset=utf-8", **then)


def event(value: Any) -> bytes:
    """One event."""
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def said(text: str, finish: str | None = None, logprobs: list[dict[str, Any]] | None = None) -> bytes:
    """One event of a chat completion."""
    choice: dict[str, Any] = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    if logprobs is not None:
        choice["logprobs"] = {"content": logprobs}
    return event({"choices": [choice]})


DONE = b"data: [DONE]\n\n"
MODELS = document({"object": "list", "data": [{"id": MODEL, "object": "model", "max_model_len": 2048}]})
HELLO = stream(said("Hel"), said("lo"), said("", "stop"), DONE)
NEVER = Reply((), hold=True)


@contextmanager
def serve(host: str = "127.0.0.1") -> Iterator[FaultServer]:
    """Answer on a free port until the block ends."""
    server = FaultServer({"/v1/models": [MODELS], "/v1/chat/completions": [HELLO]})
    listener = socket.create_server((host, 0))
    ending = threading.Event()
    connections: list[socket.socket] = []

    def accept() -> None:
        while not ending.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(connection)
            threading.Thread(target=_answer, args=(server, connection), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    server.url = f"http://{host}:{listener.getsockname()[1]}/v1"
    try:
        yield server
    finally:
        ending.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in connections:
            connection.close()
        thread.join(5)


def _answer(server: FaultServer, connection: socket.socket) -> None:
    with connection, suppress(OSError, ValueError):
        request = _read(connection)
        server.requests.append(request)
        server.asked.set()
        replies = server.replies.get(request.path) or [document({"error": {"message": "not found"}}, 404)]
        chosen = replies.pop(0) if len(replies) > 1 else replies[0]
        try:
            for part in chosen.parts:
                connection.sendall(part)
            while chosen.endless:
                connection.sendall(chosen.parts[-1])
            if chosen.hold and connection.recv(1) == b"":
                server.closed.set()
        except OSError:
            server.closed.set()


def _read(connection: socket.socket) -> Request:
    with connection.makefile("rb") as file:
        method, path, _ = file.readline().decode().split()
        headers: dict[str, str] = {}
        while line := file.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return Request(method, path, headers, file.read(int(headers.get("content-length", "0"))))
