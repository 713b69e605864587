"""The main job on the real SmolLM2, through the real server and the real command line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.rpc import ServerProcess

pytestmark = pytest.mark.real_model

_URI = "untitled:orders.py"
_CODE = '''def total(prices: list[float], discount: float) -> float:
    """What a customer pays."""
    return sum(prices) * (1 - discount)
'''
Start = Callable[..., ServerProcess]


def ask(**more: Any) -> dict[str, Any]:
    """Params of a question about the document."""
    return {"question": "What does this function do?", "textDocument": {"uri": _URI}, "maxTokens": 48, **more}


def started(start_server: Start, engine: str, text: str = _CODE) -> ServerProcess:
    """A server with the real model and an open document."""
    server = start_server("--engine", engine, "--model", "smollm2")
    server.initialize({"window": {"workDoneProgress": True}})
    server.open(_URI, text)
    return server


@pytest.mark.parametrize(("engine", "backend"), [("llama.cpp", "llama.cpp"), ("mlx", "mlx")])
def test_an_answer_streams(engine: str, backend: str, start_server: Start) -> None:
    """The pieces joined are the answer, which says where it comes from; a second question reuses the first prompt."""
    server = started(start_server, engine)
    first = server.call("leanvibe/ask", ask(partialResultToken="text", workDoneToken="work"))["result"]
    pieces = server.progress("text")
    assert len(pieces) > 1
    assert "".join(pieces) == first["answer"]
    assert (first["tier"], first["model"], first["backend"]) == ("model", "smollm2", backend)
    assert re.fullmatch(r"calibrated: answer, smollm2, \d+ cases, ECE 0\.0\d", first["confidence"]["method"])
    assert first["confidence"]["calibrated"] is True
    assert 0 < first["confidence"]["value"] < 1
    assert first["citations"][0]["uri"] == _URI
    assert first["usage"]["completionTokens"] > 10
    assert [value["kind"] for value in (server.progress("work")[0], server.progress("work")[-1])] == ["begin", "end"]
    second = server.call("leanvibe/ask", ask(question="What is a discount?"))["result"]
    assert second["usage"]["cachedTokens"] > first["usage"]["cachedTokens"]


def test_health_is_the_report_of_doctor(start_server: Start) -> None:
    """Not ready before the first question; healthy, with figures, after it."""
    server = started(start_server, "llama.cpp")
    before = server.call("leanvibe/health")["result"]
    assert (before["status"], before["inference_ready"], before["has_pretrained_weights"]) == ("degraded", False, False)
    server.call("leanvibe/ask", ask(maxTokens=4))
    after = server.call("leanvibe/health")["result"]
    assert (after["status"], after["inference_ready"], after["has_pretrained_weights"]) == ("healthy", True, True)
    assert after["selftest"]["state"] == "verified"
    assert after["last_inference_ms"] > 0


@pytest.mark.parametrize("how", ["request", "progress"])
def test_a_cancel_stops_the_engine_while_it_reads(how: str, start_server: Start) -> None:
    """Cancelled in the middle of a long prompt: one reply, and the next question hardly waits."""
    long = "\n".join(f"def f{number}(a, b):\n    return a * {number} + b\n" for number in range(400))
    server = started(start_server, "llama.cpp", long)
    server.open("untitled:small.py", "x = 1\n")
    warm = server.call("leanvibe/ask", ask(maxTokens=1))["result"]["timing"]["totalSeconds"]
    server.notify(
        "textDocument/didChange",
        {
            "textDocument": {"uri": _URI, "version": 2},
            "contentChanges": [{"text": long.replace("def f", "def other")}],
        },
    )
    request = server.request("leanvibe/ask", ask(workDoneToken="work"))
    server.wait_for(
        lambda m: (
            m.get("method") == "$/progress"
            and m["params"]["value"].get("percentage", 0) > 5
            and m["params"]["token"] == "work"
        )
    )
    if how == "request":
        server.notify("$/cancelRequest", {"id": request})
    else:
        server.notify("window/workDoneProgress/cancel", {"token": "work"})
    assert server.reply(request)["error"]["code"] == -32800
    after = server.call("leanvibe/ask", ask(textDocument={"uri": "untitled:small.py"}, maxTokens=1))["result"]
    # A chunk is 128 of some 3,000 tokens; half of the whole prompt leaves room for a busy machine.
    assert after["timing"]["queuedSeconds"] < warm / 2
    assert len([reply for reply in server.replies() if reply["id"] == request]) == 1
    assert server.progress("work")[-1]["kind"] == "end"


def leanvibe(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return subprocess.run(
        [sys.executable, "-m", "leanvibe_lsp", *arguments], capture_output=True, text=True, timeout=240, check=False
    )


def test_ask_in_the_terminal(tmp_path: Path) -> None:
    """The answer is on stdout, the facts are on stderr; `--json` is the object of `leanvibe/ask`."""
    file = tmp_path / "orders.py"
    file.write_text(_CODE)
    plain = leanvibe("ask", "What does this do?", f"{file}:3", "--max-tokens", "24", "--model", "smollm2", "-v")
    assert plain.returncode == 0, plain.stderr
    assert len(plain.stdout.split()) > 5
    assert "smollm2 · llama.cpp · rung: model · confidence 0." in plain.stderr
    assert "shown: " in plain.stderr
    as_json = leanvibe("ask", "What does this do?", f"{file}:3", "--max-tokens", "24", "--model", "smollm2", "--json")
    answer = json.loads(as_json.stdout)
    assert answer["answer"].strip() == plain.stdout.strip()
    assert set(answer) >= {"answer", "tier", "model", "backend", "confidence", "citations", "usage", "timing"}


def test_doctor_on_the_real_model() -> None:
    """Healthy, with the digest that was checked and the figures of the known answers."""
    result = leanvibe("doctor", "--json", "--model", "smollm2")
    report = json.loads(result.stdout)
    assert result.returncode == 0
    assert report["digest"] == "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    assert (report["has_pretrained_weights"], report["inference_ready"], report["problems"]) == (True, True, [])
    assert len(report["selftest"]["probes"]) == 8
    assert report["tokens_per_second"] > 0


def test_models_verify_on_the_real_model() -> None:
    """`models verify` checks files, shapes and known answers."""
    result = leanvibe("models", "verify", "smollm2")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "verified" in result.stdout + result.stderr
