"""What a rung found in a document. Plain values; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import Span


class Severity(StrEnum):
    """How loud a finding is; LSP's four, by LSP's names."""

    ERROR = "error"
    WARNING = "warning"
    INFORMATION = "information"
    HINT = "hint"


class Category(StrEnum):
    """What kind of weakness a rule is about; CUSTOM where its author did not say."""

    SECURITY = "security"
    BUG = "bug"
    RESOURCE = "resource"
    ASYNC = "async"
    TEST = "test"
    CLARITY = "clarity"
    CUSTOM = "custom"


class Tag(StrEnum):
    """How an editor may draw it."""

    UNNECESSARY = "unnecessary"
    DEPRECATED = "deprecated"


@dataclass(frozen=True, slots=True)
class Related:
    """Another place of the same document that belongs to a finding, and why."""

    span: Span
    message: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and the text it is about.

    `rule` is its id (`python/mutable-default`); `quote` is the text under `span` at the version that was looked at: a
    finding whose quote is not there is not published. `confidence` is 0 to 1, as the rule's author gave it unless
    calibrated. `fix` is the rule's own, when it has one that needs no model; `note` says in a sentence or two why it is
    wrong, `mend` how to do it right, `link` says more about the weakness. `cwe` is its number in MITRE's list.
    `related` are the places that led there, as the source of what flows into a call.
    """

    rule: str
    message: str
    severity: Severity
    span: Span
    quote: str
    confidence: float
    rung: str = "rules"
    note: str = ""
    mend: str = ""
    category: Category = Category.CUSTOM
    cwe: int | None = None
    link: str = ""
    tags: tuple[Tag, ...] = ()
    related: tuple[Related, ...] = ()
    fix: tuple[TextEdit, ...] = ()
    fix_title: str = ""
