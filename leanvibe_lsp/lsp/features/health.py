"""`leanvibe/health`: the state of model and engine, for a status line or `:checkhealth`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from leanvibe_lsp.documents.snapshot import Snapshot

if TYPE_CHECKING:
    from leanvibe_lsp.lsp.server import LeanVibeServer

METHOD = "leanvibe/health"


def register(ls: LeanVibeServer) -> None:
    """Serve `leanvibe/health`; its params, if any, are ignored."""
    ls.protocol.define(METHOD, lambda raw: None)
    ls.feature(METHOD)(on_health)


async def on_health(ls: LeanVibeServer, params: None) -> dict[str, object]:
    """What `services.health()` says, as it is, and as `unparsed` the open documents that are not parsed, if any."""
    documents = tuple(ls.documents)
    report = await ls.services.health()
    found = await ls.beside(lambda: _unparsed(documents))
    return {**report, "unparsed": found} if found else report


def _unparsed(documents: Sequence[Snapshot]) -> list[dict[str, str]]:
    from leanvibe_lsp.documents.unparsed import unparsed  # grammars, which the reply to initialize does not wait for

    told = ((one.uri, unparsed(one)) for one in documents)
    return [{"uri": uri, "reason": reason} for uri, reason in told if reason]
