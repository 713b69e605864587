from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.rpc import ServerProcess, server_command


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Starts `leanvibe-lsp` with the arguments given; its log is in `tmp_path / "server.log"`."""
    started: list[ServerProcess] = []

    def start(*arguments: str, command: list[str] | None = None) -> ServerProcess:
        server = ServerProcess(command or server_command(*arguments), log=tmp_path / "server.log")
        started.append(server)
        return server

    yield start
    for server in started:
        server.end()


@pytest.fixture
def mock_server(start_server: Callable[..., ServerProcess]) -> ServerProcess:
    """A server with the mock engine, after initialize."""
    server = start_server("--stdio", "--engine", "mock")
    server.initialize()
    return server
