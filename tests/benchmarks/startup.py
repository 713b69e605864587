"""How soon after its start the server answers `initialize`, against a bare pygls server."""

from __future__ import annotations

import sys
import time

from tests.benchmarks.figures import Figure
from tests.support.rpc import ServerProcess, server_command

_BARE = "from pygls.lsp.server import LanguageServer; LanguageServer('bare', '1').start_io()"


def measure(rounds: int) -> list[Figure]:
    """Seconds from spawn to the reply, in turn."""
    ours, theirs = [], []
    for number in range(rounds + 1):
        pair = (_spawn(server_command("--log-level", "error")), _spawn([sys.executable, "-c", _BARE]))
        if number:  # the first fills the disk cache
            ours.append(pair[0])
            theirs.append(pair[1])
    return [Figure("spawn to initialize reply", tuple(ours), tuple(theirs), "s", "a bare pygls server")]


def _spawn(command: list[str]) -> float:
    begin = time.perf_counter()
    server = ServerProcess(command)
    try:
        assert "capabilities" in server.initialize()["result"]
        return time.perf_counter() - begin
    finally:
        server.end()
