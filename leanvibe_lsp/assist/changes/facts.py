"""What a syntax tree says that a change is held against: its tokens, what each name is there for, where it is broken.

The same for all grammars, by the names they share; where one of them says it in another way a name is only a use, and
the checks that build on this refuse more than they have to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import pairwise

from tree_sitter import Node, TreeCursor

from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.bytemap import ByteMap
from leanvibe_lsp.documents.grammars import language_of, syntax
from leanvibe_lsp.documents.snapshot import Snapshot

_NAMES = ("identifier", "constant", "variable_name", "name", "word")
_MEMBER_FIELDS = frozenset({"attribute", "property", "field", "method"})
_MEMBER_TYPES = ("property_identifier", "field_identifier", "label")
_MEMBER_PARENTS = ("member", "selector", "field_expression", "qualified", "scoped", "method_invocation")
_BINDING_FIELDS = frozenset({"left", "pattern", "alias", "declarator"})
_NAMING_PARENTS = ("declarator", "_spec", "named_expression", "parameter", "for_statement")
# Whose `left` is given a value; that of other operators is only read.
_ASSIGNING = ("assign", "declaration", "for", "range_clause")
_THROUGH = ("pattern", "list", "tuple", "declarator", "splat", "target", "variable_name")
_IMPORTS = ("import", "use_declaration", "using_directive", "preproc_include")
_NO_SCOPES = ("body", "invocation", "call", "declarator", "type")
_SCOPES = ("function", "method", "lambda", "closure", "class", "arrow")
# Nodes in which blanks between the children are text too.
_TEXTUAL = ("string", "heredoc", "template", "format_specifier", "regex", "char_literal", "character")


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
    """A leaf of the tree that is no comment, or text between leaves; `depth` counts functions and classes around it."""

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
    known = syntax(snapshot)
    if known is None:
        return None
    places = known.bytes
    found: list[Flaw] = []
    waiting = [known.tree.root_node]
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

    Python's strings that are statements of their own, its docstrings, are left out unless `prose` is wanted.
    """
    known = syntax(snapshot)
    if known is None:
        return ()
    data, places = known.data, known.bytes
    start, end = places.byte(span.start), places.byte(span.end)
    prose = prose or language_of(snapshot.language_id, snapshot.path) != "python"
    found: list[Token] = []
    for path in _nodes(known.tree.walk(), start, end, prose):
        node = path[-1][0]
        if node.child_count:
            found += _between(data, places, path)
        elif node.end_byte > node.start_byte >= start:
            found.append(_token(data, places, path))
    return tuple(sorted((token for token in found if token.start >= span.start), key=lambda token: token.start))


def comments(snapshot: Snapshot, span: Span) -> tuple[Span, ...]:
    """Where the comments are that begin inside `span`; none when the text cannot be parsed."""
    known = syntax(snapshot)
    if known is None:
        return ()
    places = known.bytes
    start, end = places.byte(span.start), places.byte(span.end)
    found: list[Span] = []
    waiting = [known.tree.root_node]
    while waiting:
        node = waiting.pop()
        if node.end_byte <= start or node.start_byte >= end:
            continue
        if "comment" in node.type:
            found.append(Span(places.character(node.start_byte), places.character(node.end_byte)))
        else:
            waiting += reversed(node.children)
    return tuple(one for one in found if span.start <= one.start < span.end)


# From the root to a leaf: each node, and the name of the field in which it stands in the one before.
_Path = list[tuple[Node, str]]


def _nodes(cursor: TreeCursor, start: int, end: int, prose: bool) -> Iterator[_Path]:
    """Every node that is not outside, no comment and in none; the path is one list that goes on changing."""
    path: _Path = []
    while True:
        node = cursor.node
        assert node is not None
        path.append((node, cursor.field_name or ""))
        outside = node.end_byte <= start or node.start_byte >= end
        skipped = outside or "comment" in node.type or (not prose and _is_prose(node))
        if not skipped:
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


def _between(data: bytes, places: ByteMap, path: _Path) -> Iterator[Token]:
    """The node's own text between its children: the words of a string around an escape."""
    node = path[-1][0]
    ends = (node.start_byte, *(child.end_byte for child in node.children))
    begins = (*(child.start_byte for child in node.children), node.end_byte)
    for start, end in zip(ends, begins, strict=True):
        text = data[start:end].decode("utf-8", "surrogatepass")
        if text.strip() or (text and _has(node.type, _TEXTUAL)):
            yield Token(f"{node.type} text", text, Role.CODE, places.character(start), _depth(path))


def _token(data: bytes, places: ByteMap, path: _Path) -> Token:
    node = path[-1][0]
    text = data[node.start_byte : node.end_byte].decode("utf-8", "surrogatepass")
    role = _role(path) if node.is_named and node.type.endswith(_NAMES) else Role.CODE
    return Token(node.type, text, role, places.character(node.start_byte), _depth(path))


def _depth(path: _Path) -> int:
    # The name of a function stands outside of it.
    inner = pairwise(path)
    return sum(1 for (one, _), (_, field) in inner if _is_scope(one.type) and field not in ("name", "declarator"))


@cache
def _is_scope(kind: str) -> bool:
    return _has(kind, _SCOPES) and not _has(kind, _NO_SCOPES)


def _role(path: _Path) -> Role:
    node, name = path[-1]
    parent = path[-2][0].type if len(path) > 1 else ""
    if any(_has(one.type, _IMPORTS) for one, _ in path[:-1]):
        return Role.IMPORT
    if node.type.startswith("shorthand"):
        return Role.MEMBER
    if name in ("name", "property") and parent.endswith("field_definition"):
        return Role.DEFINITION
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
        if name == "left" and not _has(parent.type, _ASSIGNING):
            return Role.USE
        if name in _BINDING_FIELDS or (name == "name" and _has(parent.type, _NAMING_PARENTS)):
            return Role.LOCAL
        if not _has(parent.type, _THROUGH) or (name in ("value", "type", "right") and "pattern" not in parent.type):
            return Role.USE
    return Role.USE


def _has(text: str, parts: tuple[str, ...]) -> bool:
    return any(part in text for part in parts)
