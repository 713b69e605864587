"""What is looked at before an edit of a model is believed. Pure: the edit is applied to a text that is nobody's file.

A check that fails refuses the edit. One that cannot be made says so and refuses nothing, and then nothing is proven.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from leanvibe_lsp.assist.changes.complaints import about_unused, findings, gone
from leanvibe_lsp.assist.changes.facts import Flaw, Role, Token, flaws, tokens
from leanvibe_lsp.assist.changes.values import ChangeKind, Check, Complaint
from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.grammars import obstacle
from leanvibe_lsp.documents.scopes import Symbol, symbols
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.documents.syntax import edited

_BINDS = frozenset({Role.LOCAL, Role.DEFINITION, Role.IMPORT})
_MAY_BE_NAMED_ANEW = frozenset({Role.LOCAL, Role.USE})
_TRIFLE = re.compile(r"\W*\w*\W*")  # closing brackets, `end`, `else:`, `return`
_WORD = re.compile(r"[\w$]+")


@dataclass(frozen=True, slots=True)
class Proposal:
    """`text` in place of `region` of `before`; `symbol` is the definition that the region is, or stands in."""

    kind: ChangeKind
    before: Snapshot
    region: Span
    text: str
    symbol: Symbol | None = None
    complaint: Complaint | None = None

    @property
    def changed(self) -> Span:
        """The region as it is afterwards."""
        return Span(self.region.start, self.region.start + len(self.text))

    @property
    def old(self) -> str:
        """The region's text as it was."""
        return self.before.text[self.region.start : self.region.end]

    def after(self) -> Snapshot:
        """The document as it would be."""
        lines = edited(self.before.lines, TextEdit(self.region, self.text))
        return replace(self.before, text=lines.text, lines=lines)


def verify(proposal: Proposal) -> tuple[Check, ...]:
    """Every check in the order in which it matters; after the first that fails none is made."""
    done: list[Check] = []
    for check in _checks(proposal, proposal.after()):
        done.append(check)
        if check.failed:
            break
    return tuple(done)


def proven(proposal: Proposal, checks: tuple[Check, ...]) -> bool:
    """Whether the checks showed that the complaint is gone and nothing new came."""
    return proposal.complaint is not None and all(check.passed for check in checks)


def _checks(proposal: Proposal, after: Snapshot) -> Iterator[Check]:
    yield _differs(proposal)
    yield _parses(proposal, after)
    if proposal.complaint is not None:
        yield gone(proposal.complaint, proposal.before, proposal.region, after, proposal.changed)
    yield _nothing_new(proposal, after)
    yield _nothing_twice(proposal, after)
    if proposal.kind is ChangeKind.TESTS:
        return
    yield _names_kept(proposal, after)
    if proposal.kind is ChangeKind.DOCUMENT:
        yield _same_code(proposal, after)
    elif proposal.kind is ChangeKind.RENAME:
        yield _only_renamed(proposal, after)
    elif proposal.kind in (ChangeKind.SIMPLIFY, ChangeKind.EXTRACT):
        yield _same_signature(proposal, after)
    if proposal.kind is ChangeKind.EXTRACT:
        yield _extracted(proposal, after)


def _differs(proposal: Proposal) -> Check:
    if not proposal.text.strip() and not (proposal.complaint is not None and about_unused(proposal.complaint)):
        return Check("changes something", False, "nothing is left of the code")
    same = proposal.text.rstrip() == proposal.old.rstrip()
    return Check("changes something", not same, "the code is the same as before" if same else "")


def _parses(proposal: Proposal, after: Snapshot) -> Check:
    had, has = flaws(proposal.before), flaws(after)
    if had is None or has is None:
        return Check("parses", False, f"not checked: {obstacle(after) or obstacle(proposal.before)}", checked=False)
    moved = len(proposal.text) - len(proposal.old)
    known = Counter(_outside(had, proposal.region, 0))
    new = Counter(_outside(has, proposal.changed, moved)) - known
    if not new and len(has) <= len(had):
        return Check("parses", True)
    worst = next((flaw for flaw in has if _meets(flaw.span, proposal.changed)), has[0])
    line = after.lines.line_text(after.lines.line_of(worst.span.start)).strip()
    return Check("parses", False, f"a new syntax error at `{line}`")


def _outside(found: tuple[Flaw, ...], region: Span, moved: int) -> Iterator[tuple[str, int, int]]:
    """Flaws that do not meet the region, as they stood before it changed."""
    for flaw in found:
        if not _meets(flaw.span, region):
            by = moved if flaw.span.start >= region.end else 0
            yield flaw.kind, flaw.span.start - by, flaw.span.end - by


def _meets(span: Span, region: Span) -> bool:
    return span.start <= region.end and region.start <= span.end


def _nothing_new(proposal: Proposal, after: Snapshot) -> Check:
    if obstacle(after):
        return Check("nothing new", False, f"not checked: {obstacle(after)}", checked=False)
    had = Counter(finding.rule for finding in findings(proposal.before))
    for finding in findings(after):
        had[finding.rule] -= 1
        if had[finding.rule] < 0:
            return Check("nothing new", False, f"{finding.rule}: {finding.message}")
    return Check("nothing new", True)


