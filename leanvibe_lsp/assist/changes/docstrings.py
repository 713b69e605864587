"""What a model says about a definition, written as the documentation of it in the file's own style. Pure."""

from __future__ import annotations

import re
import textwrap

from tree_sitter import Node

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.docs import python_docstring
from leanvibe_lsp.documents.grammars import encoded, language_of, parse
from leanvibe_lsp.documents.scopes import Symbol, symbols
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import UsageError

# How a language marks documentation where the file itself shows no other way.
_MARKS = {
    language: mark
    for mark, languages in (
        ("/**", "javascript typescript tsx java php c cpp"),
        ("///", "rust csharp"),
        ("//", "go"),
        ("#", "ruby bash"),
    )
    for language in languages.split()
}
_COMMENT = re.compile(r"[ \t]*(?://|/\*|\*|#(?!\[))")


def documented(snapshot: Snapshot, symbol: Symbol, said: str) -> TextEdit:
    """The edit that makes `said` the documentation of `symbol`, in place of what is there.

    Raises UsageError for a language in which we know no way to write it, or a definition that is not whole.
    """
    language = language_of(snapshot.language_id, snapshot.path)
    said = "\n".join(" ".join(line.split()) for line in said.strip().splitlines())
    newline = "\r\n" if "\r\n" in snapshot.text else "\n"
    if language == "python":
        edit = _python(snapshot, symbol, said)
    elif language in _MARKS:
        edit = _above(snapshot, symbol, said, language)
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
    literal = _literal(said, indent, _quotes(snapshot))
    if old is not None:
        return TextEdit(Span(place(old.start_byte), place(old.end_byte)), literal)
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


def _quotes(snapshot: Snapshot) -> str:
    return "'''" if snapshot.text.count("'''") > snapshot.text.count('"""') else '"""'


def _literal(said: str, indent: str, quotes: str) -> str:
    said = said.replace("\\", "\\\\").replace(quotes, quotes[0].replace('"', "'") if quotes[0] == '"' else '"')
    if said.endswith(quotes[0]):
        said = f"{said[:-1]}\\{quotes[0]}"
    if "\n" not in said and len(indent) + len(said) + 6 <= limit("change.columns"):
        return f"{quotes}{said}{quotes}"
    filled = _filled(said, limit("change.columns") - len(indent) - 3)
    return f"\n{indent}".join((f"{quotes}{filled[0]}", *filled[1:], quotes)).replace(f"\n{indent}\n", "\n\n")


def _above(snapshot: Snapshot, symbol: Symbol, said: str, language: str) -> TextEdit:
    lines, text = snapshot.lines, snapshot.text
    line = lines.line_of(symbol.span.start)
    start = lines.line_span(line).start
    indent = text[start : symbol.span.start]
    if indent.strip():
        raise UsageError(
            f"`{symbol.name}` does not begin its own line.", next_step="Put it on a line of its own first."
        )
    first = _first_comment_line(snapshot, line)
    if symbol.docstring and first == line:
        raise UsageError(f"The comment of `{symbol.name}` was not found.", next_step="Put it right above it.")
    mark = _own_mark(snapshot) or _MARKS[language]
    comment = _comment(said, indent, mark, language)
    if symbol.docstring:
        begin = lines.line_span(first).start
        return TextEdit(Span(begin + len(indent), lines.line_span(line - 1).end), comment)
    return TextEdit(Span(symbol.span.start, symbol.span.start), f"{comment}\n{indent}")


def _first_comment_line(snapshot: Snapshot, line: int) -> int:
    """The first of the comment lines right above `line`; `line` itself when there are none."""
    while line > 0 and _COMMENT.match(snapshot.lines.line_text(line - 1)):
        line -= 1
    return line


def _own_mark(snapshot: Snapshot) -> str:
    """How the first documented definition of the file is; "" when none is."""
    for symbol in symbols(snapshot):
        line = snapshot.lines.line_of(symbol.span.start)
        if symbol.docstring and (first := _first_comment_line(snapshot, line)) < line:
            begin = snapshot.lines.line_text(first).strip()
            return next((mark for mark in ("/**", "///", "//", "#") if begin.startswith(mark)), "")
    return ""


def _comment(said: str, indent: str, mark: str, language: str) -> str:
    said = said.replace("*/", "* /")
    if language == "csharp" and mark == "///" and "<summary>" not in said:
        said = f"<summary>\n{said.replace('<', '&lt;')}\n</summary>"
    filled = _filled(said, limit("change.columns") - len(indent) - len(mark) - 1)
    if mark != "/**":
        return f"\n{indent}".join(f"{mark} {line}".rstrip() for line in filled)
    if len(filled) == 1:
        return f"/** {filled[0]} */"
    return f"\n{indent}".join(("/**", *(f" * {line}".rstrip() for line in filled), " */"))


def _filled(said: str, columns: int) -> list[str]:
    filled: list[str] = []
    for line in said.split("\n"):
        filled += textwrap.wrap(line, max(columns, 20), break_long_words=False) or [""]
    return filled
