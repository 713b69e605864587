"""Which functions are worth walking, told from their words alone. Pure.

A function is left out when it names no sink of any rule, or nothing that a stranger writes: it may be walked in vain,
and never be left out wrongly, where a blank between a name and its parenthesis is all that stands there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from leanvibe_lsp.tiers.flow.spec import FlowSpec, Sink
from leanvibe_lsp.tiers.flow.tables import HANDLER_MODULES, HANDLER_PARTS, ORIGINS, ROUTE_MODULES, ROUTES

_LAST, _FIRST = re.compile(rb"\w+$"), re.compile(rb"\w+")
_ASSIGNED = re.compile(rb" = (?:\w+\.)*(\w+)[ \t\r]*(?:#|\n|;|\Z)")
_NAME = 64  # bytes; a longer name is cut, and then not found
CALL, _KEY = b"\x01", b"\x02"  # at the end of a word that a parenthesis, or a bracket, follows
_BLANK = bytes(
    byte if byte >= 0x80 or chr(byte).isalnum() or byte in b"_\x01\x02@" else ord(" ") for byte in range(256)
)
_PARTS = re.compile(rb"\w+")
_ROUTE_MODULES = frozenset(word.encode() for word in ROUTE_MODULES) | {b"route"}
_ROUTES = frozenset(word.encode() + CALL for word in ROUTES)

MARKS = (b"", CALL, _KEY)
# What a request goes by, and the decorators of those who answer one.
_ALWAYS = frozenset({b"request", b"req", b"_request", b"event", b"request\x01", b"Request"})


PARAMETER = "parameter"
_REQUEST = frozenset({"request"})
Told: TypeAlias = Mapping[bytes, frozenset[str]]  # words, and the groups of those who may write behind them


@dataclass(frozen=True, slots=True)
class Wanted:
    """One sink: its word, and the groups of sources that its rule asks for.

    The words `beside` must all stand in the same unit, `anywhere` all in the file, and one of `imports`, if any.
    """

    word: bytes
    beside: frozenset[bytes]
    anywhere: frozenset[bytes]
    imports: frozenset[bytes]
    groups: frozenset[str]


def words_of(data: bytes) -> set[bytes]:
    """The words of a text, those marked that are called or subscripted."""
    marked = data.replace(b" (", b"(").replace(b"(", b"\x01 ").replace(b"[", b"\x02 ")
    return set(marked.translate(_BLANK).split())


def renamed(data: bytes, sinks: Iterable[Wanted] = ()) -> dict[bytes, bytes]:
    """The names behind `as`, and what stands before it: those that imports give, and others that do no harm.

    Beside them the variables that stand for one of the sinks.
    """
    parts = data.split(b" as ")
    found: dict[bytes, bytes] = {}
    for before, after in pairwise(parts):
        name, given = _LAST.search(before[-_NAME:]), _FIRST.match(after)
        if name is not None and given is not None and name[0] != given[0]:
            found[given[0]] = name[0]
    called = {one.word for one in sinks}
    for assigned in _ASSIGNED.finditer(data):
        if assigned[1] + CALL in called:
            name = _LAST.search(data[max(0, assigned.start() - _NAME) : assigned.start()])
            if name is not None and name[0] != assigned[1]:
                found.setdefault(name[0], assigned[1])
    return found


def with_renamed(words: set[bytes], names: Mapping[bytes, bytes]) -> set[bytes]:
    """The words, and for each that is another's name that other, marked as it is."""
    more = {original + mark for name, original in names.items() for mark in MARKS if name + mark in words}
    return words | more if more else words


def wanted(specs: Sequence[FlowSpec]) -> tuple[Wanted, ...]:
    """What the sinks of the rules need, each once."""
    return tuple(dict.fromkeys(one for spec in specs for sink in spec.sinks for one in _of(sink, spec)))


def _of(sink: Sink, spec: FlowSpec) -> Iterable[Wanted]:
    groups = frozenset(name for name, weight in spec.sources.items() if weight)
    if not sink.parameters:
        groups -= {PARAMETER}
    if sink.returned:
        for word in _ROUTES:
            yield Wanted(word, frozenset({b"return"}), frozenset(), _ROUTE_MODULES, groups - {PARAMETER})
    beside = frozenset(name.encode() for name, _ in sink.where.entries if name.isidentifier() and name != "key")
    imports = frozenset(name.encode() for name in sink.imports)
    for name in (*sink.calls, *sink.assigned):
        *others, last = _PARTS.findall(name.encode())
        mark = CALL if sink.calls else _KEY if name.endswith("[]") else b""
        yield Wanted(last + mark, beside, frozenset(others), imports, groups)


def in_file(every: Iterable[Wanted], words: set[bytes]) -> tuple[Wanted, ...]:
    """Those that a file with these words may hold."""
    return tuple(
        one
        for one in every
        if one.word in words
        and one.beside <= words
        and all(_stands(name, words) for name in one.anywhere)
        and (not one.imports or any(_stands(name, words) for name in one.imports))
    )


def _stands(word: bytes, words: set[bytes]) -> bool:
    return any(word + mark in words for mark in MARKS)


def strangers_in(words: set[bytes], names: Iterable[str] = ()) -> Told:
    """Of a file's words those behind which strangers may write, and who; `names` are a rule's own."""
    found: dict[bytes, frozenset[str]] = dict.fromkeys(_ALWAYS, _REQUEST)
    if b"route\x01" in words or any(_stands(name, words) for name in _ROUTE_MODULES):
        found |= dict.fromkeys(_ROUTES, _REQUEST)
    for name, group in (*ORIGINS.items(), *((name, "request") for name in names)):
        parts = _PARTS.findall(name.encode())
        if name in HANDLER_PARTS and not any(one.encode() in words for one in HANDLER_MODULES):
            continue
        if all(_stands(part, words) for part in parts):
            for mark in (CALL,) if name.endswith("()") else (b"", _KEY):
                found[parts[-1] + mark] = found.get(parts[-1] + mark, frozenset()) | {group}
    return found


def groups_in(words: set[bytes], told: Told) -> frozenset[str]:
    """Who may have written what a text with these words reads."""
    return frozenset(group for word in words & told.keys() for group in told[word])


def may_hold(live: Iterable[Wanted], words: set[bytes], told: Told, has_parameters: bool) -> bool:
    """Whether a unit with these words may hold a finding; behind `told` strangers write."""
    groups = groups_in(words, told) | ({PARAMETER} if has_parameters else frozenset())
    return any(one.word in words and one.beside <= words and not one.groups.isdisjoint(groups) for one in live)
