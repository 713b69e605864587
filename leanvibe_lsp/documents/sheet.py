"""The part of one file that a model gets to see, gathered piece by piece within a common token budget.

A piece is a run of whole lines, or the signature of a symbol whose body is not shown. Pieces never overlap: what is
taken later leaves out the lines that are there already, and a body takes the place of its signature.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.documents.snapshot import Snapshot

SIGNATURES = "signatures"


class Room:
    """What is left of the budget, in the units of `count`. `count` is asked once for each text."""

    __slots__ = ("_count", "_density", "_known", "left", "serial")

    def __init__(self, budget: int, count: Callable[[str], int]) -> None:
        self.left = budget
        self.serial = 0
        self._count = count
        self._known: dict[str, int] = {}
        self._density = limit("context.characters_per_token")

    def cost(self, text: str, refund: int = 0) -> int | None:
        """What a text takes, or None when that is more than is left and `refund` together."""
        if len(text) > max(self.left + refund, 0) * self._density:
            return None
        cost = self.exact(text)
        return cost if cost <= self.left + refund else None

    def exact(self, text: str) -> int:
        """What a text takes, whether it fits or not."""
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = self._count(text)
        return known


@dataclass(frozen=True, slots=True, order=True)
class Piece:
    """Lines `start` to `end`, inclusive. A higher `serial` was taken later and is given up first."""

    start: int
    end: int
    text: str
    what: str
    cost: int
    serial: int


class Sheet:
    """The pieces taken from one snapshot."""

    def __init__(self, snapshot: Snapshot, room: Room) -> None:
        self.snapshot = snapshot
        lines = snapshot.lines
        # The empty line behind the last line ending is not one that a person would count.
        ends = lines.line_count > 1 and lines.line_span(lines.line_count - 1).start == len(snapshot.text)
        self.last_line = lines.line_count - (2 if ends else 1)
        self._room = room
        self._pieces: list[Piece] = []  # by start line; no two overlap

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """In the order of the text."""
        return tuple(self._pieces)

    def text(self, start: int, end: int) -> str:
        """Lines `start` to `end`, inclusive, without the last line ending."""
        lines = self.snapshot.lines
        return self.snapshot.text[lines.line_span(start).start : lines.line_span(end).end]

    def missing(self, start: int, end: int) -> list[tuple[int, int]]:
        """The runs of lines not shown and not blank from `start` to `end`; a signature does not show its lines."""
        runs, at = [], start
        for piece in self._overlapping(start, end):
            if piece.what != SIGNATURES:
                if piece.start > at:
                    runs.append((at, piece.start - 1))
                at = piece.end + 1
        if at <= end:
            runs.append((at, end))
        return [run for run in runs if self.text(*run).strip()]

    def cost(self, start: int, end: int) -> int:
        """What these lines take; far too many are not counted exactly."""
        text = self.text(start, end)
        return self._room.exact(text) if len(text) <= self._reach(0) else len(text)

    def take(self, start: int, end: int, what: str) -> bool:
        """Show all of these lines if there is room for those that are missing. True when they are shown now."""
        runs = self.missing(start, end)
        inside = [piece for run in runs for piece in self._overlapping(*run)]
        refund = sum(piece.cost for piece in inside)
        if sum(self._characters(run) for run in runs) > self._reach(refund):
            return False
        costs, left = [], refund
        for run in runs:
            cost = self._room.cost(self.text(*run), left)
            if cost is None:
                return False
            costs.append(cost)
            left -= cost
        for piece in inside:
            self.drop(piece)
        for run, cost in zip(runs, costs, strict=True):
            self._add(Piece(*run, self.text(*run), what, cost, self._next()))
        return True

    def widen(self, start: int, end: int, low: int, high: int, what: str) -> None:
        """Show as many lines around `start` to `end` as there is room for, but none outside `low` to `high`."""
        most = max(start - low, high - end)
        self._largest(most, lambda by: self.take(max(low, start - by), min(high, end + by), what))

    def begin(self, start: int, end: int, what: str) -> bool:
        """Show lines from `start` on as far as there is room, at most to `end`. False when not even one fits."""
        return self._largest(end - start + 1, lambda count: self.take(start, start + count - 1, what)) > 0

    def cut(self, offset: int, what: str) -> None:
        """Show as much as there is room for of the one line around `offset`, which is too long to be shown."""
        line = self.snapshot.lines.line_of(offset)
        if self._overlapping(line, line):
            return
        span = self.snapshot.lines.line_span(line)

        def take(by: int) -> bool:
            text = self.snapshot.text[max(span.start, offset - by) : min(span.end, offset + by)]
            cost = self._room.cost(text, sum(piece.cost for piece in self._overlapping(line, line)))
            if cost is None or not text:
                return False
            for piece in self._overlapping(line, line):
                self.drop(piece)
            self._add(Piece(line, line, text, what, cost, self._next()))
            return True

        self._largest(span.end - span.start, take)

    def sign(self, line: int, text: str) -> None:
        """Show a signature that stands on this line, if the line is not shown already and there is room."""
        if text and not self._overlapping(line, line):
            cost = self._room.cost(text)
            if cost is not None:
                self._add(Piece(line, line, text, SIGNATURES, cost, self._next()))

    def drop(self, piece: Piece) -> None:
        """Take a piece out again and give its room back."""
        self._pieces.remove(piece)
        self._room.left += piece.cost

    def groups(self) -> list[list[Piece]]:
        """Pieces that read as one: neighbours with nothing but blank lines between, and signatures in a row."""
        groups: list[list[Piece]] = []
        for piece in self._pieces:
            before = groups[-1][-1] if groups else None
            if before is not None and self._joins(before, piece):
                groups[-1].append(piece)
            else:
                groups.append([piece])
        return groups

    def joined(self, group: list[Piece]) -> str:
        """The text of a group: signatures one a line, anything else with the blank lines between."""
        if len(group) == 1:
            return group[0].text
        if group[0].what == SIGNATURES:
            return "\n".join(piece.text for piece in group)
        return self.text(group[0].start, group[-1].end)

    def _joins(self, before: Piece, piece: Piece) -> bool:
        if SIGNATURES in (before.what, piece.what):
            return before.what == piece.what
        if "selection" in (before.what, piece.what) or self.is_cut(before) or self.is_cut(piece):
            return False
        return before.end + 1 == piece.start or not self.text(before.end + 1, piece.start - 1).strip()

    def is_cut(self, piece: Piece) -> bool:
        """True for a part of a line that is too long."""
        return piece.what != SIGNATURES and piece.text != self.text(piece.start, piece.end)

    def _largest(self, most: int, fits: Callable[[int], bool]) -> int:
        """The largest size from 1 to `most` that fits, by halving; each that fits stays, being part of the next."""
        good, bad = 0, most + 1
        if most > 0 and fits(most):
            return most
        while bad - good > 1:
            middle = (good + bad) // 2
            if fits(middle):
                good = middle
            else:
                bad = middle
        return good

    def _overlapping(self, start: int, end: int) -> list[Piece]:
        at = bisect_left(self._pieces, start, key=lambda piece: piece.end)
        found = []
        while at < len(self._pieces) and self._pieces[at].start <= end:
            found.append(self._pieces[at])
            at += 1
        return found

    def _characters(self, run: tuple[int, int]) -> int:
        lines = self.snapshot.lines
        return lines.line_span(run[1]).end - lines.line_span(run[0]).start

    def _reach(self, refund: int) -> int:
        return max(self._room.left + refund, 0) * limit("context.characters_per_token")

    def _add(self, piece: Piece) -> None:
        insort(self._pieces, piece)
        self._room.left -= piece.cost

    def _next(self) -> int:
        self._room.serial += 1
        return self._room.serial
