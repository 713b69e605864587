from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import select
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.lsp import transport
from leanvibe_lsp.lsp.assembly import make_server
from leanvibe_lsp.lsp.framing import FrameDecoder, encode
from leanvibe_lsp.lsp.pipes import Pipes
from leanvibe_lsp.lsp.server import LeanVibeServer
from leanvibe_lsp.lsp.sharing import SharedServices
from leanvibe_lsp.lsp.transport import PipeReader, PipeWriter, serve_pipes
from tests.support.fake_services import FakeServices


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def drain(fd: int) -> list[bytes]:
    decoder, bodies = FrameDecoder(), []
    while data := os.read(fd, 1 << 16):
        bodies += decoder.feed(data)
    return bodies


async def test_messages_are_read_in_order_to_the_end(pipe: tuple[int, int]) -> None:
    """Every message reaches the loop in order; the end of the stream is told last."""
    reader, writer = pipe
    taken: list[object] = []
    ended = asyncio.Event()
    PipeReader(reader, take=taken.append, at_end=ended.set)
    stream = b"".join(encode(b"%d" % number) for number in range(500)) + b"noise\n" + encode(b"{")
    await asyncio.to_thread(os.write, writer, stream)
    os.close(writer)
    await asyncio.wait_for(ended.wait(), 20)
    assert taken[:500] == list(range(500))
    assert [type(item).__name__ for item in taken[500:]] == ["Fault", "Fault"]


async def test_frames_stay_whole_and_a_full_pipe_holds_up_nobody(pipe: tuple[int, int]) -> None:
    """Sending far more than a pipe holds returns at once; a reader that comes late finds every frame whole."""
    reader, writer = pipe
    out = PipeWriter(writer, at_loss=lambda: pytest.fail("lost"))
    bodies = [bytes([65 + number % 26]) * (number * 37) for number in range(300)]
    for body in bodies:
        out.send(body)
    reading = asyncio.ensure_future(asyncio.to_thread(drain, reader))
    assert await asyncio.to_thread(lambda: out.close(within=20))
    os.close(writer)
    assert await reading == bodies


async def test_small_and_large_messages_stay_in_order(pipe: tuple[int, int]) -> None:
    """A small message, written at once when it may, never overtakes or splits a large one still being written."""
    reader, writer = pipe
    dice = random.Random(5)
    out = PipeWriter(writer, at_loss=lambda: pytest.fail("lost"))
    bodies = [
        b"%d:" % number + bytes(dice.choice([10, 100, select.PIPE_BUF, 20_000, 100_000])) for number in range(400)
    ]
    received: list[bytes] = []

    def read_slowly() -> None:
        decoder = FrameDecoder()
        while data := os.read(reader, 4_000):
            received.extend(decoder.feed(data))

    reading = asyncio.ensure_future(asyncio.to_thread(read_slowly))
    for body in bodies:
        out.send(body)
        for _ in range(dice.choice([0, 1, 2, 50])):
            await asyncio.sleep(0)
    assert await asyncio.to_thread(lambda: out.close(within=20))
    os.close(writer)
    await reading
    assert received == bodies


async def test_a_client_that_is_gone_is_told_once(pipe: tuple[int, int]) -> None:
    """A broken pipe is a loss, told on the loop; further sends do nothing."""
    reader, writer = pipe
    lost = asyncio.Event()
    out = PipeWriter(writer, at_loss=lost.set)
    os.close(reader)
    out.send(b"{}")
    await asyncio.wait_for(lost.wait(), 20)
    out.send(b"{}")
    assert not out.close(within=20)


async def test_a_client_that_does_not_read_counts_as_gone(pipe: tuple[int, int]) -> None:
    """More than rpc.unsent_bytes unread ends the connection instead of filling the memory."""
    lost = asyncio.Event()
    out = PipeWriter(pipe[1], at_loss=lost.set)
    block = bytes(limit("rpc.unsent_bytes") // 4)
    for _ in range(5):
        out.send(block)
    assert lost.is_set()
    os.close(pipe[0])
    await asyncio.to_thread(lambda: out.close(within=20))


def test_reader_outlives_its_loop(pipe: tuple[int, int]) -> None:
    """Input that comes after the loop ended is dropped without an exception in the thread."""

    async def start() -> None:
        PipeReader(pipe[0], take=lambda item: None, at_end=lambda: None)

    asyncio.run(start())
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "leanvibe-stdin"]
    os.write(pipe[1], encode(b"{}"))
    os.close(pipe[1])
    thread.join(20)
    assert not thread.is_alive()


def server_of(services: FakeServices, workers: ThreadPoolExecutor) -> LeanVibeServer:
    return make_server(
        SharedServices(lambda settings: services), settings=Settings(), workers=workers, reads_files=True
    )


@pytest.mark.parametrize(("methods", "code"), [(["exit"], 1), (["shutdown", "exit"], 0), ([], 1), (["shutdown"], 0)])
async def test_session_over_pipes(workers: ThreadPoolExecutor, methods: list[str], code: int) -> None:
    """A session ends by exit or by the end of the input; 0 only after shutdown. What was asked has its reply."""
    (in_read, in_write), (out_read, out_write) = os.pipe(), os.pipe()
    services = FakeServices(gate=asyncio.Event())
    messages: list[dict[str, object]] = [
        {"id": 1, "method": "initialize", "params": {"processId": None, "rootUri": None, "capabilities": {}}},
        {"id": 2, "method": "leanvibe/ask", "params": {"question": "x"}},
    ]
    messages += [{"method": method} if method == "exit" else {"id": 3, "method": method} for method in methods]
    os.write(in_write, b"".join(encode(json.dumps({"jsonrpc": "2.0", **m}).encode()) for m in messages))
    if "exit" not in methods:
        os.close(in_write)
    try:
        assert await asyncio.wait_for(serve_pipes(server_of(services, workers), Pipes(in_read, out_write)), 20) == code
    finally:
        if "exit" in methods:
            os.close(in_write)
        os.close(out_write)
    replies = [json.loads(body) for body in drain(out_read)]
    assert sorted(reply["id"] for reply in replies) == [1, 2, *([3] if "shutdown" in methods else [])]
    os.close(in_read)
    os.close(out_read)


def test_the_room_reads_its_limits_from_the_table(monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]) -> None:
    """rpc.read_bytes is what is read at once."""
    sizes: list[int] = []

    def read(fd: int, size: int) -> bytes:
        sizes.append(size)
        return b""

    monkeypatch.setattr(transport.os, "read", read)

    async def start() -> None:
        ended = asyncio.Event()
        PipeReader(pipe[0], take=lambda item: None, at_end=ended.set)
        await asyncio.wait_for(ended.wait(), 20)

    asyncio.run(start())
    assert sizes == [limit("rpc.read_bytes")]
