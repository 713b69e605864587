"""Hover: what the definition under the cursor looks like from outside and what is wrong there, at once.

A model's two lines about it follow where they are known or made in `summary.milliseconds`; otherwise they are made in
the background, one at a time, and are there at the next hover. No model is loaded for a hover.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lsprotocol import types

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import Cancelled, LeanVibeError
from leanvibe_lsp.lsp.convert import to_position, to_range
from leanvibe_lsp.tiers.finding import Finding

if TYPE_CHECKING:
    from leanvibe_lsp.assist.summary import Summary
    from leanvibe_lsp.documents.scopes import Symbol
    from leanvibe_lsp.lsp.server import LeanVibeServer

_log = logging.getLogger(__name__)
_MARKUP = re.compile(r"([\\`*_\[\]<>#!|~&])")


def register(ls: LeanVibeServer) -> None:
    """Serve `textDocument/hover`."""
    summaries = _Summaries(ls)
    ls.on_document(summaries.document_changed)

    def on_hover(params: types.HoverParams) -> Awaitable[types.Hover | None]:
        """What is at a position, or null. Raises UsageError for a document that cannot be found."""
        uri = params.text_document.uri
        settings = ls.settings_for(uri).editor
        return _hover(ls, params.position, ls.documents.get(uri) or ls.file_of(uri), settings, summaries)

    ls.feature(types.TEXT_DOCUMENT_HOVER)(on_hover)


@dataclass(slots=True)
class _Underway:
    """The summary that is being made."""

    uri: str
    code: str
    cancel: CancelToken
    result: asyncio.Future[Summary | None]


class _Summaries:
    """At most one summary at a time is made for a client: that of the newest hover."""

    def __init__(self, ls: LeanVibeServer) -> None:
        self._ls = ls
        self._underway: _Underway | None = None

    def document_changed(self, uri: str) -> None:
        """What is made for code that is not there any more is of no use."""
        if (underway := self._underway) is None or underway.uri != uri:
            return
        snapshot = self._ls.documents.get(uri)
        if snapshot is None or underway.code not in snapshot.text:
            underway.cancel.cancel("the code was changed")

    async def of(self, snapshot: Snapshot, symbol: Symbol, settings: EditorSettings) -> Summary | None:
        """The summary, if it comes in time; work on it goes on when it does not."""
        code = snapshot.text[symbol.span.start : symbol.span.end]
        underway = self._underway
        if underway is None or underway.cancel.cancelled or (underway.uri, underway.code) != (snapshot.uri, code):
            if underway is not None:
                underway.cancel.cancel("something else is looked at")
            result = asyncio.get_running_loop().create_future()
            underway = self._underway = _Underway(snapshot.uri, code, CancelToken(), result)
            self._ls.keep(self._make(underway, snapshot, symbol.span, settings))
        done, _ = await asyncio.wait((underway.result,), timeout=limit("summary.milliseconds") / 1000)
        return underway.result.result() if done else None

    async def _make(self, underway: _Underway, snapshot: Snapshot, span: Span, settings: EditorSettings) -> None:
        from leanvibe_lsp.assist.summary import SummaryRequest

        summary = None
        try:
            request = SummaryRequest(snapshot, span, settings.secrets)
            summary = await self._ls.services.summary(request, underway.cancel)
        except Cancelled:
            _log.debug("no summary: %s", underway.cancel.reason)
        except LeanVibeError as error:
            _log.info("No summary: %s", error)
        finally:
            underway.result.set_result(summary)
            if self._underway is underway:
                self._underway = None


async def _hover(
    ls: LeanVibeServer,
    at: types.Position,
    known: Snapshot | Path,
    settings: EditorSettings,
    summaries: _Summaries,
) -> types.Hover | None:
    from leanvibe_lsp.documents.grammars import language_of

    snapshot = await ls.snapshot(known)
    offset = snapshot.lines.offset(to_position(at), ls.encoding)
    reviewed = ls.reviews.findings(snapshot)
    symbol, findings = await ls.beside(lambda: _there(snapshot, offset, settings, reviewed))
    if symbol is None and not findings:
        return await _unparsed(ls, snapshot)
    summary = None
    if symbol is not None and settings.hover_summary:
        summary = await summaries.of(snapshot, symbol, settings)
    formats = ls.client.capability("text_document.hover.content_format")
    markdown = isinstance(formats, list | tuple) and types.MarkupKind.Markdown in formats
    language = language_of(snapshot.language_id, snapshot.path) or ""
    span = _under_cursor(snapshot.text, symbol, offset) if symbol is not None else findings[0].span
    return types.Hover(
        contents=types.MarkupContent(
            kind=types.MarkupKind.Markdown if markdown else types.MarkupKind.PlainText,
            value=as_markdown(symbol, findings, summary, language)
            if markdown
            else as_plain_text(symbol, findings, summary),
        ),
        range=to_range(span, snapshot.lines, ls.encoding) if span is not None else None,
    )


async def _unparsed(ls: LeanVibeServer, snapshot: Snapshot) -> types.Hover | None:
    """Why there is nothing to say in all of the document, where that is so."""
    from leanvibe_lsp.documents.unparsed import unparsed

    reason = await ls.beside(lambda: unparsed(snapshot))
    return types.Hover(types.MarkupContent(types.MarkupKind.PlainText, reason)) if reason else None


def _there(
    snapshot: Snapshot, offset: int, settings: EditorSettings, reviewed: tuple[Finding, ...]
) -> tuple[Symbol | None, tuple[Finding, ...]]:
    """The definition at a place, and the findings; none of those where a person wants no diagnostics."""
    from leanvibe_lsp.assist.found import found  # grammars, which the reply to initialize does not wait for
    from leanvibe_lsp.documents.scopes import symbol_at

    shown = found(snapshot, settings, reviewed) if settings.diagnostics else ()
    return symbol_at(snapshot, offset), tuple(one for one in shown if one.span.start <= offset <= one.span.end)


def as_markdown(symbol: Symbol | None, findings: Sequence[Finding], summary: Summary | None, language: str) -> str:
    """Signature in a fenced block, a line of facts, the docstring; what is wrong; what the model says."""
    parts: list[str] = []
    if symbol is not None:
        longest = max((len(run) for run in re.findall(r"`+", symbol.signature)), default=0)
        fence = "`" * max(3, longest + 1)
        within = f" in `{'.'.join(symbol.parents)}`" if symbol.parents else ""
        parts += [f"{fence}{language}\n{symbol.signature}\n{fence}", f"*{symbol.kind}*{within} · {_size(symbol)}"]
        parts.append(symbol.docstring)
    for one in findings:
        rule = f"[{one.rule}]({one.link})" if one.link else f"`{one.rule}`"
        # What a model said, or was told, is text: see below.
        message, note, mend = (_plain(text, one) for text in (one.message, one.note, one.mend))
        lines = (note, f"*How to mend it:* {mend}" if mend else "", _sure(one, "`"))
        parts.append("  \n".join((f"**{one.severity}** {message} {rule}", *filter(None, lines))))
    if summary is not None:
        # No link, picture or mark-up of a model's making: an editor would fetch a picture.
        model, said = (_MARKUP.sub(r"\\\1", text) for text in (summary.model, summary.text))
        parts.append(f"*{model}, not verified:* {said}".replace("\n", "  \n"))
    return "\n\n".join(part for part in parts if part)


def as_plain_text(symbol: Symbol | None, findings: Sequence[Finding], summary: Summary | None) -> str:
    """The same without any mark-up."""
    parts: list[str] = []
    if symbol is not None:
        within = f" in {'.'.join(symbol.parents)}" if symbol.parents else ""
        parts += [f"{symbol.signature}\n{symbol.kind}{within} · {_size(symbol)}", symbol.docstring]
    for one in findings:
        said = f"{one.severity}: {one.message} ({', '.join(filter(None, (one.rule, one.link)))})"
        parts.append(
            "\n".join(filter(None, (said, one.note, f"How to mend it: {one.mend}" if one.mend else "", _sure(one))))
        )
    if summary is not None:
        parts.append(f"{summary.model}, not verified: {summary.text}")
    return "\n\n".join(part for part in parts if part)


def _plain(text: str, finding: Finding) -> str:
    """What goes into Markdown: that of a rule as it is, of a model without any mark-up."""
    return text if finding.rung == "rules" else _MARKUP.sub(r"\\\1", text)


def _sure(finding: Finding, tick: str = "") -> str:
    """Which rung says so, how sure it is, and how to silence it."""
    who = "nobody is sure" if finding.rung == "person" else f"{finding.rung}, confidence {finding.confidence:.2f}"
    return f"{who} · silence it with {tick}leanvibe: ignore[{finding.rule}]{tick} in a comment"


def _size(symbol: Symbol) -> str:
    return "1 line" if symbol.line_count == 1 else f"{symbol.line_count} lines"


def _under_cursor(text: str, symbol: Symbol, offset: int) -> Span | None:
    """The name at the cursor: where it is defined, or where it is used."""
    if symbol.name_span.start <= offset <= symbol.name_span.end:
        return symbol.name_span
    size = len(symbol.name)
    start = text.rfind(symbol.name, max(0, offset - size), offset + size)
    return Span(start, start + size) if start >= 0 else None
