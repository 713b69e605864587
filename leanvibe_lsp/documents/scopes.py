"""The definitions of a document: what they are called, where they stand, what they look like from outside.

One query a language (`queries/*.scm`) says what a definition is; everything else here is the same for all of them.
Broken code gives what tree-sitter could still recognise. Deliberately absent: variables, and anything that needs more
than this file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from threading import Lock
from weakref import WeakKeyDictionary

from tree_sitter import Node, Query, QueryCursor, Tree

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.bytemap import ByteMap
from leanvibe_lsp.documents.docs import comment_text, python_docstring, string_text
from leanvibe_lsp.documents.grammars import encoded, grammar, language_of, parse
from leanvibe_lsp.documents.snapshot import Snapshot

_QUERY_OF = {"tsx": "typescript"}
_ROLES = frozenset({"name", "declarator", "body", "parent", "outer", "of", "import", "comment"})
_TYPE_KINDS = frozenset({"class", "struct", "union", "interface", "trait", "impl", "enum", "record"})
_SPACES = frozenset({"module", "namespace"})
_WORD = re.compile(r"[\w$]+")
_ATTRIBUTE = re.compile(r"\s*(?:#?\[.*\]|@[^{;]*)\s*")
_IDENTIFIERS = ("identifier", "constant", "word", "name")


@dataclass(frozen=True, slots=True)
class Symbol:
    """One definition. `span` includes decorators and `export`; `header` is the part of it before the body.

    `signature` is the header on one line, without decorators; `docstring` is dedented, "" when there is none; `parents`
    are the names around it, outermost first; `line_count` counts the lines that `span` touches.
    """

    name: str
    kind: str
    span: Span
    name_span: Span
    header: Span
    signature: str
    docstring: str
    parents: tuple[str, ...]
    line_count: int


@dataclass(frozen=True, slots=True)
class Outline:
    """What one parse says about a document's structure; `preamble` is the file's own docstring or first comment."""

    symbols: tuple[Symbol, ...] = ()
    imports: tuple[Span, ...] = ()
    preamble: Span | None = None


# An outline lives as long as the text it is about; closing a document frees both.
_outlines: WeakKeyDictionary[LineIndex, tuple[str, Outline]] = WeakKeyDictionary()
_lock = Lock()


def outline(snapshot: Snapshot) -> Outline:
    """The structure of the document; empty when it cannot be parsed (`grammars.obstacle` says why). Any thread."""
    language = language_of(snapshot.language_id, snapshot.path)
    if language is None or _query(language) is None:
        return Outline()
    with _lock:
        known = _outlines.get(snapshot.lines)
    if known is not None and known[0] == language:
        return known[1]
    tree = parse(snapshot)
    found = Outline() if tree is None else _Reader(snapshot, language, tree).outline()
    with _lock:
        _outlines[snapshot.lines] = (language, found)
    return found


def symbols(snapshot: Snapshot) -> tuple[Symbol, ...]:
    """Every definition in the order of the text; one that contains others comes before them."""
    return outline(snapshot).symbols


def imports(snapshot: Snapshot) -> tuple[Span, ...]:
    """The import statements outside functions and classes, in the order of the text."""
    return outline(snapshot).imports


def enclosing(snapshot: Snapshot, offset: int) -> Symbol | None:
    """The innermost definition around a code-point offset; its very end belongs to it, unless another begins there."""
    around = chain(snapshot, offset)
    return around[-1] if around else None


def chain(snapshot: Snapshot, offset: int) -> tuple[Symbol, ...]:
    """All definitions around an offset, outermost first."""
    found = [symbol for symbol in symbols(snapshot) if symbol.span.start <= offset <= symbol.span.end]
    return tuple(symbol for symbol in found if offset < symbol.span.end or not _begins_at(found, offset))


def symbol_at(snapshot: Snapshot, offset: int) -> Symbol | None:
    """The definition whose name is under the cursor: itself, or the one of this file that the identifier there names.

    Of several with that name the one nearest in scope. None on anything else, and in comments and strings.
    """
    word = _word_at(snapshot.text, offset)
    if word is None:
        return None
    name = snapshot.text[word.start : word.end]
    named = [symbol for symbol in symbols(snapshot) if _bare(symbol.name) == _bare(name)]
    for symbol in named:
        if symbol.name_span.start <= word.start and word.end <= symbol.name_span.end:
            return symbol
    if not named or not _is_identifier(snapshot, word):
        return None
    here = tuple(symbol.name for symbol in chain(snapshot, word.start))
    return max(named, key=lambda symbol: _shared(symbol.parents, here))


def _begins_at(found: list[Symbol], offset: int) -> bool:
    return any(symbol.span.start == offset for symbol in found)


def _word_at(text: str, offset: int) -> Span | None:
    """The word that touches the offset."""
    start = max(0, min(offset, len(text)))
    while start > 0 and _WORD.match(text[start - 1]):
        start -= 1
    found = _WORD.match(text, start)
    return Span(start, found.end()) if found and found.end() >= offset else None


def _bare(name: str) -> str:
    """The name without the marks that belong to it in its language only: `#x`, `~X`, `x?`."""
    return name.strip("#~?!=@")


def _is_identifier(snapshot: Snapshot, word: Span) -> bool:
    tree = parse(snapshot)
    if tree is None:
        return False
    start = len(encoded(snapshot.text[: word.start]))
    node = tree.root_node.descendant_for_byte_range(start, start + len(encoded(snapshot.text[word.start : word.end])))
    return node is not None and node.type.endswith(_IDENTIFIERS)


def _shared(parents: tuple[str, ...], here: tuple[str, ...]) -> int:
    """How many names two paths share from the outside; less for a symbol whose scope is not around here."""
    same = 0
    for one, other in zip(parents, here, strict=False):
        if one != other:
            break
        same += 1
    return same if same == len(parents) else same - len(parents)


@cache
def _query(language: str) -> Query | None:
    """The compiled query, or None for a language without one or without a grammar."""
    source = files("leanvibe_lsp.documents") / "queries" / f"{_QUERY_OF.get(language, language)}.scm"
    found = grammar(language)
    return Query(found, source.read_text(encoding="utf-8")) if found is not None and source.is_file() else None


class _Reader:
    """Turns the matches of one query on one text into an outline."""

    def __init__(self, snapshot: Snapshot, language: str, tree: Tree) -> None:
        self._snapshot = snapshot
        self._python = language == "python"
        self._root = tree.root_node
        self._map = ByteMap(encoded(snapshot.text))
        self._most = limit("document.signature_characters")
        self._comments: dict[int, Node] = {}  # last line -> the comment that begins its own line
        self._outer: dict[int, Node] = {}  # id of a definition's node -> the node around it
        self._definitions: dict[int, tuple[str, Mapping[str, list[Node]]]] = {}
        self._imports: list[Node] = []
        query = _query(language)
        matches = [] if query is None else QueryCursor(query).matches(self._root)
        # Matches come in the order in which they end; the more telling pattern stands first in the query file.
        for _, captures in sorted(matches, key=lambda match: match[0]):
            self._take(captures)

    def outline(self) -> Outline:
        found = [self._symbol(kind, captures) for kind, captures in self._definitions.values()]
        nested = _nest(sorted(found, key=lambda symbol: (symbol.span.start, -symbol.span.end)))
        return Outline(nested, self._import_spans(nested), self._preamble())

    def _take(self, captures: Mapping[str, list[Node]]) -> None:
        if "comment" in captures:
            node = captures["comment"][0]
            if not self._line_before(node).strip():
                self._comments[self._last_line(node)] = node
        elif "import" in captures:
            self._imports.append(captures["import"][0])
        elif "outer" in captures:
            outer, inner = captures["outer"][0], captures["of"][0]
            if outer.end_byte <= inner.end_byte + 1:  # a group of several ends later; one byte is a semicolon
                self._outer[inner.id] = outer
        else:
            kind = next(name for name in captures if name not in _ROLES and not name.startswith("_"))
            self._definitions.setdefault(captures[kind][0].id, (kind, captures))

    def _symbol(self, kind: str, captures: Mapping[str, list[Node]]) -> Symbol:
        node = captures[kind][0]
        outer = self._outer.get(node.id, node)
        body = captures["body"][0] if "body" in captures else None
        parents = tuple(self._plain(parent) for parent in captures.get("parent", ()))
        if "declarator" in captures:
            parents, name = self._declared(captures["declarator"][0])
        else:
            name = captures["name"][0]
        span, name_span = self._span(outer), self._span(name)
        start = self._map.character(self._signature_start(outer, node))
        # In broken Python code the body begins late; the colon is where the header ends.
        colon = next((child for child in node.children if child.type == ":"), None) if self._python else None
        inside = colon or body
        header_end = self._trimmed(outer.start_byte, inside.start_byte).end if inside is not None else span.end
        header_end = max(start, min(header_end, span.end))
        lines = self._snapshot.lines
        return Symbol(
            name=self._plain(name),
            kind="method" if kind == "function" and parents else kind,
            span=span,
            name_span=name_span,
            header=Span(span.start, header_end),
            signature=self._signature(start, header_end, whole=body is None),
            docstring=self._docstring(span.start, body),
            parents=parents,
            line_count=lines.line_of(max(span.start, span.end - 1)) - lines.line_of(span.start) + 1,
        )

    def _signature_start(self, outer: Node, node: Node) -> int:
        """Decorators stand above the signature; `export`, `template <...>` and `type` are part of it."""
        return node.start_byte if outer.type == "decorated_definition" else outer.start_byte

    def _signature(self, start: int, end: int, *, whole: bool) -> str:
        text = self._snapshot.text[start : min(end, start + 4 * self._most)]
        if whole and "\n" in text and "{" in text:  # no body was found: what stands before the first brace will do
            text = text.partition("{")[0]
        return one_line(text)[: self._most].rstrip()

    def _docstring(self, start: int, body: Node | None) -> str:
        literal = python_docstring(body) if self._python else None
        if literal is not None:
            return string_text(self._text(literal))
        lines = self._snapshot.lines
        line, parts = lines.line_of(start) - 1, list[str]()
        if self._snapshot.text[lines.line_span(line + 1).start : start].strip():
            return ""  # something else stands before it on its line, and the comment is about that
        while line >= 0:
            comment = self._comments.get(line)
            if comment is not None:
                parts.append(self._text(comment).rstrip("\r\n"))
                line = lines.line_of(self._map.character(comment.start_byte)) - 1
            elif _ATTRIBUTE.fullmatch(lines.line_text(line)):
                line -= 1  # an attribute between the comment and the definition
            else:
                break
        return comment_text("\n".join(reversed(parts)))

    def _declared(self, node: Node) -> tuple[tuple[str, ...], Node]:
        """The name inside a C declarator, through pointers, references and parameters, and its `A::B::` scopes."""
        scopes: list[str] = []
        while True:
            inner = node.child_by_field_name("declarator")
            if node.type == "qualified_identifier":
                scope, inner = node.child_by_field_name("scope"), node.child_by_field_name("name")
                if scope is not None:
                    scopes.append(self._plain(scope))
            elif inner is None and node.type.endswith("_declarator") and node.named_child_count:
                inner = node.named_child(node.named_child_count - 1)
            if inner is None:
                return tuple(scopes), node
            node = inner

    def _import_spans(self, nested: tuple[Symbol, ...]) -> tuple[Span, ...]:
        spans, closed = list[Span](), 0
        closing = iter([symbol.span for symbol in nested if symbol.kind not in _SPACES])
        current = next(closing, None)
        for span in sorted((self._span(node) for node in self._imports), key=lambda span: span.start):
            while current is not None and current.start <= span.start:
                closed = max(closed, current.end)
                current = next(closing, None)
            if span.start >= closed and (not spans or span.start >= spans[-1].end):
                spans.append(span)
        return tuple(spans)

    def _preamble(self) -> Span | None:
        literal = python_docstring(self._root) if self._python else None
        if literal is not None:
            return self._span(literal)
        start = end = -1
        for child in self._root.children:
            if "comment" not in child.type and child.type not in ("hash_bang_line", "php_tag"):
                break
            start = child.start_byte if start < 0 else start
            end = child.end_byte
        return None if start < 0 else self._trimmed(start, end)

    def _plain(self, node: Node) -> str:
        """A name without type arguments: `Foo` of `Foo<T>`, `P` of `*P[T]`."""
        text = self._text(node)
        if node.type.startswith(("generic", "pointer", "reference", "template")) or node.type == "impl_item":
            text = re.split(r"[<\[]", text.lstrip("*& "))[0]
        return " ".join(text.split())

    def _line_before(self, node: Node) -> str:
        at = self._map.character(node.start_byte)
        return self._snapshot.text[self._snapshot.lines.line_span(self._snapshot.lines.line_of(at)).start : at]

    def _last_line(self, node: Node) -> int:
        return self._snapshot.lines.line_of(max(self._trimmed(node.start_byte, node.end_byte).end - 1, 0))

    def _span(self, node: Node) -> Span:
        return self._trimmed(node.start_byte, node.end_byte)

    def _trimmed(self, start_byte: int, end_byte: int) -> Span:
        """Some nodes hold the line ending behind them; a span never does."""
        start, end = self._map.character(start_byte), self._map.character(end_byte)
        while end > start and self._snapshot.text[end - 1] in " \t\r\n":
            end -= 1
        return Span(start, end)

    def _text(self, node: Node) -> str:
        return self._snapshot.text[self._map.character(node.start_byte) : self._map.character(node.end_byte)]


def one_line(header: str) -> str:
    """A header on one line, without comments after a line, trailing comma, or the mark that opens the body."""
    if "\n" in header or "\r" in header:
        header = re.sub(r"(?m)(?:^|(?<=[\s,({\[]))(?:#(?!\[)|//)[^\r\n\"']*$", "", header)
        header = re.sub(r"([(\[<])\s*[\r\n]\s*", r"\1", header)
        header = re.sub(r",?\s*[\r\n]\s*([)\]>])", r"\1", header)
    text = " ".join(header.split())
    while text.endswith(("{", ":", "=", "=>", ";")) and not text.endswith("operator="):
        text = text[:-1].rstrip().removesuffix("=").rstrip() if text.endswith("=>") else text[:-1].rstrip()
    return text


def _nest(found: list[Symbol]) -> tuple[Symbol, ...]:
    """Give every symbol the names of those around it; a function directly in a type is a method."""
    nested: list[Symbol] = []
    around: list[Symbol] = []
    for symbol in found:
        while around and around[-1].span.end < symbol.span.end:
            around.pop()
        while around and around[-1].span.end <= symbol.span.start:
            around.pop()
        parent = around[-1] if around else None
        if parent is not None:
            kind = "method" if symbol.kind == "function" and parent.kind in _TYPE_KINDS else symbol.kind
            symbol = replace(symbol, kind=kind, parents=(*parent.parents, parent.name, *symbol.parents))
        nested.append(symbol)
        around.append(symbol)
    return tuple(nested)
