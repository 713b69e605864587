"""All that rules find in a text, in such a form that after an edit only what it touched is looked at again.

The same text gives the same findings, whatever was looked at before: what a rule finds in a piece hangs on that piece
alone, and rules that look further are given the whole text each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.syntax import Syntax
from leanvibe_lsp.tiers.finding import Finding
from leanvibe_lsp.tiers.pieces import pieces
from leanvibe_lsp.tiers.reading import Reading, find_all
from leanvibe_lsp.tiers.rule import Rule
from leanvibe_lsp.tiers.words import may_fit

if TYPE_CHECKING:
    from leanvibe_lsp.tiers.flow.look import FlowLook


@dataclass(frozen=True, slots=True, eq=False)
class RuleSet:
    """Rules of one language by how they look: within a piece, over all the text, along the data."""

    local: tuple[Rule, ...]
    wide: tuple[Rule, ...]
    flow: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """What was found in a text, in its order; and in each of its pieces, by their own texts, counted from its start."""

    findings: tuple[Finding, ...]
    pieces: Mapping[str, tuple[Finding, ...]]
    flow: FlowLook | None


@lru_cache(maxsize=64)
def rule_set(rules: tuple[Rule, ...]) -> RuleSet:
    """The rules, sorted by how they look."""
    structural = [rule for rule in rules if rule.flow is None]
    return RuleSet(
        tuple(rule for rule in structural if not rule.wide),
        tuple(rule for rule in structural if rule.wide),
        tuple(rule for rule in rules if rule.flow is not None),
    )


def look(reading: Reading, parsed: Syntax, rules: RuleSet, earlier: Look | None) -> Look:
    """What the rules find in a text; `parsed` is its tree, `earlier` a look of the same rules at another text."""
    known = _pieces(reading, parsed, rules.local, earlier.pieces if earlier is not None else {})
    findings = [_moved(finding, span.start) for span, found in known for finding in found]
    findings += find_all(rules.wide, reading)
    flow = None
    if any(may_fit(rule.needed, reading.words) for rule in rules.flow):
        from leanvibe_lsp.tiers.flow.look import look as follow

        flow = follow(parsed, rules.flow, earlier.flow if earlier is not None else None)
        findings += flow.findings
    text = reading.text
    return Look(in_order(findings), {text[span.start : span.end]: found for span, found in known}, flow)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By place, and by rule where that is the same."""
    return tuple(sorted(findings, key=lambda finding: (finding.span.start, finding.span.end, finding.rule)))


def _pieces(
    reading: Reading, parsed: Syntax, rules: Sequence[Rule], known: Mapping[str, tuple[Finding, ...]]
) -> list[tuple[Span, tuple[Finding, ...]]]:
    """Each piece of the text with what was found in it, counted from its start."""
    text = reading.text
    found: list[tuple[Span, tuple[Finding, ...]]] = []
    # What is new is read together where it stands together. A broken piece is always looked at alone: within the whole
    # it may read otherwise, and the same text must give the same findings.
    new: list[Span] = []
    for part in pieces(parsed, reading.language):
        span, piece = part.span, text[part.span.start : part.span.end]
        if piece not in known and not part.broken:
            new.append(span)
            continue
        found += _run(reading, new, rules)
        new = []
        found.append((span, known[piece] if piece in known else _alone(piece, reading.language, rules)))
    return [*found, *_run(reading, new, rules)]


def _alone(piece: str, language: str, rules: Sequence[Rule]) -> tuple[Finding, ...]:
    return in_order(find_all(rules, Reading(piece, language)))


def _run(reading: Reading, spans: Sequence[Span], rules: Sequence[Rule]) -> Iterator[tuple[Span, tuple[Finding, ...]]]:
    """What stands in pieces that follow each other."""
    if not spans:
        return
    start, end = spans[0].start, spans[-1].end
    if end - start < len(reading.text):
        reading = Reading(reading.text[start:end], reading.language)
    findings = in_order(find_all(rules, reading))
    at = 0
    for span in spans:
        first = at
        while at < len(findings) and findings[at].span.start + start < span.end:
            at += 1
        yield span, tuple(_moved(finding, start - span.start) for finding in findings[first:at])


def _moved(finding: Finding, by: int) -> Finding:
    return replace(
        finding,
        span=_shifted(finding.span, by),
        related=tuple(replace(one, span=_shifted(one.span, by)) for one in finding.related),
        fix=tuple(TextEdit(_shifted(edit.span, by), edit.text) for edit in finding.fix),
    )


def _shifted(span: Span, by: int) -> Span:
    return Span(span.start + by, span.end + by)
