"""Standard input and output, taken for the protocol before anything else can touch them.

File descriptor 0 then reads nothing, and 1 goes where 2 goes, so a print from Python or C lands in the log. Imports
nothing of ours: it runs before the rest is imported.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pipes:
    """File descriptors that the protocol alone holds."""

    read_fd: int
    write_fd: int


def take_standard_streams() -> Pipes:
    """Take stdin and stdout for the protocol. Call once, before anything can print."""
    sys.stdout.flush()
    pipes = Pipes(os.dup(0), os.dup(1))
    if sys.platform != "win32":
        # A parent that reads its pipes with an event loop may have left them non-blocking; our threads wait.
        os.set_blocking(pipes.read_fd, True)
        os.set_blocking(pipes.write_fd, True)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return pipes
