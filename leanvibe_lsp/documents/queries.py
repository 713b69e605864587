"""Queries on a tree, in parts and within a time.

A query goes through a tree in one piece and holds the interpreter's lock meanwhile. Of each node it asks which named
siblings come later, of it and of those around it: in definitions thousands deep, and in thousands of loose tokens of
broken code, that grows with the square of their number. So a query is asked for a part of the text at a time, smaller
parts where it is slow, and a tree with too many loose tokens is asked nothing. The library's own way to stop a query,
a progress callback, crashes the process as soon as something matches (tree-sitter 0.26.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import thread_time

from tree_sitter import Node, Query, QueryCursor

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.docs import children
from leanvibe_lsp.documents.syntax import Syntax

_LEAST = 4_096  # bytes of the first part
_BRIEF = 0.01  # seconds; what takes less is followed by a larger part


def matches(query: Query, syntax: Syntax, spans: Iterable[Span]) -> Iterator[tuple[int, dict[str, list[Node]]]]:
    """Each match (number of the pattern, captures) that touches one of the spans, at least once, in no order.

    Ends early when the time for one text is up; `syntax.tangled` says so then, and nothing is asked of that text again.
    """
    root = syntax.tree.root_node
    syntax.tangled = syntax.tangled or syntax.fact("loose", lambda _: _is_loose(root))
    until, size = thread_time() + limit("document.query_milliseconds") / 1000, _LEAST
    for span in spans:
        at, end = max(syntax.bytes.byte(span.start) - 1, 0), syntax.bytes.byte(span.end) + 1
        while at < end:
            began = thread_time()
            if syntax.tangled or began >= until:
                syntax.tangled = True
                return
            stop = min(at + size, end)
            cursor = QueryCursor(query)
            cursor.set_byte_range(at, stop)
            found = cursor.matches(root)
            size = 2 * size if thread_time() - began < _BRIEF else max(size // 2, _LEAST)
            yield from found
            at = stop


def _is_loose(root: Node) -> bool:
    """Whether unnamed tokens stand side by side in such numbers that a query would not end in time."""
    left, todo = limit("document.loose_steps"), [root] if root.has_error else []
    while todo:
        run = 0
        for child in children(todo.pop()):
            run = 0 if child.is_named else run + 1
            left -= run
            if left < 0:
                return True
            if child.has_error and child.child_count:
                todo.append(child)
    return False
