"""What a text must hold for a rule to fit anywhere in it. Pure.

It is there to leave rules out cheaply, so it may say too little and never too much: what a pattern or a regular
expression spells out must stand in the text, what it leaves to variables, kinds and choices need not.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple


class Word(NamedTuple):
    """ASCII letters, digits and underscores; `whole` when nothing more of them stands beside it in the text.

    With `anycase` it is given in small letters, and the text may have it in any.
    """

    text: str
    whole: bool = True
    anycase: bool = False


Needed = tuple[frozenset[Word], ...]

_WORD = re.compile(r"(?<![$A-Za-z0-9_])[A-Za-z0-9_]+(?![A-Za-z0-9_]*\$)")
_ASCII_WORD = re.compile(r"[A-Za-z0-9_]+")
_SEPARATORS = {code: " " for code in range(128) if not (chr(code).isalnum() or chr(code) == "_")}
_TELLING = 2  # characters; one that is shorter stands in every text
_CHOICES = 64  # of which one is needed; of more it is hardly worth knowing
_SEPARATING = ("CATEGORY_SPACE", "CATEGORY_NOT_WORD")


@dataclass(frozen=True)
class Vocabulary:
    """The words of a text."""

    words: frozenset[str]

    def has(self, word: Word) -> bool:
        """Whether the text holds it, as far as words tell."""
        if word.anycase:
            return word.text in self._lower
        return word.text in self.words if word.whole else word.text in self._joined

    @cached_property
    def _joined(self) -> str:
        return " ".join(self.words)

    @cached_property
    def _lower(self) -> str:
        return self._joined.lower()


def vocabulary(text: str) -> Vocabulary:
    """The words of a text; what is not ASCII separates them, here as in what is looked for."""
    plain = text.translate(_SEPARATORS)
    return Vocabulary(frozenset(plain.split() if plain.isascii() else _ASCII_WORD.findall(plain)))


def needed_words(rule: Mapping[str, Any], utils: Mapping[str, Any]) -> Needed:
    """Sets of words; of each set one at least must stand in the text. () when nothing is certain."""
    return _worth(_of_rule(rule, utils, frozenset()))


def words_of_regex(regex: str, *, whole: bool) -> Needed:
    """The same for a match of a regular expression of Python's.

    `whole`: it is searched for in the text itself, so that where it asks for a word's end there is one.
    """
    try:
        parser: Any = importlib.import_module("re._parser")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ast-grep's expressions know more of brackets
            parsed = parser.parse(regex)
        return _worth(_of_sequence(list(parsed), bool(parsed.state.flags & re.IGNORECASE), whole))
    except (ImportError, AttributeError, re.error, RecursionError, OverflowError, ValueError, TypeError):
        return ()  # the parser is the library's own affair: without it less is known


def may_fit(needed: Needed, words: Vocabulary) -> bool:
    """Whether a text of these words holds what is needed."""
    return all(any(map(words.has, choices)) for choices in needed)


def _worth(sets: Iterator[frozenset[Word]]) -> Needed:
    told = (one for one in sets if len(one) <= _CHOICES and all(len(word.text) >= _TELLING for word in one))
    return tuple(dict.fromkeys(told))


def _of_rule(rule: Mapping[str, Any], utils: Mapping[str, Any], seen: frozenset[str]) -> Iterator[frozenset[Word]]:
    for name, value in rule.items():
        match name, value:
            case "pattern", str():
                yield from (frozenset({Word(word)}) for word in _WORD.findall(value))
            case "regex", str():
                yield from words_of_regex(value, whole=False)
            case "all", list():
                for part in value:
                    yield from _of_rule(part, utils, seen)
            case "any", list():
                yield from _one_of([tuple(_of_rule(part, utils, seen)) for part in value])
            case (("inside" | "has" | "precedes" | "follows"), Mapping()):
                yield from _of_rule(value, utils, seen)
            case "matches", str() if value in utils and value not in seen:
                yield from _of_rule(utils[value], utils, seen | {value})


def _one_of(branches: Sequence[Needed]) -> Iterator[frozenset[Word]]:
    """One set for all branches, of the set of each that says most; nothing when a branch says nothing."""
    told = [_worth(iter(branch)) for branch in branches]
    if told and all(told):
        yield frozenset().union(*(max(sets, key=_weight) for sets in told))


def _weight(words: frozenset[Word]) -> tuple[int, int]:
    return min(len(word.text) for word in words), -len(words)


def _of_sequence(items: list[Any], anycase: bool, whole: bool) -> Iterator[frozenset[Word]]:
    """Of what the library's parser makes of a regular expression: its runs of letters, and what its groups need."""
    run = ""
    ended = begins = False  # whether a word is known to end where we are; the same where the run began
    for operator, argument in [*items, (None, None)]:
        name = str(operator)
        letter = chr(argument) if name == "LITERAL" else ""
        if _is_word(letter):
            begins = begins if run else ended
            run += letter
            continue
        ended = _separates(name, argument)
        if run:
            alone = whole and begins and ended
            yield frozenset({Word(run.lower(), whole=False, anycase=True) if anycase else Word(run, whole=alone)})
            run = ""
        yield from _of_item(name, argument, anycase, whole)


def _of_item(name: str, argument: Any, anycase: bool, whole: bool) -> Iterator[frozenset[Word]]:
    if name == "SUBPATTERN":
        _, added, removed, inner = argument
        here = (anycase or bool(added & re.IGNORECASE)) and not removed & re.IGNORECASE
        yield from _of_sequence(list(inner), here, whole)
    elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT") and argument[0] > 0:
        yield from _of_sequence(list(argument[2]), anycase, whole)
    elif name == "ATOMIC_GROUP":
        yield from _of_sequence(list(argument), anycase, whole)
    elif name == "BRANCH":
        yield from _one_of([tuple(_of_sequence(list(branch), anycase, whole)) for branch in argument[1]])


def _is_word(letter: str) -> bool:
    return letter.isascii() and (letter.isalnum() or letter == "_")


def _separates(name: str, argument: Any) -> bool:
    """Whether a word ends at such an item, which is no letter itself."""
    if name == "AT":
        return str(argument) != "AT_NON_BOUNDARY"
    if name == "LITERAL":
        return not _is_word(chr(argument))
    if name == "IN":
        return all(
            _separates(str(one), value) if str(one) == "LITERAL" else str(value) in _SEPARATING
            for one, value in argument
        )
    if name in ("MAX_REPEAT", "MIN_REPEAT") and argument[0] > 0:
        return bool(argument[2]) and all(_separates(str(one), value) for one, value in argument[2])
    return False
