"""What is asked of a node, and how such questions are put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tree_sitter import Node

from leanvibe_lsp.tiers.matching.goals import Bound
from leanvibe_lsp.tiers.matching.scene import Scene

# What the variables stand for when a node fits, seeing what they stand for already; None when it does not.
Test = Callable[[Node, Bound, Scene], "Bound | None"]


@dataclass(frozen=True, slots=True)
class Check:
    """A question; `cost` is about what it takes, and `pure` says that it has nothing to do with variables.

    `kinds` is there for one that asks for the kind of node alone.
    """

    test: Test
    cost: float
    pure: bool
    kinds: frozenset[int] | None = None
    parts: tuple[Check, ...] = ()  # of one that asks whether each is so


def of_kinds(kinds: frozenset[int]) -> Check:
    """Whether the node is of one of these kinds."""
    if len(kinds) == 1:
        (kind,) = kinds
        return Check(lambda node, bound, scene: bound if node.kind_id == kind else None, 0.1, True, kinds)
    return Check(lambda node, bound, scene: bound if node.kind_id in kinds else None, 0.1, True, kinds)


def all_of(checks: Sequence[Check]) -> Check:
    """Whether each is so, seeing what those before it have bound."""
    if len(checks) == 1:
        return checks[0]
    flat = [part for one in checks for part in one.parts or (one,)]
    order = sorted((one for one in flat if one.pure), key=lambda one: one.cost)
    order += (one for one in flat if not one.pure)
    tests = [one.test for one in order]

    def test(node: Node, bound: Bound, scene: Scene) -> Bound | None:
        for one in tests:
            now = one(node, bound, scene)
            if now is None:
                return None
            bound = now
        return bound

    # Mostly the first ones say no.
    cost = sum(one.cost / (2**at) for at, one in enumerate(order))
    return Check(test, cost, all(one.pure for one in flat), None, tuple(order))


def any_of(checks: Sequence[Check]) -> Check:
    """Whether one is so, the first that is."""
    kinds = [one.kinds for one in checks if one.kinds is not None]
    if len(kinds) == len(checks):
        return of_kinds(frozenset().union(*kinds))
    tests = [one.test for one in checks]

    def test(node: Node, bound: Bound, scene: Scene) -> Bound | None:
        for one in tests:
            now = one(node, bound, scene)
            if now is not None:
                return now
        return None

    return Check(test, sum(one.cost for one in checks), all(one.pure for one in checks))


def none_of(check: Check) -> Check:
    """Whether it is not so."""
    inner = check.test
    return Check(
        lambda node, bound, scene: bound if inner(node, bound, scene) is None else None, check.cost, check.pure
    )
