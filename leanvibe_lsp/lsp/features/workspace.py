"""Folders that come into the workspace and leave it while the server runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from leanvibe_lsp.documents import uris
from leanvibe_lsp.lsp.pulling import pull

if TYPE_CHECKING:
    from leanvibe_lsp.lsp.server import LeanVibeServer


def register(ls: LeanVibeServer) -> None:
    """Follow `workspace/didChangeWorkspaceFolders`."""
    ls.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)(on_folders)


def on_folders(ls: LeanVibeServer, params: types.DidChangeWorkspaceFoldersParams) -> None:
    """The settings and rules of a folder count from here on, its settings before any request about what lies in it."""
    if not ls.reads_files:
        return
    removed = {uris.to_path(folder.uri) for folder in params.event.removed}
    added = [uris.to_path(folder.uri) for folder in params.event.added]
    kept = [root for root in ls.roots if root not in removed]
    ls.configuration.set_roots(list(dict.fromkeys((*kept, *(path for path in added if path is not None)))))
    ls.files_changed(())
    pull(ls)
