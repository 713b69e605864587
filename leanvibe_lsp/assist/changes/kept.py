"""What a change that is not to change what code does has to keep: headers, comments, effects, ways out. Pure."""

from __future__ import annotations

import re
from collections import Counter

from tree_sitter import Node

from leanvibe_lsp.assist.changes.facts import Role, Token, comments, tokens
from leanvibe_lsp.assist.changes.proposal import Proposal, is_inside, meets
from leanvibe_lsp.assist.changes.values import ChangeKind, Check
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.grammars import obstacle, syntax
from leanvibe_lsp.documents.scopes import Symbol, imports, symbols
from leanvibe_lsp.documents.snapshot import Snapshot

COMMENTS = "comments kept"
# Comments that a tool, a compiler or a lawyer reads.
_DIRECTIVE = re.compile(
    r"\bnoqa\b|type:\s*ignore|\b(?:pyright|mypy|pylint|isort|fmt|yapf|ruff|phpcs|cspell|spell-?checker):|pragma|"
    r"\bno(?:sec|lint|inspection)\b|NOLINT|eslint|@ts-|@flow|@jsx|@phpstan|@psalm|[#@]__PURE__|prettier-ignore|"
    r"istanbul|\bc8 ignore|SAFETY|rubocop|shellcheck|leanvibe:|go:\w|\+build|frozen_string_literal|coding[:=]|"
    r"clang-format|webpack|biome-ignore|deno-lint|:nodoc:|^#!|copyright|SPDX|licen[cs]e|falls? ?through",
    re.IGNORECASE,
)
_EXITS = frozenset(
    {
        "return",
        "raise",
        "throw",
        "await",
        "yield",
        "try",
        "catch",
        "except",
        "rescue",
        "finally",
        "ensure",
        "defer",
        "lock",
        "synchronized",
        "unsafe",
        "with",
        "using",
        "async",
    }
)
# Where the last expression is what comes back, a `return` may go.
_VALUES_WITHOUT_RETURN = frozenset({"rust", "ruby", "bash"})
# Statements with these calls are often written in other ways, and then some of these words stand there.
_BUILT = frozenset({"for", "map", "filter", "=>", "each", "collect", "list", "set", "dict", "extend", "+=", "..."})
# What these give can be had in other ways, and nothing else comes of them.
_READING = frozenset(
    {"len", "range", "list", "dict", "set", "tuple", "str", "int", "float", "bool", "sorted", "enumerate", "zip", "map",
     "filter", "keys", "values", "items", "get", "join", "split", "format", "min", "max", "sum", "iter", "true"}
)  # fmt: skip
_ENDED = frozenset({"with", "using", "defer", "try"})
_REPLACED = {
    **dict.fromkeys(("append", "add", "extend", "push", "push_back", "unshift", "setdefault", "update"), _BUILT),
    **dict.fromkeys(("close", "acquire", "release"), _ENDED),
    "sort": frozenset({"sorted", "toSorted"}),
    "reverse": frozenset({"reversed", "toReversed"}),
}
_CALL = re.compile(r"call|invocation|command")
_BODIES = re.compile(
    r"expression_statement|statement_list|body|program|block|compound_statement|do_group|then|await|"
    r"assignment|variable_declarator|let_declaration"
)
_NOT_CALLS = frozenset({"command_name", "declaration_command", "test_command", "command_substitution"})
_LAST_WORD = re.compile(r"([\w$]+)[!?]?\s*$")
_TYPES = frozenset({"class", "struct", "union", "interface", "trait", "impl", "enum", "record"})


def comments_kept(proposal: Proposal) -> Check:
    """No comment that a tool reads is lost while its code stays; other lost ones are named and refuse nothing."""
    if obstacle(proposal.after):
        return Check(COMMENTS, False, f"not checked: {obstacle(proposal.after)}", checked=False)
    text = proposal.before.text
    left = Counter(_words(proposal.after, one) for one in comments(proposal.after, proposal.changed))
    lost: list[str] = []
    for one in comments(proposal.before, proposal.region):
        said = text[one.start : one.end]
        left[_words(proposal.before, one)] -= 1
        if left[_words(proposal.before, one)] >= 0:
            continue
        if proposal.complaint is not None and meets(proposal.complaint.span, one):
            continue
        if _DIRECTIVE.search(said) and _is_needed(proposal, one):
            return Check(COMMENTS, False, f"`{said.splitlines()[0]}` is gone")
        lost.append(said.splitlines()[0])
    if not lost or proposal.kind is ChangeKind.DOCUMENT:
        return Check(COMMENTS, True)
    return Check(COMMENTS, False, f"gone: {', '.join(f'`{one}`' for one in lost)}", checked=False)


def _words(snapshot: Snapshot, span: Span) -> str:
    return " ".join(snapshot.text[span.start : span.end].split())


def _is_needed(proposal: Proposal, comment: Span) -> bool:
    """Whether the code that the comment stands at is there still, or nothing may go at all."""
    if proposal.kind not in (ChangeKind.FIX, ChangeKind.REWRITE):
        return True
    lines, text = proposal.before.lines, proposal.before.text
    number = lines.line_of(comment.start)
    beside = text[lines.line_span(number).start : comment.start].strip()
    while not beside and number + 1 < lines.line_count:
        number += 1
        beside = lines.line_text(number).strip()
    return not beside or beside in proposal.text


