"""A session with every feature of this server."""

from __future__ import annotations

from concurrent.futures import Executor

from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.lsp.features import ask, code_actions, commands, health, hover, sync
from leanvibe_lsp.lsp.server import LeanVibeServer
from leanvibe_lsp.lsp.sharing import SharedServices

FEATURES = (sync, ask, hover, code_actions, commands, health)


def make_server(shared: SharedServices, *, settings: Settings, workers: Executor, reads_files: bool) -> LeanVibeServer:
    """The session of one client. Call it on the event loop that will serve it.

    Without `reads_files` it serves open documents only: whoever reaches a port must not read the user's files.
    """
    server = LeanVibeServer(shared, settings=settings, workers=workers, reads_files=reads_files)
    for feature in FEATURES:
        feature.register(server)
    return server
