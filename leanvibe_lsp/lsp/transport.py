"""Serving one client over a pair of pipes.

Reading, and writing what a pipe does not take at once, run on a daemon thread each: the event loop never waits for a
pipe, and a client that neither reads nor closes cannot hold it up.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import select
import stat
import threading
from collections.abc import Callable

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.lsp.framing import Fault, FrameDecoder, encode, parse
from leanvibe_lsp.lsp.pipes import Pipes
from leanvibe_lsp.lsp.server import LeanVibeServer

_log = logging.getLogger(__name__)


class PipeReader:
    """Reads messages on its own thread and hands them to the event loop, in order."""

    def __init__(self, fd: int, *, take: Callable[[object], None], at_end: Callable[[], None]) -> None:
        self._fd = fd
        self._take = take
        self._at_end = at_end
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, name="leanvibe-stdin", daemon=True).start()

    def _read(self) -> None:
        decoder = FrameDecoder()
        try:
            while data := os.read(self._fd, limit("rpc.read_bytes")):
                for item in decoder.feed(data):
                    # Parsed here: a large message must not hold up the loop.
                    self._hand_over(self._take, item if isinstance(item, Fault) else parse(item))
        except OSError as error:
            _log.warning("Reading from the client failed: %s", error)
        self._hand_over(self._at_end)

    def _hand_over(self, call: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *args)
        except RuntimeError:
            _log.debug("The event loop has ended before its input.")


class PipeWriter:
    """Writes whole messages in order, and never makes the event loop wait.

    What one turn of the loop sends goes out in one write. A small one that fits into the pipe is written at once:
    waking another thread for each would take time from those that compute the next token. Anything else is for a
    thread.
    """

    def __init__(self, fd: int, *, at_loss: Callable[[], None]) -> None:
        self._fd = fd
        self._at_loss = at_loss
        self._loop = asyncio.get_running_loop()
        self._poll = _writable_poll(fd)
        self._batch: list[bytes] = []
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._unsent = 0
        self._lost = False
        self._thread = threading.Thread(target=self._write, name="leanvibe-stdout", daemon=True)
        self._thread.start()

    def send(self, body: bytes) -> None:
        """Send one message with the others of this turn. A client that leaves too many unread counts as gone."""
        if self._lost:
            return
        data = encode(body)
        with self._lock:
            self._unsent += len(data)
            too_many = self._unsent > limit("rpc.unsent_bytes")
            self._batch.append(data)
            first = len(self._batch) == 1
        if too_many:
            self._lose("the client does not read")
        elif first:
            self._loop.call_soon(self._flush)

    def close(self, *, within: float) -> bool:
        """Write what is left, for at most `within` seconds; blocks. False when something stayed."""
        with self._lock:
            self._queue.put(b"".join(self._batch))
            self._batch.clear()
        self._queue.put(None)
        self._thread.join(within)
        return not self._thread.is_alive() and not self._lost

    def _flush(self) -> None:
        """The turn of the loop is over."""
        with self._lock:
            data = b"".join(self._batch)
            self._batch.clear()
            alone = self._unsent == len(data)  # the thread has nothing that must go before
            if not (alone and self._fits(data)):
                self._queue.put(data)
                return
        try:
            os.write(self._fd, data)
        except OSError as error:
            self._lose(str(error))
        else:
            with self._lock:
                self._unsent -= len(data)

    def _fits(self, data: bytes) -> bool:
        """A pipe that polls as writable takes PIPE_BUF bytes whole, without waiting (POSIX)."""
        return self._poll is not None and len(data) <= select.PIPE_BUF and bool(self._poll.poll(0))

    def _write(self) -> None:
        while (data := self._queue.get()) is not None:
            view = memoryview(data)
            try:
                while view:
                    view = view[os.write(self._fd, view) :]
            except OSError as error:
                self._loop_call(str(error))
                return
            with self._lock:
                self._unsent -= len(data)

    def _loop_call(self, reason: str) -> None:
        try:
            self._loop.call_soon_threadsafe(self._lose, reason)
        except RuntimeError:
            _log.debug("The event loop ended before the last message was written.")

    def _lose(self, reason: str) -> None:
        if not self._lost:
            self._lost = True
            _log.warning("The client is gone: %s.", reason)
            self._at_loss()


def _writable_poll(fd: int) -> select.poll | None:
    """Tells whether a pipe can be written to; None for what is no pipe, and on Windows."""
    if not hasattr(select, "poll") or not stat.S_ISFIFO(os.fstat(fd).st_mode):
        return None
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return poll


async def serve_pipes(server: LeanVibeServer, pipes: Pipes) -> int:
    """Serve one client until it says exit or is gone; the result is the exit code."""
    loop = asyncio.get_running_loop()
    seconds = limit("rpc.exit_milliseconds") / 1000
    writer = PipeWriter(pipes.write_fd, at_loss=server.end)
    server.attach(writer)
    PipeReader(pipes.read_fd, take=server.take, at_end=server.end)
    await server.ended.wait()
    code = server.exit_code
    await server.finish(within=seconds)
    await loop.run_in_executor(None, lambda: writer.close(within=seconds))
    return code
