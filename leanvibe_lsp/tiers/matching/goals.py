"""A pattern's code as a tree of goals, and how a node is held against it: by ast-grep's rules for a smart match.

What a pattern's text has must be there, in its order; what a node has more of is passed over where it has no name of
its own (a comma, a keyword), and at the end of a list of children whatever it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tree_sitter import Language, Node, Parser

from leanvibe_lsp.tiers.matching.unsupported import Unsupported

# What the variables of a rule stand for: one node under NAME, several under $$$NAME.
Bound = Mapping[str, Any]
MANY = "$$$"

_DOLLARS = re.compile(r"\$+")
_VARIABLE = re.compile(r"(?P<sigils>\$\$?)(?P<name>[A-Z_][A-Z0-9_]*)")
_SEVERAL = re.compile(r"\$\$\$(?P<name>[A-Z0-9_]*)")
# In these languages a dollar sign may begin a name; in the others a letter stands in for it that may.
_WITH_DOLLARS = ("javascript", "typescript", "tsx", "java", "bash", "json")
_STAND_IN = "\u00b5"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A node without children."""

    kind: int
    named: bool
    text: bytes


@dataclass(frozen=True, slots=True)
class One:
    """A variable for one node; `name` is "" for one that is not bound, `named` when it must be one with a name."""

    name: str
    named: bool


@dataclass(frozen=True, slots=True)
class Several:
    """A variable for any number of nodes; `name` is "" for one that is not bound."""

    name: str


@dataclass(frozen=True, slots=True)
class Inner:
    """A node with children."""

    kind: int
    children: tuple[Goal, ...]


Goal = Leaf | One | Several | Inner


def goal_of(pattern: str, language: str, grammar: Language) -> Goal:
    """What a pattern asks for. Raises Unsupported for one that is no code of the language."""
    root = _root(pattern, language, grammar)
    if not root.child_count or not _is_single(root):
        raise Unsupported(pattern)
    while _is_single(root):
        root = root.children[0]
    return _goal(root, language)


def goal_in(context: str, selector: int, language: str, grammar: Language) -> Goal:
    """What the first node of a kind asks for, of those in the code around it. Raises Unsupported."""
    todo = [_root(context, language, grammar)]
    while todo:
        node = todo.pop()
        if node.kind_id == selector:
            return _goal(node, language)
        todo += reversed(node.children)
    raise Unsupported(context)


def fitted(goal: Goal, node: Node, bound: Bound) -> Bound | None:
    """What the variables stand for when a node fits; None when it does not."""
    if isinstance(goal, Inner):
        return _all_fitted(goal.children, node.children, bound) if node.kind_id == goal.kind else None
    if isinstance(goal, Leaf):
        return bound if _is_leaf(goal, node) else None
    if isinstance(goal, One):
        if goal.named and not node.is_named:
            return None
        return _with(bound, goal.name, node) if goal.name else bound
    return _with_several(bound, goal.name, [node])


def binds(goal: Goal) -> bool:
    """Whether there is a variable in it that has a name."""
    if isinstance(goal, Inner):
        return any(map(binds, goal.children))
    return isinstance(goal, (One, Several)) and bool(goal.name)


def same(one: Node, other: Node) -> bool:
    """Whether two nodes are the same code."""
    if one.id == other.id:
        return True
    if not one.named_child_count or not other.named_child_count:
        return one.text == other.text
    if one.kind_id != other.kind_id or one.child_count != other.child_count:
        return False
    return all(map(same, one.children, other.children))


def _root(pattern: str, language: str, grammar: Language) -> Node:
    sigil = "$" if language in _WITH_DOLLARS else _STAND_IN
    text = _DOLLARS.sub(lambda found: _sigils(found, pattern, sigil), pattern)
    return Parser(grammar).parse(text.encode("utf-8", errors="replace")).root_node


