"""What belongs to a piece of code: the names it uses, what uses it in its file, and what was found about them. Pure.

Names are matched as written. Which of two definitions of one name is meant only a type checker knows; an import that
names one, and nearness, decide here.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import PurePath

from tree_sitter import Query

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.gathered import Related
from leanvibe_lsp.documents.grammars import grammar, language_of, syntax
from leanvibe_lsp.documents.queries import matches
from leanvibe_lsp.documents.scopes import Symbol, chain, imports, symbols
from leanvibe_lsp.documents.snapshot import Snapshot

_C = """(call_expression function: [(identifier) @name (field_expression field: (field_identifier) @member)])
(type_identifier) @name"""
_JAVASCRIPT = """(call_expression function: [(identifier) @name
(member_expression property: (property_identifier) @member)])
(new_expression constructor: (identifier) @name)"""
# Per language: the names that are called, inherited from or used as types; those of something's members apart.
_USES = {
    "python": """(call function: [(identifier) @name (attribute attribute: (identifier) @member)])
        (class_definition superclasses: (argument_list [(identifier) @name
        (attribute attribute: (identifier) @member)]))
        (type (identifier) @name) (decorator (identifier) @name)""",
    "javascript": f"{_JAVASCRIPT} (class_heritage (identifier) @name)",
    "typescript": f"{_JAVASCRIPT} (type_identifier) @name (extends_clause (identifier) @name)",
    "go": """(call_expression function: [(identifier) @name (selector_expression field: (field_identifier) @member)])
        (type_identifier) @name""",
    "rust": """(call_expression function: [(identifier) @name (field_expression field: (field_identifier) @member)
        (scoped_identifier name: (identifier) @name)]) (macro_invocation macro: (identifier) @name)
        (type_identifier) @name""",
    "java": "(method_invocation name: (identifier) @member) (type_identifier) @name",
    "c": _C,
    "cpp": f"{_C} (qualified_identifier name: (identifier) @name) (template_function name: (identifier) @name)",
    "csharp": """(invocation_expression function: [(identifier) @name
        (member_access_expression name: (identifier) @member)])
        (object_creation_expression type: (identifier) @name)""",
    "ruby": "(call method: (identifier) @member) (constant) @name",
    "php": """(function_call_expression function: (name) @name) (member_call_expression name: (name) @member)
        (scoped_call_expression name: (name) @member) (object_creation_expression (name) @name)""",
    "bash": "(command name: (command_name (word) @name))",
}
_USES["tsx"] = _USES["typescript"]
_FAMILIES = (frozenset({"javascript", "typescript", "tsx"}), frozenset({"c", "cpp"}))
_WORDS = re.compile(r"\w+")
_FOLDER_IS_MODULE = frozenset({"__init__", "index", "mod", "lib"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """A name used at a place and not defined in its file, and the words of the import that brings it ("" for none)."""

    name: str
    member: bool
    hints: frozenset[str]


def related_languages(language: str) -> frozenset[str]:
    """The languages that use each other's definitions, this one among them."""
    return next((family for family in _FAMILIES if language in family), frozenset({language}))


def used_names(snapshot: Snapshot, span: Span) -> tuple[tuple[str, bool], ...]:
    """The names used in a span and whether each is always a member of something, in the order of their first use."""
    names: dict[str, bool] = {}
    for _, name, member in _uses(snapshot, [span]):
        names[name] = names.get(name, True) and member
    return tuple(names.items())


def _uses(snapshot: Snapshot, spans: Iterable[Span]) -> list[tuple[int, str, bool]]:
    """Where in the spans a name is used, which, and whether as a member, in order; nothing for a tangled text."""
    query = _query(language_of(snapshot.language_id, snapshot.path) or "")
    parsed = None if query is None else syntax(snapshot)
    if query is None or parsed is None:
        return []
    nodes = {
        (node.start_byte, kind, node.end_byte)
        for _, captures in matches(query, parsed, spans)
        for kind, captured in captures.items()
        for node in captured
    }
    return [
        (parsed.bytes.character(start), parsed.data[start:end].decode("utf-8"), kind == "member")
        for start, kind, end in (() if parsed.tangled else sorted(nodes))
    ]


