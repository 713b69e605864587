"""Special tokens in the words of a template, found as the `tokenizers` library finds them. Pure.

The library looks for them in a whole prompt and cannot know who wrote what. Here the prompt comes in parts, and only
the template's own parts are searched; the text between two special tokens is glued together again, so that it is
encoded as it would have been.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

# White space by Unicode, as the library has it: str.strip() would also take U+001C to U+001F.
_SPACES = re.compile("[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*")
_WORD_CATEGORIES = ("L", "M", "Nd", "Nl", "Pc")


@dataclass(frozen=True, slots=True)
class SpecialToken:
    """An id, and how its text is matched: the white space it takes with it, and whether it may touch a word."""

    id: int
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False


class SpecialTokens:
    """The special tokens of a model, by their text."""

    __slots__ = ("_by_text", "_pattern")

    def __init__(self, by_text: Mapping[str, SpecialToken]) -> None:
        self._by_text = {text: token for text, token in by_text.items() if text}
        longest_first = sorted(self._by_text, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

    def id_of(self, text: str) -> int | None:
        """The id of the token written like `text`, or None."""
        token = self._by_text.get(text)
        return token.id if token else None

    def split(self, parts: Sequence[str]) -> Iterator[str | int]:
        """Ids of special tokens and the plain text between them, in order; no text is empty.

        `parts` are a template's words and a message's in turn, the template's first. A token that takes white space
        with it takes a message's too.
        """
        text = "".join(parts)
        done = end = 0
        for index, part in enumerate(parts):
            begin, end = end, end + len(part)
            if index % 2:
                continue
            for match in self._pattern.finditer(text, begin, end):
                token = self._by_text[match[0]]
                start, stop = match.span()
                if token.single_word and (_is_word(text[start - 1 : start]) or _is_word(text[stop : stop + 1])):
                    continue
                if token.lstrip:
                    start = _spaces_before(text, start, done)
                if token.rstrip and (spaces := _SPACES.match(text, stop)):
                    stop = spaces.end()
                if done < start:
                    yield text[done:start]
                yield token.id
                done = stop
        if done < len(text):
            yield text[done:]


def _spaces_before(text: str, end: int, least: int) -> int:
    while end > least and _SPACES.fullmatch(text[end - 1]):
        end -= 1
    return end


def _is_word(character: str) -> bool:
    return bool(character) and (
        unicodedata.category(character).startswith(_WORD_CATEGORIES) or character in "\u200c\u200d"
    )
