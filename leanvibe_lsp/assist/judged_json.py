"""The one JSON form of a review: the result of `leanvibe.judge`. camelCase, as LSP writes; lines count from 1."""

from __future__ import annotations

from leanvibe_lsp.assist.judged import Judged, UnitJudged
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.tiers.finding import Finding
from leanvibe_lsp.tiers.rung import Cost, Opinion


def judged_json(judged: Judged) -> dict[str, object]:
    """Plain values only. Times are seconds."""
    lines = judged.snapshot.lines
    return {
        "units": [_unit(unit, lines) for unit in judged.units],
        "findings": [_finding(finding, lines) for finding in judged.findings],
        "needsReview": [unit.name for unit in judged.needs_review],
        "notLookedAt": [
            {"name": one.name, **_place(one.span, lines), "reason": one.reason} for one in judged.not_looked_at
        ],
        "tried": [str(rung) for rung in judged.tried],
        "answeredOn": {str(rung): count for rung, count in judged.answered_on.items()},
        "costs": {str(rung): _cost(cost) for rung, cost in judged.costs.items()},
        "droppedQuotes": judged.dropped_quotes,
    }


def summary(judged: Judged) -> str:
    """What came of a review, in a sentence or two for a person."""
    if not judged.units:
        return "There is no code here to review."
    unsure = len(judged.needs_review) - len(judged.not_looked_at)
    risky = sum(1 for one in judged.units if not one.needs_review and one.decision.verdict == "risky")
    fine = len(judged.units) - len(judged.needs_review) - risky
    counts = ((risky, "to look at"), (fine, "without a finding"), (unsure, "not sure about"))
    said = ", ".join(f"{count} {words}" for count, words in counts if count)
    pieces = "1 piece of code" if len(judged.units) == 1 else f"{len(judged.units)} pieces of code"
    parts = [f"Reviewed {pieces}: {said}." if said else f"Reviewed none of {pieces}."]
    if judged.not_looked_at:
        names = ", ".join(one.name for one in judged.not_looked_at[:3])
        more = f" and {len(judged.not_looked_at) - 3} more" if len(judged.not_looked_at) > 3 else ""
        parts.append(f"No model looked at {names}{more}: {judged.not_looked_at[0].reason}.")
    failures = dict.fromkeys(one.failure for unit in judged.units for one in unit.tried if _is_model(one))
    return " ".join((*parts, *failures))


def _is_model(opinion: Opinion) -> bool:
    return bool(opinion.failure) and opinion.rung not in ("rules", "classifier")


def _unit(unit: UnitJudged, lines: LineIndex) -> dict[str, object]:
    decision = unit.decision
    return {
        "name": unit.name,
        **_place(unit.span, lines),
        "action": str(decision.action),
        "rung": str(decision.rung),
        "verdict": decision.verdict,
        "confidence": decision.confidence,
        "reasons": list(decision.reasons),
        "tried": [_opinion(opinion) for opinion in unit.tried],
        "droppedQuotes": unit.dropped_quotes,
        "agreement": unit.agreement,
        "remembered": unit.remembered,
    }


def _opinion(opinion: Opinion) -> dict[str, object]:
    return {
        "rung": str(opinion.rung),
        "verdict": opinion.verdict,
        "confidence": opinion.confidence,
        "failure": opinion.failure,
        "cost": _cost(opinion.cost),
    }


def _finding(finding: Finding, lines: LineIndex) -> dict[str, object]:
    return {
        "rule": finding.rule,
        "message": finding.message,
        "severity": str(finding.severity),
        "category": str(finding.category),
        **_place(finding.span, lines),
        "quote": finding.quote,
        "rung": finding.rung,
        "confidence": finding.confidence,
        "note": finding.note,
        "mend": finding.mend,
    }


def _place(span: Span, lines: LineIndex) -> dict[str, object]:
    return {"startLine": lines.line_of(span.start) + 1, "endLine": lines.line_of(max(span.start, span.end - 1)) + 1}


def _cost(cost: Cost) -> dict[str, object]:
    return {"seconds": round(cost.seconds, 3), "tokens": cost.tokens}
