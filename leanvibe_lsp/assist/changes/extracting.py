"""Whether lines became a function of their own and nothing else changed. Pure.

Held token by token: outside of the new function only the moved piece is different, and that is one call; inside of it
stands that piece; what the piece needs comes in, what is needed of it comes back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from leanvibe_lsp.assist.changes.facts import Role, Token
from leanvibe_lsp.assist.changes.proposal import Proposal, is_inside
from leanvibe_lsp.assist.changes.values import Check
from leanvibe_lsp.documents.scopes import Symbol, symbols

_NAME = "new function called"
# The languages whose functions and names are read well enough.
LANGUAGES = frozenset(
    {"python", "javascript", "typescript", "tsx", "go", "java", "csharp", "ruby", "php", "rust", "c", "cpp"}
)
# Those whose methods are called by their bare names, too.
_BARE_METHODS = frozenset({"java", "csharp", "ruby", "cpp"})
_LEAVING = re.compile(r"break|continue|goto|next|redo|yield|nonlocal|global|fallthrough|defer|super")
_SELVES = frozenset({"self", "this", "cls", "static", "Self"})
_BINDS = frozenset({Role.LOCAL, Role.PARAMETER})
# What may stand in front of the call: `return`, names that it gives values to, `await`, the object.
_BEFORE = re.compile(
    r"(?P<back>return )?(?P<targets>[\w$(\[{][\w$ ,(\[{\])}]* :?= )?(?:await )?"
    r"(?P<object>(?:\$ )?[\w$]+ (?:\.|->|::) )?"
)


@dataclass(frozen=True, slots=True)
class _Piece:
    """`moved`, of which `outside` is the rest of the old region, became the call; `body` is the function's, as written.

    `targets` and `receiver` stand before the call, `given` are its arguments, `is_back` says that it is returned.
    """

    moved: tuple[Token, ...]
    outside: tuple[Token, ...]
    body: tuple[Token, ...]
    function: Symbol
    targets: tuple[str, ...]
    receiver: str
    given: tuple[str, ...]
    is_back: bool
    call: int


def extracted(proposal: Proposal) -> Check:
    """One new function with the piece, called where the piece was."""
    problem = _problem(proposal)
    return Check(_NAME, not problem, problem)


def _problem(proposal: Proposal) -> str:
    known = [(one.parents, one.name) for one in symbols(proposal.before)]
    new = [one for one in symbols(proposal.after) if (one.parents, one.name) not in known]
    if not new:
        return "there is no new function"
    if len(new) > 1 or not is_inside(new[0].span, proposal.changed):
        return "there is more than one new function"
    piece = _piece(proposal, new[0])
    if isinstance(piece, str):
        return piece
    return _call_problem(proposal, piece) or _leaving_problem(proposal, piece) or _flow_problem(proposal, piece)


def _piece(proposal: Proposal, function: Symbol) -> _Piece | str:
    """What was moved where, or why that cannot be seen."""
    old, has = proposal.had, proposal.has
    rest = [one for one in has if not function.span.start <= one.start < function.span.end]
    now = [one.text for one in rest]
    if now.count(function.name) != 1:
        return f"`{function.name}` is not called in their place"
    at = now.index(function.name)
    called = _arguments(rest, at + 1)
    if called is None:
        return f"`{function.name}` is called with more than names"
    given, after = called
    own = _parameters(function)
    if len(own) != len([one for one in given if one not in _SELVES]):
        return f"`{function.name}` is not called with what it takes"
    body = tuple(_bare([one for one in has if function.header.end <= one.start < function.span.end]))
    renamed = dict(zip(own, (one for one in given if one not in _SELVES), strict=True))
    renamed |= {one: "" for one in given if one not in (*own, *_SELVES)}  # there it has another name
    words = [one.text for one in old]
    for start, end in _moves(proposal, old, [_old_name(one, renamed) for one in body]):
        if now[:start] != words[:start] or now[after:] not in (words[end:], [";", *words[end:]]) or at < start:
            continue
        before = _BEFORE.fullmatch("".join(f"{one} " for one in now[start:at]))
        if before is not None:
            part = (before["targets"] or "").rstrip(":= ").strip("()[]{} ")
            targets = tuple(one.split()[-1] for one in part.split(",") if one.split())
            receiver = (before["object"] or "").removeprefix("$ ").split(" ")[0]
            outside = (*old[:start], *old[end:])
            is_back = before["back"] is not None
            return _Piece(old[start:end], outside, body, function, targets, receiver, given, is_back, rest[at].start)
    return "the selected lines are not what the new function does, or more than they changed"


def _arguments(rest: list[Token], at: int) -> tuple[tuple[str, ...], int] | None:
    """The names in the brackets of a call, and where it ends; None where there is more than names."""
    if at >= len(rest) or rest[at].text != "(":
        return (), at  # Ruby's
    given: list[str] = []
    for number in range(at + 1, len(rest)):
        text = rest[number].text
        if text == ")":
            return tuple(given), number + 1
        if rest[number].role is not Role.CODE or text in _SELVES:
            given.append(text)
        elif text not in (",", "$"):
            return None
    return None


def _parameters(function: Symbol) -> list[str]:
    """What has to be handed over, without the marks of a variable."""
    return [name for one in function.parameters if (name := one.lstrip("$&*")) not in _SELVES]


def _bare(body: list[Token]) -> list[Token]:
    """The body without what is around it."""
    if body and body[0].text in (":", "{"):
        body = body[1:]
    return body[:-1] if body and body[-1].text in ("}", "end") else body


def _old_name(token: Token, renamed: dict[str, str]) -> str:
    return renamed.get(token.text, token.text) if token.role not in (Role.MEMBER, Role.CODE) else token.text


def _moves(proposal: Proposal, old: tuple[Token, ...], body: list[str]) -> list[tuple[int, int]]:
    """The runs of the selection that the body could be, the longest first: all of it but a last `return` of names."""
    selected = proposal.selected or proposal.region
    inside = [number for number, one in enumerate(old) if selected.start <= one.start < selected.end]
    found: list[tuple[int, int]] = []
    for start in inside:
        line = proposal.before.lines.line_span(proposal.before.lines.line_of(old[start].start)).start
        is_value = bool(proposal.before.text[line : old[start].start].strip())
        mine = body[1:] if body[:1] == ["return"] and old[start].text != "return" else body
        if is_value and mine is body and proposal.language not in ("rust", "ruby"):
            continue  # its value is needed and not given back
        end = start
        while end <= inside[-1] and end - start < len(mine) and old[end].text == mine[end - start]:
            end += 1
        back = [one for one in mine[end - start :] if one != ";"]
        known = {*mine[: end - start], "return", ",", "(", ")", "[", "]", "{", "}", "$"}
        if end > start and (not back or (back[0] == "return" and back.count("return") == 1 and set(back) <= known)):
            found.append((start, end))
    return sorted(found, key=lambda one: one[0] - one[1])


def _call_problem(proposal: Proposal, piece: _Piece) -> str:
    """What is wrong with how it is called; "" when nothing is."""
    name, symbol, language = piece.function.name, proposal.symbol, proposal.language
    own = symbol.parents if symbol is not None else ()
    is_method = bool(own) and piece.function.parents == own
    if is_method and not piece.receiver and language not in _BARE_METHODS:
        return f"`{name}` is a method and not called as one"
    if piece.receiver and not is_method and language != "go":
        return f"`{name}` is no method and called as one"
    if len(piece.function.parents) > len(own) and piece.function.span.start > piece.call:
        return f"`{name}` is called before it is there"
    selves = {one.text for one in piece.body if one.text in _SELVES or one.text.startswith("@")}
    if selves and not is_method and not selves <= set(piece.function.parameters):
        return "what it does needs the object that it was part of"
    return ""


def _is_leaving(token: Token, language: str) -> bool:
    if token.role is not Role.CODE:
        return token.text == "arguments"
    return _LEAVING.fullmatch(token.text) is not None or (token.text == "?" and language == "rust")


def _leaving_problem(proposal: Proposal, piece: _Piece) -> str:
    """Whether the piece leaves a loop or the function, which it could not from inside of another one."""
    words = [one.text for one in piece.moved]
    leaving = next((one.text for one in piece.moved if _is_leaving(one, proposal.language)), None)
    if leaving is not None:
        return f"`{leaving}` means something else in a function of its own"
    if ("return" in words) != piece.is_back:
        return "`return` means something else in a function of its own"
    if piece.is_back:
        last = words[len(words) - 1 - words[::-1].index("return") :]
        at = piece.moved[len(words) - len(last)].start
        if {"}", "end"} & set(last) or _column(proposal, at) != _column(proposal, piece.moved[0].start):
            return "not every way of it ends in `return`"
    return "" if "await" not in words else "what it waits for would have to be awaited again"


def _column(proposal: Proposal, at: int) -> int:
    """How far the line is indented that the place is on."""
    lines = proposal.before.lines
    line = lines.line_text(lines.line_of(at))
    return len(line) - len(line.lstrip())


def _flow_problem(proposal: Proposal, piece: _Piece) -> str:
    """Whether the function gets what the piece needs, and gives back what is needed of it."""
    symbol = proposal.symbol
    is_nested = symbol is not None and piece.function.parents == (*symbol.parents, symbol.name)
    around = {one.text for one in piece.outside if one.role in _BINDS}
    around |= set(symbol.parameters) if symbol is not None else set()
    needed = {one.text for one in piece.moved if one.role in (Role.USE, Role.LOCAL)} & around
    lacking = sorted(needed - set(piece.given) - _SELVES)
    if lacking and not is_nested:
        return f"`{lacking[0]}` does not come into the new function"
    bound = {one.text for one in piece.moved if one.role is Role.LOCAL}
    wanted = bound & {one.text for one in piece.outside if one.role is not Role.MEMBER}
    if set(piece.targets) != wanted:
        one = min(set(piece.targets) ^ wanted)
        return f"`{one}` does not come out of the new function as it did"
    texts = [one.text for one in piece.body]
    last = len(texts) - texts[::-1].index("return") if "return" in texts else len(texts)
    own = dict(zip((one for one in piece.given if one not in _SELVES), _parameters(piece.function), strict=True))
    if wanted and [one for one in texts[last:] if one[:1].isalpha()] != [own.get(one, one) for one in piece.targets]:
        return f"`{piece.targets[0]}` does not come out of the new function"
    return ""
