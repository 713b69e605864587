"""Code of a model laid onto the lines that it is to replace. Pure.

Tolerated: code that stands too far left or right, tabs for blanks, the file's other lines written again. What stands
inside of a string of several lines is text, and is never moved with the code around it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.bytemap import ByteMap
from leanvibe_lsp.documents.grammars import encoded, parse
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.documents.syntax import edited
from leanvibe_lsp.errors import Incomplete

_STRING = re.compile(r"heredoc_\w*|heredoc|nowdoc|(?!concatenated|\w*array)\w*string\w*")


def laid(code: str, snapshot: Snapshot, span: Span, *, exact: bool) -> str:
    """The code as it stands in place of the span: its lines, no more. Line endings are the document's.

    Its first line gets the indentation of the region's, the others move with it. A string of several lines that has
    other blanks than before gets those back, when the code moved or has to stay `exact`. Raises Incomplete when it
    cannot be known what a new one would hold.
    """
    before, region, after = snapshot.text[: span.start], snapshot.text[span.start : span.end], snapshot.text[span.end :]
    code = _without_rest(code, before, _plain(region), after)
    there = _strings(snapshot, span)
    old = [_plain(region[one.span.start : one.span.end]) for one in there]
    inside = _inside(region, there)
    shown = "\n".join(line for number, line in enumerate(_plain(region).split("\n")) if number not in inside)
    draft = edited(snapshot.lines, TextEdit(span, code))
    new = _strings(replace(snapshot, text=draft.text, lines=draft), Span(span.start, span.start + len(code)))
    moved = indented(code, shown, _inside(code, new))
    if exact or _rest(moved) != _rest(code):
        code, new = _with_old_blanks(code, new, old)
        kept = [one for one in new if code[one.span.start : one.span.end] in old]
        loose = [one for one in new if one not in kept]
        moved = indented(code, shown, _inside(code, kept + [one for one in loose if not one.is_prose]))
        if _rest(moved) != _rest(code) and any(not one.is_prose for one in loose):
            raise Incomplete(
                "The draft has another indentation than the code, and a string of several lines in it.",
                next_step="Keep the indentation of the code.",
            )
    newline = "\r\n" if "\r\n" in (region if "\n" in region else before + after) else "\n"
    return moved.replace("\n", newline)


def indented(code: str, region: str, still: Collection[int] = ()) -> str:
    """The code with the first indentation of the region; the lines with these numbers stay as they are."""
    shown = [line for line in region.split("\n") if line.strip()]
    lines = _in_the_regions_blanks(code.split("\n"), shown, still)
    wanted = _blanks(shown[0]) if shown else ""
    if _blanks(lines[0]) == wanted or not code.strip():
        return "\n".join(lines)
    deep = _least([line for number, line in enumerate(lines) if number and number not in still])
    if not _blanks(lines[0]) and deep and deep == _least(shown[1:]):
        return "\n".join((wanted + lines[0], *lines[1:]))  # only the first line lost its blanks
    least = len(_least([line for number, line in enumerate(lines) if number not in still]))
    return "\n".join(
        line if number in still else wanted + line[least:] if line.strip() else "" for number, line in enumerate(lines)
    )


def still_lines(code: str, snapshot: Snapshot) -> frozenset[int]:
    """The numbers of the lines of `code`, in the snapshot's language, that begin inside of a string."""
    draft = replace(snapshot, text=code, lines=LineIndex(code))
    return _inside(code, [one for one in _strings(draft, Span(0, len(code))) if not one.is_prose])


@dataclass(frozen=True, slots=True)
class _String:
    """A literal of more than one line; `is_prose` when it is a statement, as Python's docstrings are."""

    span: Span
    is_prose: bool
    is_body: bool  # lines of a document of its own, from the first to the word that ends it


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _rest(text: str) -> list[str]:
    """The lines behind the first, without the blank ones."""
    return [line for line in text.split("\n")[1:] if line.strip()]


