"""Hover: what the definition under the cursor looks like from outside. At once, without the model."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from pathlib import Path
from typing import TYPE_CHECKING

from lsprotocol import types

from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.grammars import language_of
from leanvibe_lsp.documents.scopes import Symbol, symbol_at
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.lsp.convert import to_position, to_range

if TYPE_CHECKING:
    from leanvibe_lsp.lsp.server import LeanVibeServer


def register(ls: LeanVibeServer) -> None:
    """Serve `textDocument/hover`."""
    ls.feature(types.TEXT_DOCUMENT_HOVER)(on_hover)


def on_hover(ls: LeanVibeServer, params: types.HoverParams) -> Awaitable[types.Hover | None]:
    """The symbol at a position, or null. Raises UsageError for a document that cannot be found."""
    uri = params.text_document.uri
    return _hover(ls, params.position, ls.documents.get(uri) or ls.file_of(uri))


async def _hover(ls: LeanVibeServer, at: types.Position, known: Snapshot | Path) -> types.Hover | None:
    snapshot = await ls.snapshot(known)
    offset = snapshot.lines.offset(to_position(at), ls.encoding)
    symbol = await ls.beside(lambda: symbol_at(snapshot, offset))
    if symbol is None:
        return None
    formats = ls.client.capability("text_document.hover.content_format")
    markdown = not isinstance(formats, list | tuple) or types.MarkupKind.Markdown in formats
    language = language_of(snapshot.language_id, snapshot.path) or ""
    span = _under_cursor(snapshot.text, symbol, offset)
    return types.Hover(
        contents=types.MarkupContent(
            kind=types.MarkupKind.Markdown if markdown else types.MarkupKind.PlainText,
            value=as_markdown(symbol, language) if markdown else as_plain_text(symbol),
        ),
        range=to_range(span, snapshot.lines, ls.encoding) if span is not None else None,
    )


def as_markdown(symbol: Symbol, language: str) -> str:
    """Signature in a fenced block, a line of facts, the docstring."""
    longest = max((len(run) for run in re.findall(r"`+", symbol.signature)), default=0)
    fence = "`" * max(3, longest + 1)
    within = f" in `{'.'.join(symbol.parents)}`" if symbol.parents else ""
    parts = [f"{fence}{language}\n{symbol.signature}\n{fence}", f"*{symbol.kind}*{within} · {_size(symbol)}"]
    return "\n\n".join(part for part in (*parts, symbol.docstring) if part)


def as_plain_text(symbol: Symbol) -> str:
    """The same without any mark-up."""
    within = f" in {'.'.join(symbol.parents)}" if symbol.parents else ""
    head = f"{symbol.signature}\n{symbol.kind}{within} · {_size(symbol)}"
    return f"{head}\n\n{symbol.docstring}" if symbol.docstring else head


def _size(symbol: Symbol) -> str:
    return "1 line" if symbol.line_count == 1 else f"{symbol.line_count} lines"


def _under_cursor(text: str, symbol: Symbol, offset: int) -> Span | None:
    """The name at the cursor: where it is defined, or where it is used."""
    if symbol.name_span.start <= offset <= symbol.name_span.end:
        return symbol.name_span
    size = len(symbol.name)
    start = text.rfind(symbol.name, max(0, offset - size), offset + size)
    return Span(start, start + size) if start >= 0 else None
