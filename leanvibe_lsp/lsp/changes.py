"""Changing code through LSP: params in, the change made and checked beside the editor, an edit for the text of now out.

An edit is made for the document as it was when the request came. What was typed since is carried through it when that
is safe, and then it is not proven any more; else nothing is applied, the reply is ContentModified, and the draft of the
model is kept in `error.data.draft`. A person always sees a draft that is not applied: a client that takes pieces of
text (`partialResultToken`) shows it by itself from the result or the error; any other is sent a message with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from lsprotocol import types
from pydantic import Field, StringConstraints

from leanvibe_lsp.assist.answer import Place
from leanvibe_lsp.assist.answer_json import answer_json
from leanvibe_lsp.assist.changes.values import Change, ChangeKind, ChangeRequest, Complaint, FileChange
from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.core.rebase import rebased
from leanvibe_lsp.documents.gathered import NOTHING, Diagnostic, Gathered
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import Cancelled, UsageError
from leanvibe_lsp.lsp import tasks
from leanvibe_lsp.lsp.asking import RangeParam, Token, WireModel, gathered
from leanvibe_lsp.lsp.convert import to_span
from leanvibe_lsp.lsp.faults import Code, RpcFault
from leanvibe_lsp.lsp.progress import AnswerStream, WorkDone
from leanvibe_lsp.lsp.publishing import SOURCE
from leanvibe_lsp.lsp.workspace_edit import workspace_edit

if TYPE_CHECKING:
    from leanvibe_lsp.lsp.server import LeanVibeServer


_LOOKS_ROUND = frozenset({ChangeKind.FIX, ChangeKind.REWRITE, ChangeKind.TESTS})
_INSTRUCTIONS = ("Make it simpler", "Handle errors", "Add types", "Make it faster", "Add comments")


class DiagnosticParam(WireModel):
    """What is needed of LSP's Diagnostic."""

    range: RangeParam
    message: str
    code: int | str | None = None
    source: str | None = None


class ChangeParam(WireModel):
    """The one argument of `leanvibe.change`, and the data of a code action that becomes one.

    With a `version`, only a document that still has it is changed. LSP gives a command no token for partial results,
    so one may come here: it gets the model's words as they come.
    """

    kind: Annotated[ChangeKind, Field(strict=False)]
    uri: str = Field(min_length=1)
    range: RangeParam
    version: int | None = None
    instruction: Annotated[str, StringConstraints(strip_whitespace=True)] = ""
    diagnostic: DiagnosticParam | None = None
    partial_result_token: Token | None = None


def open_document(ls: LeanVibeServer, uri: str, version: int | None) -> Snapshot:
    """The document as it is now, if it is open and has `version` (None: whichever). Raises UsageError, RpcFault."""
    snapshot = ls.documents.get(uri)
    if snapshot is None:
        raise UsageError(f"uri: {uri!r} is not open here.", next_step="Open the document in the editor first.")
    if version is not None and snapshot.version != version:
        raise modified("The document changed since this was offered.", next_step="Choose it again.")
    return snapshot


def at_entry(ls: LeanVibeServer, param: ChangeParam, work_done_token: Token | None) -> ChangeRequest:
    """The request, its document frozen before the next message is looked at. Raises UsageError, RpcFault."""
    running = tasks.current()
    running.generates = True
    if work_done_token is not None:
        ls.protocol.requests.bind_progress(running, work_done_token)
    if param.kind is ChangeKind.FIX and param.diagnostic is None:
        raise UsageError("diagnostic: a fix needs the diagnostic it is for.")
    snapshot = open_document(ls, param.uri, param.version)
    complaint = complaint_of(ls, param.diagnostic, snapshot) if param.diagnostic is not None else None
    place = Place(snapshot, to_span(param.range, snapshot.lines, ls.encoding))
    return ChangeRequest(param.kind, place, param.instruction, complaint)


