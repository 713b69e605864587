"""What a model says about a definition, written as the documentation of it in the file's own style. Pure."""

from __future__ import annotations

import re

from tree_sitter import Node

from leanvibe_lsp.assist.changes.doc_comments import MARKS, SECTION, above, filled, more_than_words
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.docs import python_docstring
from leanvibe_lsp.documents.grammars import encoded, language_of, parse
from leanvibe_lsp.documents.scopes import Symbol
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import UsageError


def documented(snapshot: Snapshot, symbol: Symbol, said: str) -> TextEdit:
    """The edit that makes `said` the documentation of `symbol`, in place of what is there.

    Raises UsageError for a language in which we know no way to write it, or a definition that is not whole.
    """
    language = language_of(snapshot.language_id, snapshot.path)
    said = "\n".join(" ".join(line.split()) for line in said.strip().splitlines())
    newline = "\r\n" if "\r\n" in snapshot.text else "\n"
    if language == "python":
        edit = _python(snapshot, symbol, said)
    elif language in MARKS:
        edit = above(snapshot, symbol, said, language)
    else:
        raise UsageError(
            f"It is not known how {language or 'this language'} writes documentation.",
            next_step="Ask for a comment with `leanvibe.change` and an instruction.",
        )
    return TextEdit(edit.span, edit.text.replace("\n", newline))


def _python(snapshot: Snapshot, symbol: Symbol, said: str) -> TextEdit:
    text, lines = snapshot.text, snapshot.lines
    body = _python_body(snapshot, symbol)
    first = body.named_child(0) if body is not None else None
    if body is None or first is None:
        raise UsageError(f"`{symbol.name}` is not whole.", next_step="Finish it first.")
    data = encoded(text)

    def place(byte: int) -> int:
        return len(data[:byte].decode("utf-8", "surrogatepass"))

    start = place(first.start_byte)
    begin = lines.line_span(lines.line_of(start)).start
    old = python_docstring(body)
    own_line = not text[begin:start].strip()
    outer = re.match(r"[ \t]*", text[lines.line_span(lines.line_of(symbol.span.start)).start :])
    indent = text[begin:start] if own_line else f"{outer[0] if outer else ''}    "
    if old is not None and re.match("[rRuU]*['\"]", text[place(old.start_byte) :]):
        span = Span(place(old.start_byte), place(old.end_byte))
        return TextEdit(span, _with_sections(said, indent, text[span.start : span.end], _quotes(snapshot)))
    literal = _literal(said, indent, _quotes(snapshot))
    if own_line:
        return TextEdit(Span(start, start), f"{literal}\n{indent}")
    colon = text.rindex(":", symbol.header.end, start)
    return TextEdit(Span(colon + 1, start), f"\n{indent}{literal}\n{indent}")


def _python_body(snapshot: Snapshot, symbol: Symbol) -> Node | None:
    tree = parse(snapshot)
    at = len(encoded(snapshot.text[: symbol.name_span.start]))
    node = tree.root_node.descendant_for_byte_range(at, at + 1) if tree is not None else None
    while node is not None and node.type not in ("function_definition", "class_definition"):
        node = node.parent
    return None if node is None else node.child_by_field_name("body")


def _with_sections(said: str, indent: str, old: str, quotes: str) -> str:
    """The literal in place of `old`, with what that says under headings, as doctests, or in fields."""
    lines = old.replace("\r\n", "\n").split("\n")
    at = next((number for number, line in enumerate(lines) if SECTION.match(line.strip().lstrip("rRuU\"'"))), None)
    if at is None:
        return _literal(said, indent, quotes)
    if at and re.fullmatch(r"[-=]{3,}", lines[at].strip()):
        at -= 1  # a heading stands above its line
    if not at or not old.startswith(('"""', "'''")) or not "".join(lines[:at]).strip("\"' \t"):
        raise more_than_words(lines[at])
    words = filled(_escaped(said, old[:3]), limit("change.columns") - len(indent) - 3)
    told = [words[0], *(indent + line if line else "" for line in words[1:])]
    return "\n".join((old[:3] + told[0], *told[1:], "", *lines[at:]))


def _quotes(snapshot: Snapshot) -> str:
    return "'''" if snapshot.text.count("'''") > snapshot.text.count('"""') else '"""'


def _literal(said: str, indent: str, quotes: str) -> str:
    said = _escaped(said, quotes)
    if said.endswith(quotes[0]):
        said = f"{said[:-1]}\\{quotes[0]}"
    if "\n" not in said and len(indent) + len(said) + 6 <= limit("change.columns"):
        return f"{quotes}{said}{quotes}"
    lines = filled(said, limit("change.columns") - len(indent) - 3)
    return f"\n{indent}".join((f"{quotes}{lines[0]}", *lines[1:], quotes)).replace(f"\n{indent}\n", "\n\n")


def _escaped(said: str, quotes: str) -> str:
    return said.replace("\\", "\\\\").replace(quotes, "'" if quotes[0] == '"' else '"')
