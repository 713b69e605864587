"""One HTTP exchange, on a thread of its own: whoever waits for it never waits longer than a look at a cancel token.

httpx blocks while a server is silent, in a name lookup, a handshake or a read; cutting those into short time-outs
would lose data or begin again. So a thread sends and reads into a short queue, and `close` shuts the socket under it:
the server sees the connection end at once. Each exchange has its own connection, because servers drop idle ones.
No redirect is followed, nothing is decompressed, certificates are checked.
"""

from __future__ import annotations

import logging
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.config.settings import is_loopback
from leanvibe_lsp.engine.remote.key import Key, origin_of
from leanvibe_lsp.errors import RemoteError

if TYPE_CHECKING:
    import httpx

_LIBRARY_LOGS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy", "httpcore.socks")
_SENT_AT_ONCE = 1 << 16


class ConnectFailed(RemoteError):
    """No connection came about: nothing of the request was read by anybody."""


@dataclass(frozen=True, slots=True)
class Call:
    """What to send: GET without a body, POST with one."""

    path: str
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a reply; header names in lower case."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)


class _Abandoned(Exception):
    """Nobody waits for this exchange any more."""


class Wire:
    """The way to one server."""

    def __init__(self, url: str, key: Key) -> None:
        import httpx

        self.url = url
        self.server = origin_of(url)
        self._key = key
        for name in _LIBRARY_LOGS:
            logging.getLogger(name).addFilter(key.filter)
        try:
            self._client = httpx.Client(
                base_url=url,
                headers={"Accept-Encoding": "identity", "User-Agent": "leanvibe", **key.headers},
                verify=httpx.create_ssl_context(),
                # The environment's proxies are for other machines.
                trust_env=not is_loopback(urlsplit(url).hostname or ""),
                follow_redirects=False,
                timeout=httpx.Timeout(None, connect=limit("remote.connect_seconds")),
                limits=httpx.Limits(max_keepalive_connections=0),
            )
        except (OSError, ValueError, httpx.InvalidURL) as error:
            raise RemoteError(
                f"No connection to {self.server} can be prepared: {key.redact(str(error))}.",
                next_step="Look at SSL_CERT_FILE, SSL_CERT_DIR and the proxy variables.",
            ) from error

    def send(self, call: Call, check: Callable[[], None]) -> Exchange:
        """Begin an exchange; `check` is called often while it is waited for, and stops it by raising."""
        return Exchange(self._client, self.server, self._key, call, check)

    def close(self) -> None:
        """Let go of everything. Idempotent."""
        # No idle connection is kept; one in use belongs to its exchange's thread, which closes it.
        for name in _LIBRARY_LOGS:
            logging.getLogger(name).removeFilter(self._key.filter)


class Exchange:
    """A request under way and its reply. Close it when done; `sent` and `received` count the bodies' bytes."""

    def __init__(self, client: httpx.Client, server: str, key: Key, call: Call, check: Callable[[], None]) -> None:
        self._client = client
        self._server = server
        self._key = key
        self._call = call
        self._check = check
        self._items: queue.Queue[Head | bytes | BaseException | None] = queue.Queue(limit("remote.pieces"))
        self._closed = threading.Event()
        self._socket: Any = None
        self._patience = limit("remote.first_byte_seconds")
        self.sent = 0  # at most: what was handed to the system
        self.received = 0
        self.content_type = ""  # known behind the head
        threading.Thread(target=self._work, name="leanvibe-remote", daemon=True).start()

    def head(self) -> Head:
        """Wait for the beginning of the reply. Raises RemoteError (ConnectFailed), and what `check` raises."""
        item = self._next()
        assert isinstance(item, Head), "a reply begins with its head"
        self._patience = limit("remote.between_seconds")
        self.content_type = item.headers.get("content-type", "")
        return item

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes. Raises RemoteError, also for one that is too long, and what `check` raises."""
        while (item := self._next()) is not None:
            assert isinstance(item, bytes), "behind the head comes the body"
            self.received += len(item)
            if self.received > limit("remote.answer_bytes"):
                raise RemoteError(
                    f"{self._server} sent more than {limit('remote.answer_bytes'):,} bytes for one answer.",
                    next_step="Look at the server: it does not keep to max_tokens.",
                )
            yield item

    def hurry(self) -> None:
        """What matters has come: wait only shortly for the rest."""
        self._patience = limit("remote.tail_seconds")

    def close(self) -> None:
        """End it, wherever it stands. Idempotent, and never waits."""
        self._closed.set()
        if self._socket is not None:
            with suppress(OSError):  # ended already
                # Not the method of an SSL socket: that one would pull the session from under the thread that reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _next(self) -> Head | bytes | None:
        until = time.monotonic() + self._patience
        while True:
            looked_at = time.monotonic()
            self._check()
            until += time.monotonic() - looked_at  # what else was done meanwhile is not the server's silence
            try:
                item = self._items.get(timeout=limit("remote.poll_milliseconds") / 1000)
            except queue.Empty:
                if time.monotonic() >= until:
                    raise RemoteError(
                        f"{self._server} said nothing for {self._patience} seconds.",
                        next_step="Look whether the server is overloaded, and ask again.",
                    ) from None
                continue
            if isinstance(item, BaseException):
                raise self._named(item) from item
            return item

    def _named(self, error: BaseException) -> RemoteError:
        import httpx

        said = self._key.redact(str(error)).rstrip(".") or type(error).__name__
        if "CERTIFICATE_VERIFY_FAILED" in said:
            return RemoteError(
                f"The certificate of {self._server} is not trusted: {said}.",
                next_step="If it is signed by an authority of your own, set SSL_CERT_FILE to that one's certificate.",
            )
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
            return ConnectFailed(
                f"{self._server} cannot be reached: {said}.", next_step="Look whether the server runs there."
            )
        return RemoteError(f"The connection to {self._server} broke: {said}.", next_step="Ask again.")

    # What follows runs on the exchange's own thread.

    def _work(self) -> None:
        call = self._call
        headers = (
            {} if call.body is None else {"Content-Type": "application/json", "Content-Length": str(len(call.body))}
        )
        try:
            with self._client.stream(
                "GET" if call.body is None else "POST",
                call.path,
                content=None if call.body is None else self._counted(call.body),
                headers=headers,
                extensions={"trace": self._trace},
            ) as response:
                self._put(Head(response.status_code, {name.lower(): value for name, value in response.headers.items()}))
                for piece in response.iter_raw():
                    self._put(piece)
            self._put(None)
        except _Abandoned:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            with suppress(_Abandoned):
                self._put(error)

    def _counted(self, body: bytes) -> Iterator[bytes]:
        for at in range(0, len(body), _SENT_AT_ONCE):
            piece = body[at : at + _SENT_AT_ONCE]
            self.sent += len(piece)
            yield piece

    def _trace(self, name: str, info: dict[str, Any]) -> None:
        if name.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._socket = info["return_value"].get_extra_info("socket")
            if self._closed.is_set():  # else `close` has the socket
                raise _Abandoned

    def _put(self, item: Head | bytes | BaseException | None) -> None:
        while not self._closed.is_set():
            with suppress(queue.Full):
                self._items.put(item, timeout=limit("remote.poll_milliseconds") / 1000)
                return
        raise _Abandoned
