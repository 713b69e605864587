"""What a syntax tree says that a change is held against: its tokens, what each name is there for, where it is broken.

The same for all grammars, by the names they share; where one of them says it in another way a name is only a use, and
the checks that build on this refuse more than they have to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from tree_sitter import Node, TreeCursor

from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.bytemap import ByteMap
from leanvibe_lsp.documents.grammars import encoded, parse
from leanvibe_lsp.documents.snapshot import Snapshot

_NAMES = ("identifier", "constant", "variable_name", "name", "word")
_MEMBER_FIELDS = frozenset({"attribute", "property", "field", "method"})
_MEMBER_TYPES = ("property_identifier", "field_identifier", "label")
_MEMBER_PARENTS = ("member", "selector", "field_expression", "qualified", "scoped", "method_invocation")
_BINDING_FIELDS = frozenset({"left", "pattern", "alias", "declarator"})
_NAMING_PARENTS = ("declarator", "_spec", "named_expression", "parameter", "for_statement")
_THROUGH = ("pattern", "list", "tuple", "declarator", "splat", "target", "variable_name")
_IMPORTS = ("import", "use_declaration", "using_directive", "preproc_include")
_NO_SCOPES = ("body", "invocation", "call", "declarator", "type")
_SCOPES = ("function", "method", "lambda", "closure", "class", "arrow")


class Role(StrEnum):
    """What a token is there for."""

    CODE = "code"  # no name
    USE = "use"
    LOCAL = "local"  # bound by an assignment, a loop, a pattern
    PARAMETER = "parameter"
    DEFINITION = "definition"
    IMPORT = "import"
    MEMBER = "member"  # of something else: an attribute, a keyword argument, a key


@dataclass(frozen=True, slots=True)
class Token:
    """A leaf of the tree that is no comment; `depth` counts the functions and classes around it."""

    kind: str
    text: str
    role: Role
    start: int
    depth: int


@dataclass(frozen=True, slots=True)
class Flaw:
    """A place that the grammar could not read (`ERROR`), or where it had to add something (the name of that)."""

    kind: str
    span: Span


def flaws(snapshot: Snapshot) -> tuple[Flaw, ...] | None:
    """All of them, outermost only, in the order of the text; None when the text cannot be parsed at all."""
    tree = parse(snapshot)
    if tree is None:
        return None
    places = ByteMap(encoded(snapshot.text))
    found: list[Flaw] = []
    waiting = [tree.root_node]
    while waiting:
        node = waiting.pop()
        if node.is_error or node.is_missing:
            span = Span(places.character(node.start_byte), places.character(node.end_byte))
            found.append(Flaw("ERROR" if node.is_error else node.type, span))
        elif node.has_error:
            waiting += reversed(node.children)
    return tuple(found)


def tokens(snapshot: Snapshot, span: Span, *, prose: bool = False) -> tuple[Token, ...]:
    """The tokens that begin inside `span`; none when the text cannot be parsed.

    Strings that are statements of their own (Python's docstrings) are left out unless `prose` is wanted.
    """
    tree = parse(snapshot)
    if tree is None:
        return ()
    data = encoded(snapshot.text)
    places = ByteMap(data)
    start = len(encoded(snapshot.text[: span.start]))
    end = start + len(encoded(snapshot.text[span.start : span.end]))
    found = _leaves(tree.walk(), start, end, prose)
    return tuple(_token(data, places, path) for path in found)


# From the root to a leaf: each node, and the name of the field in which it stands in the one before.
_Path = list[tuple[Node, str]]


def _leaves(cursor: TreeCursor, start: int, end: int, prose: bool) -> Iterator[_Path]:
    path: _Path = []
    while True:
        node = cursor.node
        assert node is not None
        path.append((node, cursor.field_name or ""))
        outside = node.end_byte <= start or node.start_byte >= end
        skipped = outside or "comment" in node.type or (not prose and _is_prose(node))
        if not skipped and not node.child_count and node.end_byte > node.start_byte >= start:
            yield path
        if not skipped and cursor.goto_first_child():
            continue
        path.pop()
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return
            path.pop()


def _is_prose(node: Node) -> bool:
    inner = node.named_child(0) if node.type == "expression_statement" and node.named_child_count == 1 else None
    return inner is not None and inner.type == "string"


def _token(data: bytes, places: ByteMap, path: _Path) -> Token:
    node = path[-1][0]
    text = data[node.start_byte : node.end_byte].decode("utf-8", "surrogatepass")
    # The name of a function stands outside of it.
    inner = pairwise(path)
    depth = sum(1 for (one, _), (_, field) in inner if _is_scope(one.type) and field not in ("name", "declarator"))
    role = _role(path) if node.is_named and node.type.endswith(_NAMES) else Role.CODE
    return Token(node.type, text, role, places.character(node.start_byte), depth)


def _is_scope(kind: str) -> bool:
    return _has(kind, _SCOPES) and not _has(kind, _NO_SCOPES)


def _role(path: _Path) -> Role:
    node, name = path[-1]
    parent = path[-2][0].type if len(path) > 1 else ""
    if any(_has(one.type, _IMPORTS) for one, _ in path[:-1]):
        return Role.IMPORT
    if node.type.startswith("shorthand"):
        return Role.MEMBER
    if name in _MEMBER_FIELDS or node.type in _MEMBER_TYPES or (parent == "keyword_argument" and name == "name"):
        return Role.MEMBER
    if name == "name" and parent.endswith(("definition", "declaration", "_item")) and "parameter" not in parent:
        return Role.DEFINITION
    if _has(parent, _MEMBER_PARENTS) and name in ("name", "field"):
        return Role.MEMBER
    return _bound(path)


def _bound(path: _Path) -> Role:
    """Whether the name is bound where it stands: through patterns and lists up to what binds."""
    for (_, name), (parent, _) in zip(path[::-1], path[-2::-1], strict=False):
        if "parameter" in parent.type:
            return Role.USE if name in ("value", "type", "default_value") else Role.PARAMETER
        if name in _BINDING_FIELDS or (name == "name" and _has(parent.type, _NAMING_PARENTS)):
            return Role.LOCAL
        if not _has(parent.type, _THROUGH) or (name in ("value", "type", "right") and "pattern" not in parent.type):
            return Role.USE
    return Role.USE


def _has(text: str, parts: tuple[str, ...]) -> bool:
    return any(part in text for part in parts)
