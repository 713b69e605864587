"""How long the list of code actions takes on a 2,000-line file, against `ruff server` on the same one.

A list after each edit, as an editor asks: at a cursor in a function, and with a diagnostic of the server's own. No
model is loaded; the mock engine is chosen, and never asked.
"""

from __future__ import annotations

import json
import sysconfig
from pathlib import Path
from shutil import which
from time import perf_counter
from typing import Any

from tests.benchmarks.figures import Figure
from tests.support.rpc import ServerProcess, server_command

_LINES = 2_000
_URI = "file:///project/long.py"
_CAPABILITIES = {
    "textDocument": {
        "codeAction": {
            "codeActionLiteralSupport": {"codeActionKind": {"valueSet": ["", "quickfix", "refactor", "source"]}},
            "dataSupport": True,
            "disabledSupport": True,
            "resolveSupport": {"properties": ["edit"]},
        },
        "publishDiagnostics": {"dataSupport": True},
    },
    "workspace": {"workspaceEdit": {"documentChanges": True}},
}


def measure(rounds: int) -> list[Figure]:
    """Milliseconds from the request to its reply."""
    ruff = which("ruff")
    assert ruff is not None, "ruff is part of the dev group: uv sync"
    ours = _Listed(server_command("--engine", "mock", "--log-level", "error"))
    theirs = _Listed([ruff, "server"])
    try:
        places, problems = (list[float](), list[float]()), (list[float](), list[float]())
        for number in range(rounds + 1):
            for side, server in enumerate((ours, theirs)):
                server.type(number)
                place, problem = server.at_cursor(), server.at_problem()
                if number:  # the first loads the grammars and the rules
                    places[side].append(place)
                    problems[side].append(problem)
    finally:
        ours.server.end()
        theirs.server.end()
    return [
        Figure(f"code actions at a cursor, {_LINES:,} lines", *map(tuple, places), "ms", "ruff server"),
        Figure("code actions for the server's own diagnostic", *map(tuple, problems), "ms", "ruff server"),
    ]


class _Listed:
    """A server with the file open, and the diagnostic it found in it."""

    def __init__(self, command: list[str]) -> None:
        self.server = ServerProcess(command)
        self.server.initialize(_CAPABILITIES)
        self._version = 1
        # Both find fault with the line: `f` without a placeholder, `== None`.
        self._text = f"{_text()}\nx = f'abc' if __name__ == None else 1\n"
        self.server.open(_URI, self._text)

    def type(self, number: int) -> None:
        """One line more at the top: the list is made for a text that nobody has seen."""
        self._version += 1
        at = {"line": 0, "character": 0}
        change = {"range": {"start": at, "end": at}, "text": f"# {number}\n"}
        document = {"uri": _URI, "version": self._version}
        self.server.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})
        self._found = self._diagnostics()

    def at_cursor(self) -> float:
        """At a name in the middle of the file."""
        at = {"line": _LINES // 2, "character": 4}
        return self._time({"start": at, "end": at}, [])

    def at_problem(self) -> float:
        """At a diagnostic of its own, which comes with the request as editors send it."""
        last = [one for one in self._found if one["range"]["start"]["line"] >= _LINES]
        assert last, self._found
        return self._time(last[0]["range"], last[:1])

    def _time(self, where: dict[str, Any], diagnostics: list[dict[str, Any]]) -> float:
        given = {"textDocument": {"uri": _URI}, "range": where, "context": {"diagnostics": diagnostics}}
        started = perf_counter()
        reply = self.server.call("textDocument/codeAction", given)
        elapsed = (perf_counter() - started) * 1000
        assert reply["result"] or not diagnostics, json.dumps(reply)
        return elapsed

    def _diagnostics(self) -> list[dict[str, Any]]:
        published = self.server.wait_for(
            lambda m: (
                m.get("method") == "textDocument/publishDiagnostics"
                and m["params"]["uri"] == _URI
                and m["params"].get("version") == self._version
            )
        )
        found: list[dict[str, Any]] = published["params"]["diagnostics"]
        return found


def _text() -> str:
    """The standard library's own Python, cut to length at the end of a definition."""
    lines = (Path(sysconfig.get_path("stdlib")) / "argparse.py").read_text(encoding="utf-8").splitlines()
    end = next(number for number in range(_LINES, 0, -1) if lines[number].startswith(("class ", "def ")))
    return "\n".join([*lines[:end], *("#" for _ in range(_LINES - end))])
