from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.rpc import ServerProcess

URI = "file:///project/judged.py"
TEXT = (
    "def total(prices):\n    result = 0\n    for i in range(1, len(prices)):\n        result += prices[i]\n"
    "    return result\n\n\ndef load(path, box=[]):\n    box.append(path)\n    return box\n"
)
CAPABILITIES = {
    "textDocument": {"publishDiagnostics": {"versionSupport": True, "dataSupport": True, "relatedInformation": True}},
    "window": {"workDoneProgress": True},
}
QUIET = {"diagnostics": {"classifier": False}}
Start = Callable[..., ServerProcess]
LONG = 300.0  # seconds until a real model on a busy machine counts as stuck


def begin(server: ServerProcess, **options: Any) -> ServerProcess:
    server.initialize(CAPABILITIES, initializationOptions={**QUIET, **options})
    server.open(URI, TEXT)
    return server


def review(server: ServerProcess, token: str = "w", **argument: Any) -> int | str:
    given = {"command": "leanvibe.judge", "arguments": [{"uri": URI, **argument}], "workDoneToken": token}
    return server.request("workspace/executeCommand", given)


def outcome(server: ServerProcess, request: int | str) -> dict[str, Any]:
    """The reply to a review."""
    return server.wait_for(lambda m: "method" not in m and m.get("id") == request, seconds=LONG)


def published(server: ServerProcess, *rules: str, version: int = 1) -> list[dict[str, Any]]:
    """The diagnostics of a version, once they are of these rules."""
    message = server.wait_for(
        lambda m: (
            m.get("method") == "textDocument/publishDiagnostics"
            and m["params"].get("version") == version
            and [one["code"] for one in m["params"]["diagnostics"]] == list(rules)
        )
    )
    found: list[dict[str, Any]] = message["params"]["diagnostics"]
    return found


def edit(server: ServerProcess, version: int, text: str, line: int) -> None:
    at = {"line": line, "character": 0}
    change = {"range": {"start": at, "end": at}, "text": text}
    document = {"uri": URI, "version": version}
    server.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})


def test_without_a_model_the_rules_answer_and_the_rest_is_for_a_person(start_server: Start, tmp_path: Path) -> None:
    """Nothing is made up: what was tried is said, with the next step."""
    server = begin(start_server("--stdio", "--model", str(tmp_path / "none.gguf")))
    reply = outcome(server, review(server))["result"]
    assert reply["answeredOn"] == {"rules": 1, "person": 1}
    assert reply["needsReview"] == ["'total'"]
    (unsure, ruled) = published(server, "leanvibe/unsure", "python/mutable-default")
    assert "LeanVibe is not sure about 'total'. Tried: rules: nothing found; " in unsure["message"]
    assert "none.gguf" in unsure["message"]
    assert unsure["severity"] == 3
    assert ruled["data"]["rung"] == "rules"
    shown = server.wait_for(lambda m: m.get("method") == "window/showMessage")["params"]["message"]
    assert shown == reply["summary"]


@pytest.mark.real_model
def test_a_real_model_reviews_or_says_that_it_is_not_sure(start_server: Start) -> None:
    """With SmolLM2: progress, then findings that quote the code, or an honest doubt; twice costs once."""
    server = begin(start_server("--stdio", "--model", "smollm2", "--engine", "llama.cpp"))
    reply = outcome(server, review(server))["result"]
    assert reply["answeredOn"]["rules"] == 1
    kinds = [value["kind"] for value in server.progress("w")]
    assert (kinds[0], kinds[-1]) == ("begin", "end")
    assert any("model: 'total'" in value.get("message", "") for value in server.progress("w"))
    (unit,) = [unit for unit in reply["units"] if unit["name"] == "'total'"]
    last = unit["tried"][-1]
    assert (unit["action"], last["rung"]) == ("person", "model")  # nobody calibrated its judgements yet
    published(server, "leanvibe/unsure", "python/mutable-default")
    assert [finding["quote"] in TEXT for finding in reply["findings"]] == [True, True]
    again = outcome(server, review(server, "again"))["result"]
    if not last["failure"]:  # a small model may ramble until it is cut, which is said
        assert reply["costs"]["model"]["tokens"] > 0
        assert "model" not in again["costs"]
        assert [one["remembered"] for one in again["units"]] == [True, False]
        assert again["findings"] == reply["findings"]
        at = {"line": 0, "character": 5}
        place = {"uri": URI, "range": {"start": at, "end": at}}
        context = server.call("workspace/executeCommand", {"command": "leanvibe.context", "arguments": [place]})[
            "result"
        ]
        assert "Review 'total', lines 1 to 5, and nothing else." in context["text"]


@pytest.mark.real_model
def test_a_cancel_in_the_middle_of_a_real_review(start_server: Start) -> None:
    """One reply, cancelled, and the engine is free for the next question."""
    server = begin(start_server("--stdio", "--model", "smollm2", "--engine", "llama.cpp"))
    request = review(server)
    server.wait_for(
        lambda m: m.get("method") == "$/progress" and "model: 'total'" in m["params"]["value"].get("message", "")
    )
    server.notify("window/workDoneProgress/cancel", {"token": "w"})
    assert outcome(server, request)["error"]["code"] == -32800
    assert server.progress("w")[-1] == {"kind": "end", "message": "cancelled"}
    published(server, "python/mutable-default")
    answer = server.call("leanvibe/ask", {"question": "Say yes.", "maxTokens": 4})
    assert answer["result"]["model"] == "smollm2"


@pytest.mark.real_model
def test_an_edit_in_the_middle_of_a_real_review(start_server: Start) -> None:
    """What was edited meanwhile is not judged by what it was; what was not touched moves."""
    server = begin(start_server("--stdio", "--model", "smollm2", "--engine", "llama.cpp"))
    request = review(server)
    server.wait_for(
        lambda m: m.get("method") == "$/progress" and "model: 'total'" in m["params"]["value"].get("message", "")
    )
    edit(server, 2, "    prices = list(prices)\n", 1)
    whole = outcome(server, request)
    assert "result" in whole, whole
    reply = whole["result"]
    assert reply["stale"] == 1
    assert "1 of them edited meanwhile" in reply["summary"]
    published(server, "python/mutable-default", version=2)
    at_end = [m for m in server.messages if m.get("method") == "textDocument/publishDiagnostics"]
    assert [one["code"] for one in at_end[-1]["params"]["diagnostics"]] == ["python/mutable-default"]
