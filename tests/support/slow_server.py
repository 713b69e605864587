"""A server process whose services are fakes that never finish by themselves: `python -m tests.support.slow_server`.

With `stuck` as its argument closing the services does not end either.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
import threading

from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.lsp.pipes import take_standard_streams
from leanvibe_lsp.lsp.run import run_stdio
from tests.support.fake_services import FakeServices


class Endless(FakeServices):
    """Prints to stdout from Python and C, as libraries do, says two pieces and waits for a cancel."""

    def __init__(self) -> None:
        super().__init__(gate=asyncio.Event())

    async def health(self) -> dict[str, object]:
        """Print, and say what the fake says."""
        print("a print from Python")
        libc = ctypes.CDLL(None)
        libc.puts(b"a print from C")
        libc.fflush(None)
        return await super().health()

    def close(self) -> None:
        """End, or not."""
        if "stuck" in sys.argv:
            threading.Event().wait()


if __name__ == "__main__":
    sys.exit(run_stdio(take_standard_streams(), Settings(), lambda settings: Endless()))
