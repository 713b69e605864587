"""What is left in memory when 200 files of a real package were opened, looked at and closed again."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import psutil

from tests.benchmarks.figures import Figure
from tests.support.rpc import ServerProcess, server_command

_FILES = 200


def measure(rounds: int) -> list[Figure]:
    """MiB after all were closed, against MiB after the first pass over them: what a leak would add to each time."""
    files = sorted(Path(asyncio.__file__).parents[1].rglob("*.py"), key=lambda path: path.as_posix())[:_FILES]
    server = ServerProcess(server_command("--log-level", "error"))
    after: list[float] = []
    try:
        server.initialize({"textDocument": {"publishDiagnostics": {"versionSupport": True}}})
        process = psutil.Process(server.process.pid)
        before = _pass(server, process, files)
        after += (_pass(server, process, files) for _ in range(rounds))
        server.call("shutdown")
    finally:
        server.end()
    return [
        Figure("memory after 200 files were opened and closed again", tuple(after), (before,) * rounds, "MiB", "once")
    ]


def _pass(server: ServerProcess, process: psutil.Process, files: list[Path]) -> float:
    for path in files:
        server.open(path.as_uri(), path.read_text(encoding="utf-8", errors="replace"))
        server.call(
            "textDocument/hover", {"textDocument": {"uri": path.as_uri()}, "position": {"line": 3, "character": 2}}
        )
    published = {
        message["params"]["uri"]
        for message in server.messages
        if message.get("method") == "textDocument/publishDiagnostics"
    }
    end = time.monotonic() + 120
    while len(published) < len(files) and time.monotonic() < end:
        time.sleep(0.2)
        published |= {
            message["params"]["uri"]
            for message in server.messages
            if message.get("method") == "textDocument/publishDiagnostics"
        }
    assert len(published) == len(files), "not every file was looked at"
    for path in files:
        server.notify("textDocument/didClose", {"textDocument": {"uri": path.as_uri()}})
    server.call("leanvibe/health")
    return float(process.memory_info().rss) / (1 << 20)
