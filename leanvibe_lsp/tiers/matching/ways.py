"""In which ways a rule may fit a node: what kind of node that is, the words in it, and what stands right around it.

It is there to leave nodes out cheaply: what it says is so wherever the rule fits, and more may be needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from tree_sitter import Language, Query, QueryError

from leanvibe_lsp.tiers.matching.compiling import Compiler
from leanvibe_lsp.tiers.matching.scene import shape_of
from leanvibe_lsp.tiers.words import Needed, words_within

_MOST = 32  # ways of one rule; of more the choices that make them are passed over
CAPTURE = "@here"

Part = tuple[str, Any]  # the name and the value of one condition of a rule object


@dataclass(frozen=True, slots=True)
class Way:
    """Without words within there is a `shape`: a pattern of tree-sitter's queries that captures the node as `@here`."""

    kinds: frozenset[int]
    within: Needed
    shape: str


def ways_of(rule: Mapping[str, Any], compiler: Compiler) -> tuple[Way, ...] | None:
    """The ways of a rule; None when it may fit a node of any kind."""
    found = []
    for parts in _expanded(rule, compiler):
        conditions = [{name: value} for name, value in parts]
        kinds = compiler.kinds({"all": conditions})
        if kinds is None:
            return None
        if kinds:
            within = words_within({"all": conditions}, compiler.utils)
            # Words say more than a shape, and cost less.
            found.append(Way(kinds, within, "" if within else _shape(kinds, parts, compiler)))
    return tuple(found)


def _expanded(rule: Mapping[str, Any], compiler: Compiler) -> list[tuple[Part, ...]]:
    """All conditions of each way through the choices of a rule."""
    choices: list[list[tuple[Part, ...]]] = []
    for name, value in rule.items():
        if name == "all":
            choices += (_expanded(part, compiler) for part in value)
        elif name == "any":
            several = [way for part in value for way in _expanded(part, compiler)]
            choices.append(several if len(several) <= _MOST else [((name, value),)])
        elif name not in ("field", "stopBy"):
            choices.append([((name, value),)])
    count = 1
    for at, each in enumerate(choices):
        if count * len(each) > _MOST:
            choices[at] = [()]
        else:
            count *= len(each)
    return [tuple(part for parts in some for part in parts) for some in product(*choices)]


def _shape(kinds: frozenset[int], parts: Sequence[Part], compiler: Compiler) -> str:
    """What C can see: the kind of the node, of its parent, and of one of its children."""
    below = ("", *_children(parts, compiler))
    shapes = [shape_of(kinds, compiler.grammar, one) for one in below]
    inner = _best([f"{shape} {CAPTURE}" for shape in shapes], compiler.grammar)
    outer = [inner]
    for name, value in parts:
        if name == "inside" and value.get("stopBy", "neighbor") == "neighbor" and (above := compiler.kinds(value)):
            field = f"{value['field']}: " if "field" in value else ""
            outer.append(shape_of(above, compiler.grammar, f" {field}{inner}"))
    return _best(outer, compiler.grammar)


def _children(parts: Sequence[Part], compiler: Compiler) -> Iterator[str]:
    for name, value in parts:
        if name == "has" and value.get("stopBy", "neighbor") == "neighbor":
            kinds = compiler.kinds(value)
            if kinds is None and "field" not in value:
                continue
            field = f"{value['field']}: " if "field" in value else ""
            alone = "_" if kinds is None else shape_of(kinds, compiler.grammar)
            if kinds:
                deeper = [(inner, part) for inner, part in value.items() if inner == "has"]
                for below in _children(deeper, compiler):
                    yield f" {field}{shape_of(kinds, compiler.grammar, below)}"
            yield f" {field}{alone}"


def _best(shapes: Sequence[str], grammar: Language) -> str:
    """The one that says most, of those that the grammar can have; the first one always can."""
    for shape in sorted(shapes[1:], key=len, reverse=True):
        try:
            Query(grammar, shape)
        except QueryError:
            continue
        return shape
    return shapes[0]
