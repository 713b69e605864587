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
from dataclasses import dataclass
from time import thread_time
from typing import TYPE_CHECKING

from lsprotocol import types

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.core.text import Encoding
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.lsp.client import DiagnosticAbilities
from leanvibe_lsp.lsp.convert import shared_converter, to_range
from leanvibe_lsp.lsp.looked import Looked
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


@dataclass(frozen=True, slots=True)
class _Followed:
    """A document that is looked at: `news` is set when there is something newer than what was."""

    news: asyncio.Event
    work: asyncio.Task[None]


class Publisher:
    """Pushes the diagnostics of one client's open documents."""

    def __init__(self, ls: LeanVibeServer) -> None:
        self._ls = ls
        self._followed: dict[str, _Followed] = {}

    def document_changed(self, uri: str) -> None:
        """The document was opened, changed or closed, or something else is to be shown of it."""
        if self._ls.client.pulls_diagnostics():
            return
        document = self._ls.documents.get(uri)  # of another spelling too, whose diagnostics stand under its own uri
        if document is None or document.uri != uri:
            if (followed := self._followed.pop(uri, None)) is not None:
                followed.work.cancel()
                self._ls.client.publish_diagnostics(uri, None, [])
        elif uri in self._followed:
            self._followed[uri].news.set()
        else:
            news = asyncio.Event()
            news.set()
            self._followed[uri] = _Followed(news, self._ls.keep(self._follow(uri, news)))

    async def _follow(self, uri: str, news: asyncio.Event) -> None:
        """Publish until the document is closed; `news` wakes it. Holds no text while it rests."""
        while True:
            await news.wait()
            news.clear()
            took = await self._publish(uri)
            # Looking holds the interpreter's lock: what takes long is done rarely, so that other work gets its turn.
            await asyncio.sleep(max(limit("diagnostics.milliseconds") / 1000, took * limit("diagnostics.rest_times")))

    async def _publish(self, uri: str) -> float:
        """Look at the document of now, and say what was found if it is still that; the seconds of work it took."""
        if (snapshot := self._ls.documents.get(uri)) is None:
            return 0.0
        try:
            found, took = await _look(self._ls, snapshot)
        except Exception:  # noqa: BLE001 - the next version may fare better
            _log.exception("The diagnostics of %s could not be made.", uri)
            return 0.0
        if self._ls.documents.get(uri) is snapshot:
            self._ls.client.publish_diagnostics(uri, snapshot.version, found)
        return took


async def diagnostics(ls: LeanVibeServer, snapshot: Snapshot) -> list[types.Diagnostic]:
    """The diagnostics of a snapshot, by the settings of the document as they are now."""
    found, _ = await _look(ls, snapshot)
    return found


async def _look(ls: LeanVibeServer, snapshot: Snapshot) -> tuple[list[types.Diagnostic], float]:
    """The same, and the seconds of work that it took: not those that it waited for its turn."""
    settings, shown = ls.settings_for(snapshot.uri).editor, ls.client.diagnostic_abilities()
    if not settings.diagnostics:
        return [], 0.0

    def look() -> tuple[tuple[Finding, ...], list[types.Diagnostic], float]:
        began = thread_time()
        findings = _findings(snapshot, settings, reviewed)
        found = [to_diagnostic(one, snapshot, shown, ls.encoding) for one in findings]
        return findings, found, thread_time() - began

    reviewed = ls.reviews.findings(snapshot)
    faults = ls.rule_faults.get(snapshot.path, []) if snapshot.path is not None else []
    findings, found, took = await ls.beside(look)
    if ls.documents.get(snapshot.uri) is not None:
        ls.looked[snapshot.uri] = Looked(snapshot, findings)
    return [*faults, *found], took


def _findings(snapshot: Snapshot, settings: EditorSettings, reviewed: tuple[Finding, ...]) -> tuple[Finding, ...]:
    from leanvibe_lsp.assist.found import found  # grammars, which the reply to initialize does not wait for

    return found(snapshot, settings, reviewed)


def to_diagnostic(
    finding: Finding, snapshot: Snapshot, shown: DiagnosticAbilities, encoding: Encoding
) -> types.Diagnostic:
    """A finding as a client with these abilities takes it; `data` is for the code actions of this server."""
    lines = snapshot.lines
    tags = [_TAGS[tag] for tag in finding.tags if _TAGS[tag] in shown.tags]
    related = [
        types.DiagnosticRelatedInformation(
            types.Location(snapshot.uri, to_range(one.span, lines, encoding)), one.message
        )
        for one in finding.related
    ]
    return types.Diagnostic(
        range=to_range(finding.span, lines, encoding),
        message=finding.message if finding.rung == "rules" else f"{finding.message} ({_sure(finding)})",
        severity=_SEVERITIES[finding.severity],
        code=finding.rule,
        code_description=types.CodeDescription(finding.link) if finding.link and shown.code_description else None,
        source=SOURCE,
        tags=tags or None,
        related_information=related if related and shown.related_information else None,
        data=_data(finding) if shown.data else None,
    )


def _data(finding: Finding) -> dict[str, object]:
    return {
        "rule": finding.rule,
        "fix": bool(finding.fix),
        "rung": finding.rung,
        "confidence": finding.confidence,
        "silence": f"leanvibe: ignore[{finding.rule}]",
    }


def _sure(finding: Finding) -> str:
    """Who says so and how sure that is; of what nobody is sure of, that it is for a person."""
    return "for a person to decide" if finding.rung == "person" else f"{finding.rung}, {finding.confidence:.2f}"


def result_id(found: list[types.Diagnostic]) -> str:
    """A name for exactly these diagnostics: nothing is remembered for a client that asks again."""
    said = json.dumps(shared_converter().unstructure(found), sort_keys=True)
    return hashlib.blake2s(said.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
