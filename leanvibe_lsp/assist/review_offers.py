"""What can be done about the findings of the upper rungs, and how a review is asked for. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from leanvibe_lsp.assist.changes.values import Complaint
from leanvibe_lsp.assist.judged import REVIEW, RISK, UNSURE
from leanvibe_lsp.assist.offering import Act, Offer
from leanvibe_lsp.assist.suppress import suppression
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.scopes import Symbol
from leanvibe_lsp.documents.snapshot import Snapshot

NO_COMMENT = "No comment can stand here: switch it off in the settings instead."
NO_SERVER = "No server is switched on: name one as `remote` in the settings."


def for_judged(snapshot: Snapshot, complaint: Complaint, *, reason: str, has_server: bool) -> Iterator[Offer]:
    """The choices at a finding that no rule made: ask further, mark it as fine, see what the model was shown.

    `reason` says why no model may look at the document, or none is there.
    """
    span = complaint.span
    if complaint.rule == UNSURE:
        why = "" if has_server else NO_SERVER
        yield Offer(Act.BIGGER, "Ask the bigger model", span, complaint=complaint, reason=why)
    if complaint.rule == RISK:
        yield Offer(Act.INSIST, "Ask the model about it", span, complaint=complaint, reason=reason)
    if complaint.rule in (UNSURE, REVIEW, RISK):
        why = "" if suppression(snapshot, span, complaint.rule) is not None else NO_COMMENT
        yield Offer(Act.SUPPRESS, f"Mark as fine (ignore {complaint.rule} here)", span, complaint=complaint, reason=why)
    if complaint.rule in (UNSURE, REVIEW):
        yield Offer(Act.CONTEXT, "Show what the model was shown", span, complaint=complaint)


def for_review(snapshot: Snapshot, selected: Span, symbol: Symbol | None) -> Iterator[Offer]:
    """A review of the selection or of the definition around it, and of the file."""
    whole = Span(0, len(snapshot.text))
    if selected.start < selected.end:
        yield Offer(Act.REVIEW, "Review the selected code with LeanVibe", selected)
    elif symbol is not None:
        yield Offer(Act.REVIEW, f"Review '{symbol.name}' with LeanVibe", symbol.span)
    yield Offer(Act.REVIEW, "Review this file with LeanVibe", whole)
