"""What a text must hold for a rule to fit anywhere in it. Pure.

It is there to leave rules out cheaply, so it may say too little and never too much: what a pattern or a regular
expression spells out must stand in the text, what it leaves to variables, kinds and choices need not.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate, islice
from typing import Any, NamedTuple

from leanvibe_lsp.documents.syntax import encoded
from leanvibe_lsp.tiers.matching.regexes import translated
from leanvibe_lsp.tiers.matching.unsupported import Unsupported


class Word(NamedTuple):
    """ASCII letters, digits and underscores; `whole` when nothing more of them stands beside it in the text.

    With `anycase` it is given in small letters, and the text may have it in any.
    """

    text: str
    whole: bool = True
    anycase: bool = False


Needed = tuple[frozenset[Word], ...]

_WORDS = re.compile(rb"([A-Za-z0-9_]+)")
_WORD = re.compile(r"(?<![$A-Za-z0-9_])[A-Za-z0-9_]+(?![A-Za-z0-9_]*\$)")
_TELLING = 2  # characters; one that is shorter stands in every text
_CHOICES = 64  # of which one is needed; of more it is hardly worth knowing
_SEPARATING = ("CATEGORY_SPACE", "CATEGORY_NOT_WORD")


class Vocabulary:
    """The words of a text in UTF-8, and where they stand; what is not ASCII separates them."""

    def __init__(self, data: bytes, start: int = 0, end: int | None = None) -> None:
        """`start` and `end` are byte offsets between which there is looked."""
        # What stands between words, and the words: by turns.
        self._parts = _WORDS.split(data if start == 0 and end is None else data[start:end])
        self._start = start
        self._words = frozenset(self._parts[1::2])
        self._forms: dict[Word, Sequence[bytes]] = {}

    def has(self, word: Word) -> bool:
        """Whether the text holds it."""
        return bool(self.forms(word))

    def forms(self, word: Word) -> Sequence[bytes]:
        """The words of the text that hold it; for a whole one it alone."""
        known = self._forms.get(word)
        if known is None:
            text = word.text.encode()
            if word.whole:
                known = (text,) if text in self._words else ()
            else:
                known = self._holding(text, anycase=word.anycase)
            self._forms[word] = known
        return known

    def offsets(self, words: Iterable[Word]) -> list[int]:
        """Where those words begin that hold any of these, in the order of the text."""
        forms = [form for word in words for form in self.forms(word)]
        return sorted(at for form in dict.fromkeys(forms) for at in self._places[form])

    @cached_property
    def _places(self) -> Mapping[bytes, Sequence[int]]:
        places: dict[bytes, list[int]] = {word: [] for word in self._words}
        ends = accumulate(map(len, self._parts), initial=self._start)
        next(ends)
        for word, at in zip(self._parts[1::2], islice(ends, 0, None, 2), strict=False):
            places[word].append(at)
        return places

    def _holding(self, text: bytes, *, anycase: bool) -> Sequence[bytes]:
        joined = self._lower if anycase else self._joined
        found = []
        at = joined.find(text)
        while at >= 0:
            start, end = joined.rfind(b" ", 0, at) + 1, joined.find(b" ", at)
            found.append(self._joined[start:end])
            at = joined.find(text, end)
        return found

    @cached_property
    def _joined(self) -> bytes:
        return b" ".join((*self._words, b""))

    @cached_property
    def _lower(self) -> bytes:
        return self._joined.lower()


def vocabulary(text: str) -> Vocabulary:
    """The words of a text."""
    return Vocabulary(encoded(text))


def needed_words(rule: Mapping[str, Any], utils: Mapping[str, Any]) -> Needed:
    """Sets of words; of each set one at least must stand in the text. () when nothing is certain."""
    return _worth(_of_rule(rule, utils, frozenset(), ("inside", "has", "precedes", "follows")))


def words_within(rule: Mapping[str, Any], utils: Mapping[str, Any]) -> Needed:
    """The same for the text of the very node that the rule fits."""
    return _worth(_of_rule(rule, utils, frozenset(), ("has",)))


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


def _of_rule(
    rule: Mapping[str, Any], utils: Mapping[str, Any], seen: frozenset[str], relations: Sequence[str]
) -> Iterator[frozenset[Word]]:
    for name, value in rule.items():
        match name, value:
            case "pattern", str():
                yield from (frozenset({Word(word)}) for word in _WORD.findall(value))
            case "regex", str():
                yield from words_of_regex(_pythons(value), whole=False)
            case "all", list():
                for part in value:
                    yield from _of_rule(part, utils, seen, relations)
            case "any", list():
                yield from _one_of([tuple(_of_rule(part, utils, seen, relations)) for part in value])
            case str(), Mapping() if name in relations:
                yield from _of_rule(value, utils, seen, relations)
            case "matches", str() if value in utils and value not in seen:
                yield from _of_rule(utils[value], utils, seen | {value}, relations)


def _pythons(regex: str) -> str:
    """An expression of Rust's as Python writes it, if it can be written so."""
    try:
        return translated(regex)
    except Unsupported:
        return regex


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
