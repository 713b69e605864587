"""Ending with the editor: notices when the process that started the server is gone."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable

from leanvibe_lsp.config.limits import limit

_log = logging.getLogger(__name__)


def watch_process(pid: int, at_death: Callable[[], None]) -> Callable[[], None]:
    """Call `at_death` on the running loop once the process is gone; the result stops the watch.

    A process that cannot be seen already (the editor lives outside of this container) is not watched. Linux says at
    once when a process ends; elsewhere it is looked for every `rpc.parent_poll_milliseconds`.
    """
    if not _alive(pid):
        _log.info("The client's process %d cannot be seen from here; it is not watched.", pid)
        return lambda: None
    if hasattr(os, "pidfd_open"):
        try:
            return _watch_descriptor(os.pidfd_open(pid), at_death)
        except OSError as error:
            _log.debug("No descriptor for process %d: %s", pid, error)
    return poll_process(pid, at_death)


def poll_process(pid: int, at_death: Callable[[], None]) -> Callable[[], None]:
    """The way that works everywhere: look for the process every so often."""
    loop = asyncio.get_running_loop()
    every = limit("rpc.parent_poll_milliseconds") / 1000
    timer: asyncio.TimerHandle | None = None

    def look() -> None:
        nonlocal timer
        if _alive(pid):
            timer = loop.call_later(every, look)
        else:
            at_death()

    timer = loop.call_later(every, look)
    return lambda: timer.cancel() if timer is not None else None


def _watch_descriptor(fd: int, at_death: Callable[[], None]) -> Callable[[], None]:
    loop = asyncio.get_running_loop()
    closed = False

    def stop() -> None:
        nonlocal closed
        if not closed:
            closed = True
            loop.remove_reader(fd)
            os.close(fd)

    def gone() -> None:
        stop()
        at_death()

    loop.add_reader(fd, gone)
    return stop


def _alive(pid: int) -> bool:
    if os.name != "posix" or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
