"""One client's session: its documents, its settings, its running requests. Engines are shared, sessions are not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, TypeVar

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from leanvibe_lsp import __version__
from leanvibe_lsp.config.layers import Layer
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.core.text import Encoding
from leanvibe_lsp.documents import uris
from leanvibe_lsp.documents.snapshot import Snapshot, read_regular_file
from leanvibe_lsp.documents.store import DocumentStore
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.lsp.client import Client
from leanvibe_lsp.lsp.configuration import Configuration
from leanvibe_lsp.lsp.convert import encoding_of, shared_converter
from leanvibe_lsp.lsp.framing import Fault
from leanvibe_lsp.lsp.looked import Looked
from leanvibe_lsp.lsp.protocol import LeanVibeProtocol, State, Wire
from leanvibe_lsp.lsp.reviews import Reviews
from leanvibe_lsp.lsp.sharing import Services, SharedServices

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class LeanVibeServer(LanguageServer):
    """The session of one client. Made, attached and used on one event loop."""

    protocol: LeanVibeProtocol

    def __init__(
        self,
        shared: SharedServices,
        *,
        settings: Settings,
        workers: Executor,
        reads_files: bool,
        layers: Sequence[Layer] = (),
    ) -> None:
        super().__init__("leanvibe-lsp", __version__, protocol_cls=LeanVibeProtocol, converter_factory=shared_converter)
        self.documents = DocumentStore()
        self.looked: dict[str, Looked] = {}  # of open documents
        self.reviews = Reviews(self.documents)
        self.rule_faults: dict[Path, list[types.Diagnostic]] = {}  # what is wrong in a workspace's files of rules
        self.encoding = Encoding.UTF16
        self.client = Client(self.protocol)
        self.configuration = Configuration(
            settings, layers, tell=self._complain, changed=self._settings_changed, reads_files=reads_files
        )
        self.ended = asyncio.Event()
        self._shared = shared
        self._taken: tuple[Settings, Services] | None = None
        self._workers = workers
        self.reads_files = reads_files
        self._retired: list[Settings] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._complaints = 0
        self._on_session: list[Callable[[types.InitializeParams], None]] = []
        self._on_ready: list[Callable[[], object]] = []
        self._on_document: list[Callable[[str], None]] = []
        self._on_settings: list[Callable[[], object]] = []
        self._on_files: list[Callable[[Sequence[Path]], object]] = []
        self._on_saved: list[Callable[[str], object]] = []
        self._on_findings: list[Callable[[], object]] = []

    @property
    def exit_code(self) -> int:
        """0 when the client shut the session down before it ended, else 1."""
        return 0 if self.protocol.state is State.SHUT_DOWN else 1

    @property
    def settings(self) -> Settings:
        """The settings of the session, as they are now."""
        return self.configuration.settings

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders of the workspace."""
        return self.configuration.roots

    @property
    def services(self) -> Services:
        """The engine's side of the house, made on first use. Raises LeanVibeError when it cannot be made."""
        if self._taken is None:
            self._taken = self.settings, self._shared.take(self.settings)
        return self._taken[1]

    def settings_for(self, uri: str) -> Settings:
        """The settings for a document: those of the workspace root it lies in."""
        return self.configuration.for_path(uris.to_path(uri))

    def give_back_services(self) -> None:
        """Let go of the services; for the last session of a client's own choice this stops the engine."""
        for task in self._tasks:
            task.cancel()
        if self._taken is not None:
            self._retired.append(self._taken[0])
            self._taken = None
        while self._retired:
            self._shared.give_back(self._retired.pop())

    def on_document(self, callback: Callable[[str], None]) -> None:
        """Call `callback` with the uri of a document that was opened, changed or closed."""
        self._on_document.append(callback)

    def document_changed(self, uri: str) -> None:
        """A document was opened, changed or closed; `documents` has it as it is now."""
        if self.documents.get(uri) is None:
            self.looked.pop(uri, None)
            self.reviews.forget(uri)
        for callback in self._on_document:
            callback(uri)

    def on_settings(self, callback: Callable[[], object]) -> None:
        """Call `callback` after any setting of this session has changed."""
        self._on_settings.append(callback)

    def on_files(self, callback: Callable[[Sequence[Path]], object]) -> None:
        """Call `callback` with files that changed on disk, and with none when the folders of the workspace did."""
        self._on_files.append(callback)

    def files_changed(self, paths: Sequence[Path]) -> None:
        """Files changed on disk; none of them: the folders of the workspace are others."""
        for callback in self._on_files:
            callback(paths)

    def on_saved(self, callback: Callable[[str], object]) -> None:
        """Call `callback` with the uri of a document that was saved."""
        self._on_saved.append(callback)

    def document_saved(self, uri: str) -> None:
        """A document was saved."""
        for callback in self._on_saved:
            callback(uri)

    def on_findings(self, callback: Callable[[], object]) -> None:
        """Call `callback` when there is something else to show of documents that nobody edited."""
        self._on_findings.append(callback)

    def findings_changed(self) -> None:
        """What is found in the open documents is different, though they are not."""
        for callback in self._on_findings:
            callback()

    def on_ready(self, callback: Callable[[], object]) -> None:
        """Call `callback` when the client is ready for requests of the server's own (`initialized`)."""
        self._on_ready.append(callback)

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
        """Give every running request its reply, end what runs beside them, and forget the documents."""
        for task in self._tasks:
            task.cancel()
        await self.protocol.requests.end_all(within=within)
        self.documents = DocumentStore()
        self.looked = {}
        self.reviews = Reviews(self.documents)

    def ready(self) -> None:
        """The client has read the reply to initialize."""
        for callback in self._on_ready:
            callback()

    def keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` beside the requests; it ends with the session, or when it is cancelled."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def open_session(self, params: types.InitializeParams, encoding: str) -> None:
        """Take over what initialize says."""
        self.process_id = params.process_id
        self.encoding = encoding_of(encoding)
        self.configuration.begin(params.initialization_options, roots_of(params) if self.reads_files else ())
        for callback in self._on_session:
            callback(params)

    def file_of(self, uri: str) -> Path:
        """The file a URI names. Raises UsageError for what is no file, and in a session that reads none."""
        path = uris.to_path(uri)
        if path is not None and self.reads_files:
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

    def _complain(self, text: str) -> None:
        """Show a person what of the settings is not used: soon, for the reply to initialize goes first."""
        loop = asyncio.get_running_loop()
        if not self._complaints:
            loop.call_soon(self._forget_complaints)
        self._complaints += 1
        if self._complaints <= limit("config.complaints"):
            loop.call_soon(self.client.show, types.MessageType.Warning, text)

    def _forget_complaints(self) -> None:
        """What comes from now on was said by other settings."""
        self._complaints = 0

    def _settings_changed(self) -> None:
        """Other settings of the engine mean other services; a running answer keeps those that it began with."""
        if self._taken is not None and self._taken[0].engine_part != self.settings.engine_part:
            self._retired.append(self._taken[0])
            self._taken = None
            self.keep(self._let_go())
        for callback in self._on_settings:
            callback()

    async def _let_go(self) -> None:
        retired = self._retired[-1]
        await self.protocol.requests.those_running()
        self._retired.remove(retired)
        self._shared.give_back(retired)


def roots_of(params: types.InitializeParams) -> tuple[Path, ...]:
    """The folders of the workspace that are files' folders, as initialize names them."""
    given = [folder.uri for folder in params.workspace_folders or ()]
    given = given or [uri for uri in (params.root_uri,) if uri]
    found = (uris.to_path(uri) for uri in given)
    return tuple(dict.fromkeys(path for path in found if path is not None))