def complaint_of(ls: LeanVibeServer, diagnostic: DiagnosticParam | types.Diagnostic, snapshot: Snapshot) -> Complaint:
    """A diagnostic in plain values; only ours has a rule."""
    span = to_span(diagnostic.range, snapshot.lines, ls.encoding)
    code = "" if diagnostic.code is None else str(diagnostic.code)
    source = diagnostic.source or ""
    return Complaint(span, diagnostic.message, code, source, rule=code if source == SOURCE else "")


async def change(
    ls: LeanVibeServer, request: ChangeRequest, work_done_token: Token | None, partial_token: Token | None
) -> Change:
    """Have the change made, by a rule where one can, else with progress. Raises LeanVibeError."""
    settings = ls.settings_for(request.place.snapshot.uri).editor
    if (ruled := await ls.beside(lambda: _mended(request, settings))) is not None:
        return ruled
    running = tasks.current()
    if request.kind is ChangeKind.REWRITE and not request.instruction:
        request = replace(request, instruction=await _instruction(ls))
    async with WorkDone(
        ls.client, ls.protocol.requests, running, work_done_token, title="LeanVibe", stage="reading context"
    ) as work:
        request = replace(request, gathered=await _gathered(ls, request, settings), secrets=settings.secrets)
        request = replace(request, open_documents=tuple(ls.documents))
        stream = AnswerStream(ls.client, work, partial_token)
        try:
            made = await ls.services.change(request, stream.take, running.cancel)
            stream.finish(made.answer.answer)
        finally:
            stream.close()
    return made


async def _gathered(ls: LeanVibeServer, request: ChangeRequest, settings: EditorSettings) -> Gathered:
    """What the model needs to know beside the code itself; it only disturbs where that says all there is to it."""
    if request.kind not in _LOOKS_ROUND:
        return NOTHING
    complaint = request.complaint
    diagnostics = (
        () if complaint is None else (Diagnostic(complaint.span, complaint.message, complaint.code, complaint.source),)
    )
    return await gathered(ls, (request.place,), settings, diagnostics)


def _mended(request: ChangeRequest, settings: EditorSettings) -> Change | None:
    # The rules' library is loaded when it is first needed.
    from leanvibe_lsp.assist.changes.mending import mended

    return mended(request, settings)


def edit_of(ls: LeanVibeServer, made: Change) -> types.WorkspaceEdit:
    """The edit of a change that has `landed`. Raises UsageError where the client cannot make a file."""
    annotation = types.ChangeAnnotation(
        label=made.title, needs_confirmation=not made.proven, description=_description(made)
    )
    return workspace_edit(made.files, ls.client, ls.encoding, annotation)


def landed(ls: LeanVibeServer, made: Change) -> Change:
    """The change for the documents of now; proven no more when they are not what was looked at.

    Raises RpcFault (ContentModified) where its edits cannot be carried to them safely.
    """
    files = tuple(landed_file(ls, file, made.draft) for file in made.files)
    same = all(file.snapshot.text == known.snapshot.text for file, known in zip(files, made.files, strict=True))
    return replace(made, files=files, proven=made.proven and same)


async def apply(ls: LeanVibeServer, edit: types.WorkspaceEdit, title: str) -> str:
    """Have the client apply it: "" when it did, else why not.

    Once the edit is sent the client alone knows what became of it: no cancel takes the running request any more.
    """
    if not ls.client.can("workspace.apply_edit"):
        return "this editor applies no edits for a server"
    tasks.current().protected = True
    return await ls.client.apply_edit(edit, title)


async def carry_out(ls: LeanVibeServer, made: Change, *, shows_itself: bool) -> dict[str, object]:
    """Apply a change and say what came of it: see `change_json`; `edit` and `reason` when the client did not apply it.

    What a person reads of that is the `refusal` then. Raises RpcFault when a document moved on. A client that
    `shows_itself` is sent no message with a draft.
    """
    if not made.files:
        tell_draft(ls, made.refusal, made.draft, shows_itself=shows_itself)
        return change_json(made, applied=False)
    try:
        made = landed(ls, made)
        edit = edit_of(ls, made)
    except (UsageError, RpcFault) as error:
        tell_draft(ls, str(error), made.draft, shows_itself=shows_itself)
        if isinstance(error, RpcFault):
            raise
        return change_json(replace(made, refusal=str(error)), applied=False)
    if reason := await apply(ls, edit, made.title):
        made = replace(made, refusal=not_applied(made.title, reason))
        tell_draft(ls, made.refusal, made.draft, shows_itself=shows_itself)
        return {**change_json(made, applied=False), "edit": edit, "reason": reason}
    for file in made.files:
        if file.creates:
            await ls.client.show_document(file.snapshot.uri)
    return change_json(made, applied=True)


