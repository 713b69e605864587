"""The commands `leanvibe.judge`, a review of a function or a file, and `leanvibe.context`, what a model was shown."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from lsprotocol import types
from pydantic import Field

from leanvibe_lsp.assist.judged_json import judged_json, summary
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.lsp import tasks
from leanvibe_lsp.lsp.actions import CONTEXT, JUDGE
from leanvibe_lsp.lsp.asking import RangeParam, Token, WireModel
from leanvibe_lsp.lsp.changes import open_document
from leanvibe_lsp.lsp.convert import to_span
from leanvibe_lsp.lsp.judging import review
from leanvibe_lsp.lsp.tasks import Running

if TYPE_CHECKING:
    from leanvibe_lsp.lsp.server import LeanVibeServer


class JudgeParam(WireModel):
    """The one argument of `leanvibe.judge`; without a range it is about the whole document.

    `bigger`: the server that is switched on is asked. `insist`: the model is, however sure the rungs below are. A
    client that is `quiet` shows what came of it itself.
    """

    uri: str = Field(min_length=1)
    range: RangeParam | None = None
    version: int | None = None
    bigger: bool = False
    insist: bool = False
    quiet: bool = False


class ContextParam(WireModel):
    """The one argument of `leanvibe.context`. LSP gives a command no token for partial results: one may come here."""

    uri: str = Field(min_length=1)
    range: RangeParam
    partial_result_token: Token | None = None


def register(ls: LeanVibeServer) -> None:
    """Serve the commands."""
    ls.command(JUDGE)(on_judge)
    ls.command(CONTEXT)(on_context)


def on_judge(ls: LeanVibeServer, params: types.ExecuteCommandParams) -> Awaitable[dict[str, object]]:
    """Judge the code, and show what was found; see `judged_json` for the result. `stale` counts pieces edited since."""
    param = JudgeParam.model_validate(_only(params))
    running = tasks.current()
    running.generates = True
    if params.work_done_token is not None:
        ls.protocol.requests.bind_progress(running, params.work_done_token)
    snapshot = open_document(ls, param.uri, param.version)
    span = to_span(param.range, snapshot.lines, ls.encoding) if param.range is not None else None
    return _judge(ls, param, snapshot, span, running, params.work_done_token)


def on_context(ls: LeanVibeServer, params: types.ExecuteCommandParams) -> dict[str, object]:
    """What a model was shown when it last judged the code at a place. Raises UsageError where none did."""
    param = ContextParam.model_validate(_only(params))
    snapshot = open_document(ls, param.uri, None)
    text = ls.reviews.shown(snapshot, to_span(param.range, snapshot.lines, ls.encoding))
    if not text:
        raise UsageError("No model has looked at this code as it is now.", next_step="Review it first.")
    if param.partial_result_token is None:
        ls.client.show(types.MessageType.Info, text)
    else:
        ls.client.progress(param.partial_result_token, text)
    return {"text": text}


async def _judge(
    ls: LeanVibeServer,
    param: JudgeParam,
    snapshot: Snapshot,
    span: Span | None,
    running: Running,
    token: Token | None,
) -> dict[str, object]:
    judged, stale = await review(ls, snapshot, span, running, token, bigger=param.bigger, insist=param.insist)
    edited = f" {stale} of them edited meanwhile: review again." if stale else ""
    said = summary(judged) + edited
    if not param.quiet:
        ls.client.show(types.MessageType.Info, said)
    return {**judged_json(judged), "stale": stale, "summary": said}


def _only(params: types.ExecuteCommandParams) -> object:
    given = params.arguments or ()
    if len(given) != 1:
        raise UsageError(f"arguments: {params.command} takes one argument, an object with uri.")
    return given[0]
