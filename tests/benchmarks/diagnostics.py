"""From an edit to its diagnostics, against other servers in the same run; and what the rules alone take."""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from leanvibe_lsp.assist.analyze import analyze
from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.core.text import Encoding, Position
from leanvibe_lsp.documents.store import Change, DocumentStore
from leanvibe_lsp.tiers.rules import rules_for
from leanvibe_lsp.tiers.scan import scan
from tests.benchmarks.figures import Figure, percentile
from tests.support.rpc import ServerProcess, server_command

_SIZES = (2_000, 40_000)
_URI = "file:///project/a.py"
_FAULT = "ok = 1 is 'a'\n"  # in the body of a function, before a return
_PUBLISH = "textDocument/publishDiagnostics"
_REST = 2.0  # seconds between two edits: what comes once in a while is to be shown at once, by every server


def measure(rounds: int) -> list[Figure]:
    """Servers first, then the rules in this process."""
    figures = []
    for size in _SIZES:
        text = text_of(size)
        figures += _servers(text, size, rounds)
        figures += _rules(text, size, rounds)
    return figures


def _servers(text: str, size: int, rounds: int) -> Iterator[Figure]:
    commands = {"ours": server_command("--stdio", "--engine", "mock", "--log-level", "error")}
    for name, arguments in (("ruff", ["server"]), ("jedi-language-server", [])):
        if (found := shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)) is not None:
            commands[name] = [found, *arguments]
        else:
            print(f"{name} is not installed; it is left out", file=sys.stderr)
    servers = {name: ServerProcess(command) for name, command in commands.items()}
    try:
        first = {name: _opened(server, text) for name, server in servers.items()}
        series: dict[str, list[float]] = {name: [] for name in servers}
        line, indent = place(text)
        for number in range(rounds + 1):
            time.sleep(_REST)
            for name, server in servers.items():
                seconds = _edited(server, 2 * number + 2, line, indent)
                if number:  # the first edit builds what later ones use
                    series[name].append(seconds * 1_000)
        for name in list(servers)[1:]:
            yield Figure(f"edit to diagnostics, {size:,} lines", tuple(series["ours"]), tuple(series[name]), "ms", name)
            yield Figure(f"open to diagnostics, {size:,} lines", (first["ours"],), (first[name],), "ms", name)
    finally:
        for server in servers.values():
            server.end()


def _opened(server: ServerProcess, text: str) -> float:
    server.initialize({"textDocument": {"publishDiagnostics": {"versionSupport": True}}})
    begin = time.perf_counter()
    server.open(_URI, text)
    return (_wait(server, 0) - begin) * 1_000


def _edited(server: ServerProcess, version: int, line: int, indent: str) -> float:
    """Seconds from a fault typed to the next diagnostics; it is taken out again afterwards."""
    at, behind = {"line": line, "character": 0}, {"line": line + 1, "character": 0}
    seen = len(server.messages)
    begin = time.perf_counter()
    _change(server, version, {"range": {"start": at, "end": at}, "text": indent + _FAULT})
    seconds = _wait(server, seen) - begin
    seen = len(server.messages)
    _change(server, version + 1, {"range": {"start": at, "end": behind}, "text": ""})
    _wait(server, seen)
    return seconds


def _change(server: ServerProcess, version: int, change: dict[str, Any]) -> None:
    document = {"uri": _URI, "version": version}
    server.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})


def _wait(server: ServerProcess, seen: int) -> float:
    """When the first diagnostics behind `seen` messages arrived."""
    found = server.wait_for(lambda m: m.get("method") == _PUBLISH and any(m is one for one in server.messages[seen:]))
    return next(at for message, at in zip(server.messages, server.arrived, strict=False) if message is found)


def _rules(text: str, size: int, rounds: int) -> Iterator[Figure]:
    """What a document costs in this process, opened and edited."""
    settings, rules, store = EditorSettings(), rules_for("python"), DocumentStore()
    scan("", "python", rules)
    opened, edited = [], []
    for _ in range(rounds):
        begin = time.perf_counter()
        analyze(store.open(_URI, "python", 1, text), settings)
        opened.append((time.perf_counter() - begin) * 1_000)
        line, indent = place(text)
        middle = Position(line, 0)
        for version in range(2, 12):
            begin = time.perf_counter()
            analyze(store.change(_URI, version, [Change(indent + _FAULT, middle, middle)], Encoding.UTF16), settings)
            edited.append((time.perf_counter() - begin) * 1_000)
    count = f"{len(rules)} rules, {size:,} lines"
    yield Figure(f"{count}: opened, tree included", tuple(opened), (), "ms", "")
    yield Figure(f"{count}: after an edit, tree included", tuple(edited), (), "ms", "")
    yield Figure(f"{count}: the same, P95", (percentile(edited, 0.95),), (), "ms", "")


def place(text: str) -> tuple[int, str]:
    """The first line behind the middle that returns something, and its indent."""
    lines = text.splitlines()
    line = next(at for at in range(len(lines) // 2, len(lines)) if lines[at].lstrip().startswith("return "))
    return line, lines[line][: len(lines[line]) - len(lines[line].lstrip())]


def text_of(size: int) -> str:
    """So many lines of the standard library."""
    folder = Path(logging.__file__).parents[1]
    lines = (line for file in sorted(folder.glob("*.py")) for line in file.read_text("utf-8").splitlines())
    return "".join(f"{line}\n" for line in islice((one for one in lines if "__future__" not in one), size))
