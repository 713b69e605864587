from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.lsp import listen, run
from leanvibe_lsp.lsp.framing import FrameDecoder, encode
from leanvibe_lsp.lsp.listen import Address
from leanvibe_lsp.lsp.pipes import Pipes, take_standard_streams
from leanvibe_lsp.lsp.server import LeanVibeServer
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

    monkeypatch.setattr(listen, "serve_tcp", interrupted)
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
    monkeypatch.setattr(os, "set_blocking", lambda fd, blocking: None)
    assert take_standard_streams() == Pipes(100, 101)
    assert calls == [((os.devnull, os.O_RDONLY), 0), (2, 1)]
    assert sys.stdout is sys.stderr


def test_standard_streams_are_made_blocking() -> None:
    """A parent that left its pipes non-blocking does not make a large reply fail."""
    (in_read, in_write), (out_read, out_write) = os.pipe(), os.pipe()
    for fd in (in_read, out_write):
        os.set_blocking(fd, False)
    code = (
        "import os, sys\n"
        "from leanvibe_lsp.lsp.pipes import take_standard_streams\n"
        "pipes = take_standard_streams()\n"
        "sys.exit(not (os.get_blocking(pipes.read_fd) and os.get_blocking(pipes.write_fd)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], stdin=in_read, stdout=out_write, timeout=60, check=False)
    for fd in (in_read, in_write, out_read, out_write):
        os.close(fd)
    assert done.returncode == 0


@pytest.mark.parametrize(("transport", "reads"), [("stdio", True), ("tcp", False), ("ws", False)])
def test_files_are_read_for_a_client_on_stdio_only(
    deadlines: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, transport: str, reads: bool
) -> None:
    """Whoever reaches a port cannot read the user's files through the server."""
    file = tmp_path / "secret.py"
    file.touch()
    served: list[object] = []

    async def serve(make_server: Callable[[], LeanVibeServer]) -> int:
        try:
            served.append(make_server().file_of(file.as_uri()))
        except UsageError as error:
            served.append(error.next_step)
        return 0

    async def serve_pipes(server: LeanVibeServer, pipes: Pipes) -> int:
        return await serve(lambda: server)

    async def serve_clients(address: Address, make_server: Callable[[], LeanVibeServer], announce: object) -> None:
        await serve(make_server)

    monkeypatch.setattr(run, "serve_pipes", serve_pipes)
    monkeypatch.setattr(listen, "serve_tcp", serve_clients)
    monkeypatch.setattr(listen, "serve_websocket", serve_clients)
    if transport == "stdio":
        run.run_stdio(Pipes(0, 1), Settings(), FakeServices)
    else:
        address = Address("127.0.0.1", 0)
        run.run_listener(transport, address, Settings(), FakeServices, announce=lambda line: None)
    assert served == [file if reads else "Open the document in the editor first."]


def test_a_listeners_own_services_stay_for_the_next_client(
    deadlines: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that leaves does not stop the engine that the listener was started with; its end does."""
    services = FakeServices()
    closed: list[int] = []

    async def serve_clients(address: Address, make_server: Callable[[], LeanVibeServer], announce: object) -> None:
        for _ in range(2):
            server = make_server()
            assert server.services is services
            server.give_back_services()
            closed.append(services.closed)

    monkeypatch.setattr(listen, "serve_tcp", serve_clients)
    address = Address("127.0.0.1", 0)
    assert run.run_listener("tcp", address, Settings(), lambda settings: services, announce=lambda line: None) == 0
    assert [*closed, services.closed] == [0, 0, 1]


def test_the_reply_to_initialize_waits_for_nothing_heavy() -> None:
    """Grammars, rules and engines are loaded behind it."""
    heavy = ("tree_sitter", "ast_grep_py", "pydantic", "yaml", "leanvibe_lsp.assist.analyze", "leanvibe_lsp.services")
    rooms = "leanvibe_lsp.cli.stdio, leanvibe_lsp.lsp.run, leanvibe_lsp.lsp.assembly"
    code = f"import sys, {rooms}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
