"""What is looked at before an edit of a model is believed. Pure: the edit is applied to a text that is nobody's file.

A check that fails refuses the edit. One that cannot be made says so and refuses nothing, and then nothing is proven.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from leanvibe_lsp.assist.changes.compiling import compiles
from leanvibe_lsp.assist.changes.complaints import about_unused, findings, gone, subject
from leanvibe_lsp.assist.changes.extracting import extracted
from leanvibe_lsp.assist.changes.facts import Flaw, Role, Token, flaws
from leanvibe_lsp.assist.changes.footprint import only_its_place
from leanvibe_lsp.assist.changes.kept import comments_kept, effects_kept, nothing_beside, signature_kept
from leanvibe_lsp.assist.changes.proposal import Proposal as Proposal
from leanvibe_lsp.assist.changes.proposal import is_inside, meets
from leanvibe_lsp.assist.changes.values import ChangeKind, Check
from leanvibe_lsp.assist.changes.wholeness import whole
from leanvibe_lsp.assist.changes.wished import may_be_renamed, may_go
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.grammars import obstacle
from leanvibe_lsp.documents.scopes import symbols
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.tiers.finding import Severity

_BINDS = frozenset({Role.LOCAL, Role.DEFINITION, Role.IMPORT})
_WRITTEN_ANEW = frozenset({ChangeKind.FIX, ChangeKind.SIMPLIFY, ChangeKind.REWRITE, ChangeKind.EXTRACT})
_SAME_EFFECT = frozenset({ChangeKind.FIX, ChangeKind.SIMPLIFY, ChangeKind.EXTRACT})
_ROUTINES = frozenset({"function", "method", "constructor", "macro"})
_TRIFLE = re.compile(r"\W*\w*\W*")  # closing brackets, `end`, `else:`, `return`
_WORD = re.compile(r"[\w$]+")


def verify(proposal: Proposal) -> tuple[Check, ...]:
    """Every check in the order in which it matters; after the first that fails none is made."""
    done: list[Check] = []
    for check in _checks(proposal):
        done.append(check)
        if check.failed:
            break
    return tuple(done)


def proven(proposal: Proposal, checks: tuple[Check, ...]) -> bool:
    """Whether the checks showed that the complaint is gone and nothing else is different."""
    return proposal.complaint is not None and all(check.passed for check in checks)


def _checks(proposal: Proposal) -> Iterator[Check]:
    after, kind = proposal.after, proposal.kind
    yield _differs(proposal)
    yield _parses(proposal, after)
    if proposal.language == "python":
        yield compiles(proposal)
    if kind in _WRITTEN_ANEW:
        yield whole(proposal)
    if proposal.complaint is not None:
        yield gone(proposal.complaint, proposal.before, proposal.region, after, proposal.changed)
    yield _nothing_new(proposal, after)
    yield _nothing_twice(proposal, after)
    if kind is ChangeKind.TESTS:
        return
    yield _names_kept(proposal, after)
    if kind is ChangeKind.DOCUMENT:
        yield _same_code(proposal, after)
    if kind in _SAME_EFFECT:
        yield signature_kept(proposal)
        yield nothing_beside(proposal)
        yield effects_kept(proposal)
    if kind is not ChangeKind.RENAME:
        yield comments_kept(proposal)
    if kind is ChangeKind.EXTRACT:
        yield extracted(proposal)
    if kind is ChangeKind.FIX and proposal.complaint is not None:
        yield only_its_place(proposal, proposal.complaint)


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
    worst = next((flaw for flaw in has if meets(flaw.span, proposal.changed)), has[0])
    line = after.lines.line_text(after.lines.line_of(worst.span.start)).strip()
    return Check("parses", False, f"a new syntax error at `{line}`")


def _outside(found: tuple[Flaw, ...], region: Span, moved: int) -> Iterator[tuple[str, int, int]]:
    """Flaws that do not meet the region, as they stood before it changed."""
    for flaw in found:
        if not meets(flaw.span, region):
            by = moved if flaw.span.start >= region.end else 0
            yield flaw.kind, flaw.span.start - by, flaw.span.end - by


# What is only worth a thought is no reason to refuse an edit.
_WRONG = (Severity.ERROR, Severity.WARNING)


def _nothing_new(proposal: Proposal, after: Snapshot) -> Check:
    if obstacle(after):
        return Check("nothing new", False, f"not checked: {obstacle(after)}", checked=False)
    had = Counter(finding.rule for finding in findings(proposal.before))
    for finding in (one for one in findings(after) if one.severity in _WRONG):
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
    # Lines of a function that became the whole function: it would stand in itself.
    twice = twice or next(
        (name for around, name, kind in has.keys() - had.keys() if _is_again(around, name, kind)), None
    )
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


def _is_again(around: tuple[str, ...], name: str, kind: str) -> bool:
    return name in around and kind != "constructor"


def _telling(text: str) -> list[str]:
    """The lines that are more than a bracket or a bare word, without blanks around them."""
    return [line.strip() for line in text.splitlines() if not _TRIFLE.fullmatch(line.strip())]


def _names_kept(proposal: Proposal, after: Snapshot) -> Check:
    """What the lines around use of the region's names, and the region's own outermost definitions."""
    if obstacle(after):
        return Check("names kept", False, f"not checked: {obstacle(after)}", checked=False)
    before, region = proposal.before, proposal.region
    had, has = _defined(before, region, proposal.had), _defined(after, proposal.changed, proposal.has)
    if proposal.kind is ChangeKind.REWRITE and proposal.complaint is None:
        if (unasked := _unasked(proposal, has)) is not None:
            return Check("names kept", False, f"`{unasked}` is not defined any more, and that was not asked for")
    elif proposal.kind is not ChangeKind.REWRITE:
        lost = next((name for name in _outermost(before, region) if name not in has), None)
        if lost is not None:
            return Check("names kept", False, f"`{lost}` is not defined any more")
    if proposal.kind is ChangeKind.FIX and proposal.complaint is not None:
        about = subject(proposal.complaint, before)[1]
        lost = next((name for name in sorted(had - has) if name != about), None)
        if lost is not None:
            return Check("names kept", False, f"`{lost}` is gone, and the problem is not about it")
    around = before.text[: region.start] + "\n" + before.text[region.end :]
    used = {*_WORD.findall(around)}
    lost = next((name for name in sorted(had - has) if name in used), None)
    return Check("names kept", lost is None, "" if lost is None else f"`{lost}` is used elsewhere and gone")


def _defined(snapshot: Snapshot, span: Span, found: tuple[Token, ...]) -> set[str]:
    """The names bound in the span that can be seen from outside of it: not those inside its functions."""
    least = min((token.depth for token in found), default=0)
    names = {token.text for token in found if token.role in _BINDS and token.depth == least}
    return names | {symbol.name for symbol in symbols(snapshot) if is_inside(symbol.span, span)}


def _outermost(snapshot: Snapshot, span: Span) -> list[str]:
    found = [symbol for symbol in symbols(snapshot) if is_inside(symbol.span, span)]
    least = min((len(symbol.parents) for symbol in found), default=0)
    return [symbol.name for symbol in found if len(symbol.parents) == least]


def _unasked(proposal: Proposal, has: set[str]) -> str | None:
    """A definition that is gone though the person did not say so. Those inside a routine are its own business."""
    held = [one for one in symbols(proposal.before) if is_inside(one.span, proposal.region)]
    now = [one for one in symbols(proposal.after) if is_inside(one.span, proposal.changed)]
    routines = [one.span for one in held if one.kind in _ROUTINES]
    for one in held:
        inner = any(span != one.span and is_inside(one.span, span) for span in routines)
        # What a class gets written for it when it is made in another way, a dataclass say.
        made = one.kind == "constructor" or (one.name.startswith("__") and one.name.endswith("__"))
        if inner or made or one.name in has or may_go(proposal.instruction, one.name):
            continue
        if not (len(now) >= len(held) and may_be_renamed(proposal.instruction, one.name)):
            return one.name
    return None


def _same_code(proposal: Proposal, after: Snapshot) -> Check:
    had = [(token.kind, token.text) for token in proposal.had]
    has = [(token.kind, token.text) for token in proposal.has]
    return Check("code unchanged", bool(had) and had == has, "" if had == has else "more than a comment changed")
