"""What stands where in a text, read off its tree once: calls by their imported names, definitions, statements. Pure.

For languages other than Python only calls by their written names, and words, are known: `generic`.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, TypeVar

from tree_sitter import Language, Node, Query

from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.queries import matches
from leanvibe_lsp.documents.syntax import Syntax
from leanvibe_lsp.tiers.risk.values import Basis

_QUERY = """
(call function: (_) @callee arguments: (_) @arguments) @call
(keyword_argument) @keyword
(assignment left: (_) @left right: (_) @right) @assignment
(decorator) @decorator
(function_definition name: (_) @name parameters: (_) @parameters) @function
[(import_statement) (import_from_statement)] @import
[(if_statement) (raise_statement) (try_statement) (with_statement) (while_statement) (for_statement)
 (except_clause) (assert_statement) (return_statement)] @statement
(string) @string
[(comment) (expression_statement . (string) .)] @remark
"""
_NAME = re.compile(rb"[A-Za-z_][\w.]*$")
_WORD = re.compile(rb"\w+")
_SPLICED = re.compile(rb"[%+]|\.\s*(?:format|join|replace)\b")
_GENERIC_CALL = re.compile(rb"([A-Za-z_]\w*(?:(?:\.|::|->)\w+)*)\s*!?\(([^()]{0,200})")
_GENERIC_STRING = re.compile(rb"\"(?:[^\"\\\n]|\\.){0,400}\"|'(?:[^'\\\n]|\\.){0,400}'|`[^`]{0,400}`")
_GENERIC_REMARK = re.compile(
    rb"(\"(?:[^\"\\\n]|\\.){0,400}\"|'(?:[^'\\\n]|\\.){0,400}'|`[^`]{0,400}`)|//[^\n]*|/\*.{0,4000}?\*/|(?m:^\s*#[^\n]*)",
    re.S,
)
_INK = re.compile(rb"[^\n]")
_T = TypeVar("_T", "Call", "Mark", "Setting", "Definition")


class Call(NamedTuple):
    """A call, or an argument or setting as `verify=False`; `arguments` is empty for those. Offsets in bytes."""

    start: int
    name: str
    arguments: bytes
    is_spliced: bool


class Mark(NamedTuple):
    """A statement, string or decorator: its kind and text. Offsets in bytes."""

    start: int
    kind: str
    text: bytes


class Setting(NamedTuple):
    """An assignment."""

    start: int
    left: bytes
    right: bytes
    is_spliced: bool


class Definition(NamedTuple):
    """A function or method, with its decorators; offsets in bytes."""

    start: int
    end: int
    name: str
    parameters: bytes
    decorators: bytes


@dataclass(frozen=True, slots=True)
class Survey:
    """All of a text, each kind sorted by where it starts; `imported` are the modules, by the name they have here.

    In `data` comments and docstrings are blank: what code says of itself proves nothing. Offsets are as in the text.
    """

    basis: Basis
    data: bytes
    calls: tuple[Call, ...]
    marks: tuple[Mark, ...]
    settings: tuple[Setting, ...]
    definitions: tuple[Definition, ...]
    outermost: tuple[Definition, ...]
    imported: dict[bytes, str]


def survey_of(syntax: Syntax, language: str) -> Survey:
    """The survey of a text, remembered with its tree."""
    if language != "python":
        return syntax.fact("risk", lambda _: generic(syntax.data))
    return syntax.fact("risk", lambda _: _python(syntax))


def within(items: tuple[_T, ...], start: int, end: int) -> tuple[_T, ...]:
    """Those that begin in a range of bytes."""
    return items[bisect_left(items, (start,)) : bisect_left(items, (end,))]


def function_at(survey: Survey, start: int) -> Definition | None:
    """The outermost function that a byte lies in."""
    found = survey.outermost[: bisect_left(survey.outermost, (start + 1,))][-1:]
    return found[0] if found and start < found[0].end else None


def generic(data: bytes) -> Survey:
    """What can be known of any language: what looks like a call, and strings."""
    data = _GENERIC_REMARK.sub(lambda found: found[0] if found[1] else _blank(found[0]), data)
    calls = tuple(
        Call(one.start(), _dotted(one[1]), one[2], bool(re.search(rb'["\'`]\s*[+%]|[+%]\s*["\'`]|\$\{|#\{', one[2])))
        for one in _GENERIC_CALL.finditer(data)
    )
    strings = tuple(Mark(one.start(), "string", one[0]) for one in _GENERIC_STRING.finditer(data))
    return Survey("generic", data, calls, strings, (), (), (), {})


def _dotted(name: bytes) -> str:
    return name.decode("utf-8", "replace").replace("::", ".").replace("->", ".")


def _python(syntax: Syntax) -> Survey:
    data = syntax.data
    whole = Span(0, syntax.bytes.character(len(data)))
    remarks: set[tuple[int, int]] = set()
    calls: dict[tuple[int, int], Call] = {}
    nodes: dict[tuple[str, int, int], Node] = {}
    raw: list[tuple[Node, Node, Node]] = []
    settings: dict[int, Setting] = {}
    functions: dict[int, Definition] = {}
    for pattern, captures in matches(_query(syntax.language), syntax, [whole]):
        if pattern == 0:
            raw.append((captures["call"][0], captures["callee"][0], captures["arguments"][0]))
        elif pattern == 2:
            left, right = captures["left"][0], captures["right"][0]
            settings[left.start_byte] = Setting(
                left.start_byte, _text(data, left), _text(data, right), _is_spliced(right, data)
            )
        elif pattern == 4:
            functions[captures["function"][0].start_byte] = _definition(captures, data)
        else:
            for name, found in captures.items():
                for node in found:
                    if name == "remark":
                        remarks.add((node.start_byte, node.end_byte))
                    else:
                        nodes[name, node.start_byte, node.end_byte] = node
    imported = _imports([_text(data, node) for (name, _, _), node in nodes.items() if name == "import"])
    for call, callee, arguments in raw:
        key = (call.start_byte, call.end_byte)
        if key not in calls:
            calls[key] = Call(
                callee.end_byte, _called(_text(data, callee), imported), _text(data, arguments),
                _is_spliced(arguments, data),
            )  # fmt: skip
    pseudo = [_keyword(start, data[start:end]) for name, start, end in nodes if name == "keyword"]
    pseudo += [one for setting in settings.values() if (one := _switch(setting)) is not None]
    marks = [
        Mark(start, node.type if name == "statement" else name, data[start:end])
        for (name, start, end), node in nodes.items()
        if name in ("statement", "string", "decorator") and (start, end) not in remarks
    ]
    definitions = tuple(functions[start] for start in sorted(functions))
    return Survey(
        "python",
        _without(data, remarks),
        tuple(sorted([*calls.values(), *pseudo])),
        tuple(sorted(marks)),
        tuple(sorted(settings.values())),
        definitions,
        tuple(_outermost(definitions)),
        imported,
    )


def _outermost(definitions: tuple[Definition, ...]) -> Iterator[Definition]:
    end = -1
    for one in definitions:
        if one.start >= end:
            end = one.end
            yield one


def _without(data: bytes, remarks: set[tuple[int, int]]) -> bytes:
    parts: list[bytes] = []
    at = 0
    for start, end in sorted(remarks):
        parts += (data[at:start], _blank(data[start:end]))
        at = end
    return b"".join((*parts, data[at:]))


def _blank(text: bytes) -> bytes:
    return _INK.sub(b" ", text)


@cache
def _query(language: Language) -> Query:
    return Query(language, _QUERY)


def _text(data: bytes, node: Node) -> bytes:
    return data[node.start_byte : node.end_byte]


def _definition(captures: dict[str, list[Node]], data: bytes) -> Definition:
    node = captures["function"][0]
    parent = node.parent
    outer = parent if parent is not None and parent.type == "decorated_definition" else node
    return Definition(
        outer.start_byte,
        outer.end_byte,
        _text(data, captures["name"][0]).decode("utf-8", "replace"),
        _text(data, captures["parameters"][0]),
        data[outer.start_byte : node.start_byte],
    )


def _is_spliced(node: Node, data: bytes) -> bool:
    """Whether text is put together in it: by interpolation, an operator, or a method that does."""
    text = data[node.start_byte : node.end_byte]
    if b'"' not in text and b"'" not in text:
        return b"+" in text
    if b"{" in text and re.search(rb"\b[rR]?[fF][rR]?[\"']", text):
        return True
    return _SPLICED.search(re.sub(rb"\"[^\"\n]*\"|'[^'\n]*'", b"''", text)) is not None


def _called(text: bytes, imported: dict[bytes, str]) -> str:
    """The name of what is called, as it is imported; of a method of something that has no name, `*.method`."""
    found = _NAME.match(text)
    if found is None:
        return "*." + text.rpartition(b".")[2].decode("utf-8", "replace")
    head, dot, rest = text.partition(b".")
    known = imported.get(head)
    if known is None:
        return text.decode("utf-8", "replace")
    return known + (dot + rest).decode("utf-8", "replace")


def _keyword(start: int, text: bytes) -> Call:
    name, _, value = text.partition(b"=")
    last = value.strip().rpartition(b".")[2].strip(b"'\"") if value.count(b".") < 2 else value.strip(b"'\" ")
    return Call(start, f"{name.strip().decode('utf-8', 'replace')}={last[:20].decode('utf-8', 'replace')}", b"", False)


def _switch(setting: Setting) -> Call | None:
    """An assignment of a constant to a setting, as `context.check_hostname = False`."""
    last = setting.right.rpartition(b".")[2]
    if last not in (b"True", b"False", b"CERT_NONE"):
        return None
    name = setting.left.rpartition(b".")[2].strip(b"[]'\" ")
    return Call(setting.start, f"{name.decode('utf-8', 'replace')}={last.decode()}", b"", False)


def _imports(texts: list[bytes]) -> dict[bytes, str]:
    known: dict[bytes, str] = {}
    for text in texts:
        plain = b" ".join(re.sub(rb"[()\\]|#[^\n]*", b" ", text).split())
        source, _, names = plain.partition(b" import ") if plain.startswith(b"from ") else (b"", b"", plain[7:])
        module = source[5:].strip().lstrip(b".")
        for one in names.split(b","):
            name, _, alias = one.strip().partition(b" as ")
            if not name:
                continue
            if source:
                known[alias.strip() or name] = (module + b"." + name if module else name).decode("utf-8", "replace")
            elif alias:
                known[alias.strip()] = name.decode("utf-8", "replace")
            else:
                top = name.partition(b".")[0]
                known[top] = top.decode("utf-8", "replace")
    return known


def words_of(data: bytes) -> frozenset[bytes]:
    """The identifiers, keywords and numbers of a piece of text."""
    return frozenset(_WORD.findall(data))
