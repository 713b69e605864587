"""Typing errors in the long words that say what a request wants. Pure.

Only words of seven letters and more, and only those with nothing ordinary beside them: a wrong correction costs more
than a typing error, which the model's runs of characters survive.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache

_WORDS = [
    "explain",
    "summarize",
    "describe",
    "generate",
    "function",
    "implement",
    "scaffold",
    "refactor",
    "simplify",
    "optimize",
    "vectorize",
    "duplicate",
    "document",
    "docstring",
    "docstrings",
    "documentation",
    "comments",
    "unittest",
    "unittests",
    "testcases",
    "integration",
    "resolve",
    "troubleshoot",
    "references",
    "component",
    "variable",
]
_LONG = 9  # letters, from which two errors are forgiven
_SHORT = min(map(len, _WORDS))
_KEPT = 4_096  # words whose correction is remembered

_BY_LETTER: dict[str, list[str]] = defaultdict(list)
for _word in _WORDS:
    _BY_LETTER[_word[0]].append(_word)


@lru_cache(_KEPT)
def mended(word: str) -> str:
    """The word that was meant, when it is one of ours with a slip in it; else `word`."""
    if word in _WORDS or len(word) < _SHORT - 1:
        return word
    for known in _BY_LETTER.get(word[0], ()):
        if word.startswith(known) or known.startswith(word):
            return word  # another form of it, or an abbreviation
    for known in _BY_LETTER.get(word[0], ()):
        allowed = 2 if len(known) >= _LONG else 1
        if abs(len(word) - len(known)) <= allowed and slips(word, known) <= allowed:
            return known
    return word


def slips(one: str, other: str) -> int:
    """Letters put in, left out, mistaken or swapped with a neighbour (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        oldest, before, row = before, row, [i]
        for j, right in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (left != right))
            if i > 1 and j > 1 and left == other[j - 2] and one[i - 2] == right:
                cost = min(cost, oldest[j - 2] + 1)
            row.append(cost)
    return row[-1]
