"""Many rules of one language, and what they find in a part of a tree: each rule is shown the few nodes it may fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from tree_sitter import Node

from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.grammars import grammar
from leanvibe_lsp.documents.syntax import Syntax
from leanvibe_lsp.tiers.matching.compiled import Compiled, compiled
from leanvibe_lsp.tiers.matching.goals import Bound
from leanvibe_lsp.tiers.matching.places import Places, Wanted, wanted
from leanvibe_lsp.tiers.matching.scene import Scene
from leanvibe_lsp.tiers.words import Vocabulary, may_fit

if TYPE_CHECKING:
    from leanvibe_lsp.tiers.rule import Rule


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The rules that are evaluated here, and what is looked for on their behalf; `others` are for ast-grep."""

    ours: tuple[tuple[Rule, Compiled], ...]
    others: tuple[Rule, ...]
    wanted: Wanted | None


@lru_cache(maxsize=64)
def plan_of(rules: tuple[Rule, ...], language: str) -> Plan:
    """How structural rules are looked for in a language."""
    both = [(rule, compiled(rule, language)) for rule in rules]
    ours = tuple((rule, how) for rule, how in both if how is not None)
    known = grammar(language)
    return Plan(
        ours,
        tuple(rule for rule, how in both if how is None),
        wanted((way for _, how in ours for way in how.ways), known) if known is not None and ours else None,
    )


@dataclass(frozen=True, slots=True)
class Hit:
    """A node that a rule fits, and what is bound then; or, when it is `open`, one that it may fit another time.

    What is so of an open one hangs on more than the statement of the top level that it is in.
    """

    rule: Rule
    how: Compiled
    node: Node
    bound: Bound | None
    open: bool


def hits(plan: Plan, parsed: Syntax, span: Span | None) -> Iterator[Hit]:
    """What its rules find in a tree, or in a span of it that begins and ends with lines of the top level.

    In no promised order.
    """
    if plan.wanted is None:
        return
    start, end = 0, len(parsed.data)
    if span is not None:
        start, end = parsed.bytes.byte(span.start), parsed.bytes.byte(span.end)
    words = Vocabulary(parsed.data, start, end)
    # What a wide rule needs may stand elsewhere.
    live = [(rule, how) for rule, how in plan.ours if rule.wide or may_fit(rule.needed, words)]
    places = Places(parsed.tree.root_node, words, plan.wanted, start, end)
    scene = Scene()
    for rule, how in live:
        for node in places.candidates(how.ways):
            hit = _hit(rule, how, node, scene)
            if hit.open or hit.bound is not None:
                yield hit


def again(rule: Rule, how: Compiled, kind: int, span: Span, parsed: Syntax, scene: Scene) -> Iterator[Hit]:
    """What a rule finds at a place that was open."""
    start, end = parsed.bytes.byte(span.start), parsed.bytes.byte(span.end)
    node = parsed.tree.root_node.descendant_for_byte_range(start, end)
    while node is not None and (node.start_byte, node.end_byte) == (start, end):
        if node.kind_id == kind:
            hit = _hit(rule, how, node, scene)
            if hit.bound is not None:
                yield hit
        node = scene.parent(node)


def _hit(rule: Rule, how: Compiled, node: Node, scene: Scene) -> Hit:
    scene.outside = False
    bound = how.bound(node, scene)
    return Hit(rule, how, node, bound, scene.outside)
