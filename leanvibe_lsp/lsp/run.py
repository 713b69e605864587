"""Running a server process: from a choice of transport to an exit code. Everything is closed on every way out."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from leanvibe_lsp.config.layers import Layer
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.lsp.assembly import make_server
from leanvibe_lsp.lsp.lifetime import watch_process
from leanvibe_lsp.lsp.pipes import Pipes
from leanvibe_lsp.lsp.server import LeanVibeServer
from leanvibe_lsp.lsp.sharing import Services, SharedServices
from leanvibe_lsp.lsp.transport import serve_pipes

if TYPE_CHECKING:
    from leanvibe_lsp.lsp.listen import Address

_log = logging.getLogger(__name__)
_INTERRUPTED = 128 + signal.SIGINT

Create = Callable[[Settings], Services]


def run_stdio(
    pipes: Pipes,
    settings: Settings,
    create: Create,
    *,
    client_process: int | None = None,
    layers: Sequence[Layer] = (),
) -> int:
    """Serve one client over the pipes; ends with it, or when the client's process dies. The exit code is LSP's."""

    async def main(make_server: Callable[[], LeanVibeServer]) -> int:
        server = make_server()

        def watch(pid: int | None) -> None:
            if pid is not None:
                watch_process(pid, server.end)

        def on_session(params: types.InitializeParams) -> None:
            watch(params.process_id)

        server.on_session(on_session)
        watch(client_process)
        return await serve_pipes(server, pipes)

    return _run(main, settings, create, reads_files=True, layers=layers)


def run_listener(
    kind: str,
    address: Address,
    settings: Settings,
    create: Create,
    *,
    announce: Callable[[str], None],
    layers: Sequence[Layer] = (),
) -> int:
    """Serve clients over "tcp" or "ws" until a signal comes. Raises UsageError or BackendError when it cannot begin."""

    async def main(make_server: Callable[[], LeanVibeServer]) -> int:
        from leanvibe_lsp.lsp import listen

        serve = listen.serve_websocket if kind == "ws" else listen.serve_tcp
        await serve(address, make_server, announce)
        return 0

    return _run(main, settings, create, reads_files=False, layers=layers)


def _run(
    main: Callable[[Callable[[], LeanVibeServer]], Coroutine[Any, Any, int]],
    settings: Settings,
    create: Create,
    *,
    reads_files: bool,
    layers: Sequence[Layer],
) -> int:
    shared = SharedServices(create, kept=settings)
    workers = ThreadPoolExecutor(limit("rpc.workers"), thread_name_prefix="leanvibe-lsp")
    code = _INTERRUPTED

    def new_session() -> LeanVibeServer:
        return make_server(shared, settings=settings, workers=workers, reads_files=reads_files, layers=layers)

    try:
        code = asyncio.run(_until_signal(main(new_session)))
    except KeyboardInterrupt:
        _log.info("Interrupted.")
    finally:
        end_in_time(code)
        workers.shutdown(wait=False, cancel_futures=True)
        shared.close()
    return code


async def _until_signal(main: Coroutine[Any, Any, int]) -> int:
    """Run `main`; SIGTERM cancels it and is the exit code, as a shell counts it."""
    task = asyncio.ensure_future(main)
    if sys.platform != "win32":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel, "SIGTERM")
    try:
        return await task
    except asyncio.CancelledError as error:
        if error.args != ("SIGTERM",):
            raise
        return 128 + signal.SIGTERM


def end_in_time(code: int) -> None:
    """From now on the process has `rpc.exit_milliseconds` for an orderly end; then it ends anyway."""

    # Not sys.exit: whatever holds the process up would hold that up too. Logging flushes each line by itself.
    timer = threading.Timer(limit("rpc.exit_milliseconds") / 1000, os._exit, (code,))
    timer.daemon = True
    timer.start()
