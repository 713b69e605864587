"""Diagnostics: pushed as documents change, or given when asked (`textDocument/diagnostic`, `workspace/diagnostic`).

The workspace's are those of the open documents: nothing crawls the others.
"""

from __future__ import annotations

from collections.abc import Awaitable
from pathlib import Path
from typing import TYPE_CHECKING

from lsprotocol import types

from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.lsp.faults import Code, RpcFault
from leanvibe_lsp.lsp.publishing import SOURCE, Publisher, diagnostics, result_id
from leanvibe_lsp.lsp.rules import WorkspaceRules

if TYPE_CHECKING:
    from leanvibe_lsp.lsp.server import LeanVibeServer

_Report = types.RelatedFullDocumentDiagnosticReport | types.RelatedUnchangedDocumentDiagnosticReport


def register(ls: LeanVibeServer) -> None:
    """Push what is found, and serve those who ask."""
    options = types.DiagnosticOptions(inter_file_dependencies=False, workspace_diagnostics=True, identifier=SOURCE)
    ls.feature(types.TEXT_DOCUMENT_DIAGNOSTIC, options)(on_document)
    ls.feature(types.WORKSPACE_DIAGNOSTIC)(on_workspace)
    publisher = Publisher(ls)
    ls.on_document(publisher.document_changed)
    ls.on_settings(lambda: _look_again(ls, publisher))
    ls.on_findings(lambda: _look_again(ls, publisher))
    rules = WorkspaceRules(ls, lambda: _look_again(ls, publisher))
    ls.on_ready(rules.begin)
    ls.on_files(rules.files_changed)


def on_document(ls: LeanVibeServer, params: types.DocumentDiagnosticParams) -> Awaitable[_Report]:
    """The diagnostics of a document, or that they are still those of the result id given.

    Raises UsageError for a document that cannot be found. One that was edited meanwhile is to be asked for again.
    """
    uri = params.text_document.uri
    return _report(ls, params, ls.documents.get(uri) or ls.file_of(uri))


def on_workspace(
    ls: LeanVibeServer, params: types.WorkspaceDiagnosticParams
) -> Awaitable[types.WorkspaceDiagnosticReport]:
    """The diagnostics of every open document; none for one that has a result id and is closed."""
    return _workspace_report({one.uri: one.value for one in params.previous_result_ids}, tuple(ls.documents), ls)


def _look_again(ls: LeanVibeServer, publisher: Publisher) -> None:
    if ls.client.pulls_diagnostics():
        ls.keep(ls.client.refresh_diagnostics())
    for snapshot in ls.documents:
        publisher.document_changed(snapshot.uri)


async def _report(ls: LeanVibeServer, params: types.DocumentDiagnosticParams, known: Snapshot | Path) -> _Report:
    found = await diagnostics(ls, await ls.snapshot(known))
    now = ls.documents.get(params.text_document.uri)
    if isinstance(known, Snapshot) and now is not known and now is not None:
        raise RpcFault(Code.SERVER_CANCELLED, "The document was changed meanwhile.", {"retriggerRequest": True})
    name = result_id(found)
    if name == params.previous_result_id:
        return types.RelatedUnchangedDocumentDiagnosticReport(name)
    return types.RelatedFullDocumentDiagnosticReport(found, result_id=name)


async def _workspace_report(
    previous: dict[str, str], documents: tuple[Snapshot, ...], ls: LeanVibeServer
) -> types.WorkspaceDiagnosticReport:
    found = {one.uri: (one.version, await diagnostics(ls, one)) for one in documents}
    found |= {uri: (None, []) for uri in previous if uri not in found}
    reports: list[types.WorkspaceDocumentDiagnosticReport] = []
    for uri, (version, items) in found.items():
        name = result_id(items)
        if previous.get(uri) == name:
            reports.append(types.WorkspaceUnchangedDocumentDiagnosticReport(uri, name, version))
        else:
            reports.append(types.WorkspaceFullDocumentDiagnosticReport(uri, items, version, result_id=name))
    return types.WorkspaceDiagnosticReport(reports)
