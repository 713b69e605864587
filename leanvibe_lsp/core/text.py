"""Positions in text, as plain values.

Inside the house a place is a *code-point offset* into a Python string. UTF-8 and UTF-16 columns exist only at the door
(`lsp/convert.py`), which asks `LineIndex` for them. Lines end at "\\r\\n", "\\n" or "\\r" and at nothing else, as LSP
says.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate, chain, islice

_LINE_ENDING = re.compile(r"\r\n|\r|\n")
_SPLIT_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")


class Encoding(StrEnum):
    """The unit in which a client counts columns; the values are LSP's names."""

    UTF8 = "utf-8"
    UTF16 = "utf-16"
    UTF32 = "utf-32"


@dataclass(frozen=True, slots=True)
class Position:
    """Zero-based line, and a column in the units of some `Encoding` that the caller knows."""

    line: int
    character: int


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open range of code-point offsets: `text[start:end]`."""

    start: int
    end: int


def join_surrogates(text: str) -> str:
    """The text with every high + low surrogate that stand side by side made the one character they mean."""
    if text.isascii() or not _SPLIT_PAIR.search(text):
        return text
    return _SPLIT_PAIR.sub(lambda pair: pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le"), text)


class LineIndex:
    """Where the lines of one text begin, and what columns mean there. Immutable; equal when the texts are.

    Positions clamp as Microsoft's vscode-languageserver-textdocument does: past the end of a line means before its
    line ending, past the last line means the end of the text, below zero means zero. A column inside a character
    (half a surrogate pair, a UTF-8 continuation byte) means the start of that character. A lone surrogate counts one
    UTF-16 unit or three UTF-8 bytes. The text should have no split pairs: see `join_surrogates`.
    """

    # Starts from line `_pivot` on are stored `_shift` too low. Typing changes only that number: the tail of a long
    # file is copied as memory and never added to, one start at a time.
    __slots__ = ("__weakref__", "_pivot", "_shift", "_starts", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = array("q", _starts(text))
        self._pivot = len(self._starts)
        self._shift = 0

    def __eq__(self, other: object) -> bool:
        return self.text == other.text if isinstance(other, LineIndex) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"LineIndex({self.line_count} lines, {len(self.text)} characters)"

    @property
    def line_count(self) -> int:
        """At least 1: the empty text has one empty line."""
        return len(self._starts)

    def line_of(self, offset: int) -> int:
        """The line that holds this code-point offset; a line holds its own line ending."""
        if self._pivot < len(self._starts) and offset >= self._start(self._pivot):
            line = bisect_right(self._starts, offset - self._shift, lo=self._pivot) - 1
        else:
            line = bisect_right(self._starts, offset, hi=self._pivot) - 1
        return max(line, 0)

    def line_span(self, line: int) -> Span:
        """The line without its line ending. Raises IndexError for a line that does not exist."""
        if not 0 <= line < len(self._starts):
            raise IndexError(f"line {line} of {len(self._starts)}")
        start, end = self._start(line), self._next_start(line)
        if end > start and self.text[end - 1] == "\n":
            end -= 1
        if end > start and self.text[end - 1] == "\r":
            end -= 1
        return Span(start, end)

    def line_text(self, line: int) -> str:
        """The line without its line ending. Raises IndexError for a line that does not exist."""
        span = self.line_span(line)
        return self.text[span.start : span.end]

    def offset(self, position: Position, encoding: Encoding) -> int:
        """The code-point offset of a position, clamped into the text."""
        if position.line >= len(self._starts):
            return len(self.text)
        if position.line < 0:
            return 0
        span = self.line_span(position.line)
        if position.character <= 0:
            return span.start
        # A character takes at least one unit in any encoding, so nothing further right can matter.
        reach = min(span.end, span.start + position.character)
        return span.start + _characters(self.text[span.start : reach], position.character, encoding)

    def position(self, offset: int, encoding: Encoding) -> Position:
        """The position of a code-point offset, clamped into the text and before the line ending."""
        offset = max(0, min(offset, len(self.text)))
        line = self.line_of(offset)
        span = self.line_span(line)
        return Position(line, _units(self.text[span.start : min(offset, span.end)], encoding))

    def client_offset(self, position: Position, encoding: Encoding) -> int:
        """The offset of a position in the client's own units, as the client computes it: nothing snaps."""
        if position.line >= len(self._starts):
            return _units(self.text, encoding)
        if position.line < 0:
            return 0
        span = self.line_span(position.line)
        width = _units(self.text[span.start : span.end], encoding)
        return _units(self.text[: span.start], encoding) + max(0, min(position.character, width))

    def client_position(self, units: int, encoding: Encoding) -> Position:
        """The position of an offset in the client's own units, clamped; the other way of `client_offset`."""
        line = self.line_of(_characters(self.text, max(units, 0), encoding))
        span = self.line_span(line)
        width = _units(self.text[span.start : span.end], encoding)
        column = units - _units(self.text[: span.start], encoding)
        return Position(line, max(0, min(column, width)))

    def edited(self, span: Span, replacement: str) -> LineIndex:
        """The index of the text in which `span` is replaced; costs the lines touched and a copy."""
        text = "".join((self.text[: span.start], replacement, self.text[span.end :]))
        grown = len(text) - len(self.text)
        # One character to either side, because an edit can join or part a "\r\n".
        first = self.line_of(max(span.start - 1, 0))
        after = self.line_of(span.end) + 1
        region = self._start(first)
        region_end = self._next_start(after - 1) + grown
        inner = [region + start for start in _starts(text[region:region_end])]
        if after < len(self._starts) and inner[-1] == region_end:
            inner.pop()  # that one is the first start of the tail
        edited = object.__new__(LineIndex)
        edited.text = text
        head, tail, tail_shift = self._split(first, after)
        edited._starts = head + array("q", inner) + tail
        edited._pivot = len(head) + len(inner)
        edited._shift = tail_shift + grown
        return edited

    def _split(self, first: int, after: int) -> tuple[array[int], array[int], int]:
        """Starts before line `first`, absolute; starts from `after` on, and what those are stored too low by."""
        pivot, shift, starts = self._pivot, self._shift, self._starts
        head = starts[: min(first, pivot)]
        if first > pivot:
            head.extend(start + shift for start in starts[pivot:first])
        if after >= pivot:
            return head, starts[after:], shift
        between = array("q", [start - shift for start in starts[after:pivot]])
        return head, between + starts[pivot:], shift

    def _start(self, line: int) -> int:
        return self._starts[line] + (self._shift if line >= self._pivot else 0)

    def _next_start(self, line: int) -> int:
        return self._start(line + 1) if line + 1 < len(self._starts) else len(self.text)


