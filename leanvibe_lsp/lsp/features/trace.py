"""`$/setTrace` and `$/logTrace`: what the server takes and answers, told to the client that wants to see it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lsprotocol import types

from leanvibe_lsp.config.limits import limit

if TYPE_CHECKING:
    from leanvibe_lsp.lsp.server import LeanVibeServer


def register(ls: LeanVibeServer) -> None:
    """Follow `$/setTrace`, and what initialize says of it."""
    ls.feature(types.SET_TRACE)(on_set_trace)
    ls.on_session(lambda params: _set(ls, params.trace or types.TraceValue.Off))


def on_set_trace(ls: LeanVibeServer, params: types.SetTraceParams) -> None:
    """From the next message on."""
    _set(ls, params.value)


def _set(ls: LeanVibeServer, value: str) -> None:
    level = str(getattr(value, "value", value))
    if level not in ("messages", "verbose"):
        ls.protocol.on_trace = None
        return

    def trace(message: str, params: object) -> None:
        shown = level == "verbose" and params is not None
        ls.client.log_trace(message, json.dumps(params)[: limit("trace.characters")] if shown else None)

    ls.protocol.on_trace = trace
