"""One weakness that two kinds of rules see at one place is told once. Pure.

A rule about structure and one about data flow may both know of a place, the one by what it looks like, the other by
what comes into it. The surer one is told, and says that the other found it too; of two that are as sure the one that
can show the way of the data.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from leanvibe_lsp.tiers.finding import Finding


def told_once(findings: Sequence[Finding], flow: Collection[str]) -> tuple[tuple[Finding, tuple[Finding, ...]], ...]:
    """The findings that are told, in their order, each with those that it stands for; `flow`: ids of the flow rules."""
    gone: dict[int, list[Finding]] = {}
    kept: list[int] = []
    surest = sorted(range(len(findings)), key=lambda at: (-findings[at].confidence, findings[at].rule not in flow, at))
    for at in surest:
        one = findings[at]
        taker = next((other for other in kept if _is_same(one, findings[other], flow)), None)
        if taker is None:
            kept.append(at)
        else:
            gone.setdefault(taker, []).append(one)
    return tuple((findings[at], tuple(gone.get(at, ()))) for at in sorted(kept))


def _is_same(one: Finding, other: Finding, flow: Collection[str]) -> bool:
    """Whether both are of the rules, the one of each kind, about one weakness, and share a character."""
    return (
        one.cwe is not None
        and one.cwe == other.cwe
        and one.rung == other.rung == "rules"
        and (one.rule in flow) != (other.rule in flow)
        and one.span.start < other.span.end
        and other.span.start < one.span.end
    )
