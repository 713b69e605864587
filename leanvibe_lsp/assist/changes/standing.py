"""What has to be as it was for an edit that was made and checked earlier. Pure."""

from __future__ import annotations

from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.scopes import symbols
from leanvibe_lsp.documents.snapshot import Snapshot

_ROUTINES = frozenset({"function", "method", "constructor", "macro"})


def standing(snapshot: Snapshot, span: Span) -> Span:
    """The span with all of the routines that it touches, in whole lines, and the empty lines around them.

    What is written on an empty line there could be one more statement of a routine, or a decorator of it.
    """
    lines = snapshot.lines
    routines = (one.span for one in symbols(snapshot) if one.kind in _ROUTINES)
    spans = [span, *(one for one in routines if one.start <= span.end and span.start <= one.end)]
    first = lines.line_of(min(one.start for one in spans))
    behind = lines.line_of(max(one.end for one in spans)) + 1
    while first > 0 and not lines.line_text(first - 1).strip():
        first -= 1
    while behind < lines.line_count and not lines.line_text(behind).strip():
        behind += 1
    end = lines.line_span(behind).start if behind < lines.line_count else len(snapshot.text)
    return Span(lines.line_span(first).start, end)