def not_applied(title: str, reason: str) -> str:
    """What a person reads of an edit that the client did not apply."""
    return f"{title}: not applied, {reason}."


def refused(made: Change) -> RpcFault:
    """The error for a change that did not pass its checks, where a reply can only be an edit."""
    data = {"kind": "refused", "nextStep": "", "retryable": False, "draft": made.draft, "checks": _checks(made)}
    return RpcFault(Code.REQUEST_FAILED, made.refusal, data)


def tell_draft(ls: LeanVibeServer, reason: str, draft: str, *, shows_itself: bool = False) -> None:
    """Show why nothing was applied, and what the model wrote, as text."""
    if not shows_itself:
        shown = f"{reason}\n\nNot applied. What the model wrote:\n\n{draft}" if draft else reason
        ls.client.show(types.MessageType.Warning, shown)


def change_json(made: Change, *, applied: bool) -> dict[str, object]:
    """The one JSON form of a change: the result of `leanvibe.change`."""
    return {
        "title": made.title,
        "applied": applied,
        "proven": made.proven,
        "checks": _checks(made),
        "attempts": made.attempts,
        "refusal": made.refusal,
        "draft": made.draft,
        "answer": answer_json(made.answer),
    }


def landed_file(ls: LeanVibeServer, file: FileChange, draft: str = "") -> FileChange:
    """A file's edits carried to the document of now. Raises RpcFault (ContentModified) where that is not safe."""
    before, now = file.snapshot, ls.documents.get(file.snapshot.uri)
    if now is None:
        if before.version is None:
            return file  # a file on disk, or one that is to be made
        raise modified("The document was closed while the model worked.", draft, next_step="Open it and try again.")
    if before.version is None:
        if now.text == before.text and not file.creates:
            return replace(file, snapshot=now)
        raise modified(f"{before.uri} was opened and is not what the model saw.", draft)
    since = ls.documents.edits_since(before)
    edits = rebased(before.text, file.edits, since, file.region) if since is not None else None
    if edits is None:
        raise modified("What was to be changed was edited meanwhile.", draft)
    return replace(file, snapshot=now, edits=edits)


async def _instruction(ls: LeanVibeServer) -> str:
    """What a person wants, from a client that did not ask: LSP has no free text, so one of a few."""
    try:
        picked = await ls.client.choose("What should LeanVibe do with this code?", _INSTRUCTIONS)
    except UsageError as error:
        raise UsageError(
            "instruction: needed to rewrite code.", next_step="Send it in the command's argument."
        ) from error
    if picked is None:
        raise Cancelled("Stopped: nothing was chosen.")
    return picked


def modified(message: str, draft: str = "", *, next_step: str = "Try again.") -> RpcFault:
    """The error for what was asked of a document that is another one by now."""
    data: dict[str, object] = {"kind": "contentModified", "nextStep": next_step, "retryable": True}
    return RpcFault(Code.CONTENT_MODIFIED, f"{message} {next_step}", {**data, "draft": draft} if draft else data)


def _checks(made: Change) -> list[dict[str, object]]:
    return [
        {"name": check.name, "passed": check.passed, "checked": check.checked, "detail": check.detail}
        for check in made.checks
    ]


def _description(made: Change) -> str:
    return "; ".join((_sure(made), *_said(made)))


def _sure(made: Change) -> str:
    confidence = made.answer.confidence
    return f"confidence {confidence.value:.2f}{'' if confidence.calibrated else ' (not calibrated)'}"


def _said(made: Change) -> Sequence[str]:
    """What was looked at, as far as it could be."""
    return [f"{check.name}: {'yes' if check.passed else 'no'}" for check in made.checks if check.checked]
