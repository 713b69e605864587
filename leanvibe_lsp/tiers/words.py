"""What a text must hold for a rule to fit anywhere in it. Pure.

It is there to leave rules out cheaply, so it may say too little and never too much: what a pattern spells out must
stand in the text, what it leaves to variables, kinds and expressions need not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Needed = tuple[frozenset[str], ...]

_WORD = re.compile(r"(?<![$\w])[^\W\d]\w*")


def needed_words(rule: Mapping[str, Any], utils: Mapping[str, Any]) -> Needed:
    """Sets of words; of each set one at least must stand in the text. () when nothing is certain."""
    return tuple(dict.fromkeys(_of_rule(rule, utils, frozenset())))


def may_fit(needed: Needed, text: str) -> bool:
    """Whether the text holds what is needed."""
    return all(any(word in text for word in words) for words in needed)


def _of_rule(rule: Mapping[str, Any], utils: Mapping[str, Any], seen: frozenset[str]) -> Iterator[frozenset[str]]:
    for name, value in rule.items():
        match name, value:
            case "pattern", str():
                yield from (frozenset({word}) for word in _WORD.findall(value))
            case "all", list():
                for part in value:
                    yield from _of_rule(part, utils, seen)
            case "any", list():
                yield from _one_of([tuple(_of_rule(part, utils, seen)) for part in value])
            case (("inside" | "has" | "precedes" | "follows"), Mapping()):
                yield from _of_rule(value, utils, seen)
            case "matches", str() if value in utils and value not in seen:
                yield from _of_rule(utils[value], utils, seen | {value})


def _one_of(branches: Sequence[Needed]) -> Iterator[frozenset[str]]:
    """One set for all branches, of the set of each that says most; nothing when a branch says nothing."""
    if branches and all(branches):
        yield frozenset().union(*(max(sets, key=lambda words: min(map(len, words))) for sets in branches))
