"""What a finding is known by from one version of its file to the next. Pure.

It hangs on the rule, the definitions around it, the flagged code without blanks and comments, and which of several
equal ones in the file it is. It does not hang on lines, on how the code is laid out, or on where the file lies: a
finding keeps it when code above it comes and goes, when a formatter was there, and when the file moves.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tree_sitter import Node

from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.docs import comment_kinds
from leanvibe_lsp.documents.syntax import Syntax

VERSION = "v1"  # another one when the same finding would get another fingerprint
FORM = re.compile(r"[0-9a-f]{16}")

_COMMENT_MARKS = ("#", "//", "/*", "--", "<!--")
_LAST_COMMA = re.compile(r",(?=[)\]}])")


@dataclass(frozen=True, slots=True)
class Mark:
    """What one finding of a file is told from the others by: `symbols` outermost first, `code` as `bare` gives it."""

    rule: str
    symbols: tuple[str, ...]
    code: str


def fingerprints(marks: Sequence[Mark]) -> tuple[str, ...]:
    """The fingerprints of all findings of one file, given in the order of its text: sixteen hexadecimal digits each."""
    seen: Counter[Mark] = Counter()
    found: list[str] = []
    for mark in marks:
        parts = (VERSION, mark.rule, *mark.symbols, mark.code, str(seen[mark]))
        seen[mark] += 1
        # The length before each part: no two lists of parts read the same.
        told = "".join(f"{len(part)}:{part}" for part in parts).encode("utf-8", "surrogatepass")
        found.append(hashlib.blake2s(told, digest_size=8).hexdigest())
    return tuple(found)


def bare(code: str, comments: Sequence[Span] = ()) -> str:
    """Code without its comments, its blanks and line ends, and the commas before closing brackets."""
    kept, at = [], 0
    for comment in sorted(comments, key=lambda span: span.start):
        kept.append(code[at : max(at, comment.start)])
        at = max(at, comment.end)
    return _LAST_COMMA.sub("", "".join("".join((*kept, code[at:])).split()))


def comments_in(parsed: Syntax, span: Span, language: str) -> tuple[Span, ...]:
    """The comments that stand in a span of a text, counted from its start."""
    start, end = parsed.bytes.byte(span.start), parsed.bytes.byte(span.end)
    if not any(mark.encode() in parsed.data[start:end] for mark in _COMMENT_MARKS):
        return ()
    top = parsed.tree.root_node.descendant_for_byte_range(start, end)
    kinds = comment_kinds(language)
    return tuple(
        Span(parsed.bytes.character(node.start_byte) - span.start, parsed.bytes.character(node.end_byte) - span.start)
        for node in _within(top, start, end)
        if node.type in kinds and start <= node.start_byte and node.end_byte <= end
    )


def _within(top: Node | None, start: int, end: int) -> Iterator[Node]:
    """The node and all below it that meet the bytes, without recursion: broken code nests deep."""
    todo = [top] if top is not None else []
    while todo:
        node = todo.pop()
        yield node
        todo += (child for child in node.children if child.start_byte < end and start < child.end_byte)
