"""Server-sent events, from bytes cut anywhere to the data of whole events. Pure, and bounded in memory."""

from __future__ import annotations

from leanvibe_lsp.config.limits import limit


class EventTooLong(ValueError):
    """One event is longer than `remote.event_bytes`."""


class Events:
    """Put together what `push` is given. Comments and fields other than `data` are passed over."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._data: list[bytes] = []
        self._size = 0
        self._after_cr = False

    def push(self, piece: bytes) -> list[bytes]:
        """The data of the events that `piece` completes. Raises EventTooLong."""
        if self._after_cr and piece:  # "\r\n" was cut in the middle
            piece = piece.removeprefix(b"\n")
            self._after_cr = False
        self._after_cr = self._after_cr or piece.endswith(b"\r")
        *lines, rest = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        found: list[bytes] = []
        for line in lines:
            whole = bytes(self._line) + line
            self._line.clear()
            found += self._take(whole)
        self._line += rest
        self._check(len(self._line))
        return found

    def _take(self, line: bytes) -> list[bytes]:
        if not line:
            data, self._data, self._size = self._data, [], 0
            return [b"\n".join(data)] if data else []
        name, _, value = line.partition(b":")
        if name == b"data":
            self._check(len(line))
            self._data.append(value.removeprefix(b" "))
            self._size += len(line)  # with its name: empty ones take room too
        return []

    def _check(self, more: int) -> None:
        if self._size + more > limit("remote.event_bytes"):
            raise EventTooLong
