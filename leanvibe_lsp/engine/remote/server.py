"""One server, asked with patience: tries again where that can help, leaves it alone where it cannot."""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import NO_PAUSE, Pause
from leanvibe_lsp.engine.remote import retry
from leanvibe_lsp.engine.remote.breaker import Breaker, Circuit
from leanvibe_lsp.engine.remote.key import VARIABLE, Key
from leanvibe_lsp.engine.remote.receipts import Use
from leanvibe_lsp.engine.remote.wire import Call, ConnectFailed, Exchange, Head, Wire
from leanvibe_lsp.errors import RemoteError

_HELP = {
    401: f"Set {VARIABLE} to a key of this server, and LEANVIBE_REMOTE_URL to its address.",
    403: f"Set {VARIABLE} to a key that may use this model, and LEANVIBE_REMOTE_URL to its address.",
    404: "Look at the address (it mostly ends in /v1) and at the name of the model.",
}


@dataclass(frozen=True, slots=True)
class Stop:
    """What ends a wait from outside, or has its turn in it: asked again and again while a server is waited for."""

    cancel: CancelToken
    deadline: Deadline
    pause: Pause = NO_PAUSE

    def check(self) -> None:
        """Let more urgent work run. Raises Cancelled or DeadlineExceeded."""
        self.cancel.check()
        self.deadline.check()
        if self.pause.wanted:
            self.pause.run()

    def sleep(self, seconds: float) -> None:
        """Wait; raises as soon as it is ended."""
        pulled = threading.Event()
        self.cancel.on_cancel(pulled.set)
        until = min(time.monotonic() + seconds, self.deadline.at)
        while (rest := until - time.monotonic()) > 0 and not pulled.is_set():
            pulled.wait(min(rest, limit("remote.poll_milliseconds") / 1000))
            self.check()
        self.check()


class Refused(RemoteError):
    """The server answered with an error of its own."""

    def __init__(self, message: str, status: int, said: str) -> None:
        super().__init__(message, next_step=_HELP.get(status, "Look at the server's log."))
        self.status = status
        self.said = said


class Server:
    """The server behind a Wire. For one thread."""

    def __init__(
        self,
        wire: Wire,
        key: Key,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._wire = wire
        self._key = key
        self._clock = clock
        self._chance = chance
        self._breaker = Breaker()

    @property
    def name(self) -> str:
        """scheme://host:port"""
        return self._wire.server

    @property
    def advice(self) -> str:
        """What a person can do about a server that does not keep to the protocol."""
        if self._wire.url.endswith("/v1"):
            return "Look at the server's log."
        return "Look at the address: it mostly ends in /v1."

    def clean(self, text: str) -> str:
        """`text` of the server for a person: one short line without control characters and without the key."""
        line = re.sub(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+", " ", text).strip()
        line = self._key.redact(line)
        most = limit("remote.quote_characters")
        return line if len(line) <= most else f"{line[:most]}…"

    @contextmanager
    def ask(self, call: Call, stop: Stop, use: Use) -> Iterator[Exchange]:
        """Send `call` until the server takes it; gives the exchange at the beginning of a good reply's body.

        Raises RemoteError (Refused), Cancelled, DeadlineExceeded.
        """
        now = self._clock()
        if self._breaker.state(now) is Circuit.OPEN:
            raise RemoteError(
                f"{self.name} failed {self._breaker.failures} times in a row and is left alone for now.",
                next_step=f"Ask again in {self._breaker.until - now:.0f} seconds, or look whether the server runs.",
            )
        try:
            with self._taken(call, stop, use) as exchange:
                yield exchange
        except Refused as error:
            faulty = retry.may_pass(error.status)
            self._breaker = self._breaker.failed(self._clock()) if faulty else self._breaker.succeeded()
            raise
        except RemoteError:
            self._breaker = self._breaker.failed(self._clock())
            raise
        self._breaker = self._breaker.succeeded()

    def document(self, call: Call, stop: Stop, use: Use) -> Any:
        """The JSON that the server answers with. Raises what `ask` raises."""
        with self.ask(call, stop, use) as exchange:
            body = b"".join(exchange.pieces())
            try:
                return json.loads(body)
            except (ValueError, RecursionError) as error:
                said = self.clean(body.decode(errors="replace"))
                gave = f"no JSON: {said!r}" if said else "an empty reply instead of JSON"
                raise RemoteError(f"{self._wire.url}{call.path} gave {gave}.", next_step=self.advice) from error

    @contextmanager
    def _taken(self, call: Call, stop: Stop, use: Use) -> Iterator[Exchange]:
        tries = 0
        while True:
            tries += 1
            exchange = self._wire.send(call, stop.check)
            try:
                try:
                    head = exchange.head()
                    if head.status == 200:
                        self._check_encoding(head)
                        yield exchange
                        return
                    error: RemoteError = self._refusal(head, exchange)
                    asked = retry.asked_wait(head.headers.get("retry-after", ""), datetime.now(UTC))
                    again = retry.may_pass(head.status)
                except ConnectFailed as failure:
                    error, asked, again = failure, None, True
            finally:
                exchange.close()
                use.sent += exchange.sent
                use.received += exchange.received
            pause = retry.pause(tries, asked, self._chance()) if again else None
            if pause is None:
                raise error
            stop.sleep(pause)

    def _check_encoding(self, head: Head) -> None:
        encoding = head.headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise RemoteError(
                f"{self.name} answered in {self.clean(encoding)!r}, which was not asked for.",
                next_step="Turn compression off in the server, or in the proxy before it.",
            )

    def _refusal(self, head: Head, exchange: Exchange) -> Refused:
        if 300 <= head.status < 400:
            where = self.clean(head.headers.get("location", "nowhere"))
            return Refused(
                f"{self.name} wants to send us elsewhere ({where}); redirects are not followed.", head.status, ""
            )
        body = bytearray()
        try:
            for piece in exchange.pieces():
                body += piece
                if len(body) > limit("remote.event_bytes"):
                    break
        except RemoteError:  # the status alone says enough
            pass
        said = self.clean(_message(bytes(body)))
        return Refused(f"{self.name} answered {head.status}: {said or 'nothing more'}.", head.status, said)


def _message(body: bytes) -> str:
    """What an error's body says: the message in it when it is OpenAI's kind of JSON, else all of it without tags."""
    text = body.decode(errors="replace")
    try:
        said = json.loads(text)
        said = said.get("error", said)
        said = said.get("message", said) if isinstance(said, dict) else said
        return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    except (ValueError, AttributeError, RecursionError):
        return re.sub(r"<[^<>]*>", " ", text[: limit("remote.event_bytes")])