def _sigils(found: re.Match[str], pattern: str, sigil: str) -> str:
    after = pattern[found.end() : found.end() + 1]
    begins = after == "_" or (after.isascii() and after.isupper())
    return found[0].replace("$", sigil) if begins or len(found[0]) == len(MANY) else found[0]


def _is_single(node: Node) -> bool:
    if node.child_count == 2:
        return node.children[1].is_missing or not node.children[1].type
    return node.child_count == 1


def _goal(node: Node, language: str) -> Goal:
    text = node.text or b""
    variable = _variable(text.decode("utf-8", errors="replace"), language)
    if variable is not None:
        return variable
    if node.is_error:  # to ast-grep that is any node
        raise Unsupported(text.decode("utf-8", errors="replace"))
    if not node.child_count:
        return Leaf(node.kind_id, node.is_named, text)
    return Inner(node.kind_id, tuple(_goal(child, language) for child in node.children if not child.is_missing))


def _variable(text: str, language: str) -> One | Several | None:
    if language not in _WITH_DOLLARS:
        text = text.replace("$", "?").replace(_STAND_IN, "$")
    if several := _SEVERAL.fullmatch(text):
        return Several("" if several["name"].startswith("_") else several["name"])
    if one := _VARIABLE.fullmatch(text):
        return One("" if one["name"].startswith("_") else one["name"], one["sigils"] == "$")
    return None


def _is_leaf(goal: Leaf, node: Node) -> bool:
    return node.kind_id == goal.kind and (not goal.named or node.text == goal.text)


def _all_fitted(goals: Sequence[Goal], nodes: Sequence[Node], bound: Bound) -> Bound | None:
    """The same for a node's children: each goal is met where it can be first, and never thought over again."""
    if not nodes:
        return None
    at = here = 0
    while at < len(goals):
        goal = goals[at]
        if isinstance(goal, Several):
            met = _several(goals, at, nodes, here, bound)
            if met is None:
                return None
            at, here, bound = met
            if at == len(goals) or isinstance(goals[at], Several):
                continue
        while here < len(nodes):
            now = fitted(goals[at], nodes[here], bound)
            if now is not None:
                bound = now
                break
            if not isinstance(goals[at], Leaf) or nodes[here].is_named:
                return None
            here += 1
        else:
            return bound if all(isinstance(rest, Several) for rest in goals[at:]) else None
        at, here = at + 1, here + 1
        if at < len(goals) and here == len(nodes):
            return None
    return bound


def _several(
    goals: Sequence[Goal], at: int, nodes: Sequence[Node], here: int, bound: Bound
) -> tuple[int, int, Bound] | None:
    """The goal and the node that come behind those that a variable takes, and what is bound then."""
    variable = goals[at]
    name = variable.name if isinstance(variable, Several) else ""
    first, at = at + 1, at + 1
    while at < len(goals) and _is_trivial(goals[at]):
        at += 1
    end = here
    if at == len(goals):
        end = len(nodes)
    elif isinstance(goals[at], Several):
        end = here + 1
        if end >= len(nodes):
            return None
    else:
        while fitted(goals[at], nodes[end], bound) is None:
            end += 1
            if end == len(nodes):
                return None
    # Of what stands before the next goal that says something, as many are not the variable's as the pattern has.
    taken = nodes[here : max(here, end - (at - first))]
    now = _with_several(bound, name, taken)
    return None if now is None else (at, end, now)


def _is_trivial(goal: Goal) -> bool:
    return isinstance(goal, Leaf) and not goal.named


def _with(bound: Bound, name: str, node: Node) -> Bound | None:
    known = bound.get(name)
    if known is not None and not same(known, node):
        return None
    return {**bound, name: node}


def _with_several(bound: Bound, name: str, nodes: Sequence[Node]) -> Bound | None:
    if not name:
        return bound
    known = bound.get(MANY + name)
    if known is not None:
        before, now = ([one for one in some if one.is_named] for some in (known, nodes))
        if len(before) != len(now) or not all(map(same, before, now)):
            return None
    return {**bound, MANY + name: nodes}
