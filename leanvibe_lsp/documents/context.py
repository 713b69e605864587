"""What a model gets to see of the files a question points at: the most telling lines first, within a token budget.

Pure: no clock, no disk, no randomness; `count` is the caller's and is asked once for each text. The budget is held by
the blocks' texts as `count` counts them one by one; what the caller writes around a block is the caller's to reserve.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.grammars import language_of, obstacle
from leanvibe_lsp.documents.scopes import Symbol, chain, outline
from leanvibe_lsp.documents.sheet import Piece, Room, Sheet
from leanvibe_lsp.documents.snapshot import Snapshot

_HASH_COMMENTS = frozenset({"python", "ruby", "bash"})
_COMMENT_MARKS = ("//", "/*", "*", "#", "--")


@dataclass(frozen=True, slots=True)
class Block:
    """Text of one document: lines `start_line` to `end_line`, zero-based and inclusive.

    `what` says what the lines are ("selection", "enclosing function parse", "imports", "whole file", ...). The text is
    those lines word for word, but for "signatures", which stand for lines whose bodies are left out, and for a line too
    long to be shown whole. `label` names file and lines for a person, counting from 1.
    """

    uri: str
    label: str
    start_line: int
    end_line: int
    text: str
    what: str
    language: str = ""  # as `grammars.language_of` names it; "" when it is not known


@dataclass(frozen=True, slots=True)
class Packed:
    """Blocks, file by file as asked for, each file's in source order; what was left out; the tokens of all blocks."""

    blocks: tuple[Block, ...]
    omitted: tuple[str, ...]
    tokens: int


def pack(places: Sequence[tuple[Snapshot, Span | None]], budget: int, count: Callable[[str], int]) -> Packed:
    """Choose what to show of the places; the first is the one the question is about, and the others get what it leaves.

    A file that fits is shown whole. Otherwise, around a span: the selection, its enclosing symbol, the headers around
    that, imports, the neighbours' signatures, then their bodies from near to far; for a whole file: its docstring,
    imports, signatures, then bodies in order.
    """
    budget = max(budget, 0)
    room = Room(budget, count)
    sheets: dict[str, Sheet] = {}
    for snapshot, _ in places:
        sheets.setdefault(snapshot.uri, Sheet(snapshot, room))
    found = [_Place(sheets[snapshot.uri], span) for snapshot, span in places]
    for uri in sheets:
        of_file = [place for place in found if place.uri == uri]
        for place in of_file:
            place.select()  # before the surroundings of another place in this file show the same lines
        for place in of_file:
            place.fill()
    _settle(sheets.values(), room, budget)
    blocks = tuple(_block(sheet, group) for sheet in sheets.values() for group in sheet.groups())
    sentences = list(dict.fromkeys(sentence for place in found for sentence in place.left_out()))
    return Packed(blocks, _shortened(sentences), sum(room.exact(block.text) for block in blocks))


