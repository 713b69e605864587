"""An edit that is looked at before it is believed: what it was made of, and what the document would be. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from leanvibe_lsp.assist.changes.facts import Token, tokens
from leanvibe_lsp.assist.changes.values import ChangeKind, Complaint
from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.grammars import language_of
from leanvibe_lsp.documents.scopes import Symbol
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.documents.syntax import edited


@dataclass(frozen=True)
class Proposal:
    """`text` in place of `region` of `before`; `symbol` is the definition that the region is, or stands in.

    `selected` is what is to be extracted; `instruction` are the words of a person.
    """

    kind: ChangeKind
    before: Snapshot
    region: Span
    text: str
    symbol: Symbol | None = None
    complaint: Complaint | None = None
    selected: Span | None = None
    instruction: str = ""

    @property
    def changed(self) -> Span:
        """The region as it is afterwards."""
        return Span(self.region.start, self.region.start + len(self.text))

    @property
    def old(self) -> str:
        """The region's text as it was."""
        return self.before.text[self.region.start : self.region.end]

    @property
    def language(self) -> str:
        """The grammar's language, "" when there is none."""
        return language_of(self.before.language_id, self.before.path) or ""

    @cached_property
    def after(self) -> Snapshot:
        """The document as it would be."""
        lines = edited(self.before.lines, TextEdit(self.region, self.text))
        return replace(self.before, text=lines.text, lines=lines)

    @cached_property
    def had(self) -> tuple[Token, ...]:
        """The region's tokens as they were."""
        return tokens(self.before, self.region)

    @cached_property
    def has(self) -> tuple[Token, ...]:
        """The region's tokens as they are afterwards."""
        return tokens(self.after, self.changed)


def is_inside(one: Span, other: Span) -> bool:
    """Whether `one` is no larger than `other`."""
    return other.start <= one.start and one.end <= other.end


def meets(one: Span, other: Span) -> bool:
    """Whether they share a place, or touch."""
    return one.start <= other.end and other.start <= one.end
