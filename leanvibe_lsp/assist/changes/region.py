"""The lines that a change may touch: what the model is shown as its own, and what alone is replaced. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from leanvibe_lsp.assist.changes.values import ChangeKind, ChangeRequest
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.grammars import encoded, parse
from leanvibe_lsp.documents.scopes import Symbol, chain, imports, outline
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import UsageError

_CALLABLE = frozenset({"function", "method", "constructor", "macro"})


@dataclass(frozen=True, slots=True)
class Region:
    """Whole lines, without the last line ending; `symbol` is the definition that they are, or that is around them."""

    span: Span
    symbol: Symbol | None


def region_of(request: ChangeRequest) -> Region:
    """What may change. Raises UsageError where there is nothing, or too much, to be changed."""
    snapshot = request.place.snapshot
    wanted = request.place.span or Span(0, len(snapshot.text))
    if request.kind is ChangeKind.FIX and request.complaint is not None:
        wanted = request.complaint.span
    if request.kind in (ChangeKind.RENAME, ChangeKind.EXTRACT, ChangeKind.FIX):
        symbol = _around(snapshot, wanted, routine=True)
    else:
        symbol = _around(snapshot, wanted, routine=False)
    if request.kind in (ChangeKind.RENAME, ChangeKind.DOCUMENT, ChangeKind.TESTS) and symbol is None:
        raise UsageError("There is no function or class here.", next_step="Put the cursor into one.")
    region = Region(_lines(snapshot, _extent(request, snapshot, wanted, symbol)), symbol)
    text = snapshot.text[region.span.start : region.span.end]
    most = limit("change.characters")
    if len(text) > most:
        raise UsageError(
            f"What would be changed has {len(text):,} characters, and at most {most:,} are changed at once.",
            next_step="Select less.",
        )
    if not text.strip():
        raise UsageError("There is no code here.", next_step="Select some code.")
    return region


def _extent(request: ChangeRequest, snapshot: Snapshot, wanted: Span, symbol: Symbol | None) -> Span:
    if request.kind is ChangeKind.FIX:
        if symbol is not None and symbol.span.end - symbol.span.start <= limit("change.characters"):
            return symbol.span
        return _imports(snapshot, wanted) or _whole(snapshot, wanted)
    is_empty = not snapshot.text[wanted.start : wanted.end].strip()
    if symbol is not None and (is_empty or request.kind not in (ChangeKind.SIMPLIFY, ChangeKind.REWRITE)):
        return symbol.span
    found = _whole(snapshot, wanted)
    for one in outline(snapshot).symbols:  # with what stands around a definition that is touched: decorators, `export`
        if found.start <= one.name_span.start and one.name_span.end <= found.end:
            found = Span(min(found.start, one.span.start), max(found.end, one.span.end))
    return found


def _around(snapshot: Snapshot, span: Span, *, routine: bool) -> Symbol | None:
    """The innermost definition around the span, or the innermost that runs."""
    found = [one for one in chain(snapshot, span.start) if span.end <= one.span.end]
    if not found:  # the span may hold the definition with blanks around it
        found = [one for one in outline(snapshot).symbols if span.start <= one.span.start and one.span.end <= span.end]
        found = [one for one in found if not snapshot.text[span.start : one.span.start].strip()][:1]
    return next((one for one in reversed(found) if not routine or one.kind in _CALLABLE), None)


def _imports(snapshot: Snapshot, span: Span) -> Span | None:
    """All imports on neighbouring lines of the one that the span is in."""
    lines = snapshot.lines
    run: Span | None = None
    for one in imports(snapshot):
        if run is not None and lines.line_of(one.start) <= lines.line_of(run.end) + 1:
            run = Span(run.start, one.end)
        elif run is not None and run.start <= span.start <= run.end:
            break
        else:
            run = one
    return run if run is not None and run.start <= span.start and span.end <= run.end else None


def _whole(snapshot: Snapshot, span: Span) -> Span:
    """The whole statements that the span touches, as few as there are on lines of their own."""
    text = snapshot.text
    inside = text[span.start : span.end]
    tree = parse(snapshot)
    if tree is None or not inside.strip():
        return span
    data = encoded(text)
    start = len(encoded(text[: span.end - len(inside.lstrip())]))
    end = len(encoded(text[: span.start + len(inside.rstrip())]))
    node = tree.root_node.descendant_for_byte_range(start, max(start, end - 1))
    while node is not None:
        touched = [child for child in node.children if child.end_byte > start and child.start_byte < end] or [node]
        first, last = touched[0].start_byte, touched[-1].end_byte
        if _on_own_lines(data, first, last) and not touched[0].type.endswith("comment"):
            return Span(len(data[:first].decode("utf-8", "surrogatepass")), _end(data, last))
        node = node.parent
    return Span(0, len(text))


def _on_own_lines(data: bytes, start: int, end: int) -> bool:
    """Whether nothing but blanks and a comma or semicolon stands beside these bytes on their lines."""
    begin = max(data.rfind(b"\n", 0, start), data.rfind(b"\r", 0, start)) + 1
    if data[start:end].endswith((b"\n", b"\r")):
        return not data[begin:start].strip()
    rest = re.split(rb"[\r\n]", data[end : end + 2 + limit("document.line_characters")], maxsplit=1)[0]
    return not data[begin:start].strip() and not rest.strip(b" \t;,")


def _end(data: bytes, end: int) -> int:
    return len(data[:end].decode("utf-8", "surrogatepass"))


def _lines(snapshot: Snapshot, span: Span) -> Span:
    lines, text = snapshot.lines, snapshot.text
    end = max(span.start, span.end - 1)
    while end > span.start and text[end] in "\r\n":
        end -= 1
    return Span(lines.line_span(lines.line_of(span.start)).start, lines.line_span(lines.line_of(end)).end)
