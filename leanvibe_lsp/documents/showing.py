"""One thing a question points at, and the steps by which its file is shown. Pure.

The order of worth around a place, argued and not measured (no model at hand is good enough to tell orders apart): the
selection, which the question means; its enclosing symbol and the headers around it, without which it is no code;
imports, a few lines that say what every name is; the signatures of what it uses and of what uses it, a line each. Then
what was found in other files (`documents/context.py`). What only stands nearby comes last: nearness says less than use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.grammars import language_of, obstacle
from leanvibe_lsp.documents.related import kin
from leanvibe_lsp.documents.scopes import Symbol, chain, outline
from leanvibe_lsp.documents.sheet import Sheet
from leanvibe_lsp.documents.snapshot import Snapshot

_HASH_COMMENTS = frozenset({"python", "ruby", "bash"})
_COMMENT_MARKS = ("//", "/*", "*", "#", "--")


class Showing:
    """One thing the question points at, and the steps by which its file is shown."""

    def __init__(self, sheet: Sheet, span: Span | None) -> None:
        snapshot = sheet.snapshot
        self.uri = snapshot.uri
        self.name = name_of(snapshot)
        self._sheet = sheet
        self._lines = snapshot.lines
        self._span = span
        length = len(snapshot.text)
        start = min(max(span.start, 0), length) if span else 0
        end = min(max(span.end, start), length) if span else length
        self._start = start
        # A selection that ends at the beginning of a line does not mean that line.
        self._first, self._last = self._rows(Span(start, end))
        self._outline = outline(snapshot)
        self._children = _children(self._outline.symbols)
        around = chain(snapshot, start) if span else ()
        self._chain = tuple(symbol for symbol in around if end <= symbol.span.end)
        self._kin = kin(snapshot, self._chain, Span(start, end)) if span else {}

    def select(self) -> None:
        """Take the selected lines, or as much of them as fits."""
        sheet = self._sheet
        if self._span is None or sheet.take(self._first, self._last, "selection"):
            return
        if not sheet.begin(self._first, self._last, "selection"):
            sheet.cut(self._start, "selection")

    def near(self) -> None:
        """Take what tells the most about the place; for a whole file all that fits."""
        if self._span is None:
            if not self._sheet.take(0, self._sheet.last_line, "whole file"):
                self._overview()
        elif not self._sheet.take(0, self._sheet.last_line, "rest of the file"):
            self._around()

    def rest(self) -> None:
        """Take what is left of the file around a place, piece by piece until nothing more fits."""
        sheet = self._sheet
        if self._span is None:
            return
        others = [symbol for symbol in self._outline.symbols if symbol not in self._chain]
        self._signatures(sorted(others, key=self._distance))
        tops = sorted(self._tops(), key=lambda symbol: (symbol not in self._kin, self._distance(symbol)))
        self._bodies(tops, "neighbour ")
        if not self._outline.symbols:
            sheet.widen(self._first, self._last, 0, sheet.last_line, "lines around the selection")
        for run in sorted(sheet.missing(0, sheet.last_line), key=lambda run: self._gap(*run)):
            sheet.take(*run, "other lines")

    def named(self, name_span: Span) -> Symbol | None:
        """The symbol whose name stands there."""
        return next((symbol for symbol in self._outline.symbols if symbol.name_span.start == name_span.start), None)

    def introduce(self, symbol: Symbol) -> None:
        """Take a symbol's signature, and those of what stands directly inside it."""
        self._signatures([symbol, *self._inside(symbol)])

    def show(self, symbol: Symbol, what: str, *, most: int) -> None:
        """Take all of a symbol if that costs `most` at most and there is room."""
        if self.cost(symbol) <= most:
            self._sheet.take(*self._body(symbol), what)

    def cost(self, symbol: Symbol) -> int:
        """What all of a symbol takes, whether there is room or not."""
        return self._sheet.cost(*self._body(symbol))

    def lacks(self, symbol: Symbol) -> str:
        """Which lines of a symbol are not shown whole, for a person; "" when all are."""
        rows = self._rows(symbol.span)
        return lines_label(*rows) if self._sheet.missing(*rows) else ""

    def touches(self, span: Span) -> bool:
        """Whether a span lies on the lines of the place or of its enclosing symbol."""
        around = self._chain[-1].span if self._chain else None
        first, last = self._rows(span)
        low, high = self._rows(around) if around is not None else (self._first, self._last)
        return first <= max(high, self._last) and last >= min(low, self._first)

    def _around(self) -> None:
        sheet = self._sheet
        inner = self._chain[-1] if self._chain else None
        whole = inner is not None and sheet.take(*self._body(inner), f"enclosing {_called(inner)}")
        for symbol in reversed(self._chain):
            sheet.take(*self._rows(symbol.header), f"signature of {_called(symbol)}")
        if inner is not None and not whole:
            low, high = self._body(inner)
            sheet.widen(self._first, self._last, low, high, f"part of enclosing {_called(inner)}")
        self._imports()
        self._signatures(list(self._kin))

    def _overview(self) -> None:
        sheet = self._sheet
        if self._outline.preamble is not None:
            sheet.take(*self._rows(self._outline.preamble), "file docstring")
        self._imports()
        self._signatures(list(self._outline.symbols))
        self._bodies(self._tops(), "")
        if not self._outline.symbols and not sheet.begin(0, sheet.last_line, "beginning of the file"):
            sheet.cut(0, "beginning of the file")
        for run in sheet.missing(0, sheet.last_line):
            sheet.take(*run, "other lines")

    def _imports(self) -> None:
        for start, end in self._import_runs():
            self._sheet.take(start, end, "imports")

    def _import_runs(self) -> list[tuple[int, int]]:
        runs: list[tuple[int, int]] = []
        for span in self._outline.imports:
            start, end = self._rows(span)
            if runs and (start <= runs[-1][1] + 1 or not self._sheet.text(runs[-1][1] + 1, start - 1).strip()):
                runs[-1] = (runs[-1][0], max(end, runs[-1][1]))
            else:
                runs.append((start, end))
        return runs

    def _signatures(self, found: Sequence[Symbol]) -> None:
        language = language_of(self._sheet.snapshot.language_id, self._sheet.snapshot.path)
        mark = "#" if language in _HASH_COMMENTS else "//"
        for symbol in found:
            line = self._lines.line_of(symbol.name_span.start)
            indent = "    " * len(symbol.parents)
            about = symbol.docstring.partition("\n")[0]
            self._sheet.sign(line, f"{indent}{symbol.signature}" + (f"  {mark} {about}" if about else ""))

    def _bodies(self, found: Sequence[Symbol], kind: str) -> None:
        """Show each body that fits; of one that does not, those inside it."""
        todo = list(reversed(found))
        while todo:
            symbol = todo.pop()
            what = self._kin.get(symbol, f"{kind}{_called(symbol)}")
            if not self._sheet.take(*self._body(symbol), what):
                todo += reversed(self._inside(symbol))

    def _tops(self) -> list[Symbol]:
        """The symbols beside the enclosing ones, on every level; all outermost ones when nothing encloses."""
        levels = [self._children.get(None, [])] + [self._inside(symbol) for symbol in self._chain]
        return [symbol for level in levels for symbol in level if symbol not in self._chain]

    def _inside(self, outer: Symbol) -> list[Symbol]:
        return self._children.get(outer, [])

    def _rows(self, span: Span) -> tuple[int, int]:
        first = self._lines.line_of(span.start)
        return first, max(first, self._lines.line_of(max(span.end - 1, span.start)))

    def _body(self, symbol: Symbol) -> tuple[int, int]:
        """The lines of a symbol, with the comment right above it when that is its documentation."""
        first, last = self._rows(symbol.span)
        language = language_of(self._sheet.snapshot.language_id, self._sheet.snapshot.path)
        if symbol.docstring and language != "python":
            while first > 0 and self._lines.line_text(first - 1).lstrip().startswith(_COMMENT_MARKS):
                first -= 1
        return first, last

    def _distance(self, symbol: Symbol) -> int:
        return self._gap(*self._rows(symbol.span))

    def _gap(self, start: int, end: int) -> int:
        return max(0, start - self._last, self._first - end)

    def left_out(self) -> Iterator[str]:
        """Sentences about what of this place is not shown."""
        sheet = self._sheet
        if not sheet.missing(0, sheet.last_line) and not any(map(sheet.is_cut, sheet.pieces)):
            return
        name = name_of(sheet.snapshot)
        if not sheet.pieces:
            yield f"all of {name} (no room left)"
            return
        reason = obstacle(sheet.snapshot)
        if reason:
            yield f"the structure of {name} ({reason})"
        if self._span is not None and sheet.missing(self._first, self._last):
            yield f"part of the selection in {name} ({lines_label(self._first, self._last)})"
        for piece in filter(sheet.is_cut, sheet.pieces):
            yield f"part of a long line in {name} ({lines_label(piece.start, piece.end)})"
        if self._chain and sheet.missing(*self._rows(self._chain[-1].span)):
            yield f"part of the enclosing {_ticked(self._chain[-1])} ({lines_label(*self._rows(self._chain[-1].span))})"
        for start, end in self._import_runs():
            if sheet.missing(start, end):
                yield f"imports of {name} ({lines_label(start, end)})"
        yield from self._unseen(sorted(self._tops(), key=self._distance) if self._span else self._tops())
        yield from self._elsewhere(name)

    def _unseen(self, found: Sequence[Symbol]) -> Iterator[str]:
        kind = "neighbour " if self._span is not None else "body of "
        todo = list(reversed(found))
        while todo:
            symbol = todo.pop()
            start, end = self._rows(symbol.span)
            missing = self._sheet.missing(start, end)
            inner = self._inside(symbol) if missing else []
            if inner and any(not self._sheet.missing(*self._rows(one.span)) for one in inner):
                todo += reversed(inner)
            elif missing:
                yield f"{kind}{_ticked(symbol)} ({lines_label(start, end)})"

    def _elsewhere(self, name: str) -> Iterator[str]:
        """Lines that belong to no symbol and no import."""
        known = {row for start, end in self._import_runs() for row in range(start, end + 1)}
        for symbol in self._outline.symbols:
            known.update(range(self._rows(symbol.span)[0], self._rows(symbol.span)[1] + 1))
        missing = self._sheet.missing(0, self._sheet.last_line)
        other = sum(1 for start, end in missing for row in range(start, end + 1) if row not in known)
        if other:
            yield f"{other} other {'line' if other == 1 else 'lines'} of {name}"


def _children(found: Sequence[Symbol]) -> dict[Symbol | None, list[Symbol]]:
    """The symbols directly inside each symbol; under None those that stand in no other."""
    children: dict[Symbol | None, list[Symbol]] = {}
    around: list[Symbol] = []
    for symbol in found:
        while around and around[-1].span.end < symbol.span.end:
            around.pop()
        children.setdefault(around[-1] if around else None, []).append(symbol)
        around.append(symbol)
    return children


def name_of(snapshot: Snapshot) -> str:
    """What a person calls the document."""
    return snapshot.path.name if snapshot.path is not None else PurePosixPath(snapshot.uri).name or snapshot.uri


def _called(symbol: Symbol) -> str:
    return f"{symbol.kind} {symbol.name}"


def _ticked(symbol: Symbol) -> str:
    return f"{symbol.kind} `{symbol.name}`"


def lines_label(start: int, end: int) -> str:
    """Lines as a person counts them."""
    return f"line {start + 1}" if start == end else f"lines {start + 1}-{end + 1}"
