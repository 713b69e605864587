"""`leanvibe config`: what is set, where that was said, and what can be."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from leanvibe_lsp.cli.output import harmless, print_json
from leanvibe_lsp.config.layers import (
    ADDED,
    DENY,
    NAMES,
    WITHHELD,
    Layer,
    process_layers,
    settled,
    user_file,
    value_of,
    without_server,
)
from leanvibe_lsp.config.settings import RemoteSettings
from leanvibe_lsp.errors import UsageError

app = typer.Typer(help="What is set, where that was said, and what can be.", no_args_is_help=True)


@app.command("show")
def show(
    origin: Annotated[
        bool, typer.Option("--origin", help="Say where each value comes from: FILE:LINE, or what.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    root: Annotated[Path, typer.Option(metavar="DIR", help="The workspace's folder.")] = Path(),
) -> None:
    """Show every setting as it is for a folder: the user's file, LEANVIBE_* and the folder's own files together.

    An editor adds what it sends by itself. What is not understood, or refused, is on stderr.

    [bold]Examples[/bold]

      leanvibe config show --origin

      leanvibe config show --json --root ../service
    """
    if not root.is_dir():
        raise UsageError(f"{root} is no folder.", next_step="Name the folder of a workspace.")
    from leanvibe_lsp.config.files import workspace_layers

    layers = (*process_layers(None, None), *workspace_layers(root.absolute(), {}))
    settings = settled(layers)
    complaints = [text for layer in layers for text in layer.complaints()]
    if without_server(layers):
        complaints.append(WITHHELD)
    if as_json:
        print_json(
            {
                "settings": {name: _plain(name, value_of(settings, name)) for name in NAMES},
                "origin": {name: _origins(layers, name) for name in NAMES},
                "problems": complaints,
            }
        )
        return
    for name in NAMES:
        said = f"  # {', '.join(_origins(layers, name)) or 'default'}" if origin else ""
        print(harmless(f"{name} = {json.dumps(_plain(name, value_of(settings, name)), ensure_ascii=False)}{said}"))
    for text in complaints:
        print(harmless(f"leanvibe: {text}"), file=sys.stderr)


@app.command("schema")
def schema() -> None:
    """Print the JSON schema of leanvibe.toml, of initializationOptions, and of an editor's section "leanvibe"."""
    from leanvibe_lsp.config.schema import json_schema

    print_json(json_schema())


@app.command("path")
def path() -> None:
    """Print where the user's own file is, or would be."""
    print(user_file())


def _origins(layers: tuple[Layer, ...], name: str) -> list[str]:
    """Where the value comes from; several places where each adds to the others."""
    saying = [layer for layer in layers if name in layer.values or (name == "remote" and DENY in layer.values)]
    adds = name in ADDED or name == "remote"
    return [layer.place(name if name in layer.values else DENY) for layer in (saying if adds else saying[-1:])]


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, RemoteSettings):
        fields = {"plainHttp" if key == "plain_http" else key: part for key, part in asdict(value).items()}
        return {key: list(part) if isinstance(part, tuple) else part for key, part in fields.items()}
    if name == "diagnostics.severity":
        return dict(value)
    if name == "diagnostics.overrides":
        return [{"files": list(one.files), "severity": dict(one.severity)} for one in value]
    return list(value) if isinstance(value, tuple) else value
