"""Code lens over functions and classes: Ask, Tests, Document. Off unless the settings say so; whole when listed."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from typing import TYPE_CHECKING

from lsprotocol import types

from leanvibe_lsp.assist.changes.values import ChangeKind
from leanvibe_lsp.assist.offering import Act, Offer
from leanvibe_lsp.lsp.actions import Listing, command_of
from leanvibe_lsp.lsp.convert import to_range

if TYPE_CHECKING:
    from leanvibe_lsp.documents.scopes import Symbol
    from leanvibe_lsp.lsp.server import LeanVibeServer

_KINDS = frozenset({"function", "method", "constructor", "class", "struct", "interface", "trait", "impl", "record"})
_LENSES = (
    (Act.EXPLAIN, "Ask", None),
    (Act.CHANGE, "Tests", ChangeKind.TESTS),
    (Act.CHANGE, "Document", ChangeKind.DOCUMENT),
)


def register(ls: LeanVibeServer) -> None:
    """Serve `textDocument/codeLens`."""
    ls.feature(types.TEXT_DOCUMENT_CODE_LENS)(on_code_lens)
    ls.on_settings(lambda: ls.keep(ls.client.refresh_code_lenses()))


def on_code_lens(
    ls: LeanVibeServer, params: types.CodeLensParams
) -> Awaitable[list[types.CodeLens]] | list[types.CodeLens]:
    """The lenses of a document; none when it is not open, or the settings want none."""
    snapshot = ls.documents.get(params.text_document.uri)
    if snapshot is None or not ls.settings_for(snapshot.uri).editor.code_lens:
        return []
    return ls.beside(lambda: list(_lenses(Listing(snapshot, ls.client, ls.encoding, {}))))


def _lenses(listing: Listing) -> Iterator[types.CodeLens]:
    from leanvibe_lsp.documents.scopes import symbols  # grammars, which a session without lenses does not need

    for symbol in symbols(listing.snapshot):
        if symbol.kind in _KINDS:
            yield from _above(symbol, listing)


def _above(symbol: Symbol, listing: Listing) -> Iterator[types.CodeLens]:
    name = to_range(symbol.name_span, listing.snapshot.lines, listing.encoding)
    for act, title, change in _LENSES:
        command = command_of(Offer(act, title, symbol.span, change), listing)
        yield types.CodeLens(range=name, command=command)
