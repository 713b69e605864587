from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.rpc import ServerProcess

URI = "file:///project/session.py"
TEXT = "import os\n\n\nclass Box:\n    def put(self, 𝒻):\n        a = 𝒻 + 1\n        return f'abc'\n" * 3
CAPABILITIES = {
    "textDocument": {
        "codeAction": {
            "codeActionLiteralSupport": {"codeActionKind": {"valueSet": []}},
            "dataSupport": True,
            "disabledSupport": True,
            "resolveSupport": {"properties": ["edit"]},
        },
        "hover": {"contentFormat": ["markdown"]},
    },
    "window": {"workDoneProgress": True},
    "workspace": {"applyEdit": True, "workspaceEdit": {"documentChanges": True}},
}
Start = Callable[..., ServerProcess]


class Typist:
    """Sends random requests, edits and cancels, and knows which ids it used."""

    def __init__(self, server: ServerProcess, seed: int) -> None:
        self.server = server
        self.dice = random.Random(seed)
        self.ids: list[int | str] = []
        self.cancelled = 0
        self.version = 1
        self.lines = TEXT.count("\n")
        server.answer_server = self._as_editor

    def run(self, requests: int) -> None:
        """So many requests; a fifth of them cancelled, some at once and some later; edits in between."""
        for _ in range(requests):
            self.ids.append(self.server.request(*self._request()))
            if self.dice.random() < 0.2:
                self.cancelled += 1
                self.server.notify("$/cancelRequest", {"id": self.dice.choice(self.ids[-5:])})
            if self.dice.random() < 0.3:
                self._type()

    def _request(self) -> tuple[str, Any]:
        span = {"start": self._at(), "end": self._at()}
        document = {"uri": URI}
        kind = self.dice.choice(["simplify", "rewrite", "document", "tests", "extract", "dance"])
        argument = {"uri": URI, "range": span, "kind": kind, "instruction": self.dice.choice(["", "Shorter."])}
        command = self.dice.choice(["leanvibe.change", "leanvibe.explain", "leanvibe.suppress", "leanvibe.none"])
        token = self.dice.choice([{}, {"workDoneToken": self.dice.randint(1, 9)}])
        rule = {"range": span, "message": "No good.", "source": "leanvibe", "code": "python/x"}
        return self.dice.choice(
            [
                ("textDocument/hover", {"textDocument": document, "position": self._at()}),
                (
                    "textDocument/codeAction",
                    {
                        "textDocument": document,
                        "range": span,
                        "context": {"diagnostics": self.dice.choice([[], [rule]])},
                    },
                ),
                ("codeAction/resolve", {"title": "x", "data": {"command": "leanvibe.change", "argument": argument}}),
                ("textDocument/codeLens", {"textDocument": document}),
                (
                    "workspace/executeCommand",
                    {"command": command, "arguments": [{**argument, "rule": "python/x"}], **token},
                ),
                ("leanvibe/ask", {"question": "Why?", "textDocument": document, "maxTokens": 8, **token}),
                ("leanvibe/health", None),
                ("no/such", {}),
            ]
        )

    def _type(self) -> None:
        self.version += 1
        at = self._at()
        change = self.dice.choice([{"range": {"start": at, "end": at}, "text": self.dice.choice("x \n𝒻")}])
        document = {"uri": URI, "version": self.version}
        self.server.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})

    def _at(self) -> dict[str, int]:
        return {"line": self.dice.randint(0, self.lines), "character": self.dice.randint(0, 20)}

    def _as_editor(self, request: dict[str, Any]) -> object:
        """Some edits are taken and some not; nobody picks anything."""
        return {"applied": self.dice.random() < 0.5} if request["method"] == "workspace/applyEdit" else None


def held(server: ServerProcess, typist: Typist) -> None:
    """Exactly one reply for each id, after a shutdown that ended all, and not a byte that is no message."""
    assert server.call("shutdown")["result"] is None
    server.notify("exit")
    assert server.exit_code() == 0
    server.wait_for_end()
    replies = Counter(reply["id"] for reply in server.replies() if reply["id"] in set(typist.ids))
    assert replies == dict.fromkeys(typist.ids, 1)
    assert server.stray == b""


@pytest.mark.parametrize("seed", [1, 2])
def test_five_hundred_mixed_requests(start_server: Start, seed: int) -> None:
    """One reply per id, with a fifth of them cancelled and the document edited all the while."""
    server = start_server("--stdio", "--engine", "mock")
    server.initialize(CAPABILITIES)
    server.open(URI, TEXT)
    typist = Typist(server, seed)
    typist.run(500)
    for given in typist.ids[:-50]:
        server.reply(given)
    held(server, typist)
    codes = Counter(reply.get("error", {}).get("code", "result") for reply in server.replies())
    assert typist.cancelled > 60
    assert codes["result"] > 100
    assert codes[-32800] > 0
    assert codes[-32601] > 0
    assert codes[-32603] == 0


@pytest.mark.real_model
def test_a_session_with_a_real_model(start_server: Start) -> None:
    """The same, shorter, with SmolLM2 in llama.cpp; shutdown ends what runs."""
    server = start_server("--stdio", "--model", "smollm2", "--engine", "llama.cpp")
    server.initialize(CAPABILITIES)
    server.open(URI, TEXT)
    answer = server.call("leanvibe/ask", {"question": "What is a box?", "maxTokens": 8})["result"]
    assert answer["backend"] == "llama.cpp"
    typist = Typist(server, 3)
    typist.run(60)
    held(server, typist)