def _strings(snapshot: Snapshot, span: Span) -> list[_String]:
    """Those inside the span, outermost only, in order; their spans begin to count where it does."""
    tree = parse(snapshot)
    if tree is None:
        return []
    places = ByteMap(encoded(snapshot.text))
    start, end = places.byte(span.start), places.byte(span.end)
    found: list[_String] = []
    waiting = [tree.root_node]
    while waiting:
        node = waiting.pop()
        if node.end_byte <= start or node.start_byte >= end:
            continue
        is_body = node.type.startswith("heredoc_") and node.type != "heredoc_redirect"
        if _STRING.fullmatch(node.type) and start <= node.start_byte and node.end_byte <= end:
            if node.start_point.row < node.end_point.row or is_body:
                inner = Span(
                    places.character(node.start_byte) - span.start, places.character(node.end_byte) - span.start
                )
                is_prose = node.parent is not None and node.parent.type == "expression_statement"
                found.append(_String(inner, is_prose and node.type == "string", is_body))
            continue
        waiting += reversed(node.children)
    return found


def _inside(code: str, strings: Collection[_String]) -> frozenset[int]:
    """The numbers of the lines that begin inside of one of them."""
    return frozenset(
        number
        for one in strings
        for number in range(
            code.count("\n", 0, one.span.start) + (not (one.is_body and code[: one.span.start][-1:] in ("", "\n"))),
            code.count("\n", 0, one.span.end) + 1,
        )
    )


def _with_old_blanks(code: str, strings: list[_String], old: list[str]) -> tuple[str, list[_String]]:
    """The code with its strings as they were, where they differ from those by blanks around lines only."""
    kept: list[_String] = []
    moved = 0
    for one in strings:
        span = Span(one.span.start + moved, one.span.end + moved)
        text = code[span.start : span.end]
        same = {known for known in old if _squeezed(known) == _squeezed(text)}
        if text not in same and len(same) == 1:
            text = same.pop()
            code = code[: span.start] + text + code[span.end :]
        moved += len(text) - (span.end - span.start)
        kept.append(replace(one, span=Span(span.start, span.start + len(text))))
    return code, kept


def _squeezed(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n")]


def _without_rest(code: str, before: str, region: str, after: str) -> str:
    """The code without the lines around the region, where the model wrote those again."""
    lines = code.split("\n")
    around = {line.strip() for line in _plain(before).split("\n")}
    first = region.strip().partition("\n")[0].strip()
    at = next((number for number, line in enumerate(lines) if line.strip() == first), 0)
    head = lines[:at]
    if not any(line.strip() for line in head) or not all(line.strip() in around for line in head):
        return code
    lines = lines[at:]
    rest = [line.strip() for line in _plain(after).split("\n") if line.strip()]
    said = [(number, line.strip()) for number, line in enumerate(lines) if line.strip()]
    if rest and [line for _, line in said[-len(rest) :]] == rest and len(said) > len(rest):
        lines = lines[: said[-len(rest)][0]]
    return "\n".join(lines).rstrip()


def _blanks(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def _least(lines: list[str]) -> str:
    """The indentation that all of these lines have at least."""
    return min((_blanks(line) for line in lines if line.strip()), key=len, default="")


def _in_the_regions_blanks(lines: list[str], shown: list[str], still: Collection[int]) -> list[str]:
    """Tabs where the region has tabs, and blanks where it has blanks, at the beginning of lines."""
    indents = [_blanks(line) for number, line in enumerate(lines) if line.strip() and number not in still]
    theirs, ours = set("".join(indents)), set("".join(map(_blanks, shown)))
    if len(ours) != 1 or len(theirs) != 1 or ours == theirs:
        return lines
    one, other = (" " * min(len(each) for each in indents if each), "\t") if theirs == {" "} else ("\t", "    ")
    return [line if number in still else _swapped(line, one, other) for number, line in enumerate(lines)]


def _swapped(line: str, one: str, other: str) -> str:
    blanks = _blanks(line)
    return other * (len(blanks) // len(one)) + " " * (len(blanks) % len(one)) + line[len(blanks) :]
