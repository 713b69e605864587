"""A request as a bag of features, the same for training and for use. Pure.

Three blocks, each scaled to length 1 on its own, so that a long text drowns no hint: `c` and a run of 2 to 5 characters
within a word, `w` and one word or two in a row, `h` and a hint (phrases in it, its length, where it was typed).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from leanvibe_lsp.tiers.intent.values import Location
from leanvibe_lsp.tiers.intent.words import core, normalised, phrases, spoken

_WORD = re.compile(r"\w+|[^\w\s]")
_DIGITS = re.compile(r"\d+")
_RUNS = (2, 3, 4, 5)  # characters
_CODE = re.compile(r"[{}();=<>]|\w\.\w|\w_\w|[a-z][A-Z]")
_LENGTHS = (1, 2, 3, 5, 8, 15, 30)  # words: the steps of a scale

Blocks = tuple[tuple[str, ...], ...]


def features(text: str, location: Location, has_selection: bool | None) -> Blocks:
    """The features of a request, block by block, as often as they stand in what is spoken of it."""
    text = spoken(text)
    plain = normalised(text)
    bare = _DIGITS.sub("0", core(plain))
    words = _WORD.findall(bare)
    return tuple(_characters(words)), tuple(_words(words)), tuple(_hints(text, plain, words, location, has_selection))


def _characters(words: list[str]) -> Iterator[str]:
    for word in words:
        padded = f" {word} "
        for size in _RUNS:
            for start in range(len(padded) - size + 1):
                yield "c" + padded[start : start + size]


def _words(words: list[str]) -> Iterator[str]:
    around = ["^", *words, "$"]
    for word in words:
        yield "w" + word
    for left, right in pairwise(around):
        yield f"w{left} {right}"


def _hints(text: str, plain: str, words: list[str], location: Location, has_selection: bool | None) -> Iterator[str]:
    found = [name for name, _ in phrases(plain)]
    yield from (f"h{name}" for name in found)
    yield f"h1 {found[0]}" if found else "h1"
    yield f"hlength {sum(len(words) > step for step in _LENGTHS)}"
    if "?" in text:
        yield "hquestion"
    if _CODE.search(text):
        yield "hcode"
    if location == "panel":
        yield "hpanel"
    if has_selection is not None:
        yield "hselection" if has_selection else "hno selection"
