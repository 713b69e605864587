"""Edits that were made for an older text, carried through what was typed since. Pure.

What is decided conservatively: the edits mean something together, so everything from the first to the last of them, and
all of the region they were judged in, has to be as it was, and a change that only touches an end of it (typing right
before or behind it) counts as a change of it. Then the edits are refused, whole. What was changed there and is as
before again is no change, nor are more or fewer empty lines at the ends of the region.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from leanvibe_lsp.core.edits import TextEdit, applied
from leanvibe_lsp.core.text import Span

_EMPTY_LINES = r"(?:[ \t\f]*+(?:\r\n|[\r\n]))"
_BEFORE = re.compile(f"{_EMPTY_LINES}*+")
_BEHIND = re.compile(f"{_EMPTY_LINES}++")


def rebased(
    before: str, edits: Sequence[TextEdit], since: Sequence[TextEdit], region: Span | None = None
) -> tuple[TextEdit, ...] | None:
    """The edits of `before` as edits of the text that `since` made of it, or None when that cannot be told safely.

    `since` are changes each of the text the one before left, as `DocumentStore.edits_since` gives them. Of a change
    that replaces more than it has to (clients that send the whole document) only the part that differs counts; of
    several such that follow each other, what they come to.
    """
    if not edits or not since:
        return tuple(edits)
    edited = Span(min(edit.span.start for edit in edits), max(edit.span.end for edit in edits))
    first = start = edited.start if region is None else min(edited.start, region.start)
    end = edited.end if region is None else max(edited.end, region.end)
    was = inside = before[start:end]
    text = _Text(before)
    for change in _joined(len(before), since):
        low, high = change.span.start, change.span.end
        if low <= end and start <= high:
            old = text.cut(change.span)
            if old == change.text:
                continue
            low, high = _differing(old, change.text, low)
        grown = len(change.text) - (change.span.end - change.span.start)
        if low <= end and start <= high:
            if low < start or end < high:
                return None
            at = low - change.span.start
            new = change.text[at : at + high - low + grown]
            inside, end = inside[: low - start] + new + inside[high - start :], end + grown
        elif high < start:
            start, end = start + grown, end + grown
        text.take(change)
    shifted = _shifted(was, inside, Span(edited.start - first, edited.end - first))
    if shifted is None:
        return None
    moved = start - first + shifted
    return tuple(TextEdit(Span(edit.span.start + moved, edit.span.end + moved), edit.text) for edit in edits)


def _shifted(was: str, now: str, edited: Span) -> int | None:
    """How far what was edited stands from where it stood in the region, None when the region is another one.

    Only whole empty lines at its ends may differ, and none that is edited or goes on from the line before.
    """
    if now == was:
        return 0
    head, new_head = (_ends(_BEFORE.match(text)) for text in (was, now))
    core = was[head:].rstrip()
    tail = head + len(core)
    if not core or core[-1] == "\\" or not (head <= edited.start and edited.end <= tail):
        return None
    if now[new_head : new_head + len(core)] != core:
        return None
    rests = was[tail:], now[new_head + len(core) :]
    if rests[0] != rests[1] and not all(map(_BEHIND.fullmatch, rests)):
        return None
    return new_head - head


def _ends(found: re.Match[str] | None) -> int:
    return found.end() if found is not None else 0


class _Text:
    """A text that is made only where somebody looks at it: most changes are far from the edits."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._length = len(text)
        self._due: list[TextEdit] = []

    def take(self, change: TextEdit) -> None:
        """Make a change, sooner or later."""
        if change.span == Span(0, self._length):
            self._text, self._due = change.text, []
        else:
            self._due.append(change)
        self._length = _length(self._length, change)

    def cut(self, span: Span) -> str:
        """What stands there now."""
        if span.start == span.end:
            return ""
        for change in self._due:
            self._text = applied(self._text, (change,))
        self._due = []
        return self._text[span.start : span.end]


def _joined(length: int, since: Sequence[TextEdit]) -> Iterator[TextEdit]:
    """The changes of a text of that length, with one for several that follow each other and replace all of it."""
    whole: TextEdit | None = None
    for change in since:
        if change.span == Span(0, length):
            whole = change if whole is None else TextEdit(whole.span, change.text)
        else:
            if whole is not None:
                yield whole
            whole = None
            yield change
        length = _length(length, change)
    if whole is not None:
        yield whole


def _length(length: int, change: TextEdit) -> int:
    return length + len(change.text) - (change.span.end - change.span.start)


def _differing(old: str, new: str, offset: int) -> tuple[int, int]:
    """The part of `old` that any way to tell the change could have touched; `offset` is where `old` stands.

    One line more among others like it could be any of them: all those count.
    """
    head, tail = _shared(old, new), _shared_end(old, new)
    low = min(head, len(old) - tail, len(new) - tail)
    high = max(head, len(old) - tail, head + len(old) - len(new))
    return offset + low, offset + high


def _shared(one: str, other: str) -> int:
    """How many characters both begin with; comparing runs is faster than comparing characters."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _shared_end(one: str, other: str) -> int:
    """How many characters both end with."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[len(one) - middle : len(one) - low] == other[len(other) - middle : len(other) - low]:
            low = middle
        else:
            high = middle - 1
    return low