def _starts(text: str) -> Iterator[int]:
    """Where each line begins. The common case, no carriage return, runs in C."""
    if "\r" in text:
        return chain((0,), (match.end() for match in _LINE_ENDING.finditer(text)))
    lengths = map(len, text.split("\n"))
    return islice(accumulate(lengths, lambda start, length: start + length + 1, initial=0), text.count("\n") + 1)


def _units(text: str, encoding: Encoding) -> int:
    """How many units of `encoding` the text takes."""
    if text.isascii() or encoding is Encoding.UTF32:
        return len(text)
    if encoding is Encoding.UTF16:
        return len(text.encode("utf-16-le", "surrogatepass")) // 2
    return len(text.encode("utf-8", "surrogatepass"))


def _characters(text: str, units: int, encoding: Encoding) -> int:
    """How many whole characters of `text` lie in its first `units` units."""
    if text.isascii() or encoding is Encoding.UTF32:
        return min(units, len(text))
    if encoding is Encoding.UTF16:
        data, end = text.encode("utf-16-le", "surrogatepass"), 2 * units
        # Inside a pair when the next unit is a low surrogate and the one before it a high one.
        if end < len(data) and data[end + 1] & 0xFC == 0xDC and data[end - 1] & 0xFC == 0xD8:
            end -= 2
        return len(data[:end].decode("utf-16-le", "surrogatepass"))
    data, end = text.encode("utf-8", "surrogatepass"), units
    while 0 < end < len(data) and data[end] & 0xC0 == 0x80:
        end -= 1
    return len(data[:end].decode("utf-8", "surrogatepass"))
