"""LSP's base protocol, without I/O: bytes in, message bodies and faults out.

Lenient in what it reads. Header names in any case, other headers ignored, lines may end in a bare newline. Bytes that
are no header (something printed by a child process, say) are skipped, and reading goes on at the next
`Content-Length`, even one that stands behind such bytes on the same line. A body larger than `rpc.message_bytes` is
skipped without being kept. Each trouble is told once, as a `Fault`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.lsp.faults import Code, RpcFault

_LENGTH = re.compile(rb"content-length[ \t]*:[ \t]*(\d{1,18})[ \t]*", re.IGNORECASE)
_LENGTH_AT_END = re.compile(rb"content-length[ \t]*:[ \t]*(\d{1,18})[ \t]*$", re.IGNORECASE)
_OTHER_HEADER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+[ \t]*:")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that was no message; the reply has no id, because none could be read."""

    code: int
    message: str


class FrameDecoder:
    """Cuts a byte stream into bodies. One per connection; not for several threads."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._length: int | None = None  # of the body whose headers are being read
        self._in_body = False
        self._skip = 0  # bytes of an oversized body still to come
        self._lost = False  # a fault was told and no frame was read since

    def feed(self, data: bytes) -> Iterator[bytes | Fault]:
        """Take bytes as they come; gives each complete body and each fault, in order."""
        self._buffer += data
        while True:
            if self._skip:
                dropped = min(self._skip, len(self._buffer))
                del self._buffer[:dropped]
                self._skip -= dropped
                if self._skip:
                    return
            if self._in_body:
                assert self._length is not None
                if len(self._buffer) < self._length:
                    return
                body = bytes(self._buffer[: self._length])
                del self._buffer[: self._length]
                self._in_body, self._length, self._lost = False, None, False
                yield body
                continue
            end = self._buffer.find(b"\n")
            if end < 0:
                del self._buffer[: -limit("rpc.header_bytes")]
                return
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            if (fault := self._header(line)) is not None:
                yield fault

    def _header(self, line: bytes) -> Fault | None:
        """Take one header line; an empty one ends the headers."""
        if not line:
            return self._end_of_headers()
        if match := _LENGTH.fullmatch(line):
            self._length = int(match[1])
        elif not _OTHER_HEADER.match(line):
            match = _LENGTH_AT_END.search(line)
            self._length = int(match[1]) if match else None
            return self._trouble("bytes that belong to no message were skipped")
        return None

    def _end_of_headers(self) -> Fault | None:
        if self._length is None:
            return self._trouble("a message without a usable Content-Length was skipped")
        if self._length > (most := limit("rpc.message_bytes")):
            fault = Fault(
                Code.INVALID_REQUEST, f"A message of {self._length} bytes was skipped; at most {most} are taken."
            )
            self._skip, self._length = self._length, None
            return fault
        self._in_body = True
        return None

    def _trouble(self, what: str) -> Fault | None:
        if self._lost:
            return None
        self._lost = True
        return Fault(Code.PARSE_ERROR, f"The stream is not LSP here: {what}.")


def encode(body: bytes) -> bytes:
    """A body with its header, ready for a stream."""
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def parse(body: bytes | str) -> object:
    """The JSON value of a body, or a Fault. Strict: UTF-8, and no NaN or Infinity."""
    try:
        text = body if isinstance(body, str) else body.decode("utf-8")
        value: object = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return Fault(Code.PARSE_ERROR, f"The message is not JSON: {type(error).__name__}: {error}.")
    return value


def dump(message: object) -> bytes:
    """JSON bytes of a message. Raises RpcFault for what JSON cannot say (NaN, a foreign object)."""
    try:
        return json.dumps(message, separators=(",", ":"), allow_nan=False).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise RpcFault(Code.INTERNAL_ERROR, f"The result is not JSON: {error}.") from error


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")
