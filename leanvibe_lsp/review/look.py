"""One file looked at as the editor does it, and its findings made ready to be told without it."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from leanvibe_lsp.assist.found import found
from leanvibe_lsp.assist.rulebook import rulebook_of
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.text import Encoding, LineIndex, Span
from leanvibe_lsp.documents.grammars import language_of, obstacle, syntax
from leanvibe_lsp.documents.scopes import chain
from leanvibe_lsp.documents.snapshot import Snapshot, read_regular_file
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.review.overlaps import told_once
from leanvibe_lsp.review.values import (
    Also,
    Excerpt,
    FileReport,
    Found,
    Mended,
    Region,
    Replacement,
    Step,
    Target,
    Wanted,
)
from leanvibe_lsp.tiers.finding import Finding
from leanvibe_lsp.tiers.fingerprint import Mark, bare, comments_in, fingerprints
from leanvibe_lsp.tiers.look import rule_set

_log = logging.getLogger(__name__)


def look_at(target: Target, wanted: Wanted) -> FileReport:
    """What is found in a file, its fixes made in the text where that is wanted. Never raises; writes nothing."""
    try:
        if (reason := _left_out(target.path)) is not None:
            return FileReport(target, left_out=reason)
        snapshot = read_regular_file(target.path)
        if why := obstacle(snapshot):
            return FileReport(target, lines=snapshot.lines.line_count, left_out=why)
        return _report(target, snapshot, wanted)
    except UsageError as error:
        return FileReport(target, failed=error.message.removeprefix(f"{target.path} ").rstrip("."))
    except Exception as error:  # noqa: BLE001 - one file must not cost the others
        _log.debug("%s could not be looked at", target.path, exc_info=True)
        return FileReport(target, failed=f"looking at it failed: {type(error).__name__}: {error}")


def findings_of(target: Target, snapshot: Snapshot, wanted: Wanted) -> tuple[Found, ...]:
    """The findings that are wanted, in the order of the text.

    What is not wanted still counts: a fingerprint says which of several it is among all that was found.
    """
    every = found(snapshot, wanted.settings[target.root])
    names = dict(zip(every, fingerprints([_mark(one, snapshot) for one in every]), strict=False))
    chosen = [one for one in every if is_wanted(one, wanted)]
    return tuple(
        _found(target, snapshot, one, names[one], tuple(Also(other.rule, other.confidence) for other in also))
        for one, also in told_once(chosen, _flow_rules(snapshot))
    )


def is_wanted(finding: Finding, wanted: Wanted) -> bool:
    """Whether it is among what a person asked to see."""
    if finding.confidence < wanted.least or any(fnmatchcase(finding.rule, glob) for glob in wanted.ignore):
        return False
    return not wanted.select or any(fnmatchcase(finding.rule, glob) for glob in wanted.select)


def region_of(span: Span, lines: LineIndex) -> Region:
    """The span as a reader counts."""
    start, end = (lines.position(at, Encoding.UTF16) for at in (span.start, span.end))
    return Region(start.line + 1, start.character + 1, end.line + 1, end.character + 1)


def excerpt_of(span: Span, lines: LineIndex) -> Excerpt:
    """The line on which the span begins, as much of it as is shown."""
    line, most = lines.line_of(span.start), limit("check.excerpt_characters")
    whole = lines.line_span(line)
    text, start, end = lines.line_text(line), span.start - whole.start, min(span.end, whole.end) - whole.start
    start = min(start, len(text))
    cut = max(0, min(start - most // 4, len(text) - most))
    return Excerpt(line + 1, text[cut : cut + most], start - cut, max(start, min(end, cut + most)) - cut)


def _report(target: Target, snapshot: Snapshot, wanted: Wanted) -> FileReport:
    before, settings = snapshot, wanted.settings[target.root]
    done: tuple[str, ...] = ()
    if wanted.mend:
        from leanvibe_lsp.review.mending import mended  # what proves a fix takes long to import

        snapshot, done = mended(snapshot, settings, lambda finding: is_wanted(finding, wanted))
    results = findings_of(target, snapshot, wanted)
    if wanted.prove:
        results = tuple(_with_fix(one, snapshot) if one.finding.fix else one for one in results)
    change = Mended(before.text, snapshot.text, done) if done else None
    return FileReport(target, results, snapshot.lines.line_count, mended=change)


def _left_out(path: Path) -> str | None:
    """Why a file is nothing that a person wrote to be checked, as far as a glance tells; None when it may be."""
    if not path.is_file():
        return None  # what it is instead, reading says
    most = limit("document.parse_bytes")
    with path.open("rb") as file:
        if b"\0" in file.read(limit("check.glance_bytes")):
            return "it is binary"
    return f"it is larger than {most:,} bytes" if path.stat().st_size > most else None


def _found(target: Target, snapshot: Snapshot, finding: Finding, name: str, also: tuple[Also, ...]) -> Found:
    lines = snapshot.lines
    steps = tuple(Step(region_of(one.span, lines), one.message, excerpt_of(one.span, lines)) for one in finding.related)
    return Found(
        target=target,
        finding=finding,
        region=region_of(finding.span, lines),
        excerpt=excerpt_of(finding.span, lines),
        symbol=".".join(_symbols(snapshot, finding)),
        fingerprint=name,
        steps=steps,
        also=also,
    )


def _with_fix(one: Found, snapshot: Snapshot) -> Found:
    from leanvibe_lsp.review.mending import proven

    edits = proven(one.finding, snapshot)
    return replace(one, fix=tuple(Replacement(region_of(edit.span, snapshot.lines), edit.text) for edit in edits))


def _mark(finding: Finding, snapshot: Snapshot) -> Mark:
    parsed, language = syntax(snapshot), language_of(snapshot.language_id, snapshot.path)
    comments = comments_in(parsed, finding.span, language) if parsed is not None and language is not None else ()
    return Mark(finding.rule, _symbols(snapshot, finding), bare(finding.quote, comments))


def _symbols(snapshot: Snapshot, finding: Finding) -> tuple[str, ...]:
    return tuple(symbol.name for symbol in chain(snapshot, finding.span.start))


def _flow_rules(snapshot: Snapshot) -> Collection[str]:
    language = language_of(snapshot.language_id, snapshot.path)
    if language is None:
        return ()
    return {rule.id for rule in rule_set(rulebook_of(snapshot.path).rules_for(language, snapshot.path)).flow}
