"""What can be done at a place of a document, and why not where it cannot. Pure; no model is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tree_sitter import Node

from leanvibe_lsp.assist.changes.extracting import LANGUAGES
from leanvibe_lsp.assist.changes.mending import finding_of, is_proven, title_of
from leanvibe_lsp.assist.changes.tests_file import is_testable
from leanvibe_lsp.assist.changes.values import ChangeKind, Complaint
from leanvibe_lsp.assist.judged import RISK, UNSURE
from leanvibe_lsp.assist.offering import Act, Offer
from leanvibe_lsp.assist.review_offers import for_judged, for_review
from leanvibe_lsp.assist.suppress import suppression
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.grammars import language_of, obstacle, parse
from leanvibe_lsp.documents.scopes import Symbol, chain, symbols
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.documents.syntax import Region, encoded, moved, spliced
from leanvibe_lsp.tiers.finding import Finding

NO_SYMBOL = "There is no function or class here."
NO_STATEMENTS = "Select one or more whole statements first."
NO_COMMENT = "No comment can stand here: switch the rule off in the settings instead."
NEVER_SAVED = "A file that was never saved has no place for tests: save it first."
NOT_READ = "What comes in and out of lines of this language is not known."

_CALLABLE = frozenset({"function", "method", "constructor", "macro"})
# Nodes whose named children are statements, by all grammars' names for them.
# fmt: off
_BLOCKS = frozenset((
    "module", "program", "source_file", "translation_unit", "block", "statement_block", "statement_list",
    "compound_statement", "constructor_body", "body_statement", "then", "else", "do", "do_group", "do_block",
    "block_body", "function_body", "declaration_list", "case_statement", "switch_block_statement_group", "switch_case",
    "switch_default",
))
# fmt: on


def for_complaints(
    snapshot: Snapshot,
    complaints: Sequence[Complaint],
    findings: Sequence[Finding],
    *,
    reason: str = "",
    has_server: bool = False,
) -> tuple[Offer, ...]:
    """For each complaint its rule's own fix, or that of the model; then an explanation, then silence. Rules come first.

    A rule's fix is offered unless it is known to fail. Proving one takes longer than a list may: see `mending.prove`.

    `reason` says why no model may look at the document, or none is there; `has_server`, that a bigger one may be asked.
    """
    mends = {one: mend for one in complaints if (mend := _mend(snapshot, one, findings)) is not None}
    others: list[Offer] = []
    for complaint in complaints:
        if complaint.rule != UNSURE:
            others += _about(snapshot, complaint, reason, fix=complaint not in mends and complaint.rule != RISK)
        others += for_judged(snapshot, complaint, reason=reason, has_server=has_server)
    return (*mends.values(), *others)


def for_place(snapshot: Snapshot, span: Span, *, reason: str = "") -> tuple[Offer, ...]:
    """What can be done with the selection, or with the definition around an empty one; `reason` as above."""
    selected = trimmed(snapshot.text, span)
    around = [symbol for symbol in chain(snapshot, selected.start) if symbol.span.end >= selected.end]
    symbol = around[-1] if around else None
    routine = next((symbol for symbol in reversed(around) if symbol.kind in _CALLABLE), None)
    unknown = obstacle(snapshot)
    unparsed = f"LeanVibe cannot read the structure here: {unknown}." if unknown else ""
    is_empty = selected.start == selected.end

    def offer(change: ChangeKind, title: str, target: Span | None, missing: str) -> Offer:
        why = reason or unparsed or (missing if target is None else _never(snapshot, change))
        return Offer(Act.CHANGE, title, target or selected, change, reason=why)

    code = _named(symbol) if is_empty else "the selected code"
    target = (symbol.span if symbol is not None else None) if is_empty else selected
    return (
        Offer(Act.EXPLAIN, "Explain with LeanVibe", span, reason=reason),
        offer(ChangeKind.SIMPLIFY, f"Simplify {code}", target, NO_SYMBOL),
        offer(ChangeKind.REWRITE, f"Change {code} with LeanVibe…", target, NO_SYMBOL),
        offer(ChangeKind.RENAME, f"Rename for clarity in {_named(routine)}", _span(routine), NO_SYMBOL),
        offer(ChangeKind.EXTRACT, "Extract into a function", whole_statements(snapshot, selected), NO_STATEMENTS),
        offer(ChangeKind.DOCUMENT, f"Document {_named(symbol)}", _span(symbol), NO_SYMBOL),
        offer(ChangeKind.TESTS, f"Write tests for {_named(symbol)}", _span(symbol), NO_SYMBOL),
        *for_review(snapshot, selected, symbol),
    )


def _never(snapshot: Snapshot, change: ChangeKind) -> str:
    """Why it fails in this document whatever a model writes; "" where it need not."""
    language = language_of(snapshot.language_id, snapshot.path) or ""
    if change is ChangeKind.TESTS and not is_testable(language):
        return f"It is not known how {language} is tested."
    if change is ChangeKind.TESTS and snapshot.path is None:
        return NEVER_SAVED
    return NOT_READ if change is ChangeKind.EXTRACT and language not in LANGUAGES else ""


def carried(findings: Sequence[Finding], since: Sequence[TextEdit]) -> tuple[Finding, ...]:
    """The findings of an earlier text that no edit since has touched, where they stand now. Nothing is looked at."""
    regions: tuple[Region, ...] = ()
    for edit in since:
        regions = spliced(regions, edit.span, len(edit.text))
    return tuple(_carried(one, regions) for one in findings if not _touches(one.span, regions))


def trimmed(text: str, span: Span) -> Span:
    """The span without the white space at its ends; what holds nothing else is empty."""
    inside = text[span.start : span.end]
    start = span.start + len(inside) - len(inside.lstrip())
    end = span.start + len(inside.rstrip())
    return Span(start, end) if start < end else Span(span.start, span.start)


def whole_statements(snapshot: Snapshot, selected: Span) -> Span | None:
    """The selection when it is exactly one statement or several of one block, else None; `selected` is trimmed.

    Definitions are no such statements: there is nothing to extract from them.
    """
    if any(selected.start <= one.span.start and one.span.end <= selected.end for one in symbols(snapshot)):
        return None
    tree = parse(snapshot) if selected.start < selected.end else None
    if tree is None:
        return None
    start = len(encoded(snapshot.text[: selected.start]))
    end = start + len(encoded(snapshot.text[selected.start : selected.end]))
    node = tree.root_node.descendant_for_byte_range(start, end)
    while node is not None and node.parent is not None and node.type not in _BLOCKS:
        if node.start_byte < start or node.end_byte > end:
            return None
        node = node.parent
    if node is None or node.type not in _BLOCKS:
        return None
    inside = [child for child in node.named_children if child.end_byte > start and child.start_byte < end]
    exact = inside and inside[0].start_byte == start and _end(inside[-1]) in (end, end - 1)
    return selected if exact and not any(child.is_error for child in inside) else None


def _touches(span: Span, regions: Sequence[Region]) -> bool:
    return any(region.old.start <= span.end and span.start <= region.old.end for region in regions)


def _carried(finding: Finding, regions: tuple[Region, ...]) -> Finding:
    by = moved(finding.span.start, regions) - finding.span.start
    if not by:
        return finding
    fix = tuple(TextEdit(Span(edit.span.start + by, edit.span.end + by), edit.text) for edit in finding.fix)
    return replace(finding, span=Span(finding.span.start + by, finding.span.end + by), fix=fix)


def _end(node: Node) -> int:
    # Some grammars count the line's end as part of a statement.
    text = node.text or b""
    return node.end_byte - (len(text) - len(text.rstrip()))


def _mend(snapshot: Snapshot, complaint: Complaint, findings: Sequence[Finding]) -> Offer | None:
    finding = finding_of(complaint, findings)
    if finding is None or not finding.fix or (proven := is_proven(finding, snapshot)) is False:
        return None
    title = title_of(finding)
    return Offer(Act.MEND, title, finding.span, ChangeKind.FIX, complaint, finding, proven=proven is True)


def _about(snapshot: Snapshot, complaint: Complaint, reason: str, *, fix: bool) -> Iterator[Offer]:
    said = _short(complaint.message)
    if fix:
        title = f"Fix with LeanVibe: {said}"
        yield Offer(Act.CHANGE, title, complaint.span, ChangeKind.FIX, complaint, reason=reason)
    yield Offer(Act.EXPLAIN, f"Explain with LeanVibe: {said}", complaint.span, complaint=complaint, reason=reason)
    if complaint.rule and not complaint.rule.startswith("leanvibe/"):  # comments themselves, or see for_judged
        title = f"Ignore {complaint.rule} on this line"
        why = "" if suppression(snapshot, complaint.span, complaint.rule) is not None else NO_COMMENT
        yield Offer(Act.SUPPRESS, title, complaint.span, complaint=complaint, reason=why)


def _short(message: str) -> str:
    line, most = " ".join(message.split()), limit("actions.title_characters")
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def _named(symbol: Symbol | None) -> str:
    return f"'{symbol.name}'" if symbol is not None else "the code here"


def _span(symbol: Symbol | None) -> Span | None:
    return symbol.span if symbol is not None else None
