"""New tests into a file of tests that is there: what they import into its head, each test to those of its kind. Pure.

Where a test belongs is read from both syntax trees. What would change the tests that are there, or where no place is
known, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from tree_sitter import Node

from leanvibe_lsp.assist.changes.importing import imports, is_head, lacking
from leanvibe_lsp.assist.changes.laying import indented, still_lines
from leanvibe_lsp.assist.changes.placing import (
    CLASSES,
    body_of,
    class_called,
    is_aside,
    last_class,
    name_of,
    no_place,
    place_of,
    tests_module,
    unfit,
    words,
)
from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.bytemap import ByteMap
from leanvibe_lsp.documents.grammars import encoded, language_of, obstacle, parse
from leanvibe_lsp.documents.snapshot import Snapshot

_FAMILIES = {"typescript": "javascript", "tsx": "javascript"}
# Languages whose tests are members of a class, and what stands around members alone so that they can be read.
_WRAPPED = {"java": ("class LeanvibeDraft {", "}"), "php": ("class LeanvibeDraft {", "}")}
# What runs before or after every test, also before those that are there.
_FOR_ALL = re.compile(
    r"[^({]*\b(?:setUp|tearDown|setup|teardown|TestMain|init|pytest_\w+)(?:Class|_\w+|Before\w*|After\w*)?\b|"
    r"(?:\w+ )*@(?:Before|After)|#\[(?:Before|After)"
)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Lines of a draft, and where they go: into the body of `within`, or to the end of the file."""

    lines: tuple[int, int]
    node: Node
    within: Node | None


def merged(before: Snapshot, written: str, framework: str) -> tuple[TextEdit, ...]:
    """The edits that add what is written, in the order of the text. Raises Incomplete where that may not fit."""
    language = language_of(before.language_id, before.path) or ""
    language = _FAMILIES.get(language, language)
    if obstacle(before) or (tree := parse(before)) is None:
        raise unfit(f"its syntax is not known ({obstacle(before)})")
    if tree.root_node.has_error:
        raise unfit("the test file has a syntax error")
    draft = _draft(before, written, language)
    file = _File(before, tree.root_node, language)
    root = tests_module(tree.root_node) if language == "rust" else tree.root_node
    if root is None:
        raise unfit("the module of tests is not in this file, or not at its top")
    heads = _heads(root, language)
    said, pieces = _read(draft, file, root, framework)
    wanted = imports(said, language)
    taken = {name_of(node) for node in root.named_children if node not in heads}
    if (clash := next((one.bound for one in wanted if one.bound in taken - {""}), None)) is not None:
        raise unfit(f"`{clash}` is something else in the test file")
    new = lacking(wanted, imports(heads, language), language)
    edits = [*file.head(root, heads, new), *file.bodies(root, draft, pieces)]
    if not pieces:
        raise unfit("there is nothing new in it")
    return tuple(sorted(edits, key=lambda edit: edit.span.start))


def _draft(before: Snapshot, written: str, language: str) -> Snapshot:
    """What is written, at the left edge and as a text of its own that can be parsed."""
    if language == "php" and "<?php" not in written:
        written = f"<?php\n{written}"
    draft = _text(before, indented(written, "x", still_lines(written, before)))
    if _is_broken(draft) and language in _WRAPPED:
        opening, closing = _WRAPPED[language]
        lines = draft.text.split("\n")
        head = re.compile(r"\s*(?:package\b|import\b|use\b|namespace\b|<\?php|declare\b|$)")
        begin = next((number for number, line in enumerate(lines) if not head.match(line)), len(lines))
        draft = _text(before, "\n".join((*lines[:begin], opening, *lines[begin:], closing)))
    if _is_broken(draft):
        raise unfit("they have a syntax error")
    return draft


def _text(before: Snapshot, text: str) -> Snapshot:
    return replace(before, text=text, lines=LineIndex(text))


def _is_broken(draft: Snapshot) -> bool:
    tree = parse(draft)
    return tree is None or tree.root_node.has_error


def _heads(root: Node, language: str) -> list[Node]:
    """Those that the file begins with, up to the first other statement."""
    found: list[Node] = []
    for node in root.named_children:
        if is_head(node, language):
            found.append(node)
        elif not is_aside(node):
            break
    return found


def _read(draft: Snapshot, file: _File, root: Node, framework: str) -> tuple[list[Node], list[_Piece]]:
    """The heads of a draft, and everything else by where it goes; what the file has already is left out."""
    tree = parse(draft)
    assert tree is not None, "a draft was parsed"
    top = (file.language == "rust" and tests_module(tree.root_node)) or tree.root_node
    heads = [node for node in top.named_children if is_head(node, file.language)]
    pieces: list[_Piece] = []
    for first, node in _statements(top, file.language):
        name, own = name_of(node), class_called(root, name_of(node)) if node.type in CLASSES else None
        if own is not None or (node.type in CLASSES and name == "LeanvibeDraft"):
            within = own or last_class(root, framework)
            members = body_of(node)
            for begin, member in _statements(members, file.language) if members is not None else ():
                pieces.append(_Piece((begin, member.end_point.row), member, within or no_place(member)))
        elif not _is_start(node):
            pieces.append(_Piece((first, node.end_point.row), node, place_of(node, root, file.language, framework)))
    return heads, [piece for piece in pieces if not _is_there(piece, root)]


