"""Any OpenAI-compatible server as an engine: vLLM, llama.cpp's server, mlx_lm.server, Ollama.

Off unless a person switched it on. Before anything leaves, the files it quotes are held against the rules
(`policy.py`) and a receipt is written (`receipts.py`).
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.config.settings import RemoteSettings
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.core.globs import paths_of
from leanvibe_lsp.engine.base import (
    NO_PAUSE,
    Finished,
    GenerationRequest,
    Loaded,
    Pause,
    Sink,
    Source,
)
from leanvibe_lsp.engine.models.selftest import Verdict
from leanvibe_lsp.engine.prompts import prompt_length
from leanvibe_lsp.engine.remote import chat
from leanvibe_lsp.engine.remote.key import find_key, origin_of
from leanvibe_lsp.engine.remote.policy import refusal
from leanvibe_lsp.engine.remote.proof import prove
from leanvibe_lsp.engine.remote.receipts import Receipts, Use
from leanvibe_lsp.engine.remote.server import Refused, Server, Stop
from leanvibe_lsp.engine.remote.sse import Events, EventTooLong
from leanvibe_lsp.engine.remote.wire import Call, Wire
from leanvibe_lsp.errors import ModelNotFound, RemoteError, UsageError, Withheld

log = logging.getLogger(__name__)

_NO_LIST = (404, 405, 501)  # a server that does not say what models it has


class RemoteEngine:
    """One server and one of its models. See `engine.base.Engine` for the contract.

    A conversation goes out as it is, and the server renders it. Raises Withheld when a file may not leave, or no
    receipt can be written; RemoteError for all that a server does wrong.
    """

    backend = "remote"

    def __init__(
        self,
        settings: RemoteSettings,
        *,
        receipts: Receipts | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._settings = settings
        self._receipts = receipts or Receipts()
        self._environment = environment
        self._wire: Wire | None = None
        self._server: Server | None = None
        self._loaded: Loaded | None = None
        self._refused: set[str] = set()
        self.server = origin_of(settings.url)
        self.model = settings.model or ""  # of a server's choice: known once loaded

    def load(self, cancel: CancelToken) -> Loaded:
        """Ask what models there are. Raises ModelNotFound for none, RemoteError, UsageError, Withheld."""
        self.close()
        key = find_key(self._settings.url, self._environment)
        self._wire = Wire(self._settings.url, key)
        self._server = Server(self._wire, key)
        card = self._card(self._server, Stop(cancel, Deadline.never()))
        if self._settings.model is None:
            self.model = self._server.clean(str(card["id"]))
        self._loaded = Loaded(_window(card), 0, "remote", None, "")
        return self._loaded

    def _card(self, server: Server, stop: Stop) -> Mapping[str, Any]:
        """What the server says of the model; {} for one that was named and is not in its list."""
        wanted = self._settings.model
        try:
            with self._receipts.use(server.name, self.model, "models") as use:
                said = server.document(Call("/models"), stop, use)
        except Refused as error:
            if wanted is not None and error.status in _NO_LIST:
                return {}
            raise
        data = said.get("data") if isinstance(said, dict) else None
        if not isinstance(data, list):
            raise RemoteError(
                f"{self._settings.url}/models does not list models as OpenAI's protocol has it.",
                next_step=server.advice,
            )
        cards = [card for card in data if isinstance(card, dict) and isinstance(card.get("id"), str)]
        if wanted is not None:
            return next((card for card in cards if card["id"] == wanted), {})
        if not cards:
            raise ModelNotFound(f"{server.name} has no model.", next_step="Load one there, or name one.")
        return cards[0]

    def prove(self, loaded: Loaded, cancel: CancelToken) -> Verdict | None:
        """The known answers, or None when the server gives no way to ask them. Raises RemoteError, Withheld."""
        server, stop = self._ready(), Stop(cancel, Deadline.never())
        with self._receipts.use(server.name, self.model, "known answers") as use:
            return prove(lambda call: server.document(call, stop, use), self.model)

    def generate(
        self,
        request: GenerationRequest,
        sink: Sink,
        cancel: CancelToken,
        deadline: Deadline,
        pause: Pause = NO_PAUSE,
    ) -> Finished:
        """Send the conversation. More urgent work has its turn while the server is waited for, and may ask it too.

        A chunk is what came in one piece, mostly a token. Raises Withheld, RemoteError, Incomplete, UsageError.
        """
        server, stop = self._ready(), Stop(cancel, deadline, pause)
        if not request.messages:
            raise UsageError("A server takes a conversation, not tokens.", next_step="Ask with messages.")
        check_sources(request.sources, self._settings)
        stop.check()
        while True:
            body = chat.body_of(request, self.model, self._refused)
            call = Call("/chat/completions", json.dumps(body, ensure_ascii=False).encode(errors="replace"))
            try:
                size = len(call.body or b"")
                with self._receipts.use(server.name, self.model, "answer", request.sources, size=size) as use:
                    return self._read(server, call, request, sink, stop, use)
            except Refused as error:
                field = chat.refused_field(body, error.status, error.said)
                if field is None:
                    raise
                log.info("%s does not take %s; asked without it from now on", server.name, field)
                self._refused.add(field)

    def _read(
        self, server: Server, call: Call, request: GenerationRequest, sink: Sink, stop: Stop, use: Use
    ) -> Finished:
        reading, events = chat.Reading(request, sink), Events()
        with server.ask(call, stop, use) as exchange:
            if not exchange.content_type.startswith("text/event-stream"):
                raise self._bad(server, f"{exchange.content_type or 'nothing'} instead of a stream of events")
            try:
                for piece in exchange.pieces():
                    for data in events.push(piece):
                        if not reading.complete:
                            reading.take(data)
                    if reading.complete:
                        break
                    if reading.ended:
                        exchange.hurry()
            except EventTooLong as error:
                raise self._bad(server, f"one event has over {limit('remote.event_bytes'):,} bytes") from error
            except chat.BadEvent as error:
                raise self._bad(server, str(error)) from error
            except RemoteError:
                if not reading.ended:  # only token counts were still to come
                    raise
            if not reading.counted:
                log.info("%s does not count tokens: pieces are counted, and the prompt is estimated", server.name)
            assert self._loaded is not None, "loaded"
            try:
                return reading.finished(prompt_length(self._loaded, request.messages, ()))
            except chat.BadEvent as error:
                raise self._bad(server, str(error)) from error

    @staticmethod
    def _bad(server: Server, what: str) -> RemoteError:
        return RemoteError(
            f"{server.name} gave a bad answer: {server.clean(what)}.", next_step="Look at the server's log."
        )

    def _ready(self) -> Server:
        if self._server is None:
            raise RemoteError(f"{self.server} was not asked for its models yet.", next_step="Ask again.")
        return self._server

    def warm(self, prompt: tuple[int, ...], cancel: CancelToken, pause: Pause = NO_PAUSE) -> None:
        """Nothing: what the server keeps is its own affair."""

    @property
    def cache_bytes(self) -> int:
        """0: nothing is held here."""
        return 0

    def close(self) -> None:
        """Let go of the connection. Idempotent."""
        if self._wire is not None:
            self._wire.close()
        self._wire = self._server = None


def check_sources(sources: Iterable[Source], settings: RemoteSettings) -> None:
    """Raise Withheld when a file may not leave, by the name it was given or by the one it really has."""
    for uri in dict.fromkeys(source.uri for source in sources):
        paths = paths_of(uri)
        name, rule = paths[0], refusal(paths[:1], settings.allow, settings.deny)
        rule = rule or refusal(paths[1:], ("**",), settings.deny)
        real = _real(uri, name)
        if rule is None and (rule := refusal(real, settings.allow, settings.deny)) is not None:
            name = f"{name} (really {real[0]})"
        if rule is not None:
            raise Withheld(
                f"{name} may not leave this machine: {rule}; nothing was sent.",
                next_step="Ask without this file, or a model on this machine.",
            )


def _real(uri: str, path: str) -> list[str]:
    """Where a file really is, behind links; nothing for what is no file here."""
    if urlsplit(uri).scheme.lower() not in ("", "file") and not re.match(r"[A-Za-z]:", uri):
        return []
    with suppress(OSError, ValueError, RuntimeError):
        return [Path(path).resolve().as_posix()]
    return []


def _window(card: Mapping[str, Any]) -> int:
    """Tokens of prompt and answer, as vLLM or llama.cpp says them; else the table's row."""
    meta = card.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    said = (card.get("max_model_len"), meta.get("n_ctx"), meta.get("n_ctx_train"))
    return next((one for one in said if isinstance(one, int) and one > 1), limit("remote.window"))
