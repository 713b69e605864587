"""What a model gets to see of the files a question points at: the most telling lines first, within a token budget.

Pure: no clock, no disk, no randomness; `count` is the caller's and is asked once for each text. The budget is held by
the blocks' texts as `count` counts them one by one; what the caller writes around a block is the caller's to reserve.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.gathered import NOTHING, Diagnostic, Gathered
from leanvibe_lsp.documents.grammars import language_of
from leanvibe_lsp.documents.scopes import Symbol
from leanvibe_lsp.documents.secrets import cover, covered, covered_text
from leanvibe_lsp.documents.sheet import Piece, Room, Sheet
from leanvibe_lsp.documents.showing import Showing, lines_label, name_of
from leanvibe_lsp.documents.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Block:
    """Text of one document: lines `start_line` to `end_line`, zero-based and inclusive.

    `what` says what the lines are ("selection", "enclosing function parse", "imports", "whole file", ...). The text is
    those lines word for word, but for "signatures", which stand for lines whose bodies are left out, and for a line too
    long to be shown whole; "diagnostics" are what tools say about them. `label` names file and lines for a person,
    counting from 1.
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


def pack(
    places: Sequence[tuple[Snapshot, Span | None]],
    budget: int,
    count: Callable[[str], int],
    gathered: Gathered = NOTHING,
) -> Packed:
    """Choose what to show of the places; the first is the one the question is about, and the others get what it leaves.

    A file that fits is shown whole. Otherwise, around a span: the selection, its enclosing symbol, the headers around
    that, imports, signatures of its kin, definitions in other files, then the rest from near to far; for a whole file:
    its docstring, imports, signatures, then bodies in order. Strings that look like secrets are never shown.
    """
    screen = _Screen([snapshot for snapshot, _ in places] + [one.snapshot for one in gathered.related])
    room = Room(max(budget, 0), count)
    sheets: dict[str, Sheet] = {}
    for snapshot in screen.documents:
        sheets[snapshot.uri] = Sheet(snapshot, room)
    found = [Showing(sheets[snapshot.uri], screen.moved(snapshot, span)) for snapshot, span in places]
    related = _elsewhere(gathered, screen, sheets, places)
    said = _said(gathered.diagnostics, found, screen, room) if found else None
    for number, uri in enumerate(dict.fromkeys(snapshot.uri for snapshot, _ in places)):
        of_file = [place for place in found if place.uri == uri]
        for place in of_file:
            place.select()  # before the surroundings of another place in this file show the same lines
        kept = 0 if number else _kept_for(related, room, places[0][1])
        room.left -= kept
        for place in of_file:
            place.near()
        room.left += kept
        if not number:
            _relate(related, room)
        for place in of_file:
            place.rest()
    for showing, symbol, what in related:
        showing.show(symbol, what, most=room.left)
    _settle(sheets.values(), room, max(budget, 0) - (room.exact(said.text) if said is not None else 0))
    blocks = tuple(_block(sheet, group) for sheet in sheets.values() for group in sheet.groups())
    blocks += () if said is None else (said,)
    shown = {block.uri for block in blocks}
    sentences = [
        *screen.sentences(shown),
        *(sentence for place in found for sentence in place.left_out()),
        *(f"{what} in {place.name} ({lines})" for place, symbol, what in related if (lines := place.lacks(symbol))),
        *gathered.unsought,
    ]
    return Packed(blocks, _shortened(list(dict.fromkeys(sentences))), sum(room.exact(block.text) for block in blocks))


