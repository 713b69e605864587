"""Edits that were made for an older text, carried through what was typed since. Pure.

What is decided conservatively: the edits mean something together, so everything from the first to the last of them has
to be as it was, and a change that only touches an end of it (typing right before or behind it) counts as a change of
it. Then the edits are refused, whole.
"""

from __future__ import annotations

from collections.abc import Sequence

from leanvibe_lsp.core.edits import TextEdit, applied
from leanvibe_lsp.core.text import Span


def rebased(before: str, edits: Sequence[TextEdit], since: Sequence[TextEdit]) -> tuple[TextEdit, ...] | None:
    """The edits of `before` as edits of the text that `since` made of it, or None when that cannot be told safely.

    `since` are changes each of the text the one before left, as `DocumentStore.edits_since` gives them. Of a change
    that replaces more than it has to (clients that send the whole document) only the part that differs counts.
    """
    if not edits or not since:
        return tuple(edits)
    first = start = min(edit.span.start for edit in edits)
    end = max(edit.span.end for edit in edits)
    text = before
    for change in since:
        low, high = change.span.start, change.span.end
        if low <= end and start <= high:
            old = text[low:high]
            if old == change.text:
                continue
            low, high = _differing(old, change.text, low)
        if low <= end and start <= high:
            return None
        if high < start:
            grown = len(change.text) - (change.span.end - change.span.start)
            start, end = start + grown, end + grown
        text = applied(text, (change,))
    moved = start - first
    return tuple(TextEdit(Span(edit.span.start + moved, edit.span.end + moved), edit.text) for edit in edits)


def _differing(old: str, new: str, offset: int) -> tuple[int, int]:
    """The part of `old` that any way to tell the change could have touched; `offset` is where `old` stands.

    One line more among others like it could be any of them: all those count.
    """
    head = _shared(old, new)
    tail = _shared(old[::-1], new[::-1])
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
