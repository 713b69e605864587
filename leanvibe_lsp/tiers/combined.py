"""Many structural rules as one, to see in one walk which of them fit anywhere in a tree.

Each rule is a branch of one large rule, under the kinds of node that it may fit: a node is held against the rules of
its own kind alone. A variable that takes any node says which of them it was.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any

from leanvibe_lsp.tiers.patterns import Tree, kind_of_pattern
from leanvibe_lsp.tiers.rule import Rule

_VARIABLE = re.compile(r"\$(?=[A-Z])")
_ALWAYS = {"regex": ""}
_ANY = frozenset({""})
_numbers = count()


@dataclass(frozen=True, slots=True)
class _Branch:
    """A rule under names that no other rule has. `kinds` has "" alone where it may fit any."""

    kinds: frozenset[str]
    utils: Mapping[str, Any]
    fits: Mapping[str, Any]
    variable: str


def fitting(rules: Sequence[Rule], tree: Tree) -> list[Rule]:
    """Those that fit anywhere in the tree; one with constraints may be among them though it does not."""
    branches = [_branch(rule) for rule in rules]
    groups: dict[str, list[_Branch]] = defaultdict(list)
    utils: dict[str, Any] = {}
    for branch in branches:
        utils |= branch.utils
        for kind in branch.kinds:
            groups[kind].append(branch)
    found = list(tree.find({"rule": {"any": [_group(*group) for group in groups.items()]}, "utils": utils}))
    return [
        rule for rule, branch in zip(rules, branches, strict=True) if any(one.binds(branch.variable) for one in found)
    ]


def _group(kind: str, branches: Sequence[_Branch]) -> Mapping[str, Any]:
    """What fits where one branch does at least; of the others each that fits too binds its variable as well."""
    said = ({"all": [branch.fits, {"pattern": f"$${branch.variable}"}]} for branch in branches)
    gate = [{"kind": kind}] if kind else []
    return {
        "all": [*gate, {"any": [branch.fits for branch in branches]}, *({"any": [one, _ALWAYS]} for one in said)],
    }


@cache
def _branch(rule: Rule) -> _Branch:
    name = f"R{next(_numbers)}"
    inner, utils = rule.matcher["rule"], rule.matcher.get("utils", {})
    kinds: frozenset[str] = frozenset()
    for language in rule.languages:
        kinds |= _kinds(inner, utils, language, frozenset()) or _ANY
    return _Branch(
        _ANY if "" in kinds else kinds,
        {name: _renamed(inner, name), **{f"{name}_{key}": _renamed(util, name) for key, util in utils.items()}},
        {"matches": name},
        f"FITS_{name}",
    )


def _kinds(
    rule: Mapping[str, Any], utils: Mapping[str, Any], language: str, seen: frozenset[str]
) -> frozenset[str] | None:
    """The kinds of node that a rule may fit; None for any."""
    known: frozenset[str] | None = None
    for name, value in rule.items():
        match name, value:
            case "kind", str():
                known = _both(known, frozenset({value}))
            case "pattern", str():
                known = _both(known, kind_of_pattern(value, language))
            case "all", list():
                for part in value:
                    known = _both(known, _kinds(part, utils, language, seen))
            case "any", list():
                known = _both(known, _united([_kinds(part, utils, language, seen) for part in value]))
            case "matches", str() if value in utils and value not in seen:
                known = _both(known, _kinds(utils[value], utils, language, seen | {value}))
    return known


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    return other if one is None else one if other is None else one & other


def _united(each: Sequence[frozenset[str] | None]) -> frozenset[str] | None:
    known = [one for one in each if one is not None]
    return frozenset().union(*known) if len(known) == len(each) else None


def _renamed(value: Any, name: str) -> Any:
    """A rule whose variables and utils begin with the name; what is not bound (`$_X`) stays."""
    if isinstance(value, list):
        return [_renamed(part, name) for part in value]
    if not isinstance(value, Mapping):
        return value
    return {key: _renamed_field(key, part, name) for key, part in value.items()}


def _renamed_field(key: str, value: Any, name: str) -> Any:
    if key == "matches":
        return f"{name}_{value}"
    if key in ("pattern", "context") and isinstance(value, str):
        return _VARIABLE.sub(lambda found: f"{found[0]}{name}_", value)
    return _renamed(value, name)
