"""The open documents: didOpen, didChange, didClose into our own store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.lsp.convert import to_changes

if TYPE_CHECKING:
    from leanvibe_lsp.lsp.server import LeanVibeServer


def register(ls: LeanVibeServer) -> None:
    """Follow the client's documents."""
    ls.feature(types.TEXT_DOCUMENT_DID_OPEN)(on_open)
    ls.feature(types.TEXT_DOCUMENT_DID_CHANGE)(on_change)
    ls.feature(types.TEXT_DOCUMENT_DID_CLOSE)(on_close)
    ls.on_document(_Trimmer(ls).document_changed)
    ls.on_document(_Unparsed(ls).document_changed)


def on_open(ls: LeanVibeServer, params: types.DidOpenTextDocumentParams) -> None:
    """Take the document over from the client."""
    document = params.text_document
    ls.documents.open(document.uri, document.language_id, document.version, document.text)
    ls.document_changed(document.uri)


def on_change(ls: LeanVibeServer, params: types.DidChangeTextDocumentParams) -> None:
    """Apply the edits. Raises UsageError for a document that is not open."""
    document = params.text_document
    ls.documents.change(document.uri, document.version, to_changes(params), ls.encoding)
    ls.document_changed(document.uri)


def on_close(ls: LeanVibeServer, params: types.DidCloseTextDocumentParams) -> None:
    """Forget the document."""
    ls.documents.close(params.text_document.uri)
    ls.document_changed(params.text_document.uri)


class _Unparsed:
    """Says in the client's log of each document that is not parsed why that is, once while it is open."""

    def __init__(self, ls: LeanVibeServer) -> None:
        self._ls = ls
        self._seen: set[str] = set()

    def document_changed(self, uri: str) -> None:
        """The document was opened, changed or closed."""
        if (snapshot := self._ls.documents.get(uri)) is None:
            self._seen.discard(uri)
        elif uri not in self._seen:
            self._seen.add(uri)
            self._ls.keep(self._tell(snapshot))

    async def _tell(self, snapshot: Snapshot) -> None:
        from leanvibe_lsp.documents.unparsed import unparsed  # grammars, which the reply to initialize need not have

        if reason := await self._ls.beside(lambda: unparsed(snapshot)):
            self._ls.client.log(types.MessageType.Warning, f"{snapshot.uri}: {reason}")


class _Trimmer:
    """Gives memory back after documents were closed: once for all that close meanwhile, behind the work under way."""

    def __init__(self, ls: LeanVibeServer) -> None:
        self._ls = ls
        self._asked = self._at_work = False

    def document_changed(self, uri: str) -> None:
        """The document was opened, changed or closed."""
        if self._ls.documents.get(uri) is not None:
            return
        self._asked = True
        if not self._at_work:
            self._at_work = True
            self._ls.keep(self._trim())

    async def _trim(self) -> None:
        from leanvibe_lsp.documents.trimming import trim  # ctypes, which the reply to initialize does not wait for

        try:
            while self._asked:
                self._asked = False
                await self._ls.beside(trim)
        finally:
            self._at_work = False
