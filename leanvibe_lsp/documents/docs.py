"""What a person wrote about a symbol: Python docstrings, and the comments that stand right above a definition."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from tree_sitter import Node

_BLOCK_OPEN = re.compile(r"/\*[*!]?")
_LINE_MARK = re.compile(r"[ \t]*(?:///|//!|//|#+!?|--) ?")
_STAR = re.compile(r"[ \t]*\* ?")
_COMMENTS = {"rust": ("line_comment", "block_comment"), "java": ("line_comment", "block_comment")}


def comment_kinds(language: str) -> tuple[str, ...]:
    """What comments are called in a language's trees."""
    return _COMMENTS.get(language, ("comment",))


def python_docstring(body: Node | None) -> Node | None:
    """The string that is the first statement of a module or a block, or None."""
    for child in () if body is None else children(body):
        if child.type == "comment" or not child.is_named:
            continue
        if child.type == "expression_statement" and child.named_child_count == 1:
            inner = child.named_child(0)
            return inner if inner is not None and inner.type == "string" else None
        return None
    return None


def children(node: Node) -> Iterator[Node]:
    """The node's children one by one, for a caller that needs the first few of thousands."""
    cursor = node.walk()
    more = cursor.goto_first_child()
    while more and cursor.node is not None:
        yield cursor.node
        more = cursor.goto_next_sibling()


def string_text(text: str) -> str:
    """A Python string literal's content as PEP 257 reads a docstring: dedented, without blank lines around it."""
    body = text.lstrip("rRuUbBfF")
    quotes = 3 if body[:3] in ('"""', "'''") else 1
    if len(body) >= 2 * quotes and body.endswith(body[0] * quotes):
        body = body[quotes:-quotes]
    else:  # the literal does not end
        body = body[quotes:]
    first, newline, rest = body.replace("\r\n", "\n").partition("\n")
    return (first.strip() + newline + textwrap.dedent(rest)).strip()


def comment_text(text: str) -> str:
    """Comments without their marks: `//`, `///`, `#`, `--`, `/* */` with or without a star on each line."""
    lines: list[str] = []
    inside = False
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        opened = None if inside else _BLOCK_OPEN.match(line.lstrip())
        if opened:
            inside, rest = True, line.lstrip()[opened.end() :].removeprefix(" ")
        elif inside:
            star = _STAR.match(line) if not line.lstrip().startswith("*/") else None
            rest = line[star.end() :] if star else line
        else:
            rest = _LINE_MARK.sub("", line, count=1)
        if inside and "*/" in rest:
            inside, rest = False, rest[: rest.index("*/")]
        lines.append(rest.rstrip())
    return textwrap.dedent("\n".join(lines)).strip()
