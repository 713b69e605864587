"""Findings as LSP diagnostics, and when a document's are sent.

Pushed to clients that do not ask for them themselves: at once when a document was quiet, then at most once in
`diagnostics.milliseconds`, always of the newest version, never of one that is not there any more. Event-loop thread
only.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from typing import TYPE_CHECKING

from lsprotocol import types

from leanvibe_lsp.assist.analyze import analyze
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.lsp.convert import shared_converter, to_range
from leanvibe_lsp.tiers.finding import Finding, Severity, Tag

if TYPE_CHECKING:
    from leanvibe_lsp.lsp.server import LeanVibeServer

SOURCE = "leanvibe"

_log = logging.getLogger(__name__)
_SEVERITIES = {
    Severity.ERROR: types.DiagnosticSeverity.Error,
    Severity.WARNING: types.DiagnosticSeverity.Warning,
    Severity.INFORMATION: types.DiagnosticSeverity.Information,
    Severity.HINT: types.DiagnosticSeverity.Hint,
}
_TAGS = {Tag.UNNECESSARY: types.DiagnosticTag.Unnecessary, Tag.DEPRECATED: types.DiagnosticTag.Deprecated}


class Publisher:
    """Pushes the diagnostics of one client's open documents."""

    def __init__(self, ls: LeanVibeServer) -> None:
        self._ls = ls
        self._followed: dict[str, asyncio.Event] = {}  # set when there is something newer than what is looked at

    def document_changed(self, uri: str) -> None:
        """The document was opened, changed or closed, or something else is to be shown of it."""
        if self._ls.client.pulls_diagnostics():
            return
        if self._ls.documents.get(uri) is None:
            if (news := self._followed.pop(uri, None)) is not None:
                news.set()
                self._ls.client.publish_diagnostics(uri, None, [])
        elif uri in self._followed:
            self._followed[uri].set()
        else:
            news = self._followed[uri] = asyncio.Event()
            news.set()
            self._ls.keep(self._follow(uri, news))

    async def _follow(self, uri: str, news: asyncio.Event) -> None:
        """Publish until the document is closed; `news` wakes it."""
        clock = asyncio.get_running_loop().time
        while True:
            await news.wait()
            snapshot = self._ls.documents.get(uri)
            if snapshot is None or self._followed.get(uri) is not news:
                return
            news.clear()
            began = clock()
            try:
                found = await diagnostics(self._ls, snapshot)
            except Exception:  # noqa: BLE001 - the next version may fare better
                _log.exception("The diagnostics of %s could not be made.", uri)
            else:
                if self._ls.documents.get(uri) is snapshot:
                    self._ls.client.publish_diagnostics(uri, snapshot.version, found)
            # Looking holds the interpreter's lock: what takes long is done rarely, so that other work gets its turn.
            took = clock() - began
            await asyncio.sleep(max(limit("diagnostics.milliseconds") / 1000, took * limit("diagnostics.rest_times")))


async def diagnostics(ls: LeanVibeServer, snapshot: Snapshot) -> list[types.Diagnostic]:
    """The diagnostics of a snapshot, by the settings of the document as they are now."""
    settings = ls.settings_for(snapshot.uri).editor
    if not settings.diagnostics:
        return []
    findings = await ls.beside(lambda: analyze(snapshot, settings))
    return [to_diagnostic(finding, snapshot, ls) for finding in findings]


def to_diagnostic(finding: Finding, snapshot: Snapshot, ls: LeanVibeServer) -> types.Diagnostic:
    """A finding as this client takes it; `data` is for the code actions of this server."""
    shown, lines = ls.client.diagnostic_abilities(), snapshot.lines
    tags = [_TAGS[tag] for tag in finding.tags if _TAGS[tag] in shown.tags]
    related = [
        types.DiagnosticRelatedInformation(
            types.Location(snapshot.uri, to_range(one.span, lines, ls.encoding)), one.message
        )
        for one in finding.related
    ]
    return types.Diagnostic(
        range=to_range(finding.span, lines, ls.encoding),
        message=finding.message,
        severity=_SEVERITIES[finding.severity],
        code=finding.rule,
        code_description=types.CodeDescription(finding.link) if finding.link and shown.code_description else None,
        source=SOURCE,
        tags=tags or None,
        related_information=related if related and shown.related_information else None,
        data={"rule": finding.rule, "fix": bool(finding.fix)} if shown.data else None,
    )


def result_id(found: list[types.Diagnostic]) -> str:
    """A name for exactly these diagnostics: nothing is remembered for a client that asks again."""
    said = json.dumps(shared_converter().unstructure(found), sort_keys=True)
    return hashlib.blake2s(said.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
