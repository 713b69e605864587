"""From the bytes of tokens to the text of an answer.

Pure: no clock, no I/O. What comes out does not depend on how the bytes were cut into pieces. Two things are
held back: half a character, and text that could still become a stop string. A stop string never comes out.
"""

from __future__ import annotations

import codecs

from leanvibe_lsp.config.limits import limit


class TextAssembler:
    """Put together what `push` is given. All results of `push` and `finish`, joined, are the answer.

    Where several stop strings fit, the one that is complete first ends the text; of two complete at the same
    character, the longer one. Empty stop strings are ignored. With `stop_loops`, `looping` becomes True when the text
    began to repeat itself; nothing is taken back. Bytes that are not UTF-8 become U+FFFD; a
    character that the end cuts in half is left out.
    """

    __slots__ = ("_decoder", "_held", "_recent", "_stops", "_unwatched", "_watch", "looping", "stopped")

    def __init__(self, stop: tuple[str, ...] = (), *, stop_loops: bool = False) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stops = tuple(text for text in stop if text)
        self._held = ""
        self._recent = ""
        self._watch = stop_loops
        self._unwatched = 0
        self.stopped = False
        self.looping = False

    def push(self, data: bytes) -> str:
        """Take the bytes of one token; give the text that is certain now. After a stop string: always ""."""
        if self.stopped:
            return ""
        text = self._held + self._decoder.decode(data)
        end = self._first_stop(text)
        if end is not None:
            self.stopped = True
            self._held = ""
            return text[:end]
        keep = self._possible_stop(text)
        self._held = text[len(text) - keep :]
        certain = text[: len(text) - keep]
        if self._watch:
            self._look_for_loop(certain)
        return certain

    def finish(self) -> str:
        """No more bytes will come: give what was held back for a stop string. The second call gives ""."""
        self._decoder.reset()
        held, self._held = self._held, ""
        return held

    def _look_for_loop(self, text: str) -> None:
        """Look now and then: a look costs about a millisecond."""
        self._recent = (self._recent + text)[-limit("answer.loop_window") :]
        self._unwatched += len(text)
        if self._unwatched >= limit("answer.loop_stride"):
            self._unwatched = 0
            self.looping = self.looping or repeats(self._recent)

    def _first_stop(self, text: str) -> int | None:
        """Where the answer ends, or None."""
        # What was given out before is no part of a match: it was not the beginning of a stop string.
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        return min(found)[1] if found else None

    def _possible_stop(self, text: str) -> int:
        """Length of the longest end of `text` with which a stop string begins."""
        longest = 0
        for stop in self._stops:
            for size in range(min(len(stop) - 1, len(text)), longest, -1):
                if text.endswith(stop[:size]):
                    longest = size
                    break
        return longest


def repeats(text: str) -> bool:
    """Whether `text` ends in one piece said over and over: three times at least, `answer.loop_characters` in all.

    Small models fall into such loops and stay in them until the token limit, sure of every word. Pure, linear in time.
    """
    least = limit("answer.loop_characters")
    if len(text) < least:
        return False
    matches = _prefix_matches(text[::-1])
    return any(matches[period] + period >= max(least, 3 * period) for period in range(1, len(text) // 3 + 1))


def _prefix_matches(text: str) -> list[int]:
    """The Z-function: for each place, how far `text` from there agrees with its own beginning (0 at place 0)."""
    matches = [0] * len(text)
    left = right = 0
    for place in range(1, len(text)):
        size = min(right - place, matches[place - left]) if place < right else 0
        while place + size < len(text) and text[size] == text[place + size]:
            size += 1
        matches[place] = size
        if place + size > right:
            left, right = place, place + size
    return matches
