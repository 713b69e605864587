"""Edits as plain values: what to replace in one text, and by what. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leanvibe_lsp.core.text import Span


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
