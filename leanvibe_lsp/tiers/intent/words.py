"""What a request says in clear words: slash commands, and turns of phrase that leave little room. Pure.

A phrase is a regular expression over the normalised text: small letters, one space between words, no greeting and no
"please" around it; all stand in `data/phrases.txt`. How often each is right is measured when the model is trained; one
that is right too seldom to decide alone is a feature of the model and no more.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.tiers.intent.spelling import mended
from leanvibe_lsp.tiers.intent.values import Intent

COMMANDS = {
    "/explain": Intent.EXPLAIN,
    "/generate": Intent.GENERATE,
    "/new": Intent.GENERATE,
    "/edit": Intent.EDIT,
    "/doc": Intent.DOCUMENT,
    "/tests": Intent.TESTS,
    "/fix": Intent.FIX,
    "/review": Intent.REVIEW,
    "/search": Intent.SEARCH,
}

_FILE = Path(__file__).parent / "data" / "phrases.txt"
_PASTED = re.compile(r"\n\s*\n|\n```")
_ENOUGH = 3  # words
_LONG_WORD = re.compile(r"\b[a-z]{6,}\b")
_TRAILING = re.compile(
    r"(?:[\s,.!?]+(?:please|pls|plz|thanks|thank you|thx|bitte|danke|por favor|asap|for me))*[\s.!?]*$"
)


def spoken(text: str) -> str:
    """The beginning of a request: without the code or log pasted under it, when what stands above says enough."""
    text = text.strip()
    first = _PASTED.split(text, maxsplit=1)[0]
    return (first if len(first.split()) >= _ENOUGH else text)[: limit("intent.characters")]


def normalised(text: str) -> str:
    """One form for what is written alike: NFKC, small letters, straight quotes, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().replace("’", "'").split())


def command(text: str) -> Intent | None:
    """What a leading slash command says; None for a text without one, or with one that is not ours."""
    first = text.split(maxsplit=1)[:1]
    return COMMANDS.get(first[0].casefold()) if first else None


def core(text: str) -> str:
    """A normalised text, mended, without greetings and courtesies around it; whole, when nothing else is in it."""
    text = _LONG_WORD.sub(lambda found: mended(found[0]), text)
    return _TRAILING.sub("", _table().leading.sub("", text, count=1), count=1) or text


def clearest(text: str) -> tuple[str, Intent] | None:
    """The first of the phrases in a request as it was typed."""
    return next(phrases(normalised(spoken(text))), None)


def phrases(text: str) -> Iterator[tuple[str, Intent]]:
    """Names of the phrases in a normalised text, and what each says; the clearest first."""
    bare = core(text)
    for name, intent, pattern in _table().phrases:
        if pattern.search(bare):
            yield name, intent


@dataclass(frozen=True, slots=True)
class _Table:
    leading: re.Pattern[str]
    phrases: tuple[tuple[str, Intent, re.Pattern[str]], ...]


@cache
def _table() -> _Table:
    """The file's phrases; its parts are put in where they are named."""
    parts: dict[str, str] = {}
    heads: list[tuple[str, Intent]] = []
    lines: list[list[str]] = []
    for line in _FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("<"):
            name, _, pattern = line.partition(" is ")
            parts[name] = pattern
        elif line.startswith(" "):
            lines[-1].append(_whole(line.strip(), parts))
        elif line and not line.startswith("#"):
            name, _, intent = line.partition(": ")
            heads.append((name, Intent(intent)))
            lines.append([])
    compiled = (re.compile("|".join(alternatives)) for alternatives in lines)
    phrases = tuple((name, intent, pattern) for (name, intent), pattern in zip(heads, compiled, strict=True))
    return _Table(re.compile("^" + parts["<courtesy>"]), phrases)


def _whole(pattern: str, parts: dict[str, str]) -> str:
    for name, part in parts.items():
        pattern = pattern.replace(name, part)
    return pattern
