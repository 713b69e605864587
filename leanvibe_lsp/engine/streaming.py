"""From the bytes of tokens to the text of an answer.

Pure: no clock, no I/O. What comes out does not depend on how the bytes were cut into pieces. Two things are
held back: half a character, and text that could still become a stop string. A stop string never comes out.
"""

from __future__ import annotations

import codecs


class TextAssembler:
    """Put together what `push` is given. All results of `push` and `finish`, joined, are the answer.

    Where several stop strings fit, the one that is complete first ends the text; of two complete at the same
    character, the longer one. Empty stop strings are ignored. Bytes that are not UTF-8 become U+FFFD; a
    character that the end cuts in half is left out.
    """

    __slots__ = ("_decoder", "_held", "_stops", "stopped")

    def __init__(self, stop: tuple[str, ...] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stops = tuple(text for text in stop if text)
        self._held = ""
        self.stopped = False

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
        return text[: len(text) - keep]

    def finish(self) -> str:
        """No more bytes will come: give what was held back for a stop string. The second call gives ""."""
        self._decoder.reset()
        held, self._held = self._held, ""
        return held

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