class _Screen:
    """The documents as a model may see them: without what looks like a secret in any of them."""

    def __init__(self, snapshots: Sequence[Snapshot]) -> None:
        originals = {snapshot.uri: snapshot for snapshot in reversed(snapshots)}
        found = {uri: cover(snapshot) for uri, snapshot in originals.items()}
        self.values = frozenset(value for one in found.values() if one is not None for value in one.values)
        if self.values:
            found = {uri: cover(snapshot, self.values) for uri, snapshot in originals.items()}
        self._covers = found
        order = dict.fromkeys(snapshot.uri for snapshot in snapshots)
        self.documents = tuple(covered(originals[uri], found[uri]) for uri in order)

    def moved(self, snapshot: Snapshot, span: Span | None) -> Span | None:
        """Where a span of the original is in what may be seen."""
        found = self._covers[snapshot.uri]
        return span if span is None or found is None else found.moved(span)

    def sentences(self, shown: Collection[str]) -> Iterator[str]:
        """How much is hidden in the documents of which something is shown."""
        for document in self.documents:
            found = self._covers[document.uri]
            if found is not None and document.uri in shown:
                things = "secret-looking string" if found.count == 1 else "secret-looking strings"
                yield f"{found.count} {things} in {name_of(document)}"


_Elsewhere = tuple[Showing, Symbol, str]


def _elsewhere(
    gathered: Gathered, screen: _Screen, sheets: Mapping[str, Sheet], places: Sequence[tuple[Snapshot, Span | None]]
) -> list[_Elsewhere]:
    """The definitions in files that are not asked about themselves."""
    asked = {snapshot.uri for snapshot, _ in places}
    showings: dict[str, Showing] = {}
    found: list[_Elsewhere] = []
    for one in gathered.related:
        uri = one.snapshot.uri
        name_span = screen.moved(one.snapshot, one.symbol.name_span)
        if uri in asked or name_span is None:
            continue
        showing = showings.setdefault(uri, Showing(sheets[uri], None))
        symbol = showing.named(name_span)
        if symbol is not None:
            found.append((showing, symbol, one.what))
    return found


def _kept_for(related: Sequence[_Elsewhere], room: Room, span: Span | None) -> int:
    """Room that the place's own file may not take: a third at most, and none when all of the file is asked about."""
    return min(sum(showing.cost(symbol) for showing, symbol, _ in related), max(room.left, 0) // 3) if span else 0


def _relate(related: Sequence[_Elsewhere], room: Room) -> None:
    """A line for each, then all of those that take at most half of what is left: one must not starve the others."""
    for showing, symbol, _ in related:
        showing.introduce(symbol)
    for showing, symbol, what in related:
        showing.show(symbol, what, most=room.left // 2)


def _said(diagnostics: Sequence[Diagnostic], found: Sequence[Showing], screen: _Screen, room: Room) -> Block | None:
    """What tools say about the first place, as one block; it takes a quarter of the room at most."""
    place, document = found[0], screen.documents[0]
    moved = [(screen.moved(document, one.span) or one.span, one) for one in diagnostics]
    near = sorted(((span, one) for span, one in moved if place.touches(span)), key=lambda pair: pair[0].start)
    near = near[: limit("context.diagnostics")]
    while near:
        rows = [document.lines.line_of(span.start) for span, _ in near]
        lines = [f"line {row + 1}: {_sentence(one)}" for row, (_, one) in zip(rows, near, strict=True)]
        text = covered_text("\n".join(lines), screen.values)
        if room.exact(text) <= room.left // 4:
            room.left -= room.exact(text)
            label = f"{name_of(document)} {lines_label(rows[0], rows[-1])}"
            return Block(document.uri, label, rows[0], rows[-1], text, "diagnostics")
        near.pop()
    return None


def _sentence(one: Diagnostic) -> str:
    said = " ".join(one.message.split())
    by = " ".join(filter(None, (one.source, one.code)))
    return f"{said} ({by})" if by else said


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
    label = f"{name_of(sheet.snapshot)} {lines_label(start, end)}"
    language = language_of(sheet.snapshot.language_id, sheet.snapshot.path) or ""
    return Block(sheet.snapshot.uri, label, start, end, sheet.joined(group), what, language)


def _shortened(sentences: list[str]) -> tuple[str, ...]:
    most = limit("context.omitted")
    if len(sentences) <= most:
        return tuple(sentences)
    return (*sentences[:most], f"{len(sentences) - most} more")
