"""Several answers of one model about the same code, and what they come to together. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from leanvibe_lsp.core.text import Span
from leanvibe_lsp.tiers.finding import Category, Finding
from leanvibe_lsp.tiers.model.schema import FINE, RISKY, Remark, Said


@dataclass(frozen=True, slots=True)
class Placed:
    """A remark and the place that it quotes; `votes` is how many samples made it."""

    span: Span
    remark: Remark
    votes: int = 1


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer: what was said, what of it has a place, and how probable it is that the verdict is right."""

    said: Said
    placed: tuple[Placed, ...]
    confidence: float

    @property
    def verdict(self) -> str:
        """The verdict, "" where what was said does not bear it: a risk without a place, a fault in fine code."""
        borne = bool(self.placed) if self.said.verdict == RISKY else not self.said.remarks
        return self.said.verdict if borne else ""


@dataclass(frozen=True, slots=True)
class Vote:
    """What samples come to. `agreement` is the share of them that gave the verdict; None: no verdict is borne out."""

    verdict: str
    confidence: float | None
    agreement: float
    count: int


def vote(samples: Sequence[Sample]) -> Vote:
    """The verdict of most samples, of the first where there are as many; its probability is the mean over all.

    A sample that says otherwise counts with what it leaves to the verdict, one without a verdict as half.
    """
    verdicts = [one.verdict for one in samples]
    said = [verdict for verdict in verdicts if verdict]
    if not said:
        return Vote(samples[0].said.verdict if samples else "", None, 0.0, len(samples))
    verdict = max((RISKY, FINE), key=lambda one: (said.count(one), one == said[0]))
    for_it = (
        0.5 if not own else one.confidence if own == verdict else 1 - one.confidence
        for own, one in zip(verdicts, samples, strict=True)
    )
    sure = math.fsum(for_it) / len(samples)
    return Vote(verdict, min(1.0, max(0.0, sure)), said.count(verdict) / len(samples), len(samples))


def together(samples: Sequence[Sample]) -> tuple[Placed, ...]:
    """The remarks that at least half of the samples make, each once, in the order of the text.

    Two are the same when they are of one kind and quote places that overlap; the first one's words are kept.
    """
    found: list[Placed] = []
    for sample in samples:
        counted: set[int] = set()
        for placed in sample.placed:
            known = next((number for number, one in enumerate(found) if _same(one, placed)), None)
            if known is None:
                counted.add(len(found))
                found.append(replace(placed, votes=1))
            elif known not in counted:
                counted.add(known)
                found[known] = replace(found[known], votes=found[known].votes + 1)
    kept = [one for one in found if 2 * one.votes >= len(samples)]
    return tuple(sorted(kept, key=lambda one: (one.span.start, one.span.end)))


def beside(placed: Sequence[Placed], findings: Sequence[Finding]) -> tuple[tuple[Placed, ...], tuple[Finding, ...]]:
    """The remarks that no rule made, and the findings of rules that some remark makes too."""
    agreed = tuple(finding for finding in findings if any(_about(one, finding) for one in placed))
    return tuple(one for one in placed if not any(_about(one, finding) for finding in findings)), agreed


def _same(one: Placed, other: Placed) -> bool:
    return one.remark.category is other.remark.category and _overlap(one.span, other.span)


def _about(placed: Placed, finding: Finding) -> bool:
    alike = finding.category in (placed.remark.category, Category.CUSTOM)
    return alike and _overlap(placed.span, finding.span)


def _overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end
