"""Settings that change while the server runs: the client's own configuration, and files of settings.

Asked for when the client is ready and whenever it says that they are others; files are read anew when a watched one
changes, or an open one is saved. Others who read files of the workspace hear of them here too.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from leanvibe_lsp.documents import uris
from leanvibe_lsp.lsp.configuration import without_null
from leanvibe_lsp.lsp.pulling import SECTION, pull

if TYPE_CHECKING:
    from leanvibe_lsp.lsp.server import LeanVibeServer

_GLOBS = ("**/leanvibe.toml", "**/pyproject.toml", "**/.leanvibe/rules/**/*.{yml,yaml}")


def register(ls: LeanVibeServer) -> None:
    """Follow the client's configuration and the files of settings."""
    ls.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)(on_configuration)
    ls.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)(on_watched_files)
    ls.feature(types.TEXT_DOCUMENT_DID_SAVE)(on_save)
    level = _LogLevel(ls)
    ls.on_ready(level.follow)
    ls.on_ready(lambda: _begin(ls))
    ls.on_settings(level.follow)


def on_configuration(ls: LeanVibeServer, params: types.DidChangeConfigurationParams) -> None:
    """Ask the client that can be asked; of another one take what it sends."""
    if not pull(ls) and isinstance(params.settings, Mapping):
        ls.configuration.set_client({None: without_null(params.settings.get(SECTION))})


def on_watched_files(ls: LeanVibeServer, params: types.DidChangeWatchedFilesParams) -> None:
    """Read the settings anew when one of their files is among these."""
    _reread(ls, *(event.uri for event in params.changes))


def on_save(ls: LeanVibeServer, params: types.DidSaveTextDocumentParams) -> None:
    """The same for a client that does not watch; others hear of it too."""
    _reread(ls, params.text_document.uri)
    ls.document_saved(params.text_document.uri)


def _begin(ls: LeanVibeServer) -> None:
    registrations = []
    if ls.client.can("workspace.did_change_configuration.dynamic_registration"):
        options: Any = types.DidChangeConfigurationRegistrationOptions(section=SECTION)
        registrations.append(
            types.Registration("leanvibe-configuration", types.WORKSPACE_DID_CHANGE_CONFIGURATION, options)
        )
    if ls.reads_files and ls.client.can("workspace.did_change_watched_files.dynamic_registration"):
        options = types.DidChangeWatchedFilesRegistrationOptions(_watchers(ls))
        registrations.append(types.Registration("leanvibe-files", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, options))
    if registrations:
        ls.keep(ls.client.register(registrations))
    pull(ls)


def _watchers(ls: LeanVibeServer) -> list[types.FileSystemWatcher]:
    watchers = [types.FileSystemWatcher(glob) for glob in _GLOBS]
    user = ls.configuration.user_file
    if user is not None and ls.client.can("workspace.did_change_watched_files.relative_pattern_support"):
        watchers.append(types.FileSystemWatcher(types.RelativePattern(uris.from_path(user.parent), user.name)))
    elif user is not None:
        watchers.append(types.FileSystemWatcher(user.as_posix()))
    return watchers


def _reread(ls: LeanVibeServer, *changed: str) -> None:
    paths = [path for uri in changed if (path := uris.to_path(uri)) is not None]
    if any(map(ls.configuration.is_source, paths)):
        ls.configuration.reread()
    if ls.reads_files and paths:
        ls.files_changed(paths)


class _LogLevel:
    """The setting `logLevel`, and what counts without it. A listener has several clients: it is for none of them."""

    def __init__(self, ls: LeanVibeServer) -> None:
        self._ls = ls
        self._before: int | None = None

    def follow(self) -> None:
        """Log as much as the setting says now."""
        level = self._ls.settings.editor.log_level if self._ls.reads_files else None
        root = logging.getLogger()
        if level is not None:
            self._before = root.level if self._before is None else self._before
            root.setLevel(level.upper())
        elif self._before is not None:
            root.setLevel(self._before)
            self._before = None
