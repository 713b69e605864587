"""`workspace/executeCommand`: `leanvibe.explain`. A request like any other, so a cancel reaches the engine."""

from __future__ import annotations

from collections.abc import Awaitable
from pathlib import Path
from typing import TYPE_CHECKING

from lsprotocol import types

from leanvibe_lsp.assist.answer_json import answer_json
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.lsp.asking import AskParams, DocumentParam, RangeParam, Token, WireModel, ask, at_entry

if TYPE_CHECKING:
    from leanvibe_lsp.lsp.server import LeanVibeServer

EXPLAIN = "leanvibe.explain"
QUESTION = "Explain what this code does."


class ExplainParam(WireModel):
    """The one argument of `leanvibe.explain`; without a range it is about the whole document.

    LSP gives a command no token for partial results, so one may come here.
    """

    uri: str
    range: RangeParam | None = None
    partial_result_token: Token | None = None


def register(ls: LeanVibeServer) -> None:
    """Serve `workspace/executeCommand`."""
    ls.feature(types.WORKSPACE_EXECUTE_COMMAND)(on_command)
    ls.command(EXPLAIN)(on_explain)


def on_command(ls: LeanVibeServer, params: types.ExecuteCommandParams) -> object:
    """Run a command by its name. Raises UsageError for one that does not exist."""
    command = ls.protocol.fm.commands.get(params.command)
    if command is None:
        raise UsageError(f"command: there is no command {params.command!r} here; there is {EXPLAIN}.")
    return command(params)


def on_explain(ls: LeanVibeServer, params: types.ExecuteCommandParams) -> Awaitable[dict[str, object]]:
    """Ask what the code at a place does; the result is that of `leanvibe/ask`."""
    if len(params.arguments or ()) != 1:
        raise UsageError(f"arguments: {EXPLAIN} takes one argument, an object with uri and range.")
    place = ExplainParam.model_validate((params.arguments or ())[0])
    request = AskParams(
        question=QUESTION,
        textDocument=DocumentParam(uri=place.uri),
        range=place.range,
        workDoneToken=params.work_done_token,
        partialResultToken=place.partial_result_token,
    )
    return _explain(ls, request, at_entry(ls, request))


async def _explain(ls: LeanVibeServer, request: AskParams, known: Snapshot | Path | None) -> dict[str, object]:
    answer = await ask(ls, request, known)
    # A client that streams, or can open documents, has a better place for a long text than a message box.
    if request.partial_result_token is None and not ls.client.can("window.show_document.support"):
        ls.client.show(types.MessageType.Info, answer.answer)
    return answer_json(answer)
