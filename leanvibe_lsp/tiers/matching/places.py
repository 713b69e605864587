"""Where in a text the nodes stand that rules may fit: by the kinds of node, and by the words within.

One walk in C finds the nodes of all kinds that any rule asks for; of those a rule is shown only the ones that hold its
words.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tree_sitter import Language, Node, Query, QueryCursor

from leanvibe_lsp.tiers.matching.scene import in_order, shape_of
from leanvibe_lsp.tiers.matching.ways import CAPTURE, Way
from leanvibe_lsp.tiers.words import Vocabulary, Word, may_fit


@dataclass(frozen=True, slots=True)
class _Kin:
    """The nodes of one kind in the order of the text; `outer` says which of them is the next around one, -1: none."""

    nodes: Sequence[Node]
    starts: Sequence[int]
    ends: Sequence[int]
    outer: Sequence[int]


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """The ways in which some rules may fit, and the query that finds their nodes: see `wanted`."""

    ways: Mapping[Way, str]
    kinds: Mapping[int, str]
    query: Query | None


def wanted(ways: Iterable[Way], grammar: Language) -> Wanted:
    """A way with words is looked for by those among all nodes of its kinds, another one by its shape."""
    shapes: dict[str, str] = {}
    kinds: dict[int, str] = {}
    named: dict[Way, str] = {}
    patterns: list[str] = []
    for way in ways:
        if way.within:
            for kind in way.kinds - kinds.keys():
                kinds[kind] = f"kind{kind}"
                patterns.append(f"{shape_of(frozenset({kind}), grammar)} @{kinds[kind]}")
        elif way not in named:
            if way.shape not in shapes:
                shapes[way.shape] = f"shape{len(shapes)}"
                patterns.append(way.shape.replace(CAPTURE, f"@{shapes[way.shape]}"))
            named[way] = shapes[way.shape]
    return Wanted(named, kinds, Query(grammar, "\n".join(patterns)) if patterns else None)


class Places:
    """The nodes that some rules may fit, between two byte offsets of a text."""

    def __init__(self, root: Node, words: Vocabulary, wanted: Wanted, start: int, end: int) -> None:
        self._wanted = wanted
        self._found = _captured(root, wanted.query, start, end)
        self._kin: dict[int, _Kin] = {}
        self._words = words
        self._known: dict[frozenset[Word], Sequence[int]] = {}

    def candidates(self, ways: Iterable[Way]) -> Iterable[Node]:
        """The nodes that one of the ways leads to, each once."""
        found: dict[int, Node] = {}
        for way in ways:
            for node in self._holding(way) if way.within else self._found.get(self._wanted.ways[way], ()):
                found[node.id] = node
        return found.values()

    def _holding(self, way: Way) -> Iterator[Node]:
        """The nodes of its kinds that hold one word at least of each set."""
        if not may_fit(way.within, self._words):
            return
        offsets = sorted(map(self._offsets, way.within), key=len)
        for kind in way.kinds:
            kin = self._of_kind(kind)
            for at in _holding(kin, offsets[0]):
                if all(_is_between(some, kin.starts[at], kin.ends[at]) for some in offsets[1:]):
                    yield kin.nodes[at]

    def _of_kind(self, kind: int) -> _Kin:
        kin = self._kin.get(kind)
        if kin is None:
            nodes = in_order(self._found.get(self._wanted.kinds[kind], ()))
            starts, ends = [node.start_byte for node in nodes], [node.end_byte for node in nodes]
            outer: list[int] = []
            around = -1
            for at, start in enumerate(starts):
                while around >= 0 and ends[around] <= start:
                    around = outer[around]
                outer.append(around)
                around = at
            kin = self._kin[kind] = _Kin(nodes, starts, ends, outer)
        return kin

    def _offsets(self, words: frozenset[Word]) -> Sequence[int]:
        """Where any of the words stands."""
        known = self._known.get(words)
        if known is None:
            known = self._known[words] = self._words.offsets(words)
        return known


def _captured(root: Node, query: Query | None, start: int, end: int) -> Mapping[str, list[Node]]:
    if query is None:
        return {}
    cursor = QueryCursor(query)
    if start <= root.start_byte and root.end_byte <= end:
        return cursor.captures(root)
    cursor.set_byte_range(start, end)
    return {
        name: [one for one in nodes if start <= one.start_byte and one.end_byte <= end]
        for name, nodes in cursor.captures(root).items()
    }


def _holding(kin: _Kin, offsets: Sequence[int]) -> Iterable[int]:
    """Which nodes hold one of the offsets."""
    found: set[int] = set()
    for offset in offsets:
        at = bisect_right(kin.starts, offset) - 1
        while at >= 0 and at not in found:
            if kin.ends[at] > offset:
                found.add(at)
            at = kin.outer[at]
    return sorted(found)


def _is_between(offsets: Sequence[int], start: int, end: int) -> bool:
    at = bisect_left(offsets, start)
    return at < len(offsets) and offsets[at] < end