def _nothing_twice(proposal: Proposal, after: Snapshot) -> Check:
    """Whether the model wrote what stands around its lines once more: then that would be there twice."""
    name = "nothing twice"
    had = Counter((one.parents, one.name, one.kind) for one in symbols(proposal.before))
    has = Counter((one.parents, one.name, one.kind) for one in symbols(after))
    twice = next((key[1] for key, count in has.items() if count > max(1, had[key])), None)
    if twice is not None:
        return Check(name, False, f"`{twice}` is there twice")
    old, new = _telling(proposal.old), _telling(proposal.text)
    text, region = proposal.before.text, proposal.region
    before, behind = _telling(text[: region.start]), _telling(text[region.end :])
    if new and before and new[0] == before[-1] and old[:1] != new[:1]:
        return Check(name, False, f"`{new[0]}` is there twice")
    if new and behind and new[-1] == behind[0] and old[-1:] != new[-1:]:
        return Check(name, False, f"`{new[-1]}` is there twice")
    return Check(name, True)


def _telling(text: str) -> list[str]:
    """The lines that are more than a bracket or a bare word, without blanks around them."""
    return [line.strip() for line in text.splitlines() if not _TRIFLE.fullmatch(line.strip())]


def _names_kept(proposal: Proposal, after: Snapshot) -> Check:
    """What the lines around use of the region's names, and the region's own outermost definitions."""
    if obstacle(after):
        return Check("names kept", False, f"not checked: {obstacle(after)}", checked=False)
    before, region = proposal.before, proposal.region
    had, has = _defined(before, region), _defined(after, proposal.changed)
    if proposal.kind is not ChangeKind.REWRITE:
        lost = next((name for name in _outermost(before, region) if name not in has), None)
        if lost is not None:
            return Check("names kept", False, f"`{lost}` is not defined any more")
    around = before.text[: region.start] + "\n" + before.text[region.end :]
    used = {*_WORD.findall(around)}
    lost = next((name for name in sorted(had - has) if name in used), None)
    return Check("names kept", lost is None, "" if lost is None else f"`{lost}` is used elsewhere and gone")


def _defined(snapshot: Snapshot, span: Span) -> set[str]:
    """The names bound in the span that can be seen from outside of it: not those inside its functions."""
    found = tokens(snapshot, span)
    least = min((token.depth for token in found), default=0)
    names = {token.text for token in found if token.role in _BINDS and token.depth == least}
    return names | {symbol.name for symbol in symbols(snapshot) if _inside(symbol, span)}


def _outermost(snapshot: Snapshot, span: Span) -> list[str]:
    found = [symbol for symbol in symbols(snapshot) if _inside(symbol, span)]
    least = min((len(symbol.parents) for symbol in found), default=0)
    return [symbol.name for symbol in found if len(symbol.parents) == least]


def _inside(symbol: Symbol, span: Span) -> bool:
    return span.start <= symbol.span.start and symbol.span.end <= span.end


def _same_code(proposal: Proposal, after: Snapshot) -> Check:
    had = [(token.kind, token.text) for token in tokens(proposal.before, proposal.region)]
    has = [(token.kind, token.text) for token in tokens(after, proposal.changed)]
    return Check("code unchanged", bool(had) and had == has, "" if had == has else "more than a comment changed")


def _same_signature(proposal: Proposal, after: Snapshot) -> Check:
    symbol = proposal.symbol
    if symbol is None:
        return Check("signature kept", True, "there is none")
    same = any(
        (one.name, one.parents, one.signature) == (symbol.name, symbol.parents, symbol.signature)
        for one in symbols(after)
    )
    return Check("signature kept", same, "" if same else f"it was `{symbol.signature}`")


def _only_renamed(proposal: Proposal, after: Snapshot) -> Check:
    had, has = tokens(proposal.before, proposal.region), tokens(after, proposal.changed)
    reason = _rename_problem(had, has)
    return Check("only names changed", not reason, reason)


def _rename_problem(had: tuple[Token, ...], has: tuple[Token, ...]) -> str:
    """Why the one is not the other with some local names changed throughout; "" when it is."""
    if not had or [one.kind for one in had] != [one.kind for one in has]:
        return "more than names changed"
    renamed = {old.text: new.text for old, new in zip(had, has, strict=True) if old.text != new.text}
    if not renamed:
        return "no name changed"
    local = {token.text for token in had if token.role is Role.LOCAL}
    known = {token.text for token in had}
    for old, new in zip(had, has, strict=True):
        if old.text != new.text and (old.role not in _MAY_BE_NAMED_ANEW or old.text not in local):
            return f"`{old.text}` is not a local name"
        mapped = old.text in renamed and old.role not in (Role.MEMBER, Role.CODE)
        if new.text != (renamed[old.text] if mapped else old.text):
            return f"`{old.text}` is not renamed everywhere"
    taken = next((new for new in renamed.values() if new in known), None)
    if taken is not None or len(set(renamed.values())) < len(renamed):
        return f"two things would be called `{taken or next(iter(renamed.values()))}`"
    return ""


def _extracted(proposal: Proposal, after: Snapshot) -> Check:
    known = {symbol.name for symbol in symbols(proposal.before)}
    new = [symbol for symbol in symbols(after) if symbol.name not in known]
    if not new:
        return Check("new function called", False, "there is no new function")
    for symbol in new:
        calls = [
            token
            for token in tokens(after, Span(0, len(after.text)))
            if token.text == symbol.name and not symbol.span.start <= token.start < symbol.span.end
        ]
        if calls:
            return Check("new function called", True)
    return Check("new function called", False, f"`{new[0].name}` is not called")
