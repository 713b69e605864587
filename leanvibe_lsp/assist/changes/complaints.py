"""Whether a change made the complaint go away that it is for: by our own rule, or by what another server meant. Pure.

Other servers are not asked; a few things that many of them say are known by their codes and words, and those can be
looked at here. Everything else could not be checked, and then nothing is proven.
"""

from __future__ import annotations

import re
from collections import Counter
from enum import StrEnum

from leanvibe_lsp.assist.analyze import analyze
from leanvibe_lsp.assist.changes.facts import Role, Token, flaws, tokens
from leanvibe_lsp.assist.changes.proposal import meets
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


class About(StrEnum):
    """What a complaint is about, as far as it can be looked at here."""

    RULE = "rule"  # one of ours
    UNUSED = "unused"
    UNDEFINED = "undefined"
    SYNTAX = "syntax"
    ELSE = "else"


def subject(complaint: Complaint, before: Snapshot) -> tuple[About, str]:
    """What it is about, and the name; "" where there is none."""
    said, name = _said(complaint), _name(complaint, before)
    if complaint.rule:
        return About.RULE, name
    if _UNUSED.search(said) and name:
        return About.UNUSED, name
    if _UNDEFINED.search(said) and name:
        return About.UNDEFINED, name
    return (About.SYNTAX if _SYNTAX.search(said) else About.ELSE), name


def gone(complaint: Complaint, before: Snapshot, region: Span, after: Snapshot, changed: Span) -> Check:
    """Whether it is; `region` is where it was before, `changed` the same lines after."""
    old, new = before.text[region.start : region.end], after.text[changed.start : changed.end]
    if len(_SILENCED.findall(new)) > len(_SILENCED.findall(old)):
        return Check(_GONE, False, "it was silenced, not mended")
    about, name = subject(complaint, before)
    if about is About.RULE:
        return _by_rule(complaint, before, after)
    if about is About.UNUSED:
        return _unused(name, before, region, after, changed)
    if about is About.UNDEFINED:
        return _undefined(name, complaint.span, before, region, after, changed)
    if about is About.SYNTAX:
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


def _undefined(name: str, said: Span, before: Snapshot, region: Span, after: Snapshot, changed: Span) -> Check:
    """Gone where another name that is bound stands in its place; what was only taken out is not shown to be mended."""
    had, has = (_uses(snapshot, span) for snapshot, span in ((before, region), (after, changed)))
    if not any(meets(said, Span(one.start, one.start + len(name))) for one in had if one.text == name):
        return Check(_GONE, False, f"could not be checked: `{name}` is not used there", checked=False)
    if not any(one.text == name for one in has):
        new = Counter(one.text for one in has) - Counter(one.text for one in had)
        known = bool(new) and all(_is_seen(one, after, changed) for one in has if one.text in new)
        unknown = f"could not be checked: `{name}` is gone, and nothing known stands in its place"
        return Check(_GONE, known, "" if known else unknown, checked=known)
    if any(token.text == name and token.role in _BINDS for token in tokens(after, Span(0, len(after.text)))):
        # Whether that is seen from here depends on the language's scopes.
        return Check(_GONE, False, f"could not be checked: `{name}` is bound somewhere now", checked=False)
    return Check(_GONE, False, f"`{name}` is still used and bound nowhere")


def _uses(snapshot: Snapshot, span: Span) -> list[Token]:
    return [token for token in tokens(snapshot, span) if token.role is Role.USE]


def _is_seen(used: Token, snapshot: Snapshot, region: Span) -> bool:
    """Whether it is bound outside of all definitions, or before it in the region and not inside another function."""
    found = [one for one in tokens(snapshot, Span(0, len(snapshot.text))) if one.role in _BINDS]
    named = [one for one in found if one.text == used.text]
    near = (one for one in named if region.start <= one.start < used.start and one.depth <= used.depth)
    return any(one.depth == 0 for one in named) or any(near)


def _syntax(before: Snapshot, region: Span, after: Snapshot, changed: Span) -> Check:
    had, has = flaws(before), flaws(after)
    if had is None or has is None:
        return Check(_GONE, False, "could not be checked: there is no grammar for it", checked=False)
    if not any(meets(flaw.span, region) for flaw in had):
        return Check(_GONE, False, "could not be checked: our grammar sees no error here", checked=False)
    left = next((flaw for flaw in has if meets(flaw.span, changed)), None)
    return Check(_GONE, left is None, "" if left is None else "there is still a syntax error")
