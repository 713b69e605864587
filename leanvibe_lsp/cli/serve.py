"""`leanvibe serve`: the language server, on stdio, TCP or WebSocket."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from leanvibe_lsp.cli.options import EngineOption, ModelOption
from leanvibe_lsp.cli.stdio import main_stdio, serve_stdio, start_logging
from leanvibe_lsp.config.layers import Layer, process_layers, settled
from leanvibe_lsp.errors import UsageError

__all__ = ["main_stdio", "serve"]


class LogLevel(StrEnum):
    """How much is logged; the values of `stdio.LOG_LEVELS`."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def serve(
    stdio: Annotated[bool, typer.Option("--stdio", help="Speak on stdin and stdout (the default).")] = False,
    tcp: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Listen for TCP; port 0 means any.")] = None,
    ws: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="The same for WebSocket (extra: ws).")] = None,
    model: ModelOption = None,
    engine: EngineOption = None,
    log_file: Annotated[Path | None, typer.Option(metavar="PATH", help="Log there instead of to stderr.")] = None,
    log_level: Annotated[LogLevel, typer.Option(help="How much to log.")] = LogLevel.INFO,
    client_process: Annotated[int | None, typer.Option("--clientProcessId", hidden=True)] = None,
) -> None:
    """Run the language server.

    [bold]Examples[/bold]

      leanvibe serve

      leanvibe serve --tcp 127.0.0.1:7345

    Over TCP and WebSocket it says on stderr where it listens, and serves until Ctrl-C.
    """
    transports = [name for name, given in (("--stdio", stdio), ("--tcp", tcp), ("--ws", ws)) if given]
    if len(transports) > 1:
        raise UsageError(f"{' and '.join(transports)} do not go together.", next_step="Choose one of them.")
    layers = process_layers(model, engine)
    start_logging(log_level.value, log_file)
    if tcp is not None:
        code = _listen("tcp", tcp, layers)
    elif ws is not None:
        code = _listen("ws", ws, layers)
    else:
        code = serve_stdio(layers, client_process=client_process)
    raise typer.Exit(code)


def _listen(kind: str, where: str, layers: tuple[Layer, ...]) -> int:
    from leanvibe_lsp.lsp.listen import parse_address
    from leanvibe_lsp.lsp.run import run_listener
    from leanvibe_lsp.services import create

    address = parse_address(where)
    if not address.loopback:
        _say(f"warning: {address} can be reached from other machines, without a password")
    return run_listener(kind, address, settled(layers), create, announce=_say, layers=layers)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
