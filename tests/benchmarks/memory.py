"""What 200 open files of a real package leave behind: in memory when all are closed, and before the next edit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from tests.benchmarks.figures import Figure
from tests.support.rpc import ServerProcess, server_command

_FILES = 200
_PUBLISH = "textDocument/publishDiagnostics"


def measure(rounds: int) -> list[Figure]:
    """MiB when all were opened, looked at and closed, against MiB before and after that was done with the first alone;
    milliseconds from an edit to its diagnostics, behind all of them and alone.

    Before: libraries and rules are loaded, for another small file. What is loaded on first use (of a hover, a close, a
    question about health) comes with the first, and stays.
    """
    files = sorted(Path(asyncio.__file__).parents[1].rglob("*.py"), key=lambda path: path.as_posix())[:_FILES]
    opened = _Opened()
    try:
        alone, before = opened.edit(), opened.mib()
        first, _ = opened.through(files[:1])
        passes = [opened.through(files) for _ in range(rounds)]
        opened.server.call("shutdown")
    finally:
        opened.server.end()
    left, behind = zip(*passes, strict=True)
    closed = "memory after 200 files were opened and closed"
    return [
        Figure(closed, left, (before,) * rounds, "MiB", "before any"),
        Figure(closed, left, (first,) * rounds, "MiB", "after the first"),
        Figure("edit -> diagnostics after 200 files were opened", behind, (alone,) * rounds, "ms", "one file"),
    ]


class _Opened:
    """A server with one small file open, which has been looked at."""

    def __init__(self) -> None:
        self.server = ServerProcess(server_command("--log-level", "error"))
        self.server.initialize({"textDocument": {"publishDiagnostics": {"versionSupport": True}}})
        self._process = psutil.Process(self.server.process.pid)
        self._uri, self._version = "file:///project/small.py", 1
        self.server.open(self._uri, "def f():\n    return f'x'\n")
        self._wait(self._uri, 1)
        self.edit()  # rests for the loading of the rules

    def mib(self) -> float:
        """Resident memory now."""
        return float(self._process.memory_info().rss) / (1 << 20)

    def edit(self) -> float:
        """Milliseconds from an edit of the small file to its diagnostics."""
        self._version += 1
        at = {"line": 0, "character": 0}
        change = {"range": {"start": at, "end": at}, "text": "\n"}
        document = {"uri": self._uri, "version": self._version}
        began = time.perf_counter()
        self.server.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})
        self._wait(self._uri, self._version)
        return (time.perf_counter() - began) * 1000

    def through(self, files: Sequence[Path]) -> tuple[float, float]:
        """MiB when all were opened, looked at and closed, and the milliseconds of an edit before they were closed."""
        self.server.messages.clear()
        for path in files:
            self.server.open(path.as_uri(), path.read_text(encoding="utf-8", errors="replace"))
            self._hover(path.as_uri())
        self.edit()  # is looked at behind the others: the next is what had to rest for that
        for path in files:
            self._wait(path.as_uri(), 1)
        behind = self.edit()
        for path in files:
            self.server.notify("textDocument/didClose", {"textDocument": {"uri": path.as_uri()}})
        self._hover(self._uri)  # is answered when they are closed
        return self._rested(), behind

    def _rested(self) -> float:
        """Resident memory when it does not change any more."""
        before, now = 0.0, self.mib()
        while now != before:
            time.sleep(0.1)
            before, now = now, self.mib()
        return now

    def _hover(self, uri: str) -> None:
        place = {"textDocument": {"uri": uri}, "position": {"line": 3, "character": 2}}
        self.server.call("textDocument/hover", place)

    def _wait(self, uri: str, version: int) -> None:
        def is_it(message: dict[str, Any]) -> bool:
            params = message.get("params", {})
            return message.get("method") == _PUBLISH and (params["uri"], params.get("version")) == (uri, version)

        self.server.wait_for(is_it)
