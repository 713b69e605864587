"""Where in a text the words stand that a model quotes. Pure.

A model may leave the line numbers that it was shown in a quote, and may lay it out anew; it may not write other words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from leanvibe_lsp.core.text import LineIndex, Span

_NUMBER = re.compile(r"^[ \t]*(\d{1,7})\|[ \t]?", re.MULTILINE)


def numbered(text: str, first: int) -> str:
    """The text with each line's number before it; `first` is that of the first line, counted from 1."""
    lines = LineIndex(text)
    width = len(str(first + lines.line_count - 1))
    return "\n".join(f"{first + row:>{width}}| {lines.line_text(row)}" for row in range(lines.line_count))


def place(quote: str, lines: LineIndex, within: Span) -> Span | None:
    """The place of a quote inside `within`, None where it is not there.

    Word for word, else with other white space. Of several places it is the one nearest to the line number that the
    quote bears, or the first.
    """
    number = _NUMBER.search(quote)
    near = within.start
    if number is not None and 1 <= int(number[1]) <= lines.line_count:
        near = lines.line_span(int(number[1]) - 1).start
    bare = _NUMBER.sub("", quote).strip()
    for words in dict.fromkeys((bare, quote.strip())):
        if re.search(r"\w", words) is None:
            continue
        found = list(_exact(words, lines.text, within)) or list(_loose(words, lines.text, within))
        if found:
            return min(found, key=lambda span: (abs(span.start - near), span.start))
    return None


def _exact(words: str, text: str, within: Span) -> Iterator[Span]:
    at = text.find(words, within.start, within.end)
    while at >= 0:
        span = Span(at, at + len(words))
        if _is_whole(text, span):
            yield span
        at = text.find(words, at + 1, within.end)


def _loose(words: str, text: str, within: Span) -> Iterator[Span]:
    pattern = re.compile(r"\s+".join(re.escape(part) for part in words.split()))
    for match in pattern.finditer(text, within.start, within.end):
        span = Span(*match.span())
        if _is_whole(text, span):
            yield span


def _is_whole(text: str, span: Span) -> bool:
    """Whether no word goes on where the span ends: `in` is not quoted from `print`."""
    return not (_joins(text, span.start) or _joins(text, span.end))


def _joins(text: str, at: int) -> bool:
    return 0 < at < len(text) and _is_word(text[at - 1]) and _is_word(text[at])


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"
