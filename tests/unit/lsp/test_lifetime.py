from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from leanvibe_lsp.lsp import lifetime
from leanvibe_lsp.lsp.lifetime import poll_process, watch_process


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def start_process() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)


@pytest.mark.parametrize("watch", [watch_process, poll_process])
async def test_death_is_noticed(
    watch: Callable[[int, Callable[[], None]], Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the process ends, it is told."""
    monkeypatch.setattr(lifetime, "limit", lambda name: 10)
    dead = asyncio.Event()
    process = start_process()
    stop = watch(process.pid, dead.set)
    await asyncio.sleep(0)
    assert not dead.is_set()
    process.kill()
    await asyncio.to_thread(process.communicate)
    await asyncio.wait_for(dead.wait(), 20)
    stop()


@pytest.mark.parametrize("watch", [watch_process, poll_process])
async def test_a_watch_can_be_stopped(watch: Callable[[int, Callable[[], None]], Callable[[], None]]) -> None:
    """A stopped watch holds nothing open; stopping twice does no harm."""
    before = open_files()
    stop = watch(os.getpid(), lambda: pytest.fail("still alive"))
    stop()
    stop()
    assert open_files() == before


@pytest.mark.parametrize("pid", [0, -1, 2**40])
async def test_a_process_out_of_sight_is_not_watched(pid: int) -> None:
    """A client in another container, or a made-up number, does not end the server."""
    watch_process(pid, lambda: pytest.fail("ended"))()
    await asyncio.sleep(0)


async def test_without_process_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no process descriptors, the process is polled."""

    def no_descriptor(pid: int) -> int:
        raise OSError("not here")

    monkeypatch.setattr(os, "pidfd_open", no_descriptor, raising=False)
    monkeypatch.setattr(lifetime, "limit", lambda name: 10)
    dead = asyncio.Event()
    process = start_process()
    watch_process(process.pid, dead.set)
    process.kill()
    await asyncio.to_thread(process.communicate)
    await asyncio.wait_for(dead.wait(), 20)
