"""Completions that were made before. Typing on into one that is shown needs no model: what is left of it is given.

In memory, bounded; of the code only digests are kept. Event-loop thread only.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from leanvibe_lsp.config.limits import limit


@dataclass(frozen=True, slots=True)
class Asked:
    """What a completion depends on. `before` and `after` are the whole texts around the cursor."""

    uri: str
    model: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class _Key:
    uri: str
    model: str
    size: int  # of `before`
    before: bytes
    after: bytes


class CompletionCache:
    """The newest completions; "" is one too: there was nothing to say."""

    def __init__(self) -> None:
        self._kept: OrderedDict[_Key, str] = OrderedDict()

    def get(self, asked: Asked) -> str | None:
        """What is known to follow: the same place's completion, or the rest of one whose beginning was typed."""
        after = _digest(asked.after)
        for key in reversed(self._kept):
            text, typed = self._kept[key], asked.before[key.size :]
            if (
                (key.uri, key.model, key.after) == (asked.uri, asked.model, after)
                and key.size <= len(asked.before)
                and (not typed or (text.startswith(typed) and text != typed))
                and key.before == _digest(asked.before[: key.size])
            ):
                self._kept.move_to_end(key)
                return text[len(typed) :]
        return None

    def put(self, asked: Asked, text: str) -> None:
        """Keep a completion; the one that was not used for longest makes room."""
        key = _Key(asked.uri, asked.model, len(asked.before), _digest(asked.before), _digest(asked.after))
        self._kept[key] = text
        self._kept.move_to_end(key)
        while len(self._kept) > limit("completion.kept"):
            self._kept.popitem(last=False)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
