"""`leanvibe/health`: the state of model and engine, for a status line or `:checkhealth`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leanvibe_lsp.lsp.server import LeanVibeServer

METHOD = "leanvibe/health"


def register(ls: LeanVibeServer) -> None:
    """Serve `leanvibe/health`; its params, if any, are ignored."""
    ls.protocol.define(METHOD, lambda raw: None)
    ls.feature(METHOD)(on_health)


async def on_health(ls: LeanVibeServer, params: None) -> dict[str, object]:
    """What `services.health()` says, as it is."""
    return await ls.services.health()
