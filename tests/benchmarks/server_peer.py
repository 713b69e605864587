"""mlx_lm's own server with its prompt cache, on SmolLM2 in 32-bit floats and with OpenBLAS, as ours has it."""

from __future__ import annotations

import ctypes.util
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.base import Tokenizer
from leanvibe_lsp.engine.local.convert import Recipe
from leanvibe_lsp.engine.models.registry import resolve
from leanvibe_lsp.services import convert_model

PEER = "mlx_lm.server, its prompt cache"
_PATIENCE = 180.0


@contextmanager
def mlx_server(tokenizer: Tokenizer) -> Iterator[Callable[[tuple[int, ...]], float]]:
    """Gives a function from a prompt to the seconds until the first event of its answer."""
    with tempfile.TemporaryDirectory() as place, socket.socket() as free:
        folder = Path(place) / "smollm2"
        located = resolve("smollm2", cache=Path(place))
        recipe = Recipe(dtype="float32", dequantize=True)
        convert_model(located, folder, recipe, progress=lambda _: None, cancel=CancelToken())
        (Path(place) / "hub").mkdir()
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
        address = f"http://127.0.0.1:{port}"
        free.close()
        command = [sys.executable, "-m", "mlx_lm", "server", "--model", str(folder), "--port", port]
        environment = {**os.environ, "HF_HUB_CACHE": str(Path(place) / "hub"), "HF_HUB_OFFLINE": "1"}
        if (blas := ctypes.util.find_library("openblas")) is not None:
            environment["LD_PRELOAD"] = blas
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as server:
            try:
                _wait_for(address, server)
                yield lambda prompt: _first_event(address, b"".join(map(tokenizer.token_bytes, prompt)).decode())
            finally:
                server.kill()


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and server.poll() is None:
        with suppress(urllib.error.URLError), urllib.request.urlopen(f"{address}/v1/models", timeout=_PATIENCE):
            return
        time.sleep(0.2)
    raise AssertionError("mlx_lm.server did not start")


def _first_event(address: str, prompt: str) -> float:
    body = {"prompt": prompt, "max_tokens": 2, "temperature": 0, "stream": True}
    request = urllib.request.Request(
        f"{address}/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    begin = time.perf_counter()
    with urllib.request.urlopen(request, timeout=_PATIENCE) as reply:
        first = next(line for line in reply if line.startswith(b"data:"))
        seconds = time.perf_counter() - begin
        assert b"error" not in first, first
        reply.read()
    return seconds
