"""Reads definitions out of a syntax tree: one query a language (`queries/*.scm`) says what a definition is.

Of an edited text only the places that changed are read again; what stands elsewhere is moved to where it is now.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from sys import intern

from tree_sitter import Node, Query

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.docs import children, comment_kinds, comment_text, python_docstring, string_text
from leanvibe_lsp.documents.grammars import grammar
from leanvibe_lsp.documents.parameters import listed_names, parameter_names
from leanvibe_lsp.documents.queries import matches
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.documents.symbols import Outline, Own, Symbol, nest, outside
from leanvibe_lsp.documents.syntax import Earlier, Syntax
from leanvibe_lsp.documents.unfinished import extent

_QUERIES = Path(__file__).parent / "queries"
_QUERY_OF = {"tsx": "typescript"}
_ROLES = frozenset({"name", "declarator", "body", "parent", "outer", "of", "import", "error"})
_ATTRIBUTE = re.compile(r"\s*(?:#?\[.*\]|@[^{;]*)\s*")


@dataclass(frozen=True, slots=True)
class Reading:
    """An outline, and what it takes to make the next text's outline from it.

    `own` has for each symbol its kind and parents as they are before the symbols around it are known; `imports` are
    those inside functions too; `unfinished` says that some symbols are known by their headers alone.
    """

    outline: Outline
    own: tuple[Own, ...]
    imports: tuple[Span, ...]
    unfinished: bool


def query_of(language: str) -> Query | None:
    """The compiled query, or None for a language without one or without a grammar."""
    return _query(_QUERY_OF.get(language, language), language)


def read(snapshot: Snapshot, language: str, syntax: Syntax, earlier: Earlier[Reading] | None) -> Reading:
    """The outline of a text; `earlier` is that of a text it was made from. The language has a query."""
    if earlier is not None and earlier.value.unfinished:
        earlier = None  # how far a header reaches depends on lines far away
    if earlier is not None and _is_broken(syntax, earlier.changed):
        earlier = None  # nor is what broken code was mended to only up to the code beside it
    place = Span(0, len(snapshot.text)) if earlier is None else _place(snapshot, syntax, earlier.changed)
    reader = _Reader(snapshot, language, syntax, place)
    if syntax.tangled:
        return Reading(Outline(), (), (), True)
    if reader.unfinished and earlier is not None:
        return read(snapshot, language, syntax, None)
    found = [one for one in reader.symbols() if _touch(one[0].span, place)]
    imports = [span for span in reader.imports() if _touch(span, place)]
    if earlier is not None:
        names = {symbol.name_span for symbol, _ in found}
        found += (one for one in _kept_symbols(earlier, place) if one[0].name_span not in names)
        imports += _kept_spans(earlier, place)
    found.sort(key=lambda one: (one[0].span.start, -one[0].span.end))
    imports.sort(key=lambda span: span.start)
    symbols = nest(found)
    outline = Outline(symbols, outside(imports, symbols), reader.preamble())
    return Reading(outline, tuple(own for _, own in found), tuple(imports), reader.unfinished)


def _is_broken(syntax: Syntax, changed: tuple[Span, ...]) -> bool:
    """Whether what stands at the top level where the text changed, or beside it, has errors."""
    root = syntax.tree.root_node
    if not root.has_error or root.is_error:
        return root.has_error
    first, last = (syntax.bytes.byte(at) for at in (changed[0].start, changed[-1].end))
    cursor = root.walk()
    if cursor.goto_first_child_for_byte(max(first - 1, 0)) is None:
        cursor.goto_last_child()
    cursor.goto_previous_sibling()
    while (node := cursor.node) is not None and not node.has_error:
        if node.start_byte > last or not cursor.goto_next_sibling():
            return False
    return True


def _place(snapshot: Snapshot, syntax: Syntax, changed: tuple[Span, ...]) -> Span:
    """What to read again: the lines that changed, and those behind them up to an empty one.

    A comment above a definition is about it when no empty line stands between.
    """
    lines, text, root = snapshot.lines, snapshot.text, syntax.tree.root_node
    start, end = changed[0].start, changed[-1].end
    for at in (start, end):
        byte = syntax.bytes.byte(at)
        node = root.descendant_for_byte_range(byte, byte)
        if node is not None and "comment" in node.type:
            start = min(start, syntax.bytes.character(node.start_byte))
            end = max(end, syntax.bytes.character(node.end_byte))
    first, last = lines.line_of(max(start - 1, 0)), lines.line_of(min(end + 1, len(text)))
    while last < lines.line_count - 1 and lines.line_text(last).strip():
        last += 1
    return Span(lines.line_span(first).start, lines.line_span(last).end)


def _touch(span: Span, place: Span) -> bool:
    return span.start <= place.end and span.end >= place.start


def _kept_symbols(earlier: Earlier[Reading], place: Span) -> Iterator[tuple[Symbol, Own]]:
    """The symbols that stand wholly outside of the place, where they are now. No edit was made outside of it."""
    shift = _shift(earlier)
    for symbol, own in zip(earlier.value.outline.symbols, earlier.value.own, strict=True):
        if symbol.span.end < place.start or (not shift and symbol.span.start > place.end):
            yield symbol, own
        elif symbol.span.start + shift > place.end:
            span, name, header = symbol.span, symbol.name_span, symbol.header
            now = replace(symbol, span=_moved(span, shift), name_span=_moved(name, shift), header=_moved(header, shift))
            yield now, own


def _kept_spans(earlier: Earlier[Reading], place: Span) -> Iterator[Span]:
    shift = _shift(earlier)
    for span in earlier.value.imports:
        if span.end < place.start:
            yield span
        elif span.start + shift > place.end:
            yield _moved(span, shift)


def _shift(earlier: Earlier[Reading]) -> int:
    return earlier.regions[-1].new.end - earlier.regions[-1].old.end


def _moved(span: Span, shift: int) -> Span:
    return Span(span.start + shift, span.end + shift)


@cache
def _query(name: str, language: str) -> Query | None:
    source = _QUERIES / f"{name}.scm"
    found = grammar(language)
    if found is None or not source.is_file():
        return None
    comments = (f"({kind}) @comment" for kind in comment_kinds(language))
    return Query(found, "\n".join((source.read_text(encoding="utf-8"), *comments)))


class _Reader:
    """Turns the matches of one query on one place of a text into symbols."""

    def __init__(self, snapshot: Snapshot, language: str, syntax: Syntax, place: Span) -> None:
        self._snapshot = snapshot
        self._python = language == "python"
        self._root = syntax.tree.root_node
        self._map = syntax.bytes
        self._most = limit("document.signature_characters")
        self._outer: dict[int, Node] = {}  # id of a definition's node -> the node around it
        self._definitions: dict[int, tuple[str, Mapping[str, list[Node]]]] = {}
        self._imports: dict[int, Node] = {}
        # By the keyword and the name, where no more was left: kind, keyword and name.
        self._headers: dict[tuple[int, int], tuple[str, Node, Node]] = {}
        self._place = place
        self._comments: dict[int, Span] = {}  # by their ends; those that touch the place
        query = query_of(language)
        if query is None:
            return
        # Matches come in the order in which they end; the more telling pattern stands first in the query file.
        for _, captures in sorted(matches(query, syntax, [place]), key=lambda match: match[0]):
            self._take(captures)

    @property
    def unfinished(self) -> bool:
        """True where broken code left headers only."""
        return bool(self._headers)

    def symbols(self) -> list[tuple[Symbol, Own]]:
        """Each definition with what it is by itself, in no order."""
        found = [self._symbol(kind, captures) for kind, captures in self._definitions.values()]
        whole = {symbol.name_span for symbol in found}
        partly = (self._unfinished(*header) for header in self._headers.values())
        found += (symbol for symbol in partly if symbol.name_span not in whole)
        return [(symbol, (symbol.kind, symbol.parents)) for symbol in found]

    def imports(self) -> list[Span]:
        """Each import, also those inside functions, in no order."""
        return [self._span(node) for node in self._imports.values()]

    def preamble(self) -> Span | None:
        """The file's own docstring or first comment."""
        literal = python_docstring(self._root) if self._python else None
        if literal is not None:
            return self._span(literal)
        start = end = -1
        for child in children(self._root):
            if "comment" not in child.type and child.type not in ("hash_bang_line", "php_tag"):
                break
            start = child.start_byte if start < 0 else start
            end = child.end_byte
        return None if start < 0 else self._trimmed(start, end)

    def _take(self, captures: Mapping[str, list[Node]]) -> None:
        if "import" in captures:
            self._imports[captures["import"][0].id] = captures["import"][0]
        elif "comment" in captures:
            span = self._span(captures["comment"][0])
            self._comments[span.end] = span
        elif "outer" in captures:
            outer, inner = captures["outer"][0], captures["of"][0]
            if outer.end_byte <= inner.end_byte + 1:  # a group of several ends later; one byte is a semicolon
                self._outer[inner.id] = outer
        else:
            # One string for all of a kind: the library makes a new one for each capture.
            kind = intern(next(name for name in captures if name not in _ROLES and not name.startswith("_")))
            if "error" in captures:
                keyword, name = captures[kind][0], captures["name"][0]
                self._headers[keyword.id, name.id] = (kind, keyword, name)
            else:
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
        span = self._span(outer)
        start = self._map.character(self._signature_start(outer, node))
        # In broken Python code the body begins late; the colon is where the header ends.
        colon = next((child for child in children(node) if child.type == ":"), None) if self._python else None
        inside = colon or body
        header_end = self._trimmed(outer.start_byte, inside.start_byte).end if inside is not None else span.end
        header_end = max(start, min(header_end, span.end))
        lines = self._snapshot.lines
        return Symbol(
            name=self._plain(name),
            kind="method" if kind == "function" and parents else kind,
            span=span,
            name_span=self._span(name),
            header=Span(span.start, header_end),
            signature=self._signature(start, header_end, whole=body is None),
            docstring=self._docstring(span.start, body),
            parents=parents,
            line_count=lines.line_of(max(span.start, span.end - 1)) - lines.line_of(span.start) + 1,
            parameters=self._names(parameter_names(node, body)),
        )

    def _unfinished(self, kind: str, keyword: Node, name: Node) -> Symbol:
        span, name_span = extent(self._snapshot.lines, self._map.character(keyword.start_byte)), self._span(name)
        lines, after = self._snapshot.lines, name.next_named_sibling
        listed = after if after is not None and "parameter" in after.type else None
        line = lines.line_of(self._span(listed or name).end)
        header = Span(span.start, min(lines.line_span(line).end, span.end))
        return Symbol(
            name=self._plain(name),
            kind=kind,
            span=span,
            name_span=name_span,
            header=header,
            signature=self._signature(header.start, header.end, whole=True),
            docstring=self._docstring(span.start, None),
            parents=(),
            line_count=lines.line_of(max(span.start, span.end - 1)) - lines.line_of(span.start) + 1,
            parameters=self._names(listed_names(listed)) if listed is not None else (),
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
        for _ in range(limit("document.docstring_lines")):
            if line < 0:
                break
            text = lines.line_text(line)
            comment = self._comment_to(lines.line_span(line).start + len(text.rstrip())) if text.strip() else None
            if comment is not None:
                parts.append(self._snapshot.text[comment.start : comment.end])
                line = lines.line_of(comment.start) - 1
            elif _ATTRIBUTE.fullmatch(text):
                line -= 1  # an attribute between the comment and the definition
            else:
                break
        return comment_text("\n".join(reversed(parts)))

    def _comment_to(self, end: int) -> Span | None:
        """The comment that ends here and begins its own line."""
        inside = self._place.start < end <= self._place.end
        found = self._comments.get(end) if inside else self._comment_outside(end)
        if found is None or found.end != end:
            return None
        line = self._snapshot.lines.line_of(found.start)
        before = self._snapshot.text[self._snapshot.lines.line_span(line).start : found.start]
        return None if before.strip() else found

    def _comment_outside(self, end: int) -> Span | None:
        """The comment around the character before `end`: a look through the siblings there, which may be many."""
        byte = self._map.byte(end)
        node = self._root.descendant_for_byte_range(self._map.byte(end - 1), byte)
        found = None
        while node is not None and ("comment" in node.type or found is None):
            found = node if "comment" in node.type else found
            node = node.parent if found is not None else None
        return None if found is None else self._span(found)

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

    def _names(self, nodes: Iterable[Node]) -> tuple[str, ...]:
        return tuple(" ".join(self._text(node).split()) for node in nodes)

    def _plain(self, node: Node) -> str:
        """A name without type arguments: `Foo` of `Foo<T>`, `P` of `*P[T]`."""
        text = self._text(node)
        if node.type.startswith(("generic", "pointer", "reference", "template")) or node.type == "impl_item":
            text = re.split(r"[<\[]", text.lstrip("*& "))[0]
        return " ".join(text.split())

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
