from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.support.rpc import PATIENCE, RpcClient, ServerProcess, server_command, tcp_client

URI = "file:///project/a.py"
TEXT = 'class Box:\n    def put(self, thing):\n        """Put it in."""\n        return thing\n'
HOVER = {"textDocument": {"uri": URI}, "position": {"line": 1, "character": 9}}
SLOW = [sys.executable, "-m", "tests.support.slow_server"]
Start = Callable[..., ServerProcess]


def shut_down(server: ServerProcess) -> None:
    assert server.call("shutdown")["result"] is None
    server.notify("exit")
    assert server.exit_code() == 0
    server.wait_for_end()
    assert server.stray == b""


def test_a_session_from_initialize_to_exit(mock_server: ServerProcess) -> None:
    """The real server with the mock engine: hover, a streamed answer, health, shutdown, exit code 0."""
    server = mock_server
    server.open(URI, TEXT)
    assert "def put" in server.call("textDocument/hover", HOVER)["result"]["contents"]["value"]
    where = {"textDocument": {"uri": URI}, "position": {"line": 1, "character": 9}}
    reply = server.call("leanvibe/ask", {"question": "why?", **where, "workDoneToken": 1, "partialResultToken": "p"})
    result = reply["result"]
    assert result["backend"] == "mock"
    assert "mock engine" in result["answer"]
    assert "".join(server.progress("p")) == result["answer"]
    kinds = [value["kind"] for value in server.progress(1)]
    assert (kinds[0], kinds[-1]) == ("begin", "end")
    assert isinstance(server.call("leanvibe/health")["result"], dict)
    shut_down(server)


def test_explain_command(mock_server: ServerProcess) -> None:
    """The code action's command gives what leanvibe/ask gives."""
    server = mock_server
    server.open(URI, TEXT)
    span = {"start": {"line": 1, "character": 4}, "end": {"line": 3, "character": 20}}
    action, *_ = server.call(
        "textDocument/codeAction", {"textDocument": {"uri": URI}, "range": span, "context": {"diagnostics": []}}
    )["result"]
    assert action["title"] == "Explain with LeanVibe"
    reply = server.call("workspace/executeCommand", {"command": action["command"], "arguments": action["arguments"]})
    assert set(reply["result"]) >= {"answer", "tier", "confidence", "citations", "usage", "timing", "finishReason"}
    shut_down(server)


def test_prints_do_not_reach_the_protocol(start_server: Start, tmp_path: Path) -> None:
    """Invariant 1: a print from Python and one from C land in the log, not on stdout."""
    server = start_server(command=SLOW)
    server.initialize()
    assert server.call("leanvibe/health")["result"]["status"] == "healthy"
    shut_down(server)
    log = (tmp_path / "server.log").read_text(encoding="utf-8")
    assert "a print from Python" in log
    assert "a print from C" in log


def test_odd_framing(mock_server: ServerProcess) -> None:
    """Trap 10 and more, on the real stream: any header, noise, a message cut in two, bad JSON, a nested jsonrpc key."""
    server = mock_server
    body = b'{"jsonrpc":"2.0","id":"lower","method":"leanvibe/health","params":{"a":{"jsonrpc":"2.0","id":9}}}'
    server.send_bytes(b"content-LENGTH:%d\r\nX-Other: 1\r\n\r\n" % len(body) + body[:20])
    server.send_bytes(body[20:] + b"some print\n")
    assert "result" in server.reply("lower")
    server.send_body(b"{not json")
    server.send([{"jsonrpc": "2.0", "id": 1, "method": "x"}])
    server.send_body(b"\xff\xff")
    assert "result" in server.call("leanvibe/health")
    codes = [reply["error"]["code"] for reply in server.replies() if reply["id"] is None]
    assert codes == [-32700, -32700, -32600, -32700]
    shut_down(server)


def test_shutdown_with_answers_running(start_server: Start) -> None:
    """Every running request gets its reply, then shutdown its null, within a second."""
    server = start_server(command=SLOW)
    server.initialize()
    ids = [server.request("leanvibe/ask", {"question": "x", "workDoneToken": number}) for number in range(8)]
    server.wait_for(lambda m: m.get("method") == "$/progress" and m["params"]["token"] == 7)
    begin = time.monotonic()
    shut_down(server)
    assert time.monotonic() - begin < 5
    assert [reply["error"]["code"] for reply in server.replies() if reply["id"] in ids[1:]] == [-32800] * 7
    assert [value["kind"] for value in server.progress(7)][-1] == "end"


def test_an_engine_that_does_not_stop_cannot_keep_the_process(start_server: Start) -> None:
    """When closing hangs, the process ends by itself a little later, with the code it would have had."""
    server = start_server(command=[*SLOW, "stuck"])
    server.initialize()
    assert "result" in server.call("leanvibe/health")
    shut_down(server)


