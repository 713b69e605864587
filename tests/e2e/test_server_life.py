"""The real server with the real model: how it shows an answer, changes its settings, and ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leanvibe_lsp.config.limits import limit
from tests.support.rpc import ServerProcess

pytestmark = pytest.mark.real_model

Start = Callable[..., ServerProcess]
_URI = "untitled:orders.py"
_CODE = "def total(prices, discount):\n    return sum(prices) * (1 - discount)\n"
_ASK = {"question": "What does this function do?", "textDocument": {"uri": _URI}, "maxTokens": 24}


def started(start_server: Start, **params: Any) -> ServerProcess:
    server = start_server("--engine", "llama.cpp", "--model", "smollm2")
    server.initialize(params.pop("capabilities", {"window": {"workDoneProgress": True}}), **params)
    server.open(_URI, _CODE)
    return server


def test_the_final_text_is_the_same_on_every_rung(
    start_server: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pieces, the newest text in a progress bar of the client's or of ours, or neither: byte for byte one answer."""
    texts = []
    for number, (bars, tokens) in enumerate(
        (
            (False, {"partialResultToken": "pieces"}),
            (False, {"workDoneToken": "bar"}),
            (True, {}),
            (False, {}),
        )
    ):
        # Each from its own cache: an answer that is only repeated would prove nothing.
        monkeypatch.setenv("LEANVIBE_CACHE_DIR", str(tmp_path / f"answers-{number}"))
        server = started(start_server, capabilities={"window": {"workDoneProgress": bars}})
        answer = server.call("leanvibe/ask", {**_ASK, **tokens})["result"]["answer"]
        texts.append(answer)
        if "partialResultToken" in tokens:
            assert "".join(server.progress("pieces")) == answer
        if "workDoneToken" in tokens:
            shown = [value["message"] for value in server.progress("bar") if value["kind"] == "report"]
            words = " ".join(answer.split())
            assert any(text and text in words for text in shown)
    assert texts[0]
    assert texts == [texts[0]] * len(texts)


def test_shutdown_while_the_model_generates(start_server: Start) -> None:
    """Within a second: the running answer is cancelled, shutdown has its reply; exit ends the process with 0."""
    server = started(start_server)
    running = server.request("leanvibe/ask", {**_ASK, "maxTokens": 512, "partialResultToken": "p"})
    server.wait_for(lambda message: message.get("method") == "$/progress" and message["params"]["token"] == "p")
    begin = time.monotonic()
    assert server.call("shutdown")["result"] is None
    assert time.monotonic() - begin < 1
    assert server.reply(running)["error"]["code"] == -32800
    server.notify("exit")
    assert server.exit_code(limit("rpc.exit_milliseconds") / 1000 + 1) == 0


def test_the_end_of_stdin_while_the_model_generates(start_server: Start) -> None:
    """The editor is gone: so is the server."""
    server = started(start_server)
    server.request("leanvibe/ask", {**_ASK, "maxTokens": 512, "partialResultToken": "p"})
    server.wait_for(lambda message: message.get("method") == "$/progress" and message["params"]["token"] == "p")
    server.close_input()
    assert server.exit_code(2 * limit("rpc.exit_milliseconds") / 1000 + 1) == 1


def test_another_model_without_a_restart(start_server: Start, tmp_path: Path) -> None:
    """A setting of the engine switches it while an answer runs, which is finished by the one that it began with."""
    server = start_server("--engine", "llama.cpp")
    folder = {"uri": tmp_path.as_uri(), "name": "w"}
    server.initialize(initializationOptions={"model": "smollm2"}, workspaceFolders=[folder])
    server.open(_URI, _CODE)
    running = server.request("leanvibe/ask", {**_ASK, "maxTokens": 64, "partialResultToken": "p"})
    server.wait_for(lambda message: message.get("method") == "$/progress" and message["params"]["token"] == "p")
    server.notify("workspace/didChangeConfiguration", {"settings": {"leanvibe": {"model": "no/such-model"}}})
    assert "no/such-model" in server.call("leanvibe/ask", _ASK)["error"]["message"]
    assert server.reply(running)["result"]["model"] == "smollm2"
    server.notify("workspace/didChangeConfiguration", {"settings": {"leanvibe": {}}})
    assert server.call("leanvibe/ask", _ASK)["result"]["model"] == "smollm2"
