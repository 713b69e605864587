"""A text as pieces that rules can look at one by one: runs of definitions and statements of its top level.

A piece of correct code parses alone as it does in the whole, so what was found in it holds as long as its own text
stays, wherever that moves; of broken code what is broken stays in its piece. Where a piece begins is up to the text
around that place alone: an edit changes the pieces it touches and no other. What rules do not see is a neighbour in
another piece. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

from tree_sitter import Node

from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.syntax import Syntax

# In all others the top level is no list of things that could stand alone.
_LISTS = ("python", "javascript", "typescript", "tsx", "go", "rust", "java", "c", "cpp", "csharp", "ruby", "bash")
_LARGE = 1_024  # bytes; what is larger stands alone, what is smaller with its neighbours: sizes of work, not limits
_RUN = 32  # of so many small ones, about one begins a new piece


@dataclass(frozen=True, slots=True)
class Part:
    """A piece; of a broken one what stands around it decides how it is read."""

    span: Span
    broken: bool


def pieces(syntax: Syntax, language: str) -> Iterator[Part]:
    """Pieces that follow each other and cover the text; they begin at a line's start."""
    start, broken = 0, False
    root = syntax.tree.root_node
    if language in _LISTS:
        before: Node | None = None
        for node, loose in _top(root):
            if before is not None and _begins(before, node, syntax.data):
                at = syntax.bytes.character(node.start_byte)
                yield Part(Span(start, at), broken)
                start, broken = at, False
            broken = broken or loose or node.has_error
            before = node
    else:
        broken = root.has_error
    yield Part(Span(start, syntax.bytes.character(len(syntax.data))), broken)


def _top(root: Node) -> Iterator[tuple[Node, bool]]:
    """What stands at the top level; where it is broken (so says the second), what is left whole there."""
    todo = [(child, root.is_error) for child in reversed(root.children)]
    while todo:
        node, loose = todo.pop()
        if node.is_error and node.child_count:
            todo += ((child, True) for child in reversed(node.children))
        else:
            yield node, loose or node.is_error


def _begins(before: Node, node: Node, data: bytes) -> bool:
    if node.start_point.column or (before.end_point.row == node.start_point.row and before.end_point.column):
        return False
    if node.end_byte - node.start_byte >= _LARGE or before.end_byte - before.start_byte >= _LARGE:
        return True
    return crc32(data[node.start_byte : node.end_byte]) % _RUN == 0
