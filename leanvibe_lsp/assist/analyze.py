"""What is wrong in a document, by everything that needs no model.

Pure: the same text, language and settings give the same findings. The look at a text is shared by all who ask while the
text lives (diagnostics, code actions, hover), and after an edit only the pieces it touched are looked at again. Any
thread.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache

from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.docs import comment_kinds
from leanvibe_lsp.documents.grammars import language_of, obstacle, syntax
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.documents.syntax import Earlier, Syntax
from leanvibe_lsp.tiers.finding import Finding, Severity
from leanvibe_lsp.tiers.patterns import Tree
from leanvibe_lsp.tiers.pieces import pieces
from leanvibe_lsp.tiers.rules import find_all, rules_for
from leanvibe_lsp.tiers.suppression import MARK, directives, silenced

OFF = "off"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Piece:
    """What was found in one piece; its offsets count from the piece's start. `comments` are those with a directive."""

    findings: tuple[Finding, ...]
    comments: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class _Look:
    """What was found in a text, and in each of its pieces, by their own texts."""

    findings: tuple[Finding, ...]
    pieces: Mapping[str, _Piece]


def analyze(snapshot: Snapshot, settings: EditorSettings) -> tuple[Finding, ...]:
    """The findings of the text, in its order, without those that are silenced or switched off.

    Nothing for a language without rules, and for a text that is not parsed: too large, binary, one very long line.
    """
    language = language_of(snapshot.language_id, snapshot.path)
    if language is None or not rules_for(language):
        return ()
    parsed = syntax(snapshot)
    if parsed is None:
        _say_once(snapshot.uri, obstacle(snapshot))
        return ()
    lines = snapshot.lines

    def look(earlier: Earlier[_Look] | None) -> _Look:
        return _look(lines, language, parsed, earlier.value.pieces if earlier is not None else {})

    found = parsed.fact("findings", look).findings
    if not settings.severity:
        return found
    judged = ((finding, _severity(finding.rule, settings.severity)) for finding in found)
    return tuple(
        replace(finding, severity=Severity(severity)) if severity else finding
        for finding, severity in judged
        if severity != OFF
    )


def _look(lines: LineIndex, language: str, parsed: Syntax, known: Mapping[str, _Piece]) -> _Look:
    parts = list(pieces(parsed, language))
    texts = [lines.text[part.span.start : part.span.end] for part in parts]
    # Looking at a piece alone costs several times its share of a look at the whole. A broken one is always looked at
    # alone: within the whole it may read otherwise, and the same text must give the same findings.
    new = sum(len(text) for part, text in zip(parts, texts, strict=True) if text not in known and not part.broken)
    whole = _look_at(lines.text, language) if 2 * new > len(lines.text) else None
    looked: dict[str, _Piece] = {}
    findings: list[Finding] = []
    comments: list[Span] = []
    for part, text in zip(parts, texts, strict=True):
        span, piece = part.span, looked.get(text) or known.get(text)
        if piece is None:
            piece = _look_at(text, language) if whole is None or part.broken else _part(whole, span)
        looked[text] = piece
        findings += (_moved(finding, span.start) for finding in piece.findings)
        comments += (_shifted(comment, span.start) for comment in piece.comments)
    return _Look(silenced(findings, directives(comments, lines), lines), looked)


def _part(whole: _Piece, span: Span) -> _Piece:
    """What of a whole text begins in a piece of it."""
    return _Piece(
        tuple(_moved(one, -span.start) for one in whole.findings if span.start <= one.span.start < span.end),
        tuple(_shifted(one, -span.start) for one in whole.comments if span.start <= one.start < span.end),
    )


def _look_at(text: str, language: str) -> _Piece:
    tree = Tree(text, language)
    comments: tuple[Span, ...] = ()
    if MARK in text:
        found = tree.find({"rule": {"any": [{"kind": kind} for kind in comment_kinds(language)]}})
        comments = tuple(match.span for match in found if MARK in match.quote)
    return _Piece(tuple(find_all(rules_for(language), tree)), comments)


def _moved(finding: Finding, by: int) -> Finding:
    return replace(
        finding,
        span=_shifted(finding.span, by),
        related=tuple(replace(one, span=_shifted(one.span, by)) for one in finding.related),
        fix=tuple(TextEdit(_shifted(edit.span, by), edit.text) for edit in finding.fix),
    )


def _shifted(span: Span, by: int) -> Span:
    return Span(span.start + by, span.end + by)


@lru_cache(maxsize=1024)
def _severity(rule: str, chosen: tuple[tuple[str, str], ...]) -> str | None:
    """What was chosen for a rule; the last that matches counts. None: nothing was."""
    return next((severity for glob, severity in reversed(chosen) if fnmatchcase(rule, glob)), None)


@lru_cache(maxsize=1024)
def _say_once(what: str, reason: str) -> None:
    _log.info("No findings for %s: %s.", what, reason)
