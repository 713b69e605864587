"""A rule object as one function of a node.

What binds variables, or asks for one that is bound, is tried in ast-grep's order; before that comes what does neither,
what costs least first. Nothing that was bound is thought over again; what a part bound that failed in the end is
forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tree_sitter import Language, Node

from leanvibe_lsp.tiers.matching.checks import Check, all_of, any_of, none_of, of_kinds
from leanvibe_lsp.tiers.matching.goals import Bound, Goal, Inner, Leaf, binds, fitted, goal_in, goal_of
from leanvibe_lsp.tiers.matching.regexes import compiled, translated
from leanvibe_lsp.tiers.matching.relations import RELATIONS, Relation
from leanvibe_lsp.tiers.matching.scene import Scene, query_of, text_of
from leanvibe_lsp.tiers.matching.unsupported import Unsupported
from leanvibe_lsp.tiers.outlook import ROOTS

_KIND = re.compile(r"\w+")


class Compiler:
    """Compiles the rule objects of one rule for one language; `utils` are those that they may name."""

    def __init__(self, language: str, grammar: Language, utils: Mapping[str, Any]) -> None:
        self.language = language
        self.grammar = grammar
        self.utils = utils
        self._named: dict[str, Check] = {}

    def check(self, rule: Mapping[str, Any]) -> Check:
        """Raises Unsupported."""
        unknown = rule.keys() - _ORDER.keys() - {"field", "stopBy"}
        checks = [self._part(name, rule[name]) for name in _ORDER if name in rule]
        if not checks or unknown:
            raise Unsupported(", ".join(rule))
        return all_of(checks)

    def kinds(self, rule: Mapping[str, Any]) -> frozenset[int] | None:
        """The kinds of node that a rule may fit; None for any."""
        known: frozenset[int] | None = None
        for name, value in rule.items():
            if name == "kind":
                known = _both(known, frozenset({self._kind_id(value)}))
            elif name == "pattern":
                known = _both(known, _kinds_of(*self._goal(value)))
            elif name == "all":
                for part in value:
                    known = _both(known, self.kinds(part))
            elif name == "any":
                known = _both(known, _united([self.kinds(part) for part in value]))
            elif name == "matches":
                known = _both(known, self.kinds(self._util(value)))
        return known

    def is_root(self, kind: int) -> bool:
        """Whether the root of a tree may be of this kind."""
        return self.grammar.node_kind_for_id(kind) in ROOTS

    def _part(self, name: str, value: Any) -> Check:
        match name:
            case "kind":
                return of_kinds(frozenset({self._kind_id(value)}))
            case "pattern":
                return _fits(*self._goal(value))
            case "nthChild":
                return _nth(value)
            case "regex":
                return _reads(value)
            case "all":
                return all_of([self.check(part) for part in value])
            case "any":
                return any_of([self.check(part) for part in value])
            case "not":
                return none_of(self.check(value))
            case "matches":
                return self._matches(value)
        return RELATIONS[name](self._relation(value, fields=name in ("inside", "has")))

    def _relation(self, value: Mapping[str, Any], *, fields: bool) -> Relation:
        field, stop = value.get("field"), value.get("stopBy", "neighbor")
        number = None
        if field is not None:
            number = self.grammar.field_id_for_name(field)
            if number is None or not fields:
                raise Unsupported(field)
        if isinstance(stop, str) and stop not in ("neighbor", "end"):
            raise Unsupported(stop)
        last = self.check(stop) if isinstance(stop, Mapping) else None
        kinds = self.kinds(value)
        query = query_of(kinds, self.grammar) if kinds and stop == "end" else None
        check = self.check(value)
        rooted = check.kinds is None and (kinds is None or any(map(self.is_root, kinds)))
        return Relation(check, number, stop != "neighbor", last, query, rooted)

    def _kind_id(self, name: str) -> int:
        number = self.grammar.id_for_node_kind(name, True) if _KIND.fullmatch(name) else None
        if not number or number in self.grammar.supertypes:
            raise Unsupported(name)
        return number

    def _goal(self, given: str | Mapping[str, Any]) -> tuple[Goal, int | None]:
        """What a pattern asks for, and the kind that a node must have beside that."""
        if isinstance(given, str):
            return goal_of(given, self.language, self.grammar), None
        if given.keys() != {"context", "selector"}:
            raise Unsupported(", ".join(given))
        number = self._kind_id(given["selector"])
        return goal_in(given["context"], number, self.language, self.grammar), number

    def _util(self, name: str) -> Mapping[str, Any]:
        if not isinstance(name, str) or name not in self.utils:
            raise Unsupported(str(name))
        util: Mapping[str, Any] = self.utils[name]
        return util

    def _matches(self, name: str) -> Check:
        util = self._util(name)
        if name not in self._named:
            # It may name itself, further down.
            self._named[name] = Check(lambda node, bound, scene: self._named[name].test(node, bound, scene), 5, False)
            self._named[name] = self.check(util)
        return self._named[name]


# First what binds nothing; `all_of` has its own order for those.
_ORDER = dict.fromkeys(("kind", "nthChild", "regex", "pattern", "all", "any", "not", "matches", *RELATIONS))


def _fits(goal: Goal, kind: int | None) -> Check:
    pure = not binds(goal)
    if kind is None:
        return Check(lambda node, bound, scene: fitted(goal, node, bound), 1, pure)
    return Check(lambda node, bound, scene: fitted(goal, node, bound) if node.kind_id == kind else None, 1, pure)


def _reads(regex: str) -> Check:
    translated(regex)
    search: Callable[[str], object] | None = None

    def test(node: Node, bound: Bound, scene: Scene) -> Bound | None:
        nonlocal search
        if search is None:  # most are never searched for
            search = compiled(regex).search
        return bound if search(text_of(node)) else None

    return Check(test, 2, True)


def _nth(value: Any) -> Check:
    """A place among the parent's children that have a name."""
    reverse = False
    if isinstance(value, Mapping):
        if value.keys() - {"position", "reverse"}:
            raise Unsupported("nthChild")
        value, reverse = value["position"], bool(value.get("reverse"))
    if not isinstance(value, int) or value < 1:
        raise Unsupported("nthChild")
    place, least = -value if reverse else value - 1, value

    def test(node: Node, bound: Bound, scene: Scene) -> Bound | None:
        parent = scene.parent(node)
        if parent is None or parent.named_child_count < least:
            return None
        return bound if parent.named_children[place].id == node.id else None

    return Check(test, 2, True)


def _kinds_of(goal: Goal, kind: int | None) -> frozenset[int] | None:
    if kind is not None:
        return frozenset({kind})
    return frozenset({goal.kind}) if isinstance(goal, (Leaf, Inner)) else None


def _both(one: frozenset[int] | None, other: frozenset[int] | None) -> frozenset[int] | None:
    return other if one is None else one if other is None else one & other


def _united(each: Sequence[frozenset[int] | None]) -> frozenset[int] | None:
    known = [one for one in each if one is not None]
    return frozenset().union(*known) if len(known) == len(each) else None
