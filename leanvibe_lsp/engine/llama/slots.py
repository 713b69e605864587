"""Which slot of llama.cpp serves which request, and how much of the KV cache is promised to whom.

All slots share one cache. llama.cpp fails every running request when it overflows, so nothing starts before its prompt
and its longest answer have room. What an idle slot holds is promised to nobody: llama.cpp drops it when in need.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.errors import Cancelled


@dataclass(slots=True)
class _Slot:
    held: tuple[int, ...] = ()
    promised: int = 0  # tokens; 0: nobody runs on it
    resting: bool = False  # what it holds belongs to a request that goes on soon
    used: int = 0


class Slots:
    """`window` tokens shared by `count` slots. May be called from any thread."""

    def __init__(self, count: int, window: int) -> None:
        self._slots = [_Slot() for _ in range(count)]
        self._window = window
        self._turn = 0
        self._closed = False
        self._changed = threading.Condition()

    @property
    def held_tokens(self) -> int:
        """Tokens whose keys and values are kept, as far as we know."""
        with self._changed:
            return min(self._window, sum(len(slot.held) for slot in self._slots))

    def take(
        self, prompt: Sequence[int], tokens: int, cancel: CancelToken, deadline: Deadline, own: int | None = None
    ) -> int:
        """A slot for `prompt` and `tokens` new ones; waits for room. Raises Cancelled, DeadlineExceeded.

        `own` is the slot on which this request rests.
        """
        cancel.on_cancel(self._notify)
        with self._changed:
            while True:
                cancel.check()
                deadline.check()
                if self._closed:
                    raise Cancelled("The engine is closing.")
                slot = self._try(prompt, tokens, own)
                if slot is not None:
                    return slot
                self._changed.wait(min(deadline.at - time.monotonic(), threading.TIMEOUT_MAX))

    def try_take(self, prompt: Sequence[int], tokens: int) -> int | None:
        """The same, or None when there is no room now."""
        with self._changed:
            return self._try(prompt, tokens, None)

    def leave(self, slot: int, held: Sequence[int], *, resting: bool = False) -> None:
        """The request on `slot` ended or rests; the slot holds the keys and values of `held`."""
        with self._changed:
            self._slots[slot].held = tuple(held)
            self._slots[slot].promised = 0
            self._slots[slot].resting = resting
            self._changed.notify_all()

    def close(self) -> None:
        """Nothing starts any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _try(self, prompt: Sequence[int], tokens: int, own: int | None) -> int | None:
        needed = min(self._window, len(prompt) + tokens)
        free = [number for number, slot in enumerate(self._slots) if not slot.promised]
        if not free or needed + sum(slot.promised for slot in self._slots) > self._window:
            return None
        if own is not None and own in free and self._slots[own].resting:
            best = own
        else:
            best = max(free, key=lambda number: self._rank(self._slots[number], prompt))
        self._turn += 1
        slot = self._slots[best]
        slot.promised, slot.resting, slot.used = max(1, needed), False, self._turn
        return best

    @staticmethod
    def _rank(slot: _Slot, prompt: Sequence[int]) -> tuple[bool, int, int]:
        """The longest common beginning, then the one unused for longest; one that rests only if there is no other."""
        return not slot.resting, _common(slot.held, prompt), -slot.used


def _common(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the common beginning."""
    pairs = zip(left, right, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))
