"""How far a structural rule looks: whether what it finds in a statement of the top level may hang on another one. Pure.

It may say so where it is not so, never the contrary: such rules are given the whole text, others a piece of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What the root of a tree is called, in the grammars of any of our languages.
_ROOTS = """
module program source_file compilation_unit translation_unit source document stylesheet chunk stream haskell config_file
"""
ROOTS = frozenset(_ROOTS.split())
_READING = ("has", "regex", "pattern", "not", "matches")


def looks_outside(rule: Mapping[str, Any], utils: Mapping[str, Any]) -> bool:
    """Whether it may look at more than the statement of the top level that it finds something in."""
    return _may_be_root(rule, utils, frozenset()) or _looks(rule, utils, frozenset())


def _looks(rule: Mapping[str, Any], utils: Mapping[str, Any], seen: frozenset[str]) -> bool:
    for name, value in rule.items():
        if name in ("follows", "precedes"):
            return True
        if name == "inside" and _reads(value) and _may_be_root(value, utils, frozenset()):
            return True
        if name == "matches" and value in utils and value not in seen:
            if _looks(utils[value], utils, seen | {value}):
                return True
        elif any(_looks(part, utils, seen) for part in _inner(value)):
            return True
    return False


def _inner(value: object) -> list[Mapping[str, Any]]:
    """The rules in a field of a rule."""
    if isinstance(value, Mapping):
        return [value]
    return [part for part in value if isinstance(part, Mapping)] if isinstance(value, list) else []


def _reads(rule: object) -> bool:
    """Whether it asks for more than what kind of node it is."""
    return any(
        name in _READING or any(map(_reads, _inner(value))) for part in _inner(rule) for name, value in part.items()
    )


def _may_be_root(rule: Mapping[str, Any], utils: Mapping[str, Any], seen: frozenset[str]) -> bool:
    return not any(_excludes_root(name, value, utils, seen) for name, value in rule.items())


def _excludes_root(name: str, value: Any, utils: Mapping[str, Any], seen: frozenset[str]) -> bool:
    match name, value:
        case "kind", str():
            return value not in ROOTS
        case "pattern", str():
            return not value.strip().startswith("$") or not value.strip().lstrip("$").replace("_", "A").isalnum()
        case ("pattern", Mapping()) | (("inside" | "follows" | "precedes" | "nthChild"), _):
            return True
        case "all", list():
            return any(not _may_be_root(part, utils, seen) for part in value)
        case "any", list():
            return all(not _may_be_root(part, utils, seen) for part in value)
        case "matches", str() if value in utils and value not in seen:
            return not _may_be_root(utils[value], utils, seen | {value})
    return False
