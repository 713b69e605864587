"""What was found around a place, as plain values. Kept apart: the doors take them without loading a parser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.snapshot import Snapshot

if TYPE_CHECKING:
    from leanvibe_lsp.documents.scopes import Symbol
DEFAULTS = EditorSettings()


@dataclass(frozen=True, slots=True)
class Related:
    """A definition that belongs to a place; `what` says how, for a person ("definition of parse")."""

    snapshot: Snapshot
    symbol: Symbol
    what: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """Something that a tool says about a span of a document, in the tool's words."""

    span: Span
    message: str
    code: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was found around the places of a question, the most telling first.

    `diagnostics` are about the first place's document. `unsought` are sentences about what could not be looked for.
    """

    related: tuple[Related, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    unsought: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What may be looked at around a place: open documents, the roots of the workspace (none: nothing on disk).

    `diagnostics` are what the editor knows about the document of the first place; `settings` say what is secret, and
    which findings of our own count.
    """

    open_documents: tuple[Snapshot, ...] = ()
    roots: tuple[Path, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    settings: EditorSettings = DEFAULTS


NOTHING = Gathered()
