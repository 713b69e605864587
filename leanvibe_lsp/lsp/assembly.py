"""A session with every feature of this server."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from importlib import import_module

from lsprotocol import types

from leanvibe_lsp.config.layers import Layer
from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.lsp import actions, saving
from leanvibe_lsp.lsp.features import (
    code_lens,
    configuration,
    diagnostics,
    health,
    hover,
    inline_completion,
    sync,
    trace,
    workspace,
)
from leanvibe_lsp.lsp.server import LeanVibeServer
from leanvibe_lsp.lsp.sharing import SharedServices

FEATURES = (sync, diagnostics, hover, inline_completion, code_lens, health, configuration, workspace, trace)
# Those that read what a client sends with pydantic, whose import would hold up the reply to initialize.
LATER = {
    ("ask",): (("leanvibe/ask",), ()),
    ("code_actions",): ((types.TEXT_DOCUMENT_CODE_ACTION, types.CODE_ACTION_RESOLVE), ()),
    ("commands", "judging"): ((types.WORKSPACE_EXECUTE_COMMAND,), actions.COMMANDS),
}


def make_server(
    shared: SharedServices, *, settings: Settings, workers: Executor, reads_files: bool, layers: Sequence[Layer] = ()
) -> LeanVibeServer:
    """The session of one client. Call it on the event loop that will serve it.

    Without `reads_files` it serves open documents only: whoever reaches a port must not read the user's files.
    `layers`: what `settings` were made of, where that is known; those of the client are laid between them.
    """
    server = LeanVibeServer(shared, settings=settings, workers=workers, reads_files=reads_files, layers=layers)
    for feature in FEATURES:
        feature.register(server)
    for names, (methods, commands) in LATER.items():
        server.protocol.postpone(methods, commands, partial(_register, server, names))
    saving.follow(server)
    server.on_session(lambda params: actions.announce(server))
    server.on_ready(lambda: server.keep(_warm(server)))
    return server


def _register(server: LeanVibeServer, names: Sequence[str]) -> None:
    for name in names:
        import_module(f"leanvibe_lsp.lsp.features.{name}").register(server)


async def _warm(server: LeanVibeServer) -> None:
    """Import what the first request needs, beside the loop."""
    rooms = ("leanvibe_lsp.assist.offers", "leanvibe_lsp.services")
    for name in (*(f"leanvibe_lsp.lsp.features.{name}" for names in LATER for name in names), *rooms):
        await server.beside(partial(import_module, name))