class _Place:
    """One thing the question points at, and the steps by which its file is shown."""

    def __init__(self, sheet: Sheet, span: Span | None) -> None:
        snapshot = sheet.snapshot
        self.uri = snapshot.uri
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

    def select(self) -> None:
        """Take the selected lines, or as much of them as fits."""
        sheet = self._sheet
        if self._span is None or sheet.take(self._first, self._last, "selection"):
            return
        if not sheet.begin(self._first, self._last, "selection"):
            sheet.cut(self._start, "selection")

    def fill(self) -> None:
        """Take pieces until nothing more fits."""
        if self._span is not None:
            self._around()
        elif not self._sheet.take(0, self._sheet.last_line, "whole file"):
            self._overview()

    def _around(self) -> None:
        sheet = self._sheet
        if sheet.take(0, sheet.last_line, "rest of the file"):
            return
        inner = self._chain[-1] if self._chain else None
        whole = inner is not None and sheet.take(*self._body(inner), f"enclosing {_called(inner)}")
        for symbol in reversed(self._chain):
            sheet.take(*self._rows(symbol.header), f"signature of {_called(symbol)}")
        if inner is not None and not whole:
            low, high = self._body(inner)
            sheet.widen(self._first, self._last, low, high, f"part of enclosing {_called(inner)}")
        self._imports()
        near = [symbol for symbol in self._outline.symbols if symbol not in self._chain]
        near.sort(key=self._distance)
        self._signatures(near)
        self._bodies(sorted(self._tops(), key=self._distance), "neighbour ")
        if not self._outline.symbols:
            sheet.widen(self._first, self._last, 0, sheet.last_line, "lines around the selection")
        for run in sorted(sheet.missing(0, sheet.last_line), key=lambda run: self._gap(*run)):
            sheet.take(*run, "other lines")

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
        for symbol in found:
            if not self._sheet.take(*self._body(symbol), f"{kind}{_called(symbol)}"):
                self._bodies(self._inside(symbol), kind)

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
        name = _name(sheet.snapshot)
        if not sheet.pieces:
            yield f"all of {name} (no room left)"
            return
        reason = obstacle(sheet.snapshot)
        if reason:
            yield f"the structure of {name} ({reason})"
        if self._span is not None and sheet.missing(self._first, self._last):
            yield f"part of the selection in {name} ({_lines(self._first, self._last)})"
        for piece in filter(sheet.is_cut, sheet.pieces):
            yield f"part of a long line in {name} ({_lines(piece.start, piece.end)})"
        if self._chain and sheet.missing(*self._rows(self._chain[-1].span)):
            yield f"part of the enclosing {_ticked(self._chain[-1])} ({_lines(*self._rows(self._chain[-1].span))})"
        for start, end in self._import_runs():
            if sheet.missing(start, end):
                yield f"imports of {name} ({_lines(start, end)})"
        yield from self._unseen(sorted(self._tops(), key=self._distance) if self._span else self._tops())
        yield from self._elsewhere(name)

    def _unseen(self, found: Sequence[Symbol]) -> Iterator[str]:
        kind = "neighbour " if self._span is not None else "body of "
        for symbol in found:
            start, end = self._rows(symbol.span)
            missing = self._sheet.missing(start, end)
            inner = self._inside(symbol) if missing else []
            if inner and any(not self._sheet.missing(*self._rows(one.span)) for one in inner):
                yield from self._unseen(inner)
            elif missing:
                yield f"{kind}{_ticked(symbol)} ({_lines(start, end)})"

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


def _settle(sheets: Collection[Sheet], room: Room, budget: int) -> None:
    """Give up the last pieces taken while the joined blocks count more than their pieces did."""
    while True:
        total = sum(room.exact(sheet.joined(group)) for sheet in sheets for group in sheet.groups())
        if total <= budget:
            return
        sheet, piece = max(
            ((sheet, piece) for sheet in sheets for piece in sheet.pieces), key=lambda pair: pair[1].serial
        )
        sheet.drop(piece)


def _block(sheet: Sheet, group: list[Piece]) -> Block:
    start, end = group[0].start, group[-1].end
    names = list(dict.fromkeys(piece.what for piece in group))
    what = names[0] if len(names) == 1 else f"{', '.join(names[:3])}{' and more' if len(names) > 3 else ''}"
    label = f"{_name(sheet.snapshot)} {_lines(start, end)}"
    language = language_of(sheet.snapshot.language_id, sheet.snapshot.path) or ""
    return Block(sheet.snapshot.uri, label, start, end, sheet.joined(group), what, language)


def _shortened(sentences: list[str]) -> tuple[str, ...]:
    most = limit("context.omitted")
    if len(sentences) <= most:
        return tuple(sentences)
    return (*sentences[:most], f"{len(sentences) - most} more")


def _name(snapshot: Snapshot) -> str:
    return snapshot.path.name if snapshot.path is not None else PurePosixPath(snapshot.uri).name or snapshot.uri


def _called(symbol: Symbol) -> str:
    return f"{symbol.kind} {symbol.name}"


def _ticked(symbol: Symbol) -> str:
    return f"{symbol.kind} `{symbol.name}`"


def _lines(start: int, end: int) -> str:
    return f"line {start + 1}" if start == end else f"lines {start + 1}-{end + 1}"
