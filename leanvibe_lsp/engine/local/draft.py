"""Guessing what comes next from what was there before (prompt lookup). Pure.

A model that edits code says most of it again. The guess is what followed the same tokens the last time, in the prompt
or in the answer so far; the model looks at all of it in one forward pass and keeps the beginning it would have said
itself. A guess changes the speed and nothing else.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Sequence

from leanvibe_lsp.config.limits import limit


class NgramIndex:
    """Where each run of `shortest` to `longest` tokens was seen last, and so what followed it."""

    __slots__ = ("_followed", "_ids")

    def __init__(self, ids: Sequence[int], *, shortest: int, longest: int) -> None:
        self._ids: list[int] = []
        # For each size, from long to short: a run of tokens -> the place after it.
        self._followed: dict[int, dict[tuple[int, ...], int]] = {size: {} for size in range(longest, shortest - 1, -1)}
        for token_id in ids:
            self.append(token_id)

    def append(self, token_id: int) -> None:
        """The text goes on with this token."""
        place = len(self._ids)
        for size, followed in self._followed.items():
            if size <= place:
                followed[tuple(self._ids[-size:])] = place
        self._ids.append(token_id)

    def propose(self, count: int) -> list[int]:
        """The `count` tokens after the last place where the longest known run stood; [] where none was seen before."""
        ids = self._ids
        for size, followed in self._followed.items():
            place = followed.get(tuple(ids[-size:]))
            if place is not None and size <= len(ids):
                # Past the end it reads what it guessed itself: the text may be a run that repeats.
                guess: list[int] = []
                for at in range(place, place + count):
                    guess.append(ids[at] if at < len(ids) else guess[at - len(ids)])
                return guess
        return []


class DraftPolicy:
    """How much to guess: more while it comes out right, nothing for a while where it costs more than it saves.

    It has no clock: it is told what each pass cost. The first pass is a plain one, the measure for all others.
    """

    __slots__ = ("_length", "_next_rest", "_rest", "_steps")

    def __init__(self) -> None:
        self._steps: deque[float] = deque(maxlen=limit("draft.measured_steps"))
        self._length = limit("draft.tokens_min")
        self._rest = 0
        self._next_rest = limit("draft.rest_min")

    @property
    def length(self) -> int:
        """How many tokens to guess now; 0 for none."""
        return self._length if self._steps and not self._rest else 0

    def stepped(self, seconds: float) -> None:
        """One token was computed without a guess."""
        self._steps.append(seconds)
        self._rest = max(0, self._rest - 1)

    def verified(self, drafted: int, accepted: int, seconds: float) -> None:
        """One pass looked at `drafted` guesses and found the first `accepted` right, which gave one token more."""
        least = limit("draft.tokens_min")
        if (1 + accepted) * statistics.median(self._steps) > seconds:
            right = accepted == drafted
            self._length = min(2 * self._length, limit("draft.tokens_max")) if right else max(accepted + 1, least)
            self._next_rest = max(self._next_rest // 2, limit("draft.rest_min"))
        else:
            self._length = least
            self._rest = self._next_rest
            self._next_rest = min(2 * self._next_rest, limit("draft.rest_max"))


class Drafter:
    """The index and the policy of one generation; `prompt` is all but what `append` brings."""

    __slots__ = ("_index", "policy")

    def __init__(self, prompt: Sequence[int]) -> None:
        self._index = NgramIndex(prompt, shortest=limit("draft.ngram_min"), longest=limit("draft.ngram_max"))
        self.policy = DraftPolicy()

    def append(self, token_id: int) -> None:
        """The answer goes on with this token."""
        self._index.append(token_id)

    def propose(self, room: int) -> list[int]:
        """At most `room` tokens that may come next."""
        count = min(room, self.policy.length)
        return self._index.propose(count) if count > 0 else []
