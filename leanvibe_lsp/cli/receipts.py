"""`leanvibe receipts`: what left this machine, when, and for which server."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import unquote

import typer

from leanvibe_lsp.cli.output import harmless, print_json
from leanvibe_lsp.engine.base import Source
from leanvibe_lsp.engine.remote.receipts import Receipt, Receipts
from leanvibe_lsp.errors import UsageError


def receipts(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array; its lines are zero-based.")] = False,
    last: Annotated[int | None, typer.Option("--last", metavar="N", help="Only the newest N.", min=1)] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Throw all receipts away.")] = False,
) -> None:
    """Show every use of a remote server: when, which server and model, which lines of which files, how many bytes.

    [bold]Examples[/bold]

      leanvibe receipts --last 10

      leanvibe receipts --json

      leanvibe receipts --clear
    """
    store = Receipts()
    if clear:
        if as_json or last is not None:
            raise UsageError("--clear stands alone.", next_step="Look first: `leanvibe receipts`.")
        print(f"{store.clear()} receipts are removed.")
        return
    every = store.read()
    found = every[-last:] if last is not None else every
    if as_json:
        print_json([_json(receipt) for receipt in found])
        return
    for receipt in found:
        _show(receipt)
    of_all = "" if len(found) == len(every) else f" of {len(every)}"
    none = "There are no receipts: no server was used, or what was noted has been removed."
    print(f"{len(found)}{of_all} receipts, in {store.path}" if found else none)


def _show(receipt: Receipt) -> None:
    print(
        harmless(
            f"{receipt.time[:19]}Z  {receipt.server}  {receipt.model or '-'}  {receipt.purpose}  "
            f"sent {receipt.bytes_sent:,} B, received {receipt.bytes_received:,} B  {receipt.outcome}"
        )
    )
    for file in receipt.files:
        print(harmless(f"  {_name(file)}"))


def _name(file: Source) -> str:
    """As editors and compilers write it: lines from 1."""
    name = unquote(file.uri).removeprefix("file://")
    return f"{name}:{file.start_line + 1}-{file.end_line + 1}"


def _json(receipt: Receipt) -> dict[str, object]:
    return {
        "id": receipt.id,
        "time": receipt.time,
        "server": receipt.server,
        "model": receipt.model,
        "purpose": receipt.purpose,
        "files": [{"uri": one.uri, "startLine": one.start_line, "endLine": one.end_line} for one in receipt.files],
        "bytesSent": receipt.bytes_sent,
        "bytesReceived": receipt.bytes_received,
        "outcome": receipt.outcome,
    }
