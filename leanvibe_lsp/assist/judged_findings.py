"""What the upper rungs found, and what nobody is sure of, as findings. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from leanvibe_lsp.assist.asking_model import ModelSaid, tried
from leanvibe_lsp.assist.judged import REVIEW, UNSURE
from leanvibe_lsp.assist.units import Unit
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.tiers.finding import Finding, Related, Severity
from leanvibe_lsp.tiers.model.votes import Placed
from leanvibe_lsp.tiers.policy import Decision
from leanvibe_lsp.tiers.rung import Opinion, Rung


def of_remarks(
    snapshot: Snapshot, placed: Sequence[Placed], said: ModelSaid, rung: Rung, decision: Decision
) -> Iterator[Finding]:
    """A finding for each remark of a model whose verdict was accepted."""
    confidence = decision.confidence if decision.confidence is not None else 0.0
    for one in placed:
        votes = f" {one.votes} of {said.vote.count} answers say so." if said.vote.count > 1 else ""
        yield Finding(
            rule=REVIEW,
            message=one.remark.reason,
            severity=one.remark.severity,
            span=one.span,
            quote=snapshot.text[one.span.start : one.span.end],
            confidence=confidence,
            rung=str(rung),
            note=f"{said.model} says so; nobody has checked it.{votes}",
            mend=one.remark.fix,
            category=one.remark.category,
        )


def agreed_with(finding: Finding, model: str) -> Finding:
    """A rule's finding that a model points at too."""
    return replace(finding, note=f"{finding.note} {model} points at it too.".strip())


def unsure(
    snapshot: Snapshot, unit: Unit, decision: Decision, opinions: Sequence[Opinion], said: ModelSaid | None
) -> Finding:
    """What a person is to look at, what was tried, and what a model pointed at there: never as an answer."""
    pointed = said.placed if said is not None else ()
    return Finding(
        rule=UNSURE,
        message=f"LeanVibe is not sure about {unit.name}. Tried: {tried(opinions)}.",
        severity=Severity.INFORMATION,
        span=unit.mark,
        quote=snapshot.text[unit.mark.start : unit.mark.end],
        confidence=decision.confidence if decision.confidence is not None else 0.0,
        rung=str(Rung.PERSON),
        note=f"A person has to look: {'; '.join(decision.reasons)}.",
        related=tuple(Related(one.span, f"{said.model}, not verified: {one.remark.reason}") for one in pointed)
        if said is not None
        else (),
    )
