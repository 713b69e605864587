"""The names that are local to a routine beyond doubt, and every place where each of them stands. Pure.

A name counts only where a declaration inside the routine is seen to hold for all of its occurrences there. Whatever
could be reached in another way - by a string, a key, a macro, a scope around - is left out: better none.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from tree_sitter import Node

from leanvibe_lsp.assist.changes.binding import Holds, binds, has_ancestor, holds
from leanvibe_lsp.assist.changes.facts import Role, Token, tokens
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.grammars import language_of, syntax
from leanvibe_lsp.documents.scopes import symbols
from leanvibe_lsp.documents.snapshot import Snapshot

_WORD = re.compile(r"[A-Za-z_$][\w$]*")
_FOREIGN = frozenset({"property_identifier", "private_property_identifier", "field_identifier"})
_NAMES = ("identifier", "constant", "variable_name", "name", "word", "identifier_pattern")
_ROUTINES = frozenset({"function", "method", "constructor"})
# What reads names when the program runs, by language.
_READERS = {
    "python": r"\b(?:locals|vars|eval|exec|globals|dir)\s*\(",
    "javascript": r"\beval\s*\(|\bwith\s*\(|\bFunction\s*\(",
    "typescript": r"\beval\s*\(|\bFunction\s*\(",
    "tsx": r"\beval\s*\(|\bFunction\s*\(",
    "php": r"\b(?:compact|extract|get_defined_vars|eval|parse_str)\s*\(|\$\$|\$\{|\b(?:include|require)",
    "ruby": r"\bbinding\b|eval\b|local_variable|\blocal_variables\b",
    "bash": r"\beval\b|-n\s|\$\{!|\bsource\b|^\s*\.\s",
    "csharp": r"\bnameof\s*\(",
}
_PHP_GLOBALS = frozenset({"global_declaration", "function_static_declaration", "dynamic_variable_name"})
_MACROS = re.compile(r"e?print(?:ln)?|format|write(?:ln)?|vec|panic|(?:debug_)?assert(?:_eq|_ne)?|matches|unreachable")


@dataclass(frozen=True, slots=True)
class _Place:
    """One occurrence of a name; `holds` where it is one that declares it."""

    node: Node
    holds: Holds | None


def local_names(snapshot: Snapshot, region: Span) -> dict[str, tuple[Span, ...]]:
    """The names in the order of the text, each with all its places in `region`, which is one routine's lines."""
    known, language = syntax(snapshot), language_of(snapshot.language_id, snapshot.path) or ""
    code = snapshot.text[region.start : region.end]
    if known is None or (language in _READERS and re.search(_READERS[language], code, re.MULTILINE)):
        return {}
    data, places = known.data, known.bytes
    start, end = places.byte(region.start), places.byte(region.end)
    found: defaultdict[str, list[_Place]] = defaultdict(list)
    barred = _barred(tokens(snapshot, region)) | _around(snapshot, region, language)
    for node in _leaves(known.tree.root_node, start, end):
        text = data[node.start_byte : node.end_byte].decode("utf-8", "surrogatepass")
        if not node.is_named or not node.type.endswith(_NAMES) or node.type in _FOREIGN or _is_member(node, data):
            continue
        if not _is_plain(node, language, data):
            barred.add(text)
        found[text].append(_Place(node, binds(node, language)))
    return {
        name: tuple(Span(places.character(one.node.start_byte), places.character(one.node.end_byte)) for one in stands)
        for name, stands in found.items()
        if name not in barred and _WORD.fullmatch(name) and not name.startswith("_") and _all_held(stands, start, end)
    }


def words_of(snapshot: Snapshot, region: Span) -> frozenset[str]:
    """Every word of the code and its strings."""
    found: set[str] = set()
    for token in tokens(snapshot, region, prose=True):
        found.update(_WORD.findall(token.text))
    return frozenset(found)


