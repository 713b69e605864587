"""What a rule found: the place, and what its variables stand for there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from tree_sitter import Node

from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.bytemap import ByteMap
from leanvibe_lsp.tiers.matching.goals import MANY, Bound

_VARIABLE = re.compile(r"(\$\$\$|\$)([A-Z_][A-Z0-9_]*)")

Change = Callable[[Bound], str]


class Found:
    """A place that a rule fits."""

    __slots__ = ("_bound", "_changes", "_data", "quote", "span")

    def __init__(
        self, node: Node, bound: Bound, changes: Mapping[str, Change], data: bytes, characters: ByteMap
    ) -> None:
        self.span = Span(characters.character(node.start_byte), characters.character(node.end_byte))
        self.quote = data[node.start_byte : node.end_byte].decode("utf-8", errors="replace")
        self._bound = bound
        self._changes = changes
        self._data = data

    def filled(self, template: str) -> str:
        """The template with `$NAME` and `$$$NAMES` replaced by the text they stand for; "" for what is not bound."""
        return _VARIABLE.sub(lambda found: self._value(found[1], found[2]), template)

    def _value(self, sigil: str, name: str) -> str:
        if sigil == MANY:
            nodes = self._bound.get(MANY + name)
            return self._text(nodes[0], nodes[-1]) if nodes else ""
        if name in self._bound:
            return self._text(self._bound[name], self._bound[name])
        change = self._changes.get(name)
        return change(self._bound) if change is not None else ""

    def _text(self, first: Node, last: Node) -> str:
        return self._data[first.start_byte : last.end_byte].decode("utf-8", errors="replace")
