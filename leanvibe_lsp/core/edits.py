"""Edits as plain values: what to replace in one text, and by what. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from leanvibe_lsp.core.text import Span

# What an edit inside a line takes or leaves as one: a line ending, a word, a run of blanks, any other character.
_PIECE = re.compile(r"\r\n|\w+|[ \t]+|.", re.DOTALL)
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
# Two runs of pieces whose lengths multiply to more than this are not compared piece by piece: the bound on time.
_PAIRS = 40_000

# Replace pieces `a:b` of the old by pieces `c:d` of the new.
_Hunk = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class TextEdit:
    """Replace `span` (code-point offsets) by `text`; an empty span inserts, an empty text deletes."""

    span: Span
    text: str


def applied(text: str, edits: Sequence[TextEdit]) -> str:
    """The text with all edits made at once: every span is one of the text as it was.

    Two insertions at one place keep the order in which they are given. Raises ValueError for spans that overlap, are
    reversed or stand outside the text.
    """
    parts: list[str] = []
    at = 0
    for edit in sorted(edits, key=lambda edit: (edit.span.start, edit.span.end)):
        if not at <= edit.span.start <= edit.span.end <= len(text):
            raise ValueError(f"{edit.span} overlaps another edit or stands outside of {len(text)} characters")
        parts += (text[at : edit.span.start], edit.text)
        at = edit.span.end
    parts.append(text[at:])
    return "".join(parts)


def minimal(before: str, after: str, offset: int = 0) -> tuple[TextEdit, ...]:
    """Small edits that make `before` into `after`; `offset` is where `before` begins in its document.

    Lines are compared first, then the words of lines that are still much the same. No span begins or ends inside a
    "\\r\\n" of `before`. Time is about linear in the texts, whatever they are; what is too different to be compared
    piece by piece is replaced as one.
    """
    old, new = _LINE.findall(before), _LINE.findall(after)
    edits: list[TextEdit] = []
    starts = _starts(old, offset)
    for a, b, c, d in _hunks(old, new):
        edits += _inside("".join(old[a:b]), "".join(new[c:d]), starts[a])
    return tuple(edits)


def _inside(before: str, after: str, offset: int) -> Iterator[TextEdit]:
    """The edits of a run of lines: word by word where most of it stays, else as one without what both ends share."""
    old, new = _PIECE.findall(before), _PIECE.findall(after)
    starts = _starts(old, offset)
    hunks = list(_hunks(old, new))
    changed = sum(max(starts[b] - starts[a], sum(map(len, new[c:d]))) for a, b, c, d in hunks)
    if 2 * changed > max(len(before), len(after)):
        hunks = list(_trimmed(old, new, (0, len(old), 0, len(new))))
    for a, b, c, d in hunks:
        yield TextEdit(Span(starts[a], starts[b]), "".join(new[c:d]))


def _starts(pieces: Sequence[str], offset: int) -> list[int]:
    starts = [offset]
    for piece in pieces:
        starts.append(starts[-1] + len(piece))
    return starts


def _hunks(old: Sequence[str], new: Sequence[str]) -> Iterator[_Hunk]:
    """What differs, in order: between pieces that both have exactly once and in one order, then piece by piece."""
    for a, b, c, d in _trimmed(old, new, (0, len(old), 0, len(new))):
        at, place = a, c
        for one, other in (*_anchors(old[a:b], new[c:d]), (b - a, d - c)):
            for gap in _trimmed(old, new, (at, a + one, place, c + other)):
                yield from _compared(old, new, gap)
            at, place = a + one + 1, c + other + 1


def _trimmed(old: Sequence[str], new: Sequence[str], hunk: _Hunk) -> Iterator[_Hunk]:
    """The hunk without what is the same at both ends; nothing when nothing is left."""
    a, b, c, d = hunk
    while a < b and c < d and old[a] == new[c]:
        a, c = a + 1, c + 1
    while a < b and c < d and old[b - 1] == new[d - 1]:
        b, d = b - 1, d - 1
    if a < b or c < d:
        yield a, b, c, d


def _anchors(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """The longest rising run of places of pieces that stand once in both."""
    once_old, once_new = Counter(old), Counter(new)
    places = {piece: at for at, piece in enumerate(new) if once_new[piece] == 1}
    pairs = [(at, places[piece]) for at, piece in enumerate(old) if once_old[piece] == 1 and piece in places]
    lasts: list[int] = []  # the smallest end of a run of each length, and which pair it is
    ends: list[int] = []
    before: list[int] = []
    for number, (_, place) in enumerate(pairs):
        length = bisect_left(lasts, place)
        before.append(ends[length - 1] if length else -1)
        lasts[length : length + 1] = [place]
        ends[length : length + 1] = [number]
    run: list[tuple[int, int]] = []
    at = ends[-1] if ends else -1
    while at >= 0:
        run.append(pairs[at])
        at = before[at]
    return run[::-1]


def _compared(old: Sequence[str], new: Sequence[str], hunk: _Hunk) -> Iterator[_Hunk]:
    """The hunk split where a longest common run of pieces leaves gaps; whole when that takes too long."""
    a, b, c, d = hunk
    height, width = b - a, d - c
    if not height or not width or height * width > _PAIRS:
        yield hunk
        return
    # best[i][j]: how many pieces old[a + i:b] and new[c + j:d] have in common, in order
    best = [[0] * (width + 1) for _ in range(height + 1)]
    for i in range(height - 1, -1, -1):
        row, below = best[i], best[i + 1]
        for j in range(width - 1, -1, -1):
            row[j] = below[j + 1] + 1 if old[a + i] == new[c + j] else max(below[j], row[j + 1])
    i = j = from_i = from_j = 0
    while i < height and j < width:
        if old[a + i] == new[c + j]:
            if i > from_i or j > from_j:
                yield a + from_i, a + i, c + from_j, c + j
            i, j = i + 1, j + 1
            from_i, from_j = i, j
        elif best[i + 1][j] >= best[i][j + 1]:
            i += 1
        else:
            j += 1
    if from_i < height or from_j < width:
        yield a + from_i, b, c + from_j, d
