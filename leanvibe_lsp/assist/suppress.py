"""The comment that silences a rule at a place: `leanvibe: ignore[rule]`, in the language's own syntax. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from tree_sitter import Node

from leanvibe_lsp.assist.rulebook import rulebook_of
from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.grammars import language_of, parse
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.documents.syntax import edited, encoded
from leanvibe_lsp.tiers.rules import library_ids

# Before and behind the words of a comment, and the languages that write one so.
_MARKS = {
    language: (opening, closing)
    for opening, closing, languages in (
        ("# ", "", "python ruby bash elixir perl r julia make yaml toml dockerfile hcl"),
        ("// ", "", "javascript typescript tsx go rust java c cpp csharp php kotlin scala gomod dot objc hack"),
        ("-- ", "", "sql sqlite lua haskell elm"),
        ("<!-- ", " -->", "html markdown"),
        ("/* ", " */", "css"),
        ("; ", "", "elisp commonlisp tsq"),
        ("% ", "", "erlang"),
    )
    for language in languages.split()
}
_OPENINGS = tuple({opening.strip() for opening, _ in _MARKS.values()})
_LITERALS = frozenset({"interpolation", "template_substitution", "string_interpolation"})
_IGNORE = re.compile(r"leanvibe: ignore\[([^\]\r\n]*)\]")


def suppression(snapshot: Snapshot, span: Span, rule: str) -> TextEdit | None:
    """The edit that silences `rule` where `span` stands; None where no comment can. See `tiers.suppression`.

    A comment that silences another rule there takes this one in. Else it stands at the end of the first line, on a line
    of its own above it, or at the end of the last line: the first of these where it is a comment to the grammar.
    """
    lines = snapshot.lines
    first, last = lines.line_of(span.start), lines.line_of(max(span.start, span.end - 1))
    edits = [*_extended(snapshot, (first, last), rule)]
    marks = _MARKS.get(language_of(snapshot.language_id, snapshot.path) or "")
    if marks is not None:
        comment = f"{marks[0]}leanvibe: ignore[{rule}]{marks[1]}"
        # No comment between lines that a backslash makes one, whatever a grammar says of it.
        places = ((_behind, first, first), (_above, first, first - 1), (_behind, last, last))
        edits += [put(snapshot, line, comment) for put, line, joint in places if not _goes_on(snapshot, joint)]
    return next((edit for edit in edits if _is_comment(snapshot, edit)), None)


def is_rule(name: str, snapshot: Snapshot) -> bool:
    """Whether there is such a rule for the document: of the library, of its workspace, or of our own checks."""
    ours = name.startswith("leanvibe/") or name in library_ids()
    return ours or any(rule.id == name for rule in rulebook_of(snapshot.path).own)


def _extended(snapshot: Snapshot, numbers: tuple[int, ...], rule: str) -> Iterator[TextEdit]:
    lines = snapshot.lines
    above = numbers[0] - 1
    if above >= 0 and not lines.line_text(above).strip().startswith(_OPENINGS):
        above = -1
    for number in (*numbers, *((above,) if above >= 0 else ())):
        line = lines.line_span(number)
        if (there := _IGNORE.search(snapshot.text, line.start, line.end)) is not None:
            rules = [one.strip() for one in there[1].split(",") if one.strip()]
            yield TextEdit(Span(there.start(1), there.end(1)), ", ".join(dict.fromkeys((*rules, rule))))


def _behind(snapshot: Snapshot, number: int, comment: str) -> TextEdit:
    line, text = snapshot.lines.line_span(number), snapshot.lines.line_text(number)
    return TextEdit(Span(line.start + len(text.rstrip()), line.end), f"  {comment}")


def _above(snapshot: Snapshot, number: int, comment: str) -> TextEdit:
    line, text = snapshot.lines.line_span(number), snapshot.lines.line_text(number)
    indent = text[: len(text) - len(text.lstrip())]
    return TextEdit(Span(line.start, line.start), f"{indent}{comment}{_line_ending(snapshot, number)}")


def _goes_on(snapshot: Snapshot, number: int) -> bool:
    """Whether what stands below a line belongs to it."""
    return number >= 0 and snapshot.lines.line_text(number).endswith("\\")


def _is_comment(snapshot: Snapshot, edit: TextEdit) -> bool:
    """Whether what is written becomes part of a comment, and breaks nothing; without a grammar that is believed."""
    before = parse(snapshot)
    if before is None:
        return True
    lines = edited(snapshot.lines, edit)
    after = parse(replace(snapshot, text=lines.text, lines=lines))
    if after is None:
        return False
    at = len(encoded(lines.text[: edit.span.start])) + len(edit.text) - len(edit.text.lstrip())
    node = after.root_node.descendant_for_byte_range(at, at + len(edit.text.strip()))
    is_comment = node is not None and "comment" in node.type and not _in_literal(node)
    return is_comment and (before.root_node.has_error or not after.root_node.has_error)


def _in_literal(node: Node | None) -> bool:
    """Whether it stands in code inside a text: not every version of a language takes a comment there."""
    while node is not None and node.type not in _LITERALS:
        node = node.parent
    return node is not None


def _line_ending(snapshot: Snapshot, number: int) -> str:
    """That of the line, or of the one before it for the last one."""
    lines = snapshot.lines
    for line in range(number, -1, -1):
        if line + 1 < lines.line_count:
            return snapshot.text[lines.line_span(line).end : lines.line_span(line + 1).start]
    return "\n"
