"""Programs that nobody has looked at, run with limits: of time, memory, output, and where the system can, no network.

A program runs in a folder of its own that is gone afterwards, without this process's environment, in a process group
that is killed whole. Where `unshare` may be used it also has no network, and nothing it started outlives it. It is no
wall against a program that wants to do harm: it reads what the user may read.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

from leanvibe_lsp.config.limits import limit

# A process limits itself and then becomes the program: code between fork and exec is not safe beside threads.
# On Linux the data limit counts what is really used; V8 reserves far more addresses than it ever fills.
_LIMITED = """
import os, resource as r, sys
seconds, memory, output = map(int, sys.argv[1:4])
for name, most in (("CPU", seconds), ("DATA", memory), ("FSIZE", output), ("CORE", 0)):
    number = getattr(r, "RLIMIT_" + name)
    hard = r.getrlimit(number)[1]
    most = most if hard == r.RLIM_INFINITY else min(most, hard)
    r.setrlimit(number, (most, most))
os.execvp(sys.argv[4], sys.argv[4:])
"""
_ALONE = ("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--")


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended: `code` is its exit status (negative: the signal), None when its time was up."""

    code: int | None
    output: str
    errors: str

    @property
    def timed_out(self) -> bool:
        """Whether it was stopped for its time."""
        return self.code is None


def run_in_scratch(files: Mapping[str, str], command: Sequence[str], *, compiler: Sequence[str] = ()) -> Ran:
    """Write the files into an empty folder and run the command there; first the compiler, which has limits of its own.

    Gives how the command ended; how the compiler did when that failed.
    """
    with tempfile.TemporaryDirectory(prefix="leanvibe-eval-", ignore_cleanup_errors=True) as folder:
        for name, text in files.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        if compiler:
            # What it writes is larger than what a test may print.
            compiled = _run(compiler, Path(folder), limit("evaluation.compile_seconds"), output=_memory())
            if compiled.code != 0:
                return compiled
        output = limit("evaluation.test_output_kib") << 10
        return _run(command, Path(folder), limit("evaluation.test_seconds"), output=output)


@cache
def cut_off() -> bool:
    """Whether programs run without a network here."""
    if shutil.which(_ALONE[0]) is None:
        return False
    tried = subprocess.run(
        [*_ALONE, "true"], check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return tried.returncode == 0


def _run(step: Sequence[str], folder: Path, seconds: int, *, output: int) -> Ran:
    limited = (sys.executable, "-I", "-S", "-c", _LIMITED, str(seconds), str(_memory()), str(output))
    command = [*(_ALONE if cut_off() else ()), *limited, *step]
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "TMPDIR": str(folder)}
    with (folder / ".output").open("w+b") as out, (folder / ".errors").open("w+b") as err:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment | {"LANG": "C.UTF-8", "PYTHONHASHSEED": "0"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        code: int | None = None
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return Ran(code, _text(out, output), _text(err, output))


def _memory() -> int:
    return limit("evaluation.test_mib") << 20


def _text(file: BinaryIO, most: int) -> str:
    file.seek(0)
    return file.read(most).decode("utf-8", errors="replace")
