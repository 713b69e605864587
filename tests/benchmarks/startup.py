"""How soon after its start the server answers `initialize`, against jedi-language-server and a bare pygls server."""

from __future__ import annotations

import sys
import time

from tests.benchmarks.figures import Figure
from tests.support.rpc import ServerProcess, server_command

_BARE = "from pygls.lsp.server import LanguageServer; LanguageServer('bare', '1').start_io()"
_JEDI = "from jedi_language_server.cli import cli; cli()"
_PEERS = {
    "jedi-language-server": [sys.executable, "-c", _JEDI],
    "a bare pygls server": [sys.executable, "-c", _BARE],
}


def measure(rounds: int) -> list[Figure]:
    """Seconds from spawn to the reply, in turn."""
    ours: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name in _PEERS}
    for number in range(rounds + 1):
        seconds = _spawn(server_command("--log-level", "error"))
        others = {name: _spawn(command) for name, command in _PEERS.items()}
        if number:  # the first fills the disk cache
            ours.append(seconds)
            for name, one in others.items():
                theirs[name].append(one)
    return [
        Figure("spawn to initialize reply", tuple(ours), tuple(seconds), "s", name) for name, seconds in theirs.items()
    ]


def _spawn(command: list[str]) -> float:
    begin = time.perf_counter()
    server = ServerProcess(command)
    try:
        assert "capabilities" in server.initialize()["result"]
        return time.perf_counter() - begin
    finally:
        server.end()