def _statements(parent: Node, language: str) -> Iterator[tuple[int, Node]]:
    """Each with the number of its first line, that of the comments or attributes right above it."""
    first: int | None = None
    for node in parent.named_children:
        if is_aside(node):
            first = node.start_point.row if first is None else first
            continue
        if not is_head(node, language):
            yield (node.start_point.row if first is None else first), node
        first = None


def _is_start(node: Node) -> bool:
    """What runs the tests of a file, which the file does for itself."""
    return words(node).startswith(("if __name__", "unittest.main(", "pytest.main("))


def _is_there(piece: _Piece, root: Node) -> bool:
    """Whether the file has the same already. Raises Incomplete where it has another by that name."""
    name = name_of(piece.node)
    beside = (piece.within or root).named_children
    if any(words(node) == words(piece.node) for node in beside):
        return True
    if name and any(name_of(node) == name for node in beside if not is_aside(node)):
        raise unfit(f"`{name}` is there already")
    if "class" not in piece.node.type and _FOR_ALL.match(words(piece.node)):
        raise unfit(f"`{name}` would run for the tests that are there")
    return False


class _File:
    """The test file as text: where in it something goes, and how it is written there."""

    def __init__(self, snapshot: Snapshot, root: Node, language: str) -> None:
        self.language = language
        self._text = snapshot.text
        self._snapshot = snapshot
        self._root = root
        self._places = ByteMap(encoded(snapshot.text))

    def head(self, root: Node, heads: list[Node], new: tuple[str, ...]) -> Iterator[TextEdit]:
        """The imports, behind those that are there."""
        if not new:
            return
        if heads:
            at = self._line_end(heads[-1])
            gap = "\n\n" if heads[-1].type in ("package_clause", "package_declaration", "php_tag") else "\n"
            indent = self._indent(heads[-1])
            yield TextEdit(Span(at, at), self._ended(gap + "\n".join(indent + one for one in new)))
            return
        first = next((node for node in root.named_children if not is_aside(node)), None)
        if first is None:
            raise unfit("there is no place for its imports")
        at = self._line_start(first)
        yield TextEdit(Span(at, at), self._ended("".join(f"{self._indent(first)}{one}\n" for one in new) + "\n"))

    def bodies(self, root: Node, draft: Snapshot, pieces: Iterable[_Piece]) -> Iterator[TextEdit]:
        """What is not imported, each where it belongs."""
        by_place: dict[int, list[_Piece]] = {}
        for piece in pieces:
            by_place.setdefault(-1 if piece.within is None else piece.within.id, []).append(piece)
        still = still_lines(draft.text, draft)
        for group in by_place.values():
            within = group[0].within or (root if root.id != self._root.id else None)
            indent = "" if within is None else self._inner_indent(within)
            parts = [_part(draft.text.split("\n"), piece.lines, still, indent) for piece in group]
            between = "\n\n\n" if within is None and self.language == "python" else "\n\n"
            yield (
                self._at_the_end(between.join(parts), between)
                if within is None
                else self._into(within, between.join(parts))
            )

    def _at_the_end(self, text: str, between: str) -> TextEdit:
        starts = [node for node in self._root.named_children if _is_start(node)]
        if starts:
            at = self._line_start(starts[0])
            return TextEdit(Span(at, at), self._ended(f"{text}{between}"))
        at = len(self._text.rstrip())
        last = "" if len(self._text) > at else "\n"
        return TextEdit(Span(at, at), self._ended(f"{between if at else ''}{text}{last}"))

    def _into(self, body: Node, text: str) -> TextEdit:
        """Behind the last member: before the bracket or word that ends the body, where one does."""
        members = body.named_children
        if not members:
            raise unfit("the class for them is empty")
        at = self._line_end(members[-1])
        if self._text[self._places.character(members[-1].end_byte) : at].strip() not in ("", ";", ","):
            raise unfit("the class for them ends on the line of its last member")
        return TextEdit(Span(at, at), self._ended(f"\n\n{text}"))

    def _inner_indent(self, body: Node) -> str:
        members = body.named_children
        return self._indent(members[0]) if members else ""

    def _indent(self, node: Node) -> str:
        start = self._line_start(node)
        return self._text[start : start + len(self._text[start:]) - len(self._text[start:].lstrip(" \t"))]

    def _line_start(self, node: Node) -> int:
        return self._text.rfind("\n", 0, self._places.character(node.start_byte)) + 1

    def _line_end(self, node: Node) -> int:
        at = self._places.character(node.end_byte)
        at -= self._text[:at].endswith("\n")
        end = self._text.find("\n", at)
        return len(self._text[: end if end >= 0 else len(self._text)].removesuffix("\r"))

    def _ended(self, text: str) -> str:
        return text.replace("\n", "\r\n") if "\r\n" in self._text else text


def _part(lines: list[str], rows: tuple[int, int], still: frozenset[int], indent: str) -> str:
    first, last = rows
    code = "\n".join(lines[first : last + 1]).rstrip()
    return indented(code, f"{indent}x", frozenset(number - first for number in still if number >= first))
