"""How long a hover takes on a 2,000-line file without a model, against `jedi-language-server` on the same one.

Each after an edit, over the name of a definition, another one each time; the 95th percentile of each round. No model
is loaded; the mock engine is chosen, and never asked.
"""

from __future__ import annotations

import sysconfig
from math import ceil
from pathlib import Path
from shutil import which
from time import perf_counter

from tests.benchmarks.figures import Figure
from tests.support.rpc import ServerProcess, server_command

_LINES = 2_000
_HOVERS = 20
_URI = "file:///project/long.py"


def measure(rounds: int) -> list[Figure]:
    """Milliseconds from the request to its reply; without the peer where it is not installed."""
    peer = which("jedi-language-server")
    commands = [server_command("--engine", "mock", "--log-level", "error"), *([[peer]] if peer else [])]
    servers = [_Hovered(command) for command in commands]
    series: list[list[float]] = [[] for _ in servers]
    try:
        for number in range(rounds + 1):
            for times, server in zip(series, servers, strict=True):
                took = sorted(server.hover(number * _HOVERS + one) for one in range(_HOVERS))
                if number:  # the first loads the grammars
                    times.append(took[ceil(0.95 * _HOVERS) - 1])
    finally:
        for server in servers:
            server.server.end()
    theirs = tuple(series[1]) if peer else ()
    return [Figure(f"hover, P95, {_LINES:,} lines, no model", tuple(series[0]), theirs, "ms", "jedi-language-server")]


class _Hovered:
    """A server with the file open."""

    def __init__(self, command: list[str]) -> None:
        self.server = ServerProcess(command)
        self.server.initialize()
        source = Path(sysconfig.get_path("stdlib")) / "argparse.py"
        lines = source.read_text(encoding="utf-8").splitlines()[:_LINES]
        self._names = [(number, line.index("def ") + 5) for number, line in enumerate(lines) if "  def " in line]
        self._version = 1
        self.server.open(_URI, "\n".join(lines) + "\n")

    def hover(self, number: int) -> float:
        """One more line at the end, then a hover."""
        self._version += 1
        at = {"line": _LINES + number, "character": 0}
        document = {"uri": _URI, "version": self._version}
        change = {"range": {"start": at, "end": at}, "text": "# typed\n"}
        self.server.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})
        line, character = self._names[number * 7 % len(self._names)]
        given = {"textDocument": {"uri": _URI}, "position": {"line": line, "character": character}}
        begin = perf_counter()
        reply = self.server.call("textDocument/hover", given)
        took = (perf_counter() - begin) * 1000
        assert reply["result"], reply
        return took
