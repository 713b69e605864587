"""What can be done at a place of a document, as plain values; see `offers` for what is offered where."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from leanvibe_lsp.assist.changes.values import ChangeKind, Complaint
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.tiers.finding import Finding


class Act(StrEnum):
    """What an offer does when it is taken."""

    MEND = "mend"  # the rule's own fix
    CHANGE = "change"
    EXPLAIN = "explain"
    SUPPRESS = "suppress"
    REVIEW = "review"  # by the ladder
    BIGGER = "bigger"  # the same, by the bigger model
    INSIST = "insist"  # the same, by the model, however sure the rungs below are
    CONTEXT = "context"  # what the model was shown


@dataclass(frozen=True, slots=True)
class Offer:
    """One thing that can be done with `span`; `reason` says why not, and is "" when it can be.

    `change` is set for CHANGE, `complaint` for everything that is about one. `finding` is set for MEND: its own fix is
    what is offered, and `proven` says that this is known to end it and to bring nothing new.
    """

    act: Act
    title: str
    span: Span
    change: ChangeKind | None = None
    complaint: Complaint | None = None
    finding: Finding | None = None
    proven: bool = False
    reason: str = ""