def _leaves(root: Node, start: int, end: int) -> Iterator[Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.end_byte <= start or node.start_byte >= end or "comment" in node.type:
            continue
        if node.child_count:
            waiting += reversed(node.children)
        elif node.start_byte >= start:
            yield node


def _barred(found: tuple[Token, ...]) -> set[str]:
    """Words in strings and symbols, and names that are also something else here."""
    barred: set[str] = set()
    for token in found:
        if token.role in (Role.PARAMETER, Role.DEFINITION, Role.IMPORT):
            barred.add(token.text)
        elif token.role is Role.CODE and token.text != token.kind and token.kind != "jsx_text":
            barred.update(_WORD.findall(token.text))
            barred.update(word.strip("$") for word in _WORD.findall(token.text))
    return barred


def _around(snapshot: Snapshot, region: Span, language: str) -> set[str]:
    """The words that stand in the scopes around the region; in a shell, where callees see them, anywhere."""
    text = snapshot.text
    beside: list[Span] = []
    if language != "bash":
        inner = [one.span for one in symbols(snapshot) if one.kind in _ROUTINES]
        beside = [span for span in inner if span.end <= region.start or region.end <= span.start]
    kept: list[str] = []
    at = 0
    for span in sorted([*beside, region], key=lambda span: span.start):
        if span.start >= at:
            kept.append(text[at : span.start])
        at = max(at, span.end)
    kept.append(text[at:])
    # Not the members of something; a comment's words count too: to look closer is not worth it.
    found = re.findall(r"(?<![\w$.])\$?([A-Za-z_$][\w$]*)", "\n".join(kept))
    return {*found, *(word.lstrip("$") for word in found)}


def _is_member(node: Node, data: bytes) -> bool:
    """Whether it is surely a name of another kind: behind a dot, or the name of an argument."""
    parent = node.parent
    if parent is None:
        return False
    before = data[max(0, node.start_byte - 80) : node.start_byte].rstrip()
    if parent.type == "variable_name":  # PHP's
        return before.endswith(b"::$")
    if before.endswith((b"->", b"::", b"?.")) or (before.endswith(b".") and not before.endswith(b"..")):
        return True
    if node.type == "name":
        return True
    field = parent.field_name_for_child(parent.children.index(node)) or ""
    if parent.type in ("keyword_argument", "argument", "method_invocation"):
        return field == "name"
    if parent.type == "assignment_expression" and parent.parent is not None:
        return field == "left" and parent.parent.type == "initializer_expression"
    return parent.type == "call" and field == "method"


def _is_plain(node: Node, language: str, data: bytes) -> bool:
    """Whether nothing but a scope says what the name means here, and its spelling is not seen at run time."""
    if node.type not in ("identifier", "variable_name", "name"):
        return False
    parent = node.parent
    assert parent is not None, "a name is not all of a text"
    if parent.type.startswith(("shorthand", "anonymous_object", "label", "lifetime", "goto", "jsx_")):
        return parent.type == "jsx_expression"
    if language == "python":
        debug = has_ancestor(node, {"interpolation"})
        if debug is not None and any(child.type == "=" for child in debug.children):
            return False
        return has_ancestor(node, {"case_pattern", "keyword_pattern", "global_statement", "nonlocal_statement"}) is None
    if language == "php":
        return has_ancestor(node, _PHP_GLOBALS) is None
    if language == "bash":  # a child process sees what is exported
        command = has_ancestor(node, {"declaration_command"})
        return command is None or command.children[0].type in ("local", "declare", "typeset")
    if language == "go":
        return has_ancestor(node, {"keyed_element"}) is None or not _is_key(node)
    if language == "csharp":
        return parent.type != "argument" or parent.parent is None or parent.parent.type != "tuple_expression"
    if language == "rust" and (macro := has_ancestor(node, {"macro_invocation"})) is not None:
        called = macro.child_by_field_name("macro")
        named = data[node.end_byte : node.end_byte + 3].lstrip()
        assigned = named.startswith(b"=") and not named.startswith(b"==")
        return (
            called is not None
            and called.text is not None
            and not assigned
            and bool(_MACROS.fullmatch(called.text.decode()))
        )
    return not parent.type.startswith("labeled")


def _is_key(node: Node) -> bool:
    element = has_ancestor(node, {"literal_element"})
    keyed = element.parent if element is not None else None
    return keyed is not None and keyed.child_by_field_name("key") == element


def _all_held(stands: list[_Place], start: int, end: int) -> bool:
    """Whether a declaration inside the region holds for each of the places."""
    if any(one.holds is not None and one.holds.is_foreign for one in stands):
        return False
    inside = [one.holds for one in stands if one.holds is not None]
    inside = [one for one in inside if start <= one.start and one.end <= end]
    return bool(inside) and all(
        one.holds in inside if one.holds is not None else any(holds(each, one.node) for each in inside)
        for one in stands
    )
