"""Whether a fix changed only the statement that its complaint is about, and there only what that calls for. Pure.

Nothing is refused for it: without that no fix is proven.
"""

from __future__ import annotations

import re
from collections import Counter

from tree_sitter import Node

from leanvibe_lsp.assist.changes.complaints import About, subject
from leanvibe_lsp.assist.changes.facts import Role, Token, tokens
from leanvibe_lsp.assist.changes.proposal import Proposal, is_inside
from leanvibe_lsp.assist.changes.values import Check, Complaint
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.grammars import syntax

_BINDS = frozenset({Role.LOCAL, Role.PARAMETER, Role.DEFINITION, Role.IMPORT})
_WORD = re.compile(r"\w+")
# What stands around a name that is bound, and may go with it.
_BINDING_WORDS = frozenset(
    {"as", "=", ":=", ":", ",", ";", "let", "const", "var", "mut", "auto", "final", "local", "{", "}"}
)
_MAY_ACT = re.compile(r"call|invocation|await|yield|subscript|attribute|member|access|index|new|macro|command|field")
_STATEMENT = re.compile(r"(?:statement|declaration|definition|assignment|_item|clause|method|function)$")


def only_its_place(proposal: Proposal, complaint: Complaint) -> Check:
    """Passed where it was shown; unknown everywhere else."""
    problem = _problem(proposal, complaint)
    return Check("only its place changed", not problem, problem, checked=not problem)


def _problem(proposal: Proposal, complaint: Complaint) -> str:
    about, name = subject(complaint, proposal.before)
    old, new = _hull(proposal)
    lines = proposal.before.lines
    if about is About.SYNTAX:
        at = lines.line_of(complaint.span.start)
        if old and not at - 1 <= lines.line_of(old.start) <= lines.line_of(max(old.start, old.end - 1)) <= at + 1:
            return "other lines changed too"
        return "" if _WORD.findall(proposal.old) == _WORD.findall(proposal.text) else "words of the code changed"
    own = _own_statement(proposal, complaint)
    if own is None or old.start == old.end or not is_inside(old, own):
        return "more than the statement that it is about changed"
    had, has = tokens(proposal.before, old), tokens(proposal.after, new)
    if about is About.UNDEFINED:
        return _other_name(proposal, had, has, name)
    if about is About.UNUSED:
        return _taken_away(proposal, own, had, has, name)
    return "" if not _lost_words(had, has) and has else "names of the statement are gone"


def _hull(proposal: Proposal) -> tuple[Span, Span]:
    """The lines that are not as they were, before and after."""
    old, new = proposal.old.splitlines(keepends=True), proposal.text.splitlines(keepends=True)
    if old and new and not old[-1].endswith(("\n", "\r")):  # the line ending behind a region is not part of it
        old[-1], new[-1] = old[-1].rstrip() + "\n", new[-1].rstrip() + "\n"
    same = min(len(old), len(new))
    head = next((number for number in range(same) if old[number] != new[number]), same)
    tail = next((number for number in range(same - head) if old[-1 - number] != new[-1 - number]), same - head)
    start = proposal.region.start + sum(map(len, old[:head]))
    ends = [start + sum(map(len, lines[head : len(lines) - tail])) for lines in (old, new)]
    return Span(start, min(ends[0], proposal.region.end)), Span(start, min(ends[1], proposal.changed.end))


def _own_statement(proposal: Proposal, complaint: Complaint) -> Span | None:
    """The lines of the smallest statement around the complaint, of one with a body those of its head."""
    known, text, lines = syntax(proposal.before), proposal.before.text, proposal.before.lines
    if known is None:
        return None
    places = known.bytes
    start, end = places.byte(complaint.span.start), places.byte(complaint.span.end)
    node: Node | None = known.tree.root_node.descendant_for_byte_range(start, max(start, end - 1))
    while node is not None and not _STATEMENT.search(node.type):
        node = node.parent
    if node is None or node.parent is None:
        return None
    while node.parent is not None and node.parent.byte_range == node.byte_range:
        node = node.parent
    begin, last = places.character(node.start_byte), places.character(node.end_byte)
    body = node.child_by_field_name("body") or node.child_by_field_name("consequence")
    if body is not None:
        last = places.character(body.start_byte)
        last = len(text[:last].rstrip())
    first, final = lines.line_span(lines.line_of(begin)), lines.line_of(last)
    behind = text[last : lines.line_span(final).end].strip().rstrip(",;{").strip()
    if text[first.start : begin].strip() or (behind and not behind.startswith(("#", "//", "/*", "--"))):
        return None
    following = lines.line_span(final + 1).start if final + 1 < lines.line_count else len(text)
    return Span(first.start, following)


def _lost_words(had: tuple[Token, ...], has: tuple[Token, ...]) -> Counter[str]:
    words = Counter(one.text for one in had if one.role is not Role.CODE)
    return words - Counter(one.text for one in has)


def _other_name(proposal: Proposal, had: tuple[Token, ...], has: tuple[Token, ...], name: str) -> str:
    """The name became another one that is bound, and nothing else is different."""
    if [one.kind for one in had] != [one.kind for one in has]:
        return "more than a name changed"
    pairs = {(old.text, new.text) for old, new in zip(had, has, strict=True) if old.text != new.text}
    if len(pairs) != 1 or next(iter(pairs))[0] != name:
        return "more than a name changed"
    bound = {one.text for one in tokens(proposal.before, Span(0, len(proposal.before.text))) if one.role in _BINDS}
    return "" if next(iter(pairs))[1] in bound else "the new name is bound nowhere here"


def _taken_away(proposal: Proposal, own: Span, had: tuple[Token, ...], has: tuple[Token, ...], name: str) -> str:
    """The name went with what only binds it, of an import its clause; what is worked out for it can do nothing."""
    left = Counter(one.text for one in had)
    left.subtract(one.text for one in has)
    if any(count < 0 for count in left.values()):
        return "something was added"
    if any(one.role is Role.PARAMETER for one in had):
        return "callers may hand it over"
    bound = {one.text for one in had if one.role in _BINDS} - {one.text for one in has}
    if any(one.role is Role.IMPORT for one in had):
        parts = [one.text for one in had if one.role is Role.IMPORT]
        single = not has and sum(1 for one in had if one.text == ",") == 0
        return "" if single or (left[name] and len(_gone_names(parts, has)) <= 2) else "more than one import is gone"
    if bound != {name}:
        return "other names are gone"
    words = {text for text, count in left.items() if count > 0}
    if words <= {name} | _BINDING_WORDS:
        return ""
    if has or _may_act(proposal, own):
        return "what is worked out for it could do something"
    return ""


def _gone_names(parts: list[str], has: tuple[Token, ...]) -> Counter[str]:
    return Counter(parts) - Counter(one.text for one in has)


def _may_act(proposal: Proposal, own: Span) -> bool:
    known = syntax(proposal.before)
    if known is None:
        return True
    start, end = known.bytes.byte(own.start), known.bytes.byte(own.end)
    waiting = [known.tree.root_node]
    while waiting:
        node = waiting.pop()
        if node.end_byte <= start or node.start_byte >= end:
            continue
        if start <= node.start_byte and node.end_byte <= end and node.is_named and _MAY_ACT.search(node.type):
            return True
        waiting += node.children
    return False
