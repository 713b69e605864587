"""`textDocument/codeAction` lists what can be done with a range, without a model; `codeAction/resolve` does it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import attrs
from lsprotocol import types

from leanvibe_lsp.assist.changes.values import ChangeRequest, Complaint
from leanvibe_lsp.assist.offering import Offer
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import LeanVibeError, UsageError
from leanvibe_lsp.lsp import changes, suppressing
from leanvibe_lsp.lsp.actions import PLACE_KINDS, QUICK_FIX, SUPPRESS, Listing, kind_of, listed, wanted
from leanvibe_lsp.lsp.asking import WireModel
from leanvibe_lsp.lsp.changes import ChangeParam, complaint_of
from leanvibe_lsp.lsp.convert import to_span
from leanvibe_lsp.lsp.faults import RpcFault
from leanvibe_lsp.lsp.looked import Looked
from leanvibe_lsp.lsp.suppressing import SuppressParam
from leanvibe_lsp.tiers.finding import Finding

if TYPE_CHECKING:
    from leanvibe_lsp.lsp.server import LeanVibeServer


class Unresolved(WireModel):
    """The `data` of an action that is listed without its edit: the command that would do the same."""

    command: Literal["leanvibe.change", "leanvibe.suppress"]
    argument: dict[str, Any]


def register(ls: LeanVibeServer) -> None:
    """Serve `textDocument/codeAction` and `codeAction/resolve`."""
    ls.feature(types.TEXT_DOCUMENT_CODE_ACTION)(on_code_action)
    ls.feature(types.CODE_ACTION_RESOLVE)(on_resolve)


def on_code_action(
    ls: LeanVibeServer, params: types.CodeActionParams
) -> Awaitable[list[types.CodeAction | types.Command]] | list[types.CodeAction | types.Command]:
    """What can be done with the range; nothing for a document that is not open."""
    snapshot = ls.documents.get(params.text_document.uri)
    return [] if snapshot is None else _list(ls, params, snapshot)


def on_resolve(ls: LeanVibeServer, action: types.CodeAction) -> Awaitable[types.CodeAction] | types.CodeAction:
    """The action with its edit. Raises UsageError, RpcFault (ContentModified) when the document is another by now."""
    if action.data is None:
        return action
    data = Unresolved.model_validate(action.data)
    if data.command == SUPPRESS:
        param = SuppressParam.model_validate(data.argument)
        return _suppress(ls, action, param, suppressing.at_entry(ls, param))
    request = changes.at_entry(ls, ChangeParam.model_validate(data.argument), None)
    return _change(ls, action, request)


async def _list(
    ls: LeanVibeServer, params: types.CodeActionParams, snapshot: Snapshot
) -> list[types.CodeAction | types.Command]:
    context = params.context
    span = to_span(params.range, snapshot.lines, ls.encoding)
    diagnostics = {}
    if wanted(QUICK_FIX, context.only):
        diagnostics = {
            complaint_of(ls, one, snapshot): one for one in context.diagnostics[: limit("actions.complaints")]
        }
    by_itself = context.trigger_kind == types.CodeActionTriggerKind.Automatic
    about_place = not by_itself and any(wanted(kind, context.only) for kind in PLACE_KINDS)
    settings, no_model, known = ls.settings_for(snapshot.uri).editor, _no_model(ls), _known(ls, snapshot)
    has_server = ls.settings.remote is not None
    listing = Listing(snapshot, ls.client, ls.encoding, diagnostics)

    def offers() -> tuple[Offer, ...]:
        place = span if about_place else None
        return _offers(snapshot, place, tuple(diagnostics), settings, no_model, known, has_server=has_server)

    found = await ls.beside(offers)
    if ls.documents.get(snapshot.uri) is not snapshot and not ls.client.takes_versions():
        raise changes.modified("The document changed while this was listed.", next_step="Ask again.")
    if unproven := [offer.finding for offer in found if offer.finding is not None and not offer.proven]:
        ls.keep(_prove(ls, unproven, snapshot))
    taken = [listed(offer, listing) for offer in found if wanted(kind_of(offer), context.only)]
    return [action for action in taken if action is not None]


def _known(ls: LeanVibeServer, snapshot: Snapshot) -> tuple[Looked, tuple[TextEdit, ...]] | None:
    """What was last found in the document, and the edits since; None when nobody looked, or they are not known."""
    looked = ls.looked.get(snapshot.uri)
    if looked is None or ls.documents.get(snapshot.uri) is not snapshot:
        return None
    since = ls.documents.edits_since(looked.snapshot)
    return None if since is None else (looked, since)


def _offers(
    snapshot: Snapshot,
    place: Span | None,
    complaints: Sequence[Complaint],
    settings: EditorSettings,
    no_model: str,
    known: tuple[Looked, tuple[TextEdit, ...]] | None,
    *,
    has_server: bool,
) -> tuple[Offer, ...]:
    """Everything there is to offer, whatever the client can show of it. The rules are asked about their own alone."""
    from leanvibe_lsp.assist.offers import for_complaints, for_place
    from leanvibe_lsp.documents.secrets import withheld

    secret = withheld(snapshot, settings.secrets)
    reason = f"No model is shown this file: {secret}." if secret is not None else no_model
    findings = _findings(snapshot, [one for one in complaints if one.rule], settings, known)
    found = for_complaints(snapshot, complaints, findings, reason=reason, has_server=has_server)
    return (*found, *(for_place(snapshot, place, reason=reason) if place is not None else ()))


def _findings(
    snapshot: Snapshot,
    complaints: Sequence[Complaint],
    settings: EditorSettings,
    known: tuple[Looked, tuple[TextEdit, ...]] | None,
) -> tuple[Finding, ...]:
    """Those that our own complaints are about: as they are known, moved, or looked for where one of them is not."""
    from leanvibe_lsp.assist.analyze import analyze
    from leanvibe_lsp.assist.changes.mending import finding_of
    from leanvibe_lsp.assist.offers import carried

    if not complaints:
        return ()
    if known is not None:
        looked, since = known
        found = carried(looked.findings, since)
        if all(finding_of(one, found) is not None for one in complaints):
            return found
    return analyze(snapshot, settings)


async def _prove(ls: LeanVibeServer, findings: Sequence[Finding], snapshot: Snapshot) -> None:
    """Look at fixes some time behind the list that offers them: the next list of the same text knows what is preferred.

    Not while a person types, who would wait for it.
    """
    from leanvibe_lsp.assist.changes.mending import prove

    await asyncio.sleep(limit("actions.quiet_milliseconds") / 1000)
    for finding in findings:
        if ls.documents.get(snapshot.uri) is snapshot:
            await ls.beside(partial(prove, finding, snapshot))


def _no_model(ls: LeanVibeServer) -> str:
    """Why no model will answer, as far as that is known without asking one."""
    try:
        return ls.services.obstacle
    except LeanVibeError as error:
        return str(error)


async def _change(ls: LeanVibeServer, action: types.CodeAction, request: ChangeRequest) -> types.CodeAction:
    made = await changes.change(ls, request, None, None)
    if not made.files:
        changes.tell_draft(ls, made.refusal, made.draft)
        raise changes.refused(made)
    try:
        return attrs.evolve(action, edit=changes.edit_of(ls, changes.landed(ls, made)))
    except (UsageError, RpcFault) as error:
        changes.tell_draft(ls, str(error), made.draft)
        raise


async def _suppress(
    ls: LeanVibeServer, action: types.CodeAction, param: SuppressParam, snapshot: Snapshot
) -> types.CodeAction:
    return attrs.evolve(action, edit=await suppressing.suppress(ls, param, snapshot))
