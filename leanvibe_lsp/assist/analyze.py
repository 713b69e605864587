"""What is wrong in a document, by everything that needs no model.

Pure: the same text, language and settings give the same findings. The look at a text is shared by all who ask while the
text lives (diagnostics, code actions, hover), and after an edit only the pieces it touched are looked at again. Any
thread.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import count

from leanvibe_lsp.assist.rulebook import rulebook_of
from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.core.globs import covers, paths_of
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.docs import comment_kinds
from leanvibe_lsp.documents.grammars import language_of, obstacle, syntax
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.documents.syntax import Earlier, Syntax
from leanvibe_lsp.tiers.finding import Finding, Severity
from leanvibe_lsp.tiers.look import Look, RuleSet, look, rule_set
from leanvibe_lsp.tiers.reading import Reading
from leanvibe_lsp.tiers.suppression import MARK, UNUSED, directives, silenced

OFF = "off"

_names = count()
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Seen:
    """The look at a text, and what is left of it when its comments have silenced the rest."""

    look: Look
    findings: tuple[Finding, ...]


def analyze(snapshot: Snapshot, settings: EditorSettings) -> tuple[Finding, ...]:
    """The findings of the text, in its order, without those that are silenced or switched off.

    Nothing for a language without rules, and for a text that is not parsed: too large, binary, one very long line.
    """
    language = language_of(snapshot.language_id, snapshot.path)
    if language is None or not (every := rulebook_of(snapshot.path).rules_for(language, snapshot.path)):
        return ()
    parsed = syntax(snapshot)
    if parsed is None:
        _say_once(snapshot.uri, obstacle(snapshot))
        return ()
    lines, rules = snapshot.lines, rule_set(every)

    def see(earlier: Earlier[_Seen] | None) -> _Seen:
        seen = look(Reading(lines.text, language), parsed, rules, earlier.value.look if earlier is not None else None)
        return _Seen(seen, silenced(seen.findings, directives(_comments(parsed, lines, language), lines), lines))

    return _as_chosen(parsed.fact(f"findings {_name(rules)}", see).findings, snapshot, settings)


def let_through(findings: tuple[Finding, ...], snapshot: Snapshot, settings: EditorSettings) -> tuple[Finding, ...]:
    """Findings of other rungs, without those that a comment silences, and as loud as the settings say."""
    language = language_of(snapshot.language_id, snapshot.path)
    if findings and language is not None and MARK in snapshot.text and (parsed := syntax(snapshot)) is not None:
        said = directives(_comments(parsed, snapshot.lines, language), snapshot.lines)
        findings = tuple(one for one in silenced(findings, said, snapshot.lines) if one.rule != UNUSED)
    return _as_chosen(findings, snapshot, settings)


def _as_chosen(found: tuple[Finding, ...], snapshot: Snapshot, settings: EditorSettings) -> tuple[Finding, ...]:
    """The findings, as loud as the settings say."""
    chosen = _chosen(snapshot, settings)
    if not chosen:
        return found
    judged = ((finding, _severity(finding.rule, chosen)) for finding in found)
    return tuple(
        replace(finding, severity=Severity(severity)) if severity else finding
        for finding, severity in judged
        if severity != OFF
    )


def _chosen(snapshot: Snapshot, settings: EditorSettings) -> tuple[tuple[str, str], ...]:
    """What the settings say of severities in this document, what counts more behind the rest."""
    if not settings.overrides:
        return settings.severity
    path = snapshot.path.as_posix() if snapshot.path is not None else paths_of(snapshot.uri)[0]
    said = (one.severity for one in settings.overrides if any(covers(glob, path) for glob in one.files))
    return (*settings.severity, *(pair for pairs in said for pair in pairs))


@lru_cache(maxsize=64)
def _name(rules: RuleSet) -> int:
    """Another one for each set of rules: what one found is no news of another."""
    return next(_names)


def _comments(parsed: Syntax, lines: LineIndex, language: str) -> Iterator[Span]:
    """The comments in which there is a directive."""
    kinds, end = comment_kinds(language), 0
    while (at := lines.text.find(MARK, end)) >= 0:
        end = at + len(MARK)
        byte = parsed.bytes.byte(at)
        node = parsed.tree.root_node.descendant_for_byte_range(byte, byte)
        while node is not None and node.type not in kinds:
            node = node.parent
        if node is not None:
            span = Span(parsed.bytes.character(node.start_byte), parsed.bytes.character(node.end_byte))
            end = max(end, span.end)
            yield span


@lru_cache(maxsize=1024)
def _severity(rule: str, chosen: tuple[tuple[str, str], ...]) -> str | None:
    """What was chosen for a rule; the last that matches counts. None: nothing was."""
    return next((severity for glob, severity in reversed(chosen) if fnmatchcase(rule, glob)), None)


@lru_cache(maxsize=1024)
def _say_once(what: str, reason: str) -> None:
    _log.info("No findings for %s: %s.", what, reason)
