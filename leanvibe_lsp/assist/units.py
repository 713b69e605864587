"""The pieces of a document that are judged one by one: functions, and what stands outside of them. Pure.

A function that stands in another one belongs to it; a method is a piece of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.scopes import Symbol, outline
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.documents.syntax import merged

CALLABLE = frozenset({"function", "method", "constructor", "macro"})
_COMMENT = ("#", "//", "/*", "*", "--", ";", "%", '"""', "'''", "<!--")


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece to judge: `span` is whole lines of it, `mark` the place where something about all of it is shown."""

    name: str
    span: Span
    mark: Span


def units_of(snapshot: Snapshot, spans: Sequence[Span] | None = None) -> tuple[Unit, ...]:
    """The pieces that the spans touch, in the order of the text; None: all of the document.

    Outside of functions only the lines of the spans themselves, and nothing that is all imports, comments and headers.
    """
    lines = snapshot.lines
    found = outline(snapshot)
    routines = list(_outermost(found.symbols))
    asked = [_whole_lines(span, lines) for span in (spans if spans is not None else [Span(0, len(snapshot.text))])]
    units = [_of_symbol(one, lines) for one in routines if any(_meet(one.span, span) for span in asked)]
    known = [*(_whole_lines(one.span, lines) for one in routines), *found.imports]
    known += [one.header for one in found.symbols]
    known += [found.preamble] if found.preamble is not None else []
    units += _outside(asked, [_whole_lines(one.span, lines) for one in routines], known, lines)
    return tuple(sorted(units, key=lambda unit: unit.span.start))


def _outermost(symbols: Sequence[Symbol]) -> Iterator[Symbol]:
    end = -1
    for symbol in symbols:
        if symbol.kind in CALLABLE and symbol.span.start >= end:
            end = symbol.span.end
            yield symbol


def _of_symbol(symbol: Symbol, lines: LineIndex) -> Unit:
    name = ".".join((*symbol.parents, symbol.name))
    return Unit(f"'{name}'", _whole_lines(symbol.span, lines), symbol.name_span)


def _outside(
    asked: Sequence[Span], routines: Sequence[Span], known: Sequence[Span], lines: LineIndex
) -> Iterator[Unit]:
    """The lines between the functions, as far as there is something on them that can be wrong."""
    quiet = {row for span in known for row in _rows(span, lines)}
    taken = {row for span in routines for row in _rows(span, lines)}
    for span in merged(asked):
        run: list[int] = []
        for row in (*_rows(span, lines), None):
            ends = row is None or row in taken
            if (ends or len(run) == limit("judge.lines")) and run:
                yield from _hunk(run, quiet, lines)
                run = []
            if row is not None and not ends:
                run.append(row)


def _hunk(run: Sequence[int], quiet: set[int], lines: LineIndex) -> Iterator[Unit]:
    telling = [row for row in run if row not in quiet and _says_something(lines.line_text(row))]
    if telling:
        first, last = telling[0], telling[-1]
        span = Span(lines.line_span(first).start, lines.line_span(last).end)
        where = f"line {first + 1}" if first == last else f"lines {first + 1} to {last + 1}"
        indent = len(lines.line_text(first)) - len(lines.line_text(first).lstrip())
        yield Unit(where, span, Span(span.start + indent, lines.line_span(first).end))


def _says_something(line: str) -> bool:
    bare = line.strip()
    return any(map(str.isalnum, bare)) and not bare.startswith(_COMMENT)


def _rows(span: Span, lines: LineIndex) -> range:
    return range(lines.line_of(span.start), lines.line_of(max(span.start, span.end - 1)) + 1)


def _whole_lines(span: Span, lines: LineIndex) -> Span:
    rows = _rows(span, lines)
    return Span(lines.line_span(rows[0]).start, lines.line_span(rows[-1]).end)


def _meet(one: Span, other: Span) -> bool:
    return one.start <= other.end and other.start <= one.end
