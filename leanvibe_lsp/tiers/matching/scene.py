"""A tree that rules are held against, with what is looked up often: one for all rules of a look.

One thread at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from tree_sitter import Language, Node, Query, QueryCursor

ERROR = 65_535
_FOUND = "found"


class Scene:
    """What was looked up; nothing of another tree's."""

    __slots__ = ("_below", "_families", "_parents", "known", "outside")

    def __init__(self) -> None:
        self.outside = False  # whether more was looked at than the root's child that the node is in
        self.known: dict[tuple[int, object], bool] = {}  # by a node and a question
        self._parents: dict[int, Node | None] = {}
        self._below: dict[tuple[int, Query], Sequence[Node]] = {}
        self._families: dict[int, tuple[Sequence[Node], dict[int, int]]] = {}

    def parent(self, node: Node) -> Node | None:
        """What it is right below; a tree is searched from the root for that."""
        key = node.id
        if key in self._parents:
            return self._parents[key]
        above = self._parents[key] = node.parent
        return above

    def ancestors(self, node: Node) -> Iterator[Node]:
        """From its parent to the root."""
        above = self.parent(node)
        while above is not None:
            yield above
            above = self.parent(above)

    def siblings(self, node: Node) -> tuple[Sequence[Node], int]:
        """All children of the node's parent, and which of them it is; itself alone for the root."""
        parent = self.parent(node)
        if parent is None:
            return (node,), 0
        if self.parent(parent) is None:
            self.outside = True
        family = self._families.get(parent.id)
        if family is None:
            children = parent.children
            family = self._families[parent.id] = children, {child.id: at for at, child in enumerate(children)}
        return family[0], family[1][node.id]

    def below(self, node: Node, query: Query) -> Sequence[Node]:
        """The node and what is below it, as far as it is of the query's kinds, each before what is below it."""
        key = node.id, query
        known = self._below.get(key)
        if known is None:
            known = self._below[key] = in_order(QueryCursor(query).captures(node).get(_FOUND, ()))
        return known


def in_order(nodes: Sequence[Node]) -> Sequence[Node]:
    """By where they begin, what is around others before them: a query gives them in no such order."""
    return sorted(nodes, key=lambda node: (node.start_byte, -node.end_byte))


@lru_cache(maxsize=1024)
def query_of(kinds: frozenset[int], grammar: Language) -> Query:
    """What finds all nodes of some kinds."""
    return Query(grammar, f"{shape_of(kinds, grammar)} @{_FOUND}")


def shape_of(kinds: frozenset[int], grammar: Language, below: str = "") -> str:
    """A node of one of these kinds, as a query says it; `below` is what it says of its children."""
    each = [f"({'ERROR' if kind == ERROR else grammar.node_kind_for_id(kind)}{below})" for kind in sorted(kinds)]
    return each[0] if len(each) == 1 else f"[{' '.join(each)}]"


def text_of(node: Node) -> str:
    """What stands there."""
    return (node.text or b"").decode("utf-8", errors="replace")


def descendants(node: Node) -> Iterator[Node]:
    """The node and all below it, each before what is below it."""
    todo = [node]
    while todo:
        one = todo.pop()
        yield one
        if one.child_count:
            todo += one.children[::-1]
