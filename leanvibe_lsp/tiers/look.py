"""All that rules find in a text, in such a form that after an edit only what it touched is looked at again.

The same text gives the same findings, whatever was looked at before: what a rule finds in a piece hangs on that piece
alone, and where it may hang on more it is looked at each time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.syntax import Syntax, syntax_of
from leanvibe_lsp.tiers.finding import Finding
from leanvibe_lsp.tiers.matching.compiled import Compiled
from leanvibe_lsp.tiers.matching.matches import Found
from leanvibe_lsp.tiers.matching.plan import Hit, Plan, again, hits, plan_of
from leanvibe_lsp.tiers.matching.scene import Scene
from leanvibe_lsp.tiers.pieces import pieces
from leanvibe_lsp.tiers.reading import Reading, find_all
from leanvibe_lsp.tiers.rule import Rule

if TYPE_CHECKING:
    from leanvibe_lsp.tiers.flow.look import FlowLook


@dataclass(frozen=True, slots=True, eq=False)
class RuleSet:
    """Rules of one language by how they are looked for: in the tree, and along the data."""

    structural: tuple[Rule, ...]
    flow: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Open:
    """A node of this kind, counted from its piece's start: what a rule finds there hangs on more than the piece."""

    rule: Rule
    how: Compiled
    kind: int
    span: Span


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found in a piece, counted from its start, and what is to be looked at each time."""

    findings: tuple[Finding, ...]
    open: tuple[Open, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """What was found in a text, in its order; and in each of its pieces, by their own texts."""

    findings: tuple[Finding, ...]
    pieces: Mapping[str, Seen]
    flow: FlowLook | None


@lru_cache(maxsize=64)
def rule_set(rules: tuple[Rule, ...]) -> RuleSet:
    """The rules, sorted by how they are looked for."""
    return RuleSet(
        tuple(rule for rule in rules if rule.flow is None), tuple(rule for rule in rules if rule.flow is not None)
    )


def look(reading: Reading, parsed: Syntax, rules: RuleSet, earlier: Look | None) -> Look:
    """What the rules find in a text; `parsed` is its tree, `earlier` a look of the same rules at another text."""
    plan, text = plan_of(rules.structural, reading.language), reading.text
    known = _pieces(reading, parsed, plan, earlier.pieces if earlier is not None else {})
    findings = [_moved(finding, span.start) for span, seen in known for finding in seen.findings]
    findings += _opened(known, parsed, text)
    findings += find_all([rule for rule in plan.others if rule.wide], reading)
    flow = None
    if rules.flow:
        from leanvibe_lsp.tiers.flow.look import look as follow

        flow = follow(parsed, rules.flow, earlier.flow if earlier is not None else None)
        findings += flow.findings
    return Look(in_order(findings), {text[span.start : span.end]: seen for span, seen in known}, flow)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By place, and by rule where that is the same."""
    return tuple(sorted(findings, key=lambda finding: (finding.span.start, finding.span.end, finding.rule)))


def _pieces(reading: Reading, parsed: Syntax, plan: Plan, known: Mapping[str, Seen]) -> list[tuple[Span, Seen]]:
    """Each piece of the text with what was found in it."""
    text = reading.text
    found: list[tuple[Span, Seen]] = []
    # What is new is looked at together where it stands together. A broken piece is always looked at alone: within the
    # whole it may read otherwise, and the same text must give the same findings.
    new: list[Span] = []
    for part in pieces(parsed, reading.language):
        span, piece = part.span, text[part.span.start : part.span.end]
        if piece not in known and not part.broken:
            new.append(span)
            continue
        found += _run(reading, parsed, new, plan)
        new = []
        found.append((span, known[piece] if piece in known else _alone(piece, reading.language, parsed, plan)))
    return [*found, *_run(reading, parsed, new, plan)]


def _alone(piece: str, language: str, parsed: Syntax, plan: Plan) -> Seen:
    tree = syntax_of(LineIndex(piece), parsed.language)
    made = (_finding(hit, tree, piece) for hit in hits(plan, tree, None))
    local = [rule for rule in plan.others if not rule.wide]
    return Seen(in_order([*(one for one in made if one is not None), *find_all(local, Reading(piece, language))]), ())


def _run(reading: Reading, parsed: Syntax, spans: Sequence[Span], plan: Plan) -> Iterator[tuple[Span, Seen]]:
    """What stands in pieces that follow each other."""
    if not spans:
        return
    start, end = spans[0].start, spans[-1].end
    whole = end - start == len(reading.text)
    found: list[list[Finding]] = [[] for _ in spans]
    opened: list[dict[Open, None]] = [{} for _ in spans]
    for hit in hits(plan, parsed, None if whole else Span(start, end)):
        place = _span(hit, parsed)
        at = _piece_of(place, spans)
        if hit.open:
            opened[at][Open(hit.rule, hit.how, hit.node.kind_id, _shifted(place, -spans[at].start))] = None
        elif (finding := _finding(hit, parsed, reading.text)) is not None:
            found[at].append(finding)
    local = [rule for rule in plan.others if not rule.wide]
    if local:
        part = reading if whole else Reading(reading.text[start:end], reading.language)
        for finding in find_all(local, part):
            moved = _moved(finding, start)
            found[_piece_of(moved.span, spans)].append(moved)
    for span, findings, ones in zip(spans, found, opened, strict=True):
        yield span, Seen(tuple(_moved(one, -span.start) for one in findings), tuple(ones))


def _piece_of(place: Span, spans: Sequence[Span]) -> int:
    return bisect_right(spans, place.start, key=lambda span: span.start) - 1


def _opened(known: Iterable[tuple[Span, Seen]], parsed: Syntax, text: str) -> Iterator[Finding]:
    scene = Scene()
    for span, seen in known:
        for one in seen.open:
            for hit in again(one.rule, one.how, one.kind, _shifted(one.span, span.start), parsed, scene):
                if (finding := _finding(hit, parsed, text)) is not None:
                    yield finding


def _finding(hit: Hit, parsed: Syntax, text: str) -> Finding | None:
    if hit.bound is None:
        return None
    return hit.rule.finding(Found(hit.node, hit.bound, hit.how.changes, parsed.data, parsed.bytes), text)


def _span(hit: Hit, parsed: Syntax) -> Span:
    return Span(parsed.bytes.character(hit.node.start_byte), parsed.bytes.character(hit.node.end_byte))


def _moved(finding: Finding, by: int) -> Finding:
    return replace(
        finding,
        span=_shifted(finding.span, by),
        related=tuple(replace(one, span=_shifted(one.span, by)) for one in finding.related),
        fix=tuple(TextEdit(_shifted(edit.span, by), edit.text) for edit in finding.fix),
    )


def _shifted(span: Span, by: int) -> Span:
    return Span(span.start + by, span.end + by)
