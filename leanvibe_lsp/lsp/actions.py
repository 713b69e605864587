"""Offers as LSP's code actions and commands. Only the edit of a proven rule is in the list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lsprotocol import types

from leanvibe_lsp.assist.changes.values import ChangeKind, Complaint, FileChange
from leanvibe_lsp.assist.offering import Act, Offer
from leanvibe_lsp.core.text import Encoding
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.lsp.client import Client
from leanvibe_lsp.lsp.convert import to_range
from leanvibe_lsp.lsp.workspace_edit import workspace_edit

if TYPE_CHECKING:
    from leanvibe_lsp.lsp.server import LeanVibeServer

EXPLAIN = "leanvibe.explain"
CHANGE = "leanvibe.change"
SUPPRESS = "leanvibe.suppress"
CANCEL = "leanvibe.cancel"
JUDGE = "leanvibe.judge"
CONTEXT = "leanvibe.context"
COMMANDS = (EXPLAIN, CHANGE, SUPPRESS, CANCEL, JUDGE, CONTEXT)

EXPLAIN_KIND = "leanvibe.explain"  # every editor shows kinds it does not know; VS Code under "More Actions..."
REVIEW_KIND = "source.review.leanvibe"
QUICK_FIX = types.CodeActionKind.QuickFix.value
_KINDS = {
    ChangeKind.FIX: QUICK_FIX,
    ChangeKind.SIMPLIFY: types.CodeActionKind.RefactorRewrite.value,
    ChangeKind.RENAME: types.CodeActionKind.RefactorRewrite.value,
    ChangeKind.REWRITE: types.CodeActionKind.RefactorRewrite.value,
    ChangeKind.EXTRACT: types.CodeActionKind.RefactorExtract.value,
    ChangeKind.DOCUMENT: "source.document",
    ChangeKind.TESTS: "source.tests",
}
_PLACE = dict.fromkeys(kind for change, kind in _KINDS.items() if change is not ChangeKind.FIX)
PLACE_KINDS = (*_PLACE, EXPLAIN_KIND, REVIEW_KIND)
KINDS = (QUICK_FIX, *PLACE_KINDS)


@dataclass(frozen=True, slots=True)
class Listing:
    """Where offers are listed for: the document as it is, its client, and the diagnostics the client sent."""

    snapshot: Snapshot
    client: Client
    encoding: Encoding
    diagnostics: Mapping[Complaint, types.Diagnostic]


def announce(ls: LeanVibeServer) -> None:
    """Kinds and resolving may be announced only to clients that know code action literals."""
    if ls.client.takes_action_literals():
        options = types.CodeActionOptions(code_action_kinds=list(KINDS), resolve_provider=ls.client.resolves_edits())
        ls.protocol.fm.feature_options[types.TEXT_DOCUMENT_CODE_ACTION] = options


def wanted(kind: str, only: Sequence[types.CodeActionKind | str] | None) -> bool:
    """Kinds are a tree: asking for `refactor` asks for `refactor.extract`, and the empty kind for everything."""
    if only is None:
        return True
    names = [str(getattr(one, "value", one)) for one in only]
    return any(not name or kind == name or kind.startswith(f"{name}.") for name in names)


def kind_of(offer: Offer) -> str:
    """The LSP kind an offer is listed under."""
    if offer.complaint is not None:
        return QUICK_FIX
    if offer.act is Act.REVIEW:
        return REVIEW_KIND
    return EXPLAIN_KIND if offer.change is None else _KINDS[offer.change]


def listed(offer: Offer, listing: Listing) -> types.CodeAction | types.Command | None:
    """An offer as the client takes it: with its edit, to be resolved, or with its command. None: it takes none."""
    client, command = listing.client, command_of(offer, listing)
    if not client.takes_action_literals():
        return None if offer.reason else command
    action = types.CodeAction(title=offer.title, kind=kind_of(offer))
    if offer.complaint is not None:
        action.diagnostics = [listing.diagnostics[offer.complaint]]
    if offer.reason:
        if not client.can("text_document.code_action.disabled_support"):
            return None
        action.disabled = types.CodeActionDisabled(offer.reason)
    elif offer.finding is not None and offer.proven:
        annotation = types.ChangeAnnotation(label=offer.title, needs_confirmation=False)
        fix = FileChange(listing.snapshot, offer.finding.fix)
        action.edit = workspace_edit([fix], client, listing.encoding, annotation)
        if client.can("text_document.code_action.is_preferred_support"):
            action.is_preferred = True
    elif _resolvable(offer) and client.resolves_edits():
        action.data = {"command": command.command, "argument": (command.arguments or [None])[0]}
    else:
        action.command = command
    return action


def command_of(offer: Offer, listing: Listing) -> types.Command:
    """The command that does the same: what a client without resolving runs, and what an extension may take over."""
    snapshot = listing.snapshot
    argument: dict[str, object] = {
        "uri": snapshot.uri,
        "range": _range(to_range(offer.span, snapshot.lines, listing.encoding)),
    }
    diagnostic = _diagnostic(listing.diagnostics[offer.complaint]) if offer.complaint is not None else None
    match offer.act:
        case Act.EXPLAIN:
            name = EXPLAIN
            if diagnostic is not None:
                argument["diagnostic"] = diagnostic
        case Act.SUPPRESS:
            name = SUPPRESS
            argument |= {"version": snapshot.version, "rule": offer.complaint.rule if offer.complaint else ""}
        case Act.CHANGE | Act.MEND:
            name = CHANGE
            argument |= {"version": snapshot.version, "kind": str(offer.change)}
            if diagnostic is not None:
                argument["diagnostic"] = diagnostic
        case Act.REVIEW | Act.BIGGER | Act.INSIST:
            name = JUDGE
            argument["version"] = snapshot.version
            if offer.act is not Act.REVIEW:
                argument[str(offer.act)] = True
        case Act.CONTEXT:
            name = CONTEXT
    return types.Command(title=offer.title, command=name, arguments=[argument])


def _resolvable(offer: Offer) -> bool:
    """Only what is an edit; and a change in a person's own words needs the words: the client asks for them."""
    return offer.act in (Act.CHANGE, Act.MEND, Act.SUPPRESS) and offer.change is not ChangeKind.REWRITE


def _diagnostic(diagnostic: types.Diagnostic) -> dict[str, object]:
    fields = {"message": diagnostic.message, "code": diagnostic.code, "source": diagnostic.source}
    return {"range": _range(diagnostic.range), **{name: value for name, value in fields.items() if value is not None}}


def _range(wire: types.Range) -> dict[str, object]:
    return {
        side: {"line": position.line, "character": position.character}
        for side, position in (("start", wire.start), ("end", wire.end))
    }
