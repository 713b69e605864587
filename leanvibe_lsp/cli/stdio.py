"""`leanvibe-lsp`: the language server on stdio, as editors start it.

Kept apart from `serve.py` because start-up counts: the server is imported when stdout is taken, and typer not at all.
"""

from __future__ import annotations

import argparse
import gc
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from leanvibe_lsp import __version__
from leanvibe_lsp.config.layers import Layer, process_layers, settled
from leanvibe_lsp.config.settings import ENGINES, LOG_LEVELS, Settings
from leanvibe_lsp.errors import LeanVibeError, UsageError
from leanvibe_lsp.lsp.pipes import take_standard_streams

if TYPE_CHECKING:
    from leanvibe_lsp.services import Services

_INTERRUPTED = 130


def main_stdio(arguments: Sequence[str] | None = None) -> None:
    """The entry point. Exits with 0 after shutdown and exit, 1 when the client just left, 2 for a bad option."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        layers = process_layers(given.model, given.engine)
        start_logging(given.log_level, given.log_file)
        code = serve_stdio(layers, client_process=given.clientProcessId)
    except UsageError as error:
        parser.error(str(error))
    except LeanVibeError as error:
        print(f"leanvibe-lsp: {error}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        code = _INTERRUPTED
    from leanvibe_lsp.cli.output import leave

    leave(code)


def serve_stdio(layers: tuple[Layer, ...], *, client_process: int | None = None) -> int:
    """Take stdin and stdout, and serve the client behind them; the result is the exit code."""
    pipes = take_standard_streams()
    gc.disable()  # importing makes many objects and no garbage
    from leanvibe_lsp.lsp.run import run_stdio

    gc.freeze()
    gc.enable()
    return run_stdio(pipes, settled(layers), _create, client_process=client_process, layers=layers)


def _create(settings: Settings) -> Services:
    """Imported when there is something to answer: the reply to initialize does not wait for it."""
    from leanvibe_lsp.services import create

    return create(settings)


def start_logging(level: str, file: Path | None) -> None:
    """Log to a file or to stderr, never to stdout. Raises UsageError when the file cannot be written."""
    try:
        handler: logging.Handler = (
            logging.StreamHandler(sys.stderr) if file is None else logging.FileHandler(file, encoding="utf-8")
        )
    except OSError as error:
        raise UsageError(
            f"Cannot log to {file}: {error.strerror}.", next_step="Name a file in a folder that is there."
        ) from None
    logging.basicConfig(
        level=level.upper(), handlers=[handler], format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    # pygls says at INFO what it registers, and would say what it sends: that is a person's code.
    logging.getLogger("pygls").setLevel(logging.WARNING)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="leanvibe-lsp",
        description="The leanvibe language server on stdin and stdout. Editors start it; `leanvibe serve` has TCP too.",
        allow_abbrev=False,
    )
    parser.add_argument("--stdio", action="store_true", help="speak on stdin and stdout, which is what happens anyway")
    parser.add_argument("--model", metavar="NAME|PATH", help="a name from `leanvibe models list`, a folder, a file")
    parser.add_argument("--engine", metavar="|".join(ENGINES), help="use this backend or fail")
    parser.add_argument("--log-file", type=Path, metavar="PATH", help="log there instead of to stderr")
    parser.add_argument("--log-level", choices=LOG_LEVELS, default="info", help="how much to log (info)")
    parser.add_argument("--clientProcessId", type=int, metavar="PID", help="end when this process ends")
    parser.add_argument("--version", action="version", version=f"leanvibe-lsp {__version__}")
    return parser
