"""One client's session: its documents, its settings, its running requests. Engines are shared, sessions are not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import TypeVar

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from leanvibe_lsp import __version__
from leanvibe_lsp.config.settings import Settings, with_options
from leanvibe_lsp.core.text import Encoding
from leanvibe_lsp.documents import uris
from leanvibe_lsp.documents.snapshot import Snapshot, read_regular_file
from leanvibe_lsp.documents.store import DocumentStore
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.lsp.client import Client
from leanvibe_lsp.lsp.convert import encoding_of, shared_converter
from leanvibe_lsp.lsp.framing import Fault
from leanvibe_lsp.lsp.protocol import LeanVibeProtocol, State, Wire
from leanvibe_lsp.lsp.sharing import Services, SharedServices

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class LeanVibeServer(LanguageServer):
    """The session of one client. Made, attached and used on one event loop."""

    protocol: LeanVibeProtocol

    def __init__(self, shared: SharedServices, *, settings: Settings, workers: Executor, reads_files: bool) -> None:
        super().__init__("leanvibe-lsp", __version__, protocol_cls=LeanVibeProtocol, converter_factory=shared_converter)
        self.documents = DocumentStore()
        self.encoding = Encoding.UTF16
        self.client = Client(self.protocol)
        self.settings = settings
        self.roots: tuple[Path, ...] = ()
        self.ended = asyncio.Event()
        self._shared = shared
        self._taken: tuple[Settings, Services] | None = None
        self._workers = workers
        self._reads_files = reads_files
        self._on_session: list[Callable[[types.InitializeParams], None]] = []

    @property
    def exit_code(self) -> int:
        """0 when the client shut the session down before it ended, else 1."""
        return 0 if self.protocol.state is State.SHUT_DOWN else 1

    @property
    def services(self) -> Services:
        """The engine's side of the house, made on first use. Raises LeanVibeError when it cannot be made."""
        if self._taken is None:
            self._taken = self.settings, self._shared.take(self.settings)
        return self._taken[1]

    def settings_for(self, uri: str) -> Settings:
        """The settings for a document: those of the workspace root it lies in."""
        return self.settings

    def give_back_services(self) -> None:
        """Let go of the services; for the last session of a client's own choice this stops the engine."""
        if self._taken is not None:
            self._shared.give_back(self._taken[0])
            self._taken = None

    def on_session(self, callback: Callable[[types.InitializeParams], None]) -> None:
        """Call `callback` when the client has said who it is."""
        self._on_session.append(callback)

    def attach(self, wire: Wire) -> None:
        """Speak to the client through `wire`."""
        self.protocol.attach(wire)

    def take(self, message: object) -> None:
        """Take what the wire brought: a parsed message or a Fault. Never raises; deaf once the session is over."""
        if self.ended.is_set():
            return
        if isinstance(message, Fault):
            self.protocol.fault(message)
        else:
            self.protocol.receive(message)

    def end(self) -> None:
        """The session is over: exit came, or the client is gone."""
        self.ended.set()

    async def finish(self, *, within: float) -> None:
        """Give every running request its reply and forget the documents."""
        await self.protocol.requests.end_all(within=within)
        self.documents = DocumentStore()

    def open_session(self, params: types.InitializeParams, encoding: str) -> None:
        """Take over what initialize says. A bad option costs itself; it is told once, when initialize has its reply."""
        self.process_id = params.process_id
        self.encoding = encoding_of(encoding)
        self.settings, problems = with_options(self.settings, params.initialization_options)
        for problem in problems:
            message = f"initializationOptions{'.' if problem.field else ''}{problem.field}: {problem.message}"
            _log.warning("%s", message)
            asyncio.get_running_loop().call_soon(self.client.show, types.MessageType.Warning, message)
        for callback in self._on_session:
            callback(params)

    def file_of(self, uri: str) -> Path:
        """The file a URI names. Raises UsageError for what is no file, and in a session that reads none."""
        path = uris.to_path(uri)
        if path is not None and self._reads_files:
            return path
        reason = "is no file" if path is None else "files are read for a client on standard input only"
        raise UsageError(
            f"textDocument.uri: {uri!r} is not open here, and {reason}.",
            next_step="Open the document in the editor first.",
        )

    async def snapshot(self, known: Snapshot | Path) -> Snapshot:
        """The snapshot itself, or the file read from disk beside the event loop. Raises UsageError."""
        return known if isinstance(known, Snapshot) else await self.beside(lambda: read_regular_file(known))

    async def beside(self, work: Callable[[], _T]) -> _T:
        """Run blocking work on our own threads."""
        return await asyncio.get_running_loop().run_in_executor(self._workers, work)
