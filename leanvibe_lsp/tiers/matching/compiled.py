"""A whole rule, ready to be held against the nodes of a tree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tree_sitter import Node

from leanvibe_lsp.documents.grammars import grammar
from leanvibe_lsp.tiers.matching.checks import Test
from leanvibe_lsp.tiers.matching.compiling import Compiler
from leanvibe_lsp.tiers.matching.goals import Bound
from leanvibe_lsp.tiers.matching.matches import Change
from leanvibe_lsp.tiers.matching.regexes import compiled as compiled_regex
from leanvibe_lsp.tiers.matching.scene import Scene, text_of
from leanvibe_lsp.tiers.matching.unsupported import Unsupported
from leanvibe_lsp.tiers.matching.ways import Way, ways_of

if TYPE_CHECKING:
    from leanvibe_lsp.tiers.rule import Rule

_REFERENCE = re.compile(r"\$(?:\$|(\w+)|\{(\w+)\})")


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """`ways` say which nodes it may fit."""

    ways: tuple[Way, ...]
    changes: Mapping[str, Change]
    _test: Test
    _constraints: tuple[tuple[str, Test], ...]

    def bound(self, node: Node, scene: Scene) -> Bound | None:
        """What its variables stand for when it fits the node, else None."""
        bound = self._test(node, {}, scene)
        if bound is not None:
            for name, test in self._constraints:
                if name in bound and (bound := test(bound[name], bound, scene)) is None:
                    return None
        return bound


@lru_cache(maxsize=4096)
def compiled(rule: Rule, language: str) -> Compiled | None:
    """The rule for a language; None for one that ast-grep has to look for: of somebody else, or not supported."""
    known = grammar(language)
    if known is None or not rule.trusted:
        return None
    matcher = rule.matcher
    compiler = Compiler(language, known, matcher.get("utils", {}))
    try:
        ways = ways_of(matcher["rule"], compiler)
        if ways is None or any(compiler.is_root(kind) for way in ways for kind in way.kinds):
            return None
        return Compiled(
            ways,
            {name: _change(value) for name, value in matcher.get("transform", {}).items()},
            compiler.check(matcher["rule"]).test,
            tuple((name, compiler.check(value).test) for name, value in sorted(matcher.get("constraints", {}).items())),
        )
    except Unsupported:
        return None


def _change(value: Any) -> Change:
    """How a text is made of a variable's; of ast-grep's ways to replace by a regular expression."""
    if not isinstance(value, Mapping) or list(value) != ["replace"]:
        raise Unsupported("transform")
    said = value["replace"]
    source = said["source"]
    if not re.fullmatch(r"\$[A-Z_][A-Z0-9_]*", source):
        raise Unsupported(source)
    regex, by = compiled_regex(said["replace"]), said["by"]

    def expand(found: re.Match[str]) -> str:
        def part(reference: re.Match[str]) -> str:
            name = reference[1] or reference[2]
            if name is None:
                return "$"
            try:
                return found[int(name) if name.isdigit() else name] or ""
            except IndexError:
                return ""

        return _REFERENCE.sub(part, by)

    def change(bound: Bound) -> str:
        node = bound.get(source[1:])
        return regex.sub(expand, text_of(node)) if node is not None else ""

    return change
