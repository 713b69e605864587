from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.lsp.faults import Code, RpcFault
from leanvibe_lsp.lsp.framing import Fault, FrameDecoder, dump, encode, parse


def decode(data: bytes) -> list[bytes | Fault]:
    return list(FrameDecoder().feed(data))


def codes(items: list[bytes | Fault]) -> list[object]:
    return [item.code if isinstance(item, Fault) else item for item in items]


@given(st.lists(st.binary(max_size=200)), st.lists(st.integers(1, 40)))
def test_any_cut_of_the_stream_gives_the_same_bodies(bodies: list[bytes], cuts: list[int]) -> None:
    """Bodies come out whole and in order, however the bytes arrive."""
    stream = b"".join(map(encode, bodies))
    decoder, found = FrameDecoder(), []
    for cut in cuts:
        found += decoder.feed(stream[:cut])
        stream = stream[cut:]
    found += decoder.feed(stream)
    assert found == bodies


@pytest.mark.parametrize(
    "header",
    [
        b"content-length: 2\r\n\r\n",
        b"CONTENT-LENGTH:2\r\n\r\n",
        b"Content-Type: application/vscode-jsonrpc; charset=utf-8\r\nContent-Length: 2\r\n\r\n",
        b"Content-Length: 2\r\nContent-Type: x\r\nX-Content-Length: 9\r\n\r\n",
        b"Content-Length:  2 \n\n",
    ],
)
def test_header_in_any_form(header: bytes) -> None:
    """Trap 10: a lower-case header, other headers and bare newlines are taken."""
    assert decode(header + b"{}") == [b"{}"]


@pytest.mark.parametrize(
    "noise",
    [
        b"Loading weights...\n",
        b"printed without a newline {'a': 1} ",
        b'{"jsonrpc": "2.0"}',
        b"\r\n\r\n",
        b"Content-Length: many\r\n\r\n",
        b"Content-Length: -5\r\n\r\n",
        b"Content-Length: 99999999999999999999999\r\n\r\n",
        b"\xff\xfe\x00\n\n\n",
    ],
)
def test_noise_is_told_once_and_reading_goes_on(noise: bytes) -> None:
    """Bytes that are no message cost one fault, and the next message is read."""
    assert codes(decode(noise + encode(b"{}") + encode(b"[]"))) == [Code.PARSE_ERROR, b"{}", b"[]"]


def test_second_noise_is_told_again() -> None:
    """A fault is told again after a message was read in between."""
    assert codes(decode(b"a b\n" + encode(b"{}") + b"c d\n")) == [Code.PARSE_ERROR, b"{}", Code.PARSE_ERROR]


def test_too_large_message_is_skipped_without_being_kept() -> None:
    """A message over rpc.message_bytes is drained and reported; the next one is read."""
    most = limit("rpc.message_bytes")
    decoder = FrameDecoder()
    assert codes(list(decoder.feed(b"Content-Length: %d\r\n\r\n" % (most + 3)))) == [Code.INVALID_REQUEST]
    block = bytes(1 << 20)
    for _ in range(most // len(block)):
        assert list(decoder.feed(block)) == []
        assert len(decoder._buffer) == 0
    assert list(decoder.feed(b"abc" + encode(b"{}"))) == [b"{}"]


def test_endless_line_is_not_kept() -> None:
    """A stream without a line ending takes no more memory than rpc.header_bytes."""
    decoder = FrameDecoder()
    for _ in range(20):
        assert list(decoder.feed(b"x" * 10_000)) == []
        assert len(decoder._buffer) <= limit("rpc.header_bytes")
    assert codes(list(decoder.feed(b" " + encode(b"{}")))) == [Code.PARSE_ERROR, b"{}"]


@pytest.mark.parametrize("body", [b"{", b"", b"\xff", b'{"a": NaN}', b"[Infinity]", b"[" * 100_000, b"9" * 5_000])
def test_what_is_not_json_is_a_fault(body: bytes) -> None:
    """Bad JSON, bad UTF-8, NaN, bottomless nesting and endless numbers are parse errors, not exceptions."""
    fault = parse(body)
    assert isinstance(fault, Fault)
    assert fault.code == Code.PARSE_ERROR


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner)))
def test_dump_and_parse_are_inverse(value: object) -> None:
    """Whatever is sent can be read, in ASCII."""
    assert parse(dump(value)) == value


def test_lone_surrogates_can_be_sent() -> None:
    """Half a character in a result does not break the stream."""
    assert json.loads(dump({"text": "\ud800"})) == {"text": "\ud800"}


@pytest.mark.parametrize("value", [float("nan"), {"a": object()}, {1, 2}])
def test_what_json_cannot_say_is_a_fault(value: object) -> None:
    """NaN and foreign objects are refused before a byte is sent."""
    with pytest.raises(RpcFault) as caught:
        dump(value)
    assert caught.value.code == Code.INTERNAL_ERROR