def test_cancel_while_another_runs(start_server: Start) -> None:
    """A cancel hits its own request only; the other runs on."""
    server = start_server(command=SLOW)
    server.initialize()
    first, second = (server.request("leanvibe/ask", {"question": "x"}, request_id=name) for name in ("a", "b"))
    server.notify("$/cancelRequest", {"id": second})
    assert server.reply(second)["error"]["code"] == -32800
    assert "result" in server.call("leanvibe/health")
    assert not [reply for reply in server.replies() if reply["id"] == first]
    server.notify("$/cancelRequest", {"id": first})
    assert server.reply(first)["error"]["code"] == -32800
    shut_down(server)


def run_to_end(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def random_request(dice: random.Random, uri: str) -> tuple[str, Any]:
    method = dice.choice(
        (
            "leanvibe/ask",
            "leanvibe/health",
            "textDocument/hover",
            "textDocument/codeAction",
            "workspace/executeCommand",
            "no/such",
            "initialize",
            "$/odd",
        )
    )
    where = {"line": dice.randint(-1, 6), "character": dice.randint(0, 30)}
    span = {"start": where, "end": {"line": dice.randint(0, 6), "character": 0}}
    good: dict[str, Any] = {
        "textDocument": {"uri": dice.choice([uri, uri, "file:///no/such.py", "untitled:x"])},
        "position": where,
        "range": span,
        "context": {"diagnostics": []},
        "question": dice.choice(["why?", "", 5]),
        "command": dice.choice(["leanvibe.explain", "no.such"]),
        "arguments": dice.choice([[{"uri": uri, "range": span}], [], None, [5]]),
        "partialResultToken": dice.randint(0, 5),
        "workDoneToken": dice.choice([None, "t", dice.randint(100, 200)]),
    }
    return method, dice.choice([good, good, good, {}, None, [], 5, {**good, "jsonrpc": "2.0", "textDocument": None}])


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("command", [SLOW, server_command("--engine", "mock")], ids=["fake", "mock"])
def test_one_reply_for_each_id_in_random_sessions(start_server: Start, command: list[str], seed: int) -> None:
    """Invariant 2: 200 mixed requests, bad params, cancels, edits, noise, and a shutdown in the middle of it."""
    dice = random.Random(seed)
    server = start_server(command=command)
    server.initialize({"window": {"workDoneProgress": dice.random() < 0.5}})
    server.open(URI, TEXT)
    ids: list[int | str] = [1]
    shutdown_at = dice.randint(120, 180)
    for number in range(200):
        if number == shutdown_at:
            ids.append(server.request("shutdown", request_id="shutdown"))
        method, params = random_request(dice, URI)
        request_id = dice.choice([f"r{number}", 1000 + number])
        ids.append(server.request(method, params, request_id=request_id))
        if dice.random() < 0.5:
            server.notify("$/cancelRequest", {"id": dice.choice([*ids[1:], 999_999, None])})
        if dice.random() < 0.1:
            server.notify("window/workDoneProgress/cancel", {"token": dice.randint(100, 200)})
        if dice.random() < 0.1:
            edit = {"textDocument": {"uri": URI, "version": number}, "contentChanges": [{"text": TEXT + "#" * number}]}
            server.notify("textDocument/didChange", dice.choice([edit, {}, None]))
        if dice.random() < 0.05:
            server.send_bytes(b"noise from somewhere\n")
    for request_id in ids:
        server.reply(request_id)
    server.notify("exit")
    assert server.exit_code() == 0
    server.wait_for_end()
    counts = Counter((type(reply["id"]).__name__, reply["id"]) for reply in server.replies() if reply["id"] is not None)
    assert counts == Counter((type(request_id).__name__, request_id) for request_id in ids)
    assert server.stray == b""


def test_end_of_input_ends_the_process(start_server: Start) -> None:
    """The editor vanishing ends the server promptly, with code 1, and what was asked has its reply."""
    server = start_server(command=SLOW)
    server.initialize()
    request_id = server.request("leanvibe/ask", {"question": "x"})
    server.close_input()
    assert server.reply(request_id)["error"]["code"] == -32800
    assert server.exit_code(10) == 1


def test_death_of_the_client_process_ends_the_server(start_server: Start) -> None:
    """When the process named in initialize dies, the server ends, though its input stays open."""
    editor = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    server = start_server(command=SLOW)
    server.call("initialize", {"processId": editor.pid, "rootUri": None, "capabilities": {}})
    editor.kill()
    editor.communicate()
    assert server.exit_code(10) == 1


def test_client_process_id_on_the_command_line(start_server: Start) -> None:
    """VS Code's --clientProcessId is taken in both spellings, and watched."""
    for spelling in ("--clientProcessId={}", "--clientProcessId {}"):
        editor = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
        server = start_server("--stdio", *spelling.format(editor.pid).split())
        server.initialize()
        editor.kill()
        editor.communicate()
        assert server.exit_code(10) == 1


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Processes started here can be interrupted, even when this one cannot (a background job inherits no SIGINT)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_quietly(start_server: Start, tmp_path: Path, number: int, code: int) -> None:
    """Ctrl-C ends with 130 and SIGTERM with 143, without a traceback."""
    server = start_server("--engine", "mock")
    server.initialize()
    server.process.send_signal(number)
    assert server.exit_code(20) == code
    assert "Traceback" not in (tmp_path / "server.log").read_text(encoding="utf-8")


HEAVY = ("mlx", "mlx_lm", "transformers", "xllamacpp", "numpy", "tokenizers", "jinja2", "huggingface_hub", "torch")


def test_start_up_imports_nothing_heavy() -> None:
    """The server is up and has answered initialize without importing any model library."""
    code = (
        "import sys, threading, time\n"
        "from leanvibe_lsp.cli.stdio import main_stdio\n"
        "try:\n    main_stdio(['--stdio'])\n"
        f"finally:\n    print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)\n"
    )
    body = (
        b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"processId":null,"rootUri":null,"capabilities":{}}}'
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=b"Content-Length: %d\r\n\r\n" % len(body) + body,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert b'"capabilities"' in done.stdout
    assert done.stderr.decode().splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--version"], 0, "leanvibe-lsp 0."),
        (["--help"], 0, "--log-file"),
        (["--engine", "steam"], 2, "--engine"),
        (["--log-file", "/no/such/folder/x"], 2, "Cannot log"),
        (["--what"], 2, "--what"),
    ],
)
def test_command_line(arguments: list[str], code: int, said: str) -> None:
    """Help, version and bad options."""
    done = subprocess.run(
        server_command(*arguments),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == code
    assert said in done.stdout + done.stderr


def leanvibe(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "leanvibe_lsp", *arguments]


def listening_port(process: subprocess.Popen[bytes]) -> int:
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.match(rb"listening on .*:(\d+)", line):
            return int(found[1])
    raise AssertionError("It does not listen.")


@pytest.fixture
def listener(request: pytest.FixtureRequest, interruptible: None) -> Any:
    command = leanvibe("serve", *request.param, "127.0.0.1:0", "--engine", "mock", "--log-level", "error")
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        try:
            yield process, listening_port(process)
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130
            assert process.stderr is not None
            assert b"Traceback" not in process.stderr.read()
        finally:
            process.kill()


def use(client: RpcClient) -> None:
    assert "result" in client.initialize()
    client.open(URI, TEXT)
    assert "result" in client.call("textDocument/hover", HOVER)


@pytest.mark.parametrize("listener", [["--tcp"]], indirect=True)
def test_two_clients_over_tcp(listener: tuple[Any, int]) -> None:
    """Two TCP clients ask the same engine at once; one leaves, the other goes on; Ctrl-C ends with 130."""
    _, port = listener
    with tcp_client(port) as first:
        with tcp_client(port) as second:
            use(first)
            use(second)
            ids = [client.request("leanvibe/ask", {"question": "why?"}) for client in (first, second)]
            assert "result" in first.reply(ids[0])
            assert "result" in second.reply(ids[1])
        assert "result" in first.call("leanvibe/ask", {"question": "why?"})
        closed = {**HOVER, "textDocument": {"uri": Path(__file__).as_uri()}}
        assert "is not open" in first.call("textDocument/hover", closed)["error"]["message"]
        assert first.stray == b""


@pytest.mark.parametrize("listener", [["--ws"]], indirect=True)
def test_client_over_websocket(listener: tuple[Any, int]) -> None:
    """A WebSocket client gets an answer, one message each."""
    _, port = listener
    with connect(f"ws://127.0.0.1:{port}") as socket:
        for request_id, method, params in (
            (1, "initialize", {"processId": None, "rootUri": None, "capabilities": {}}),
            (2, "leanvibe/ask", {"question": "why?"}),
        ):
            socket.send(json.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}))
            reply = json.loads(socket.recv(timeout=PATIENCE))
            assert reply["id"] == request_id
            assert "result" in reply


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tcp", "nowhere"], "HOST:PORT"),
        (["--tcp", "127.0.0.1:0", "--ws", "127.0.0.1:0"], "do not go together"),
        (["--tcp", "192.0.2.1:1"], "Cannot listen"),
        (["--engine", "steam"], "--engine"),
    ],
)
def test_serve_with_bad_options(arguments: list[str], said: str) -> None:
    """A bad option of `leanvibe serve` is exit code 2 and a sentence."""
    done = subprocess.run(
        leanvibe("serve", *arguments),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_serve_on_stdio(start_server: Start) -> None:
    """`leanvibe serve` without a transport is the same server on stdio."""
    server = start_server(command=leanvibe("serve", "--stdio", "--engine", "mock"))
    server.initialize(processId=os.getpid())
    shut_down(server)
