"""Whether a draft is all of the code, or leaves out what its writer found too long to write. Pure."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

from leanvibe_lsp.assist.changes.facts import Token, comments, tokens
from leanvibe_lsp.assist.changes.proposal import Proposal, is_inside
from leanvibe_lsp.assist.changes.values import Check
from leanvibe_lsp.assist.changes.wished import may_be_emptied
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.grammars import obstacle
from leanvibe_lsp.documents.scopes import Symbol, symbols
from leanvibe_lsp.documents.snapshot import Snapshot

_NAME = "answer is whole"
_ELIDED = re.compile(
    r"\.\.\.|…|\brest of\b|\bremain(?:s|ing|der)?\b.*\b(?:same|code|unchanged|functions?|methods?)\b|"
    r"\bunchanged\b|\b(?:existing|previous|original|your|other) (?:code|logic|implementation|methods?|functions?)\b|"
    r"\b(?:same|as) (?:as )?(?:before|above)\b|\bstays? the same\b|\bimplementation (?:here|goes)\b|\bomitted\b|"
    r"\bcode (?:here|continues)\b|\bno changes?\b",
    re.IGNORECASE,
)
_COMMENT_LINE = re.compile(r"^\s*(?:#|//|--|;|%|/\*|\*|<!--|\"|').*", re.MULTILINE)
_NOTHING_BUT_DOTS = re.compile(r"\s*(?:\.\.\.|…)\s*;?\s*")
_BRACKETS = frozenset({"{", "}", "end", ";", ":", "(", ")", "do", "then"})
_IDLE = frozenset({"pass", "...", "true", ":"})  # `true` and `:` are what a shell does nothing with
_STUB = re.compile(
    r"(?:pass|\.\.\.|return|None|nil|null|undefined|raiseNotImplementedError\b.*|thrownew.*[Nn]ot.?[Ii]mplemented.*|"
    r"todo!.*|unimplemented!.*|panic.*not.?implemented.*|true)*"
)


def whole(proposal: Proposal) -> Check:
    """No comment or dots in place of code, and no body emptied."""
    said = Counter(_remarks(proposal.after, proposal.changed))
    said.subtract(_remarks(proposal.before, proposal.region))
    elided = next((one for one, more in said.items() if more > 0 and _ELIDED.search(one)), None)
    if elided is not None:
        return Check(_NAME, False, f"`{elided.splitlines()[0]}` stands for code that is left out")
    had, has = (sum(map(_is_dots, text.splitlines())) for text in (proposal.old, proposal.text))
    if has > had:
        return Check(_NAME, False, "`...` stands for code that is left out")
    if _escaped(proposal):
        return Check(_NAME, False, "its signs are written as in HTML")
    if proposal.complaint is None and _is_taken_away(proposal):
        return Check(_NAME, False, "nothing is left of the code")
    emptied = _emptied(proposal)
    return Check(_NAME, not emptied, f"nothing is left of the body of `{emptied}`" if emptied else "")


def _escaped(proposal: Proposal) -> bool:
    """Whether a sign became the name of it: `x &lt; 1` is code in many languages."""
    words = [one.text for one in proposal.has]
    return any(one == "&" and name in ("lt", "gt", "amp", "quot") for one, name in pairwise(words))


def _remarks(snapshot: Snapshot, span: Span) -> list[str]:
    if obstacle(snapshot):
        return [match[0].strip() for match in _COMMENT_LINE.finditer(snapshot.text, span.start, span.end)]
    return [snapshot.text[one.start : one.end].strip() for one in comments(snapshot, span)]


def _is_dots(line: str) -> bool:
    return _NOTHING_BUT_DOTS.fullmatch(line) is not None


def _emptied(proposal: Proposal) -> str:
    """A definition whose body does nothing now and did something before."""
    after = {(one.parents, one.name): one for one in symbols(proposal.after) if is_inside(one.span, proposal.changed)}
    for one in symbols(proposal.before):
        now = after.get((one.parents, one.name))
        if now is None or not is_inside(one.span, proposal.region):
            continue
        if _is_stub(proposal.after, now) and not _is_stub(proposal.before, one):
            return one.name
    return ""


def _is_taken_away(proposal: Proposal) -> bool:
    if not _is_nothing(proposal.has) or _is_nothing(proposal.had):
        return False
    names = (one.name for one in symbols(proposal.before) if is_inside(one.span, proposal.region))
    return not may_be_emptied(proposal.instruction, names)


def _is_nothing(found: tuple[Token, ...]) -> bool:
    return all(one.text in _IDLE or one.text in _BRACKETS for one in found)


def _is_stub(snapshot: Snapshot, symbol: Symbol) -> bool:
    body = tokens(snapshot, Span(symbol.header.end, symbol.span.end))
    return _STUB.fullmatch("".join(one.text for one in body if one.text not in _BRACKETS)) is not None
