"""Whether a change made the complaint go away that it is for: by our own rule, or by what another server meant. Pure.

Other servers are not asked; a few things that many of them say are known by their codes and words, and those can be
looked at here. Everything else could not be checked, and then nothing is proven.
"""

from __future__ import annotations

import re
from collections import Counter

from leanvibe_lsp.assist.analyze import analyze
from leanvibe_lsp.assist.changes.facts import Role, flaws, tokens
from leanvibe_lsp.assist.changes.values import Check, Complaint
from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.tiers.finding import Finding

_GONE = "complaint gone"
_UNUSED = re.compile(
    r"F401|F841|W061[12]|unused-(?:import|variable)|no-unused-vars|reportUnused(?:Import|Variable)|6133|6192|"
    r"(?:imported|declared|assigned|defined)\b.*\b(?:not|never|but unused|unused)|"
    r"is (?:not accessed|never used)|\bunused\b",
    re.IGNORECASE,
)
_UNDEFINED = re.compile(
    r"F821|E0602|undefined-variable|no-undef|reportUndefinedVariable|\b2304\b|undefined (?:name|variable|:)|"
    r"is not defined|cannot find (?:name|value)|undeclared (?:name|identifier)|not found in this scope",
    re.IGNORECASE,
)
_SYNTAX = re.compile(r"invalid-syntax|syntax[- ]?error|SyntaxError|E999|\bunexpected\b|\bexpected\b", re.IGNORECASE)
_SILENCED = re.compile(
    r"leanvibe:\s*ignore|\bnoqa\b|type:\s*ignore|pyright:\s*ignore|pylint:\s*disable|eslint-disable|"
    r"@ts-(?:ignore|expect-error|nocheck)|nolint|nosec|#\[allow|SuppressWarnings|NOLINT|rubocop:disable"
)
_QUOTED = re.compile(r"[`'\"‘“]([\w.$]+)[`'\"’”]")
_BINDS = frozenset({Role.LOCAL, Role.PARAMETER, Role.DEFINITION, Role.IMPORT})


def findings(snapshot: Snapshot) -> tuple[Finding, ...]:
    """What our rules find, whatever a person wants to see of it."""
    return analyze(snapshot, EditorSettings())


def gone(complaint: Complaint, before: Snapshot, region: Span, after: Snapshot, changed: Span) -> Check:
    """Whether it is; `region` is where it was before, `changed` the same lines after."""
    old, new = before.text[region.start : region.end], after.text[changed.start : changed.end]
    if len(_SILENCED.findall(new)) > len(_SILENCED.findall(old)):
        return Check(_GONE, False, "it was silenced, not mended")
    if complaint.rule:
        return _by_rule(complaint, before, after)
    said = _said(complaint)
    name = _name(complaint, before)
    if _UNUSED.search(said) and name:
        return _unused(name, before, region, after, changed)
    if _UNDEFINED.search(said) and name:
        return _undefined(name, after, changed)
    if _SYNTAX.search(said):
        return _syntax(before, region, after, changed)
    source = complaint.source or "the server that said it"
    return Check(_GONE, False, f"could not be checked: only {source} can say", checked=False)


def about_unused(complaint: Complaint) -> bool:
    """Whether it says that something is not used: then nothing in its place can be right."""
    return _UNUSED.search(_said(complaint)) is not None


def _said(complaint: Complaint) -> str:
    return f"{complaint.code} {complaint.message}"


def _by_rule(complaint: Complaint, before: Snapshot, after: Snapshot) -> Check:
    def count(snapshot: Snapshot) -> int:
        return sum(1 for finding in findings(snapshot) if finding.rule == complaint.rule)

    had, has = count(before), count(after)
    if not had:
        return Check(_GONE, False, f"could not be checked: {complaint.rule} finds nothing here", checked=False)
    return Check(_GONE, has < had, "" if has < had else f"{complaint.rule} still finds it")


def _name(complaint: Complaint, snapshot: Snapshot) -> str:
    """The name that it is about: what it quotes, or the word that it points at."""
    found = _QUOTED.search(complaint.message)
    if found:
        return found[1].rpartition(".")[2]
    pointed = snapshot.text[complaint.span.start : complaint.span.end]
    return pointed if re.fullmatch(r"[\w$]+", pointed) else ""


def _unused(name: str, before: Snapshot, region: Span, after: Snapshot, changed: Span) -> Check:
    had = Counter(token.role for token in tokens(before, region) if token.text == name)
    has = Counter(token.role for token in tokens(after, changed) if token.text == name)
    if not had:
        return Check(_GONE, False, f"could not be checked: `{name}` is not seen here", checked=False)
    if not has:
        return Check(_GONE, True)
    if has[Role.USE] > had[Role.USE]:
        return Check(_GONE, False, f"could not be checked: `{name}` is used in another way now", checked=False)
    return Check(_GONE, False, f"`{name}` is still there")


def _undefined(name: str, after: Snapshot, changed: Span) -> Check:
    used = [token for token in tokens(after, changed) if token.text == name and token.role is Role.USE]
    if not used:
        return Check(_GONE, True)
    if any(token.text == name and token.role in _BINDS for token in tokens(after, Span(0, len(after.text)))):
        # Whether that is seen from here depends on the language's scopes.
        return Check(_GONE, False, f"could not be checked: `{name}` is bound somewhere now", checked=False)
    return Check(_GONE, False, f"`{name}` is still used and bound nowhere")


def _syntax(before: Snapshot, region: Span, after: Snapshot, changed: Span) -> Check:
    had, has = flaws(before), flaws(after)
    if had is None or has is None:
        return Check(_GONE, False, "could not be checked: there is no grammar for it", checked=False)
    if not any(_meet(flaw.span, region) for flaw in had):
        return Check(_GONE, False, "could not be checked: our grammar sees no error here", checked=False)
    left = next((flaw for flaw in has if _meet(flaw.span, changed)), None)
    return Check(_GONE, left is None, "" if left is None else "there is still a syntax error")


def _meet(one: Span, other: Span) -> bool:
    return one.start <= other.end and other.start <= one.end
