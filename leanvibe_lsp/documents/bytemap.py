"""UTF-8 byte offsets, which tree-sitter speaks, to code-point offsets, which we speak, and back.

ASCII text needs no map. Otherwise characters are counted once for each block of bytes, and within a block when asked.
"""

from __future__ import annotations

from bisect import bisect_right

_BLOCK = 1024  # bytes; a size of working memory, not a limit on anything
_CONTINUATION = bytes(range(0x80, 0xC0))


class ByteMap:
    """Immutable after construction. `data` is the text in UTF-8."""

    __slots__ = ("_before", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._before: list[int] = []  # characters that begin before block i; empty: ASCII
        if data.isascii():
            return
        total = 0
        for start in range(0, len(data) + 1, _BLOCK):
            self._before.append(total)
            total += _begun(data[start : start + _BLOCK])

    def character(self, byte: int) -> int:
        """The code-point offset of a byte offset that lies on a character's first byte, or at the end."""
        if not self._before:
            return byte
        block = byte // _BLOCK
        return self._before[block] + _begun(self._data[block * _BLOCK : byte])

    def byte(self, character: int) -> int:
        """The byte offset of a code-point offset in the text."""
        if not self._before:
            return character
        block = bisect_right(self._before, character) - 1
        at, left = block * _BLOCK, character - self._before[block]
        while True:
            # A block may begin inside a character that began in the one before.
            while at < len(self._data) and self._data[at] & 0xC0 == 0x80:
                at += 1
            if not left:
                return at
            at, left = at + 1, left - 1


def _begun(data: bytes) -> int:
    return len(data.translate(None, _CONTINUATION))
