"""Asking the client for its own configuration. Shared by what follows its changes and what follows its folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from leanvibe_lsp.documents import uris
from leanvibe_lsp.lsp.configuration import without_null

if TYPE_CHECKING:
    from pathlib import Path

    from leanvibe_lsp.lsp.server import LeanVibeServer

SECTION = "leanvibe"


def pull(ls: LeanVibeServer) -> bool:
    """Ask a client that can be asked, in the background; says whether it is one."""
    if ls.client.can("workspace.configuration"):
        ls.keep(_pull(ls))
        return True
    return False


async def _pull(ls: LeanVibeServer) -> None:
    """Take over what the client has under "leanvibe", for the session and for each root."""
    roots: list[Path | None] = [None, *ls.roots]
    items = [
        types.ConfigurationItem(section=SECTION, scope_uri=None if root is None else uris.from_path(root))
        for root in roots
    ]
    said = await ls.client.configuration(items)
    if said is not None and len(said) == len(roots):
        ls.configuration.set_client({root: without_null(raw) for root, raw in zip(roots, said, strict=True)})
