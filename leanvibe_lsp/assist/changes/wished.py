"""What a person's own words say may go: definitions, or all of the code. Pure.

Few verbs are known, and only what they are said of: "remove the loop from f" is not about `f`. What is not understood
takes nothing away; then a draft is refused that did more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_REMOVE = re.compile(
    r"\b(?:remov(?:e|es|ed|ing)|delet(?:e|es|ed|ing)|drop|get rid of|inlin(?:e|ing)|merge|combine)\b",
    re.IGNORECASE,
)
_RENAME = re.compile(
    r"\b(?:renam(?:e|es|ed|ing)|(?:better|clearer|different|new|shorter|longer) names?)\b",
    re.IGNORECASE,
)
_COMMENT_OUT = re.compile(r"\bcomment(?:ed|ing)?\b.*\bout\b", re.IGNORECASE)
_NOTHING = re.compile(r"\b(?:do(?:es)? nothing|no-?op|stub|(?:with|just) pass)\b", re.IGNORECASE)
_NOT = re.compile(r"(?:\bnot|n['’]t|\bnever|\bwithout)\s+(?:\w+\s+)?$", re.IGNORECASE)
# Where the words that a verb is said of end.
_ENDS = re.compile(
    r"[.;:!?](?:\s|$)|\b(?:from|in|inside|within|of|on|when|where|so|because|for|to|into|with|as|but|then)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[\w$]+")
# Words for the code that is looked at, or for any of its definitions.
_THE_CODE = frozenset(
    _WORD.findall(
        "the this that these those it them all any every everything both whole entire unused dead old private "
        "deprecated duplicate duplicated two other and or function functions method methods class classes "
        "definition definitions code block lines line statement statements helper helpers routine type "
        "struct interface enum please"
    )
)


def may_go(instruction: str, name: str) -> bool:
    """Whether the definition of that name may be gone afterwards."""
    said = _plain(instruction)
    return _COMMENT_OUT.search(said) is not None or _said_of(_REMOVE, said, name)


def may_be_renamed(instruction: str, name: str) -> bool:
    """Whether something else may stand in its place."""
    return _said_of(_RENAME, _plain(instruction), name)


def may_be_emptied(instruction: str, names: Iterable[str]) -> bool:
    """Whether nothing that runs may be left of code with definitions of these names."""
    said = _plain(instruction)
    if _COMMENT_OUT.search(said) is not None or _NOTHING.search(said) is not None:
        return True
    return any(_said_of(_REMOVE, said, name) for name in ("", *names))


def _plain(instruction: str) -> str:
    return re.sub(r"[`'\"‘’“”](?!t\b)", "", instruction)


def _said_of(verb: re.Pattern[str], said: str, name: str) -> bool:
    return any(name in words or all(word.lower() in _THE_CODE for word in words) for words in _objects(verb, said))


def _objects(verb: re.Pattern[str], said: str) -> Iterator[list[str]]:
    """The words that it is said of, each time that it is said."""
    for found in verb.finditer(said):
        if _NOT.search(said[: found.start()]) is None:
            rest = said[found.end() :]
            end = _ENDS.search(rest)
            yield _WORD.findall(rest[: end.start()] if end is not None else rest)
