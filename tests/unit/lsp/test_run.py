from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator

import pytest

from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.lsp import run
from leanvibe_lsp.lsp.framing import FrameDecoder, encode
from leanvibe_lsp.lsp.listen import Address
from leanvibe_lsp.lsp.pipes import Pipes, take_standard_streams
from tests.support.fake_services import FakeServices


@pytest.fixture
def deadlines(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The exit codes for which a forced end was armed, instead of arming it."""
    armed: list[int] = []
    monkeypatch.setattr(run, "end_in_time", armed.append)
    return armed


@pytest.fixture
def pipes() -> Iterator[tuple[int, int, Pipes]]:
    (in_read, in_write), (out_read, out_write) = os.pipe(), os.pipe()
    yield in_write, out_read, Pipes(in_read, out_write)
    for fd in (in_read, out_read, out_write):
        os.close(fd)


def message(**fields: object) -> bytes:
    return encode(json.dumps({"jsonrpc": "2.0", **fields}).encode())


INITIALIZE = {"processId": os.getpid(), "rootUri": None, "capabilities": {}}


def test_stdio_from_pipes_to_exit_code(deadlines: list[int], pipes: tuple[int, int, Pipes]) -> None:
    """A whole session: replies on the pipe, code 0, the services closed, the forced end armed before that."""
    write, read, ends = pipes
    services = FakeServices()
    os.write(
        write,
        message(id=1, method="initialize", params=INITIALIZE)
        + message(id=2, method="leanvibe/health")
        + message(id=3, method="shutdown")
        + message(method="exit"),
    )
    assert run.run_stdio(ends, Settings(), lambda settings: services, client_process=os.getppid()) == 0
    os.close(write)
    replies = [json.loads(body) for body in FrameDecoder().feed(os.read(read, 1 << 16))]
    assert [reply["id"] for reply in replies] == [1, 2, 3]
    assert services.closed == 1
    assert deadlines == [0]


def test_services_are_not_made_for_nothing(deadlines: list[int], pipes: tuple[int, int, Pipes]) -> None:
    """A client that asks for nothing costs no engine; its leaving is code 1."""
    write, _, ends = pipes
    os.write(write, message(id=1, method="initialize", params=INITIALIZE))
    os.close(write)
    assert run.run_stdio(ends, Settings(), lambda settings: pytest.fail("made")) == 1
    assert deadlines == [1]


@pytest.mark.parametrize("kind", ["tcp", "ws"])
def test_a_listener_that_cannot_begin(deadlines: list[int], kind: str) -> None:
    """An address that is not this machine's is a UsageError, and everything is closed."""
    with pytest.raises(UsageError):
        run.run_listener(kind, Address("192.0.2.1", 1), Settings(), FakeServices, announce=lambda line: None)
    assert len(deadlines) == 1


def test_interrupt_is_a_code(deadlines: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is exit code 130, not a traceback."""

    async def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "serve_tcp", interrupted)
    address = Address("127.0.0.1", 0)
    assert run.run_listener("tcp", address, Settings(), FakeServices, announce=lambda line: None) == 130


def test_the_forced_end_has_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """After rpc.exit_milliseconds the process ends with the code it would have had."""
    ended: list[int] = []
    monkeypatch.setattr(run.os, "_exit", ended.append)
    monkeypatch.setattr(run, "limit", lambda name: 1)
    before = set(run.threading.enumerate())
    run.end_in_time(7)
    for thread in set(run.threading.enumerate()) - before:
        thread.join(20)
    assert ended == [7]


def test_standard_streams_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """stdin then reads nothing, stdout goes where stderr goes, and the real handles are kept for the protocol."""
    calls: list[tuple[object, ...]] = []
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(os, "dup", lambda fd: fd + 100)
    monkeypatch.setattr(os, "dup2", lambda old, new: calls.append((old, new)))
    monkeypatch.setattr(os, "open", lambda path, flags: (path, flags))
    monkeypatch.setattr(os, "close", lambda fd: None)
    assert take_standard_streams() == Pipes(100, 101)
    assert calls == [((os.devnull, os.O_RDONLY), 0), (2, 1)]
    assert sys.stdout is sys.stderr
