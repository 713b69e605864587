"""How far a definition reaches of which broken code left only the header: as far as the lines are indented."""

from __future__ import annotations

import re

from leanvibe_lsp.core.text import LineIndex, Span

_WORDS = re.compile(r"[\w\s]*")
_CLOSING = re.compile(r"\s*(?:[}\])]|end\b|fi\b|done\b|esac\b)")


def extent(lines: LineIndex, keyword: int) -> Span:
    """From the header's words before its keyword (`export`, `pub async`) to the line that closes it, if one does."""
    first = lines.line_of(keyword)
    span = lines.line_span(first)
    before = lines.text[span.start : keyword]
    start = span.start + len(before) - len(before.lstrip()) if _WORDS.fullmatch(before) else keyword
    indent = _indent(lines.line_text(first))
    last = first
    for line in range(first + 1, lines.line_count):
        text = lines.line_text(line)
        if not text.strip():
            continue
        if _indent(text) <= indent and not (last == first and text.strip().startswith("{")):
            last = line if _indent(text) == indent and _CLOSING.match(text) else last
            break
        last = line
    end = lines.line_span(last)
    return Span(start, end.start + len(lines.line_text(last).rstrip()))


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())
