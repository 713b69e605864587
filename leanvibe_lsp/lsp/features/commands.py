"""`workspace/executeCommand`: explain, change, suppress, cancel. Requests like any other, so a cancel reaches all."""

from __future__ import annotations

from collections.abc import Awaitable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lsprotocol import types

from leanvibe_lsp.assist.answer_json import answer_json
from leanvibe_lsp.assist.changes.values import ChangeRequest
from leanvibe_lsp.documents.secrets import covered_text
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.lsp import changes, suppressing
from leanvibe_lsp.lsp.actions import CANCEL, CHANGE, EXPLAIN, SUPPRESS
from leanvibe_lsp.lsp.asking import AskParams, DocumentParam, RangeParam, Token, WireModel, ask, at_entry
from leanvibe_lsp.lsp.changes import ChangeParam, DiagnosticParam
from leanvibe_lsp.lsp.suppressing import SuppressParam

if TYPE_CHECKING:
    from leanvibe_lsp.lsp.server import LeanVibeServer

QUESTION = "Explain what this code does."
PROBLEM = "Explain this problem and how to mend it: {message}"
_Param = TypeVar("_Param", bound=WireModel)


class ExplainParam(WireModel):
    """The one argument of `leanvibe.explain`; without a range it is about the whole document.

    With a `diagnostic` that is what is explained. LSP gives a command no token for partial results, so one may come
    here.
    """

    uri: str
    range: RangeParam | None = None
    diagnostic: DiagnosticParam | None = None
    partial_result_token: Token | None = None


def register(ls: LeanVibeServer) -> None:
    """Serve `workspace/executeCommand`."""
    ls.feature(types.WORKSPACE_EXECUTE_COMMAND)(on_command)
    for name, command in ((EXPLAIN, on_explain), (CHANGE, on_change), (SUPPRESS, on_suppress), (CANCEL, on_cancel)):
        ls.command(name)(command)


def on_command(ls: LeanVibeServer, params: types.ExecuteCommandParams) -> object:
    """Run a command by its name. Raises UsageError for one that does not exist."""
    commands = ls.protocol.fm.commands
    if (command := commands.get(params.command)) is None:
        there = ", ".join(commands)
        raise UsageError(f"command: there is no command {params.command!r} here; there are: {there}.")
    return command(params)


def on_explain(ls: LeanVibeServer, params: types.ExecuteCommandParams) -> Awaitable[dict[str, object]]:
    """Ask what the code at a place does; the result is that of `leanvibe/ask`."""
    place = _argument(params, ExplainParam)
    problem = place.diagnostic
    request = AskParams(
        question=QUESTION if problem is None else PROBLEM.format(message=covered_text(problem.message)),
        textDocument=DocumentParam(uri=place.uri),
        range=place.range,
        workDoneToken=params.work_done_token,
        partialResultToken=place.partial_result_token,
    )
    return _explain(ls, request, at_entry(ls, request))


def on_change(ls: LeanVibeServer, params: types.ExecuteCommandParams) -> Awaitable[dict[str, object]]:
    """Have code changed, and the edit applied; see `changes.carry_out` for the result."""
    param = _argument(params, ChangeParam)
    return _change(ls, changes.at_entry(ls, param, params.work_done_token), params, param.partial_result_token)


def on_suppress(ls: LeanVibeServer, params: types.ExecuteCommandParams) -> Awaitable[dict[str, object]]:
    """Silence a finding of ours by a comment."""
    param = _argument(params, SuppressParam)
    return _suppress(ls, param, suppressing.at_entry(ls, param))


def on_cancel(ls: LeanVibeServer, params: types.ExecuteCommandParams) -> dict[str, object]:
    """Stop everything that this client has a model work on; says how many requests that were."""
    return {"cancelled": ls.protocol.requests.cancel_generations()}


async def _explain(ls: LeanVibeServer, request: AskParams, known: Snapshot | Path | None) -> dict[str, object]:
    answer = await ask(ls, request, known)
    # A client that streams has a better place for a long text than a message box; in any other it would be lost.
    if request.partial_result_token is None:
        ls.client.show(types.MessageType.Info, answer.answer)
    return answer_json(answer)


async def _change(
    ls: LeanVibeServer, request: ChangeRequest, params: types.ExecuteCommandParams, token: Token | None
) -> dict[str, object]:
    made = await changes.change(ls, request, params.work_done_token, token)
    return await changes.carry_out(ls, made, shows_itself=token is not None)


async def _suppress(ls: LeanVibeServer, param: SuppressParam, snapshot: Snapshot) -> dict[str, object]:
    edit = await suppressing.suppress(ls, param, snapshot)
    reason = await changes.apply(ls, edit, param.title)
    result: dict[str, object] = {"title": param.title, "applied": not reason}
    if not reason:
        return result
    ls.client.show(types.MessageType.Warning, changes.not_applied(param.title, reason))
    return {**result, "edit": edit, "reason": reason}


def _argument(params: types.ExecuteCommandParams, model: type[_Param]) -> _Param:
    given = params.arguments or ()
    if len(given) != 1:
        fields = ", ".join(field.alias or name for name, field in model.model_fields.items() if field.is_required())
        raise UsageError(f"arguments: {params.command} takes one argument, an object with {fields}.")
    return model.model_validate(given[0])
