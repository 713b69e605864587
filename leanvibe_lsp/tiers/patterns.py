"""Structural patterns in a text: ast-grep behind a door of ours, imported on first use.

One parse serves any number of patterns. Offsets are code points. ast-grep holds the interpreter's lock while it parses
and searches, so its time on a long text is time in which nothing else runs. Deliberately absent: its own editing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from leanvibe_lsp.core.text import Span
from leanvibe_lsp.errors import UsageError

if TYPE_CHECKING:
    from ast_grep_py import SgNode

# Ours are ast-grep's own names of them. It must not be asked for another one: it panics.
_NAMES = """
python javascript typescript tsx go rust java c cpp csharp ruby php bash json html css kotlin scala swift lua yaml
haskell elixir hcl
"""
LANGUAGES = frozenset(_NAMES.split())

_VARIABLE = re.compile(r"\$\$\$([A-Z_][A-Z0-9_]*)|\$([A-Z_][A-Z0-9_]*)")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_BACKTRACE = re.compile(r"\s*Stack backtrace:.*", re.DOTALL)


class Match:
    """A place that a pattern fits."""

    __slots__ = ("_node", "_text", "span")

    def __init__(self, node: SgNode, text: str) -> None:
        self._node = node
        self._text = text
        at = node.range()
        self.span = Span(at.start.index, at.end.index)

    @property
    def quote(self) -> str:
        """What ast-grep says the text of the place is; a lone surrogate reads as U+FFFD."""
        return self._node.text()

    def filled(self, template: str) -> str:
        """The template with `$NAME` and `$$$NAMES` replaced by the text they stand for; "" for what is not bound."""
        return _VARIABLE.sub(lambda found: self._several(found[1]) if found[1] else self._one(found[2]), template)

    def _one(self, name: str) -> str:
        node = self._node.get_match(name)
        if node is None:
            return self._node.get_transformed(name) or ""
        at = node.range()
        return self._text[at.start.index : at.end.index]

    def _several(self, name: str) -> str:
        nodes = self._node.get_multiple_matches(name)
        return self._text[nodes[0].range().start.index : nodes[-1].range().end.index] if nodes else ""


class Place:
    """A node of a parsed text and all below it; `text` is the whole text. One thread at a time."""

    __slots__ = ("_node", "text")

    def __init__(self, node: SgNode, text: str) -> None:
        self._node = node
        self.text = text

    @property
    def span(self) -> Span:
        """Where it stands."""
        at = self._node.range()
        return Span(at.start.index, at.end.index)

    def parts(self) -> list[Place]:
        """The nodes right below it."""
        return [Place(node, self.text) for node in self._node.children()]

    def find(self, matcher: Mapping[str, Any]) -> Iterator[Match]:
        """Every place in it that the matcher (`rule`, `constraints`, `utils`, `transform`) fits, in no promised order.

        Raises UsageError for one that ast-grep refuses.
        """
        config: Any = matcher
        try:
            nodes = self._node.find_all(config)
        except Exception as error:  # noqa: BLE001 - ast-grep raises nothing more special
            # The causes stand in numbered lines.
            said = _BACKTRACE.sub("", str(error)).replace("cannot get matcher", "").replace("Caused by:", "")
            causes = [line.strip() for line in said.splitlines() if line.strip()]
            raise UsageError(" ".join(causes) or type(error).__name__) from None
        return (Match(node, self.text) for node in nodes)


class Tree(Place):
    """A parsed text."""

    __slots__ = ()

    def __init__(self, text: str, language: str) -> None:
        from ast_grep_py import SgRoot

        if language not in LANGUAGES:
            raise ValueError(f"ast-grep has no {language}")
        super().__init__(SgRoot(_LONE_SURROGATE.sub("\ufffd", text), language).root(), text)