def wanted(snapshot: Snapshot, span: Span) -> tuple[Wanted, ...]:
    """What a span uses that its file does not define, `context.related` names at most.

    What an import brings comes first, plain names before members.
    """
    here = {symbol.name for symbol in symbols(snapshot)}
    said = [frozenset(_WORDS.findall(snapshot.text[one.start : one.end])) for one in imports(snapshot)]
    naming: dict[str, list[frozenset[str]]] = {}
    for words in said:
        for word in words:
            naming.setdefault(word, []).append(words)
    everything = frozenset(naming)
    python = language_of(snapshot.language_id, snapshot.path) == "python"
    found: list[tuple[int, str, bool]] = []
    for name, member in used_names(snapshot, span):
        if name in here or (python and hasattr(builtins, name)):
            continue
        found.append((0 if name in naming else 1 + member, name, member))
    found.sort(key=lambda one: one[0])
    return tuple(
        Wanted(name, member, frozenset().union(*naming[name]) if name in naming else everything)
        for _, name, member in found[: limit("context.related")]
    )


def kin(snapshot: Snapshot, inside: Sequence[Symbol], span: Span) -> dict[Symbol, str]:
    """The symbols of the file that a place uses, then those that use its enclosing symbol; and how to call them."""
    found: dict[Symbol, str] = {}
    all_symbols = symbols(snapshot)
    around = set(inside)
    names = {name for name, _ in used_names(snapshot, inside[-1].span if inside else span)}
    for symbol in all_symbols:
        if symbol.name in names and symbol not in around:
            found[symbol] = f"definition of {symbol.name}"
    if inside:
        for symbol in _users(snapshot, inside[-1]):
            if symbol not in around:
                found.setdefault(symbol, f"caller of {inside[-1].name}")
    return found


def definitions_in(snapshot: Snapshot, sought: Iterable[Wanted], near: PurePath | None) -> tuple[Related, ...]:
    """Definitions of the wanted names in a document."""
    by_name = {one.name: one for one in sought}
    named = [symbol for symbol in symbols(snapshot) if symbol.name in by_name]
    return tuple(
        Related(snapshot, symbol, f"definition of {symbol.name}")
        for symbol in named
        if fits(by_name[symbol.name], symbol, snapshot.path, near)
    )


def fits(one: Wanted, symbol: Symbol, path: PurePath | None, near: PurePath | None) -> bool:
    """Whether a definition elsewhere may be the one that is meant.

    A method is meant by a member only; a member, where an import names the module or it lies in the same folder.
    """
    if not one.member:
        return symbol.kind != "method"
    if path is None:
        return False
    return module_name(path) in one.hints or (near is not None and path.parent == near.parent and path != near)


def module_name(path: PurePath) -> str:
    """What an import calls a file."""
    return path.parent.name if path.stem in _FOLDER_IS_MODULE or path.suffix == ".go" else path.stem


def _users(snapshot: Snapshot, symbol: Symbol) -> Iterator[Symbol]:
    """The innermost symbols whose code names `symbol` where names are used, in the order of the text."""
    mention = re.compile(rf"(?<![\w$]){re.escape(symbol.name)}(?![\w$])")
    mentions = [match.start() for match in islice(mention.finditer(snapshot.text), limit("context.mentions"))]
    outside = [at for at in mentions if not symbol.span.start <= at < symbol.span.end]
    uses = _uses(snapshot, (Span(at, at + 1) for at in outside))
    used = {at for at, name, _ in uses if name == symbol.name}
    around = (chain(snapshot, at) for at in outside if at in used)
    yield from dict.fromkeys(symbols[-1] for symbols in around if symbols)


@cache
def _query(language: str) -> Query | None:
    source, found = _USES.get(language), grammar(language)
    return Query(found, source) if source is not None and found is not None else None
