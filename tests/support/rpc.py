"""A JSON-RPC client for tests that hides nothing: it keeps every message and every byte that is none."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE = 60.0
_HEADER = re.compile(rb"Content-Length: (\d+)\r\n(?:Content-Type: [^\r\n]*\r\n)?\r\n")


class RpcClient:
    """Speaks over any pair of byte functions; reads on its own thread."""

    def __init__(self, read: Callable[[], bytes], write: Callable[[bytes], None]) -> None:
        self._read = read
        self._write = write
        self._buffer = b""
        self._changed = threading.Condition()
        self.messages: list[dict[str, Any]] = []
        self.arrived: list[float] = []
        self.stray = b""  # bytes on the wire that belong to no message
        self.ended = False
        self.answer_server: Callable[[dict[str, Any]], object] | None = lambda request: None
        self._next_id = 0
        threading.Thread(target=self._pump, daemon=True).start()

    def send(self, message: object) -> None:
        """Send any JSON value as one message."""
        self.send_body(json.dumps(message).encode())

    def send_body(self, body: bytes) -> None:
        """Send any bytes as the body of one message."""
        self.send_bytes(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._write(data)

    def request(self, method: str, params: object = None, *, request_id: int | str | None = None) -> int | str:
        """Send a request and return its id."""
        if request_id is None:
            self._next_id += 1
            request_id = self._next_id
        message = {"jsonrpc": "2.0", "id": request_id, "method": method}
        self.send(message if params is None else {**message, "params": params})
        return request_id

    def notify(self, method: str, params: object = None) -> None:
        """Send a notification."""
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def reply(self, request_id: object) -> dict[str, Any]:
        """Wait for the reply to a request."""
        return self.wait_for(
            lambda m: "method" not in m and m.get("id") == request_id and type(m["id"]) is type(request_id)
        )

    def call(self, method: str, params: object = None) -> dict[str, Any]:
        """Send a request and wait for its reply."""
        return self.reply(self.request(method, params))

    def initialize(self, capabilities: Mapping[str, Any] | None = None, **params: Any) -> dict[str, Any]:
        """The handshake; the reply to initialize."""
        reply = self.call(
            "initialize", {"processId": None, "rootUri": None, "capabilities": capabilities or {}, **params}
        )
        self.notify("initialized", {})
        return reply

    def open(self, uri: str, text: str, language_id: str = "python") -> None:
        """didOpen at version 1."""
        document = {"uri": uri, "languageId": language_id, "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool], *, seconds: float = PATIENCE) -> dict[str, Any]:
        """Wait for the first message, past or future, that is wanted."""
        with self._changed:
            seen = 0
            until = time.monotonic() + seconds
            while True:
                for message in self.messages[seen:]:
                    if wanted(message):
                        return message
                seen = len(self.messages)
                if self.ended or not self._changed.wait(until - time.monotonic()):
                    raise AssertionError(f"It did not come. Last messages: {self.messages[-5:]}; stray: {self.stray!r}")

    def wait_for_end(self, seconds: float = PATIENCE) -> None:
        """Wait until the server closed the stream."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.ended, seconds), "The stream stayed open."

    def replies(self) -> list[dict[str, Any]]:
        """Every reply so far."""
        return [message for message in self.messages if "method" not in message]

    def progress(self, token: int | str) -> list[Any]:
        """The values of `$/progress` under a token so far."""
        return [
            message["params"]["value"]
            for message in self.messages
            if message.get("method") == "$/progress" and message["params"]["token"] == token
        ]

    def _pump(self) -> None:
        while data := self._read():
            self._buffer += data
            while (message := self._cut()) is not None:
                with self._changed:
                    self.messages.append(message)
                    self.arrived.append(time.monotonic())
                    self._changed.notify_all()
                if "method" in message and "id" in message and self.answer_server is not None:
                    result = self.answer_server(message)
                    self.send({"jsonrpc": "2.0", "id": message["id"], "result": result})
        with self._changed:
            self.stray += self._buffer
            self.ended = True
            self._changed.notify_all()

    def _cut(self) -> dict[str, Any] | None:
        header = _HEADER.search(self._buffer)
        if header is None or len(self._buffer) < header.end() + int(header[1]):
            return None
        self.stray += self._buffer[: header.start()]
        end = header.end() + int(header[1])
        body, self._buffer = self._buffer[header.end() : end], self._buffer[end:]
        message = json.loads(body)
        assert message["jsonrpc"] == "2.0"
        return message


class ServerProcess(RpcClient):
    """A server in a process of its own, spoken to over its standard streams."""

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str] | None = None, log: Path | None = None
    ) -> None:
        self._log = log.open("wb") if log is not None else None
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log or subprocess.DEVNULL,
            env={**os.environ, **(env or {})},
            bufsize=0,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        stdin, stdout = self.process.stdin, self.process.stdout
        super().__init__(lambda: stdout.read(1 << 16) or b"", lambda data: _write_all(stdin.fileno(), data))

    def close_input(self) -> None:
        """End the server's stdin."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def exit_code(self, seconds: float = PATIENCE) -> int:
        """Wait for the process and take its exit code."""
        return self.process.wait(seconds)

    def end(self) -> None:
        """End the process if it still runs, and free what it held."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.wait_for_end()
        for stream in (self.process.stdin, self.process.stdout, self._log):
            if stream is not None:
                stream.close()


def server_command(*arguments: str) -> list[str]:
    """`leanvibe-lsp` with this interpreter."""
    code = "from leanvibe_lsp.cli.stdio import main_stdio; main_stdio()"
    return [sys.executable, "-c", code, *arguments]


@contextmanager
def tcp_client(port: int) -> Iterator[RpcClient]:
    """A client over TCP."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        yield (client := RpcClient(lambda: _receive(connection), connection.sendall))
        connection.shutdown(socket.SHUT_RDWR)
        client.wait_for_end()


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1 << 16)
    except OSError:
        return b""


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