def signature_kept(proposal: Proposal) -> Check:
    """The headers of the region's definitions, decorators and modifiers included; a fix may change what it is about."""
    name = "signature kept"
    before, after = proposal.before, proposal.after
    now = [one for one in symbols(after) if meets(one.span, proposal.changed)]
    held = [one for one in symbols(before) if is_inside(one.span, proposal.region) and _is_seen(before, one)]
    if proposal.symbol is not None and proposal.symbol not in held:
        held.append(proposal.symbol)
    for one in held:
        named = [each for each in now if (each.name, each.parents) == (one.name, one.parents)]
        if not any(_same_header(proposal, one, each) for each in named):
            return Check(name, False, f"it was `{_decorated(before, one)}`")
    lost = next(iter(_fields(before, held) - _fields(after, now)), None)
    return Check(name, lost is None, "" if lost is None else f"`{lost}` is gone from its class")


def _is_seen(snapshot: Snapshot, symbol: Symbol) -> bool:
    """Whether it can be used from outside: it does not stand in a routine."""
    around = (one for one in symbols(snapshot) if one != symbol and is_inside(symbol.span, one.span))
    return all(one.kind in _TYPES or one.kind in ("module", "namespace") for one in around)


def _same_header(proposal: Proposal, old: Symbol, new: Symbol) -> bool:
    had, has = tokens(proposal.before, old.header), tokens(proposal.after, new.header)
    complaint = proposal.complaint
    if proposal.kind is not ChangeKind.FIX or complaint is None or not meets(complaint.span, old.header):
        return [one.text for one in had] == [one.text for one in has]
    said = complaint.span
    must = [one.text for one in had if not said.start <= one.start < said.end and one.text[:1].isalnum()]
    rest = iter([one.text for one in has])
    return all(one in rest for one in must)  # in the same order, whatever came between


def _decorated(snapshot: Snapshot, symbol: Symbol) -> str:
    return " ".join(snapshot.text[symbol.header.start : symbol.header.end].split())


def _fields(snapshot: Snapshot, held: list[Symbol]) -> set[str]:
    """What classes bind outside of their methods."""
    names: set[str] = set()
    routines = [one.span for one in symbols(snapshot) if one.kind not in _TYPES]
    for one in held:
        if one.kind in _TYPES:
            for token in tokens(snapshot, one.span):
                if token.role in (Role.LOCAL, Role.DEFINITION) and not _within(token, routines):
                    names.add(token.text)
    return names


def _within(token: Token, spans: list[Span]) -> bool:
    return any(span.start <= token.start < span.end for span in spans)


def nothing_beside(proposal: Proposal) -> Check:
    """Where the region was definitions only, it still is: no statement runs beside them. A fix may import something."""
    name = "nothing beside it"
    said = _beside(proposal.before, proposal.region)
    new = _beside(proposal.after, proposal.changed)
    if proposal.kind is ChangeKind.FIX:
        held = imports(proposal.after)
        new = [one for one in new if not any(span.start <= one.start < span.end for span in held)]
    if said or not new:
        return Check(name, True)
    line = proposal.after.lines.line_text(proposal.after.lines.line_of(new[0].start)).strip()
    return Check(name, False, f"`{line}` does not belong to it")


def _beside(snapshot: Snapshot, span: Span) -> list[Token]:
    held = [one.span for one in symbols(snapshot)]
    held = [one for one in held if is_inside(one, span)]
    return [one for one in tokens(snapshot, span) if one.text not in (";", ",") and not _within(one, held)]


def effects_kept(proposal: Proposal) -> Check:
    """Calls that are made for what they do, and the ways out of the code; a fix may take away what it is about."""
    name = "effects kept"
    if obstacle(proposal.after):
        return Check(name, False, f"not checked: {obstacle(proposal.after)}", checked=False)
    has = {token.text for token in proposal.has}
    about = _line_of_complaint(proposal)
    for called, start in _called(proposal.before, proposal.region):
        is_about = about.start <= start < about.end or called in _READING
        if called not in has and not has & _REPLACED.get(called, frozenset()) and not is_about:
            return Check(name, False, f"`{called}` is not called any more")
    for token in proposal.had:
        if token.text not in _EXITS or token.kind != token.text or token.text in has:
            continue
        if about.start <= token.start < about.end or _is_implied(token.text, proposal.language, has):
            continue
        return Check(name, False, f"there is no `{token.text}` any more")
    return Check(name, True)


def _line_of_complaint(proposal: Proposal) -> Span:
    if proposal.complaint is None:
        return Span(0, 0)
    lines = proposal.before.lines
    return lines.line_span(lines.line_of(proposal.complaint.span.start))


def _is_implied(word: str, language: str, has: set[str]) -> bool:
    return word == "return" and (language in _VALUES_WITHOUT_RETURN or "=>" in has)


def _called(snapshot: Snapshot, span: Span) -> list[tuple[str, int]]:
    """What is called by statements that are a call, or keep what one gives: its last word, and where it begins."""
    known = syntax(snapshot)
    if known is None:
        return []
    first, final = known.bytes.byte(span.start), known.bytes.byte(span.end)
    found: list[tuple[str, int]] = []
    waiting = [known.tree.root_node]
    while waiting:
        node = waiting.pop()
        if node.end_byte <= first or node.start_byte >= final:
            continue
        if node.start_byte >= first and _is_statement(node):
            arguments = node.child_by_field_name("arguments")
            last = arguments.start_byte if arguments is not None else node.end_byte
            if node.type == "command":
                last = node.children[0].end_byte
            word = _LAST_WORD.search(known.data[node.start_byte : last].decode("utf-8", "surrogatepass"))
            if word is not None:
                found.append((word[1], known.bytes.character(node.start_byte)))
        waiting += node.children
    return found


def _is_statement(node: Node) -> bool:
    if not node.is_named or not _CALL.search(node.type) or node.type in _NOT_CALLS:
        return False
    parent = node.parent
    return parent is not None and _BODIES.search(parent.type) is not None and parent.type != "macro_invocation"
