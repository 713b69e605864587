"""How a node stands to others: inside of one, with one below it, before one, behind one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from tree_sitter import Node, Query

from leanvibe_lsp.tiers.matching.checks import Check, Test
from leanvibe_lsp.tiers.matching.goals import Bound
from leanvibe_lsp.tiers.matching.scene import Scene, descendants

_FAR = 10  # times as much for one that looks at many nodes


@dataclass(frozen=True, slots=True)
class Relation:
    """What the other node must be; through which field it stands there; whether more than the next one is looked at,
    and which is the last one then. With a `query` that finds all that the other one may be no other is looked at.
    `rooted` says that the other one may be a tree's root.
    """

    check: Check
    field: int | None
    far: bool
    last: Check | None
    query: Query | None
    rooted: bool

    @property
    def other(self) -> Test:
        """The question put to the other node."""
        return self.check.test

    def checked(self, test: Test, cost: float) -> Check:
        """The whole question; `cost` is that of finding the other node."""
        pure = self.check.pure and (self.last is None or self.last.pure)
        return Check(test, (cost + self.check.cost) * (_FAR if self.far else 1), pure)


def _inside(relation: Relation) -> Check:
    other, field, far = relation.other, relation.field, relation.far
    if far and field is None and relation.last is None and relation.check.pure and not relation.rooted:
        return relation.checked(_within(other), 0.5)

    def test(node: Node, bound: Bound, scene: Scene) -> Bound | None:
        below = node
        for above in scene.ancestors(node):
            if field is None or _is_field(above, field, below):
                if relation.rooted and scene.parent(above) is None:
                    scene.outside = True
                now = other(above, bound, scene)
                if now is not None:
                    return now
            if not far or _stops(relation, above, scene):
                return None
            below = above
        return None

    return relation.checked(test, 0.5)


def _within(other: Test) -> Test:
    """The same for all ancestors; what is so for one is so for all below it."""

    def test(node: Node, bound: Bound, scene: Scene) -> Bound | None:
        passed, known = [], scene.known
        found = False
        for above in scene.ancestors(node):
            key = above.id, other
            if key in known:
                found = known[key]
                break
            passed.append(key)
            if other(above, bound, scene) is not None:
                found = True
                break
        for key in passed:
            known[key] = found
        return bound if found else None

    return test


def _has(relation: Relation) -> Check:
    other, field = relation.other, relation.field
    if field is not None:
        return _has_field(relation, field)
    if relation.last is not None:
        return relation.checked(_until(relation), 2)
    if not relation.far:
        return relation.checked(lambda node, bound, scene: _first(other, node.children, bound, scene), 1.5)

    def test(node: Node, bound: Bound, scene: Scene) -> Bound | None:
        for one in _below(relation, node, scene):
            if one.id != node.id:
                now = other(one, bound, scene)
                if now is not None:
                    return now
        return None

    return relation.checked(test, 2)


def _has_field(relation: Relation, field: int) -> Check:
    other, until = relation.other, _until(relation)

    def test(node: Node, bound: Bound, scene: Scene) -> Bound | None:
        child = node.child_by_field_id(field)
        if child is None:
            return None
        if not relation.far:
            return other(child, bound, scene)
        if relation.last is None:
            return _first(other, _below(relation, child, scene), bound, scene)
        now = other(child, bound, scene)
        if now is not None or _stops(relation, child, scene):
            return now
        return until(child, bound, scene)

    return relation.checked(test, 0.4)


def _until(relation: Relation) -> Test:
    other = relation.other

    def test(node: Node, bound: Bound, scene: Scene) -> Bound | None:
        todo = node.children[::-1]
        while todo:
            one = todo.pop()
            now = other(one, bound, scene)
            if now is not None:
                return now
            if one.child_count and not _stops(relation, one, scene):
                todo += one.children[::-1]
        return None

    return test


def _precedes(relation: Relation) -> Check:
    def test(node: Node, bound: Bound, scene: Scene) -> Bound | None:
        family, at = scene.siblings(node)
        return _beside(relation, (family[one] for one in range(at + 1, len(family))), bound, scene)

    return relation.checked(test, 1)


def _follows(relation: Relation) -> Check:
    def test(node: Node, bound: Bound, scene: Scene) -> Bound | None:
        family, at = scene.siblings(node)
        return _beside(relation, (family[one] for one in range(at - 1, -1, -1)), bound, scene)

    return relation.checked(test, 1)


RELATIONS: Mapping[str, Callable[[Relation], Check]] = {
    "inside": _inside,
    "has": _has,
    "precedes": _precedes,
    "follows": _follows,
}


def _beside(relation: Relation, nodes: Iterable[Node], bound: Bound, scene: Scene) -> Bound | None:
    for node in nodes:
        now = relation.other(node, bound, scene)
        if now is not None:
            return now
        if not relation.far or _stops(relation, node, scene):
            return None
    return None


def _below(relation: Relation, node: Node, scene: Scene) -> Iterable[Node]:
    return scene.below(node, relation.query) if relation.query is not None else descendants(node)


def _first(other: Test, nodes: Iterable[Node], bound: Bound, scene: Scene) -> Bound | None:
    for node in nodes:
        now = other(node, bound, scene)
        if now is not None:
            return now
    return None


def _is_field(above: Node, field: int, below: Node) -> bool:
    child = above.child_by_field_id(field)
    return child is not None and child.id == below.id


def _stops(relation: Relation, node: Node, scene: Scene) -> bool:
    return relation.last is not None and relation.last.test(node, {}, scene) is not None
