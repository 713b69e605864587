"""The comment above a definition: which of the lines there document it, and what becomes of them. Pure.

Only words for a reader are replaced. What is meant for a tool, what says whose the file is, and everything from the
first tag or heading on stays.
"""

from __future__ import annotations

import re
import textwrap

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.scopes import Symbol, symbols
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import UsageError

# How a language marks documentation where the file itself shows no other way.
MARKS = {
    language: mark
    for mark, languages in (
        ("/**", "javascript typescript tsx java php c cpp"),
        ("///", "rust csharp"),
        ("//", "go"),
        ("#", "ruby bash"),
    )
    for language in languages.split()
}
_LINE_MARK = {"ruby": r"#", "bash": r"#", "php": r"//+|#(?!\[)", "c": r"//+", "cpp": r"//+"}
_ATTRIBUTE = r"#\[.*\]"
# Comments that are no words for a reader: about the next line only, or about the file. A person needs them to stay.
_OF_THE_NEXT_LINE = re.compile(
    r"//\w+:\S|//\s*nolint|.*(?:eslint-|@ts-|prettier-|biome-|deno-|tslint:|istanbul |c8 |v8 |webpack\w+:|"
    r"shellcheck |rubocop:|:(?:no)?doc:|NOLINT|clang-format|noinspection|@formatter|cspell|noqa|sourcery|coverage:|"
    r"type: ignore|steep:|standard:|phpcs:|@phpstan-|@psalm-|swiftlint:|#__\w+__)"
)
_OF_THE_FILE = re.compile(
    r"#!|.*(?:frozen_string_literal|\b(?:en)?coding[:=]|-\*-|typed: |warn_indent|@flow|@jsx|@preserve|"
    r"[-=*#~/]{4,}$|[-=~]{3,} ?\w|#?(?:end)?region\b)",
    re.IGNORECASE,
)
_RIGHTS = re.compile(r"copyright|\(c\) |©|licen[sc]e|spdx", re.IGNORECASE)
# Where the documentation that is there says more than a sentence can: from here on it stays.
SECTION = re.compile(
    r"[@\\]\w|#{1,6} \w|```|>>>|:\w+( [\w*., ]+)?:|[-=]{3,}\s*$|<(?!summary)\w+|"
    r"(?:args|arguments|params|parameters|returns?|raises|throws|yields|attributes|examples?|notes?|usage|globals|"
    r"outputs?|see also|warnings?|references|deprecated|safety|panics|errors)\s*:|"
    r"(?:Parameters|Returns|Raises|Yields|Examples?|Notes?|Attributes)\s*$|"
    r"(?:TODO|FIXME|XXX|HACK|BUG|SAFETY)\b",
    re.IGNORECASE,
)
_MARKS_BEFORE = re.compile(r"\s*(?:/\*+!?|\*+/?(?!\*)|//+!?|#+(?= |$))?[ \t]*")


def above(snapshot: Snapshot, symbol: Symbol, said: str, language: str) -> TextEdit:
    """The edit that makes `said` the comment of `symbol`. Raises UsageError where that cannot stand above it."""
    lines, text = snapshot.lines, snapshot.text
    line = lines.line_of(symbol.span.start)
    start = lines.line_span(line).start
    indent = text[start : symbol.span.start]
    if indent.strip():
        raise UsageError(
            f"`{symbol.name}` does not begin its own line.", next_step="Put it on a line of its own first."
        )
    found, place = _documentation(snapshot, line, language)
    last = lines.line_text(line - 1).rstrip() if line else ""
    if symbol.docstring and not found and place == line and not (_line_mark(last, language) or last.endswith("*/")):
        raise UsageError(f"The comment of `{symbol.name}` was not found.", next_step="Put it right above it.")
    mark = _own_mark(snapshot, language) or MARKS[language]
    if symbol.docstring and found:
        old = [lines.line_text(number) for number in found]
        begin = lines.line_span(found[0]).start + len(old[0]) - len(old[0].lstrip())
        return TextEdit(Span(begin, lines.line_span(found[-1]).end), _kept(said, indent, mark, language, old))
    begin = lines.line_span(place).start
    return TextEdit(Span(begin, begin), f"{indent}{_comment(said, indent, mark, language)}\n")


def _documentation(snapshot: Snapshot, line: int, language: str) -> tuple[range, int]:
    """The lines of the comment that is about the definition on `line`, and the line above which a new one goes.

    One block comment, or one run of lines with the same mark; none of them is meant for a tool or says whose it is.
    """
    text = snapshot.lines.line_text
    while line > 0 and (
        (_is_comment(text(line - 1), language) and _OF_THE_NEXT_LINE.match(text(line - 1).strip()))
        or re.fullmatch(_ATTRIBUTE, text(line - 1).strip())
    ):
        line -= 1
    end = line
    while end > 0 and text(end - 1).strip() in ("//", "#"):
        end -= 1
    begin = end
    if end and text(end - 1).rstrip().endswith("*/"):
        begin -= 1
        while begin > 0 and "/*" not in text(begin):
            begin -= 1
        begin = begin if text(begin).lstrip().startswith("/*") else end
    else:
        while begin and _line_mark(text(begin - 1), language) == _line_mark(text(end - 1), language) != "":
            if _OF_THE_NEXT_LINE.match(text(begin - 1).strip()) or text(begin - 1).startswith("#!"):
                break
            begin -= 1
    words = [_MARKS_BEFORE.sub("", text(number), count=1).strip() for number in range(begin, end)]
    theirs = [
        number
        for number, word in enumerate(words, begin)
        if _OF_THE_FILE.match(word) or _OF_THE_FILE.match(text(number).strip()) or _OF_THE_NEXT_LINE.match(word)
    ]
    if any(_RIGHTS.search(word) for word in words) or (theirs and text(begin).lstrip().startswith("/*")):
        return range(end, end), line
    return range(max(theirs, default=begin - 1) + 1, end), line


def _line_mark(line: str, language: str) -> str:
    """What a line that is one comment begins with; "" for any other line."""
    found = re.match(_LINE_MARK.get(language, r"//+!?"), line.lstrip())
    return "" if found is None else found[0]


def _is_comment(line: str, language: str) -> bool:
    return bool(_line_mark(line, language)) or (line.lstrip().startswith("/*") and line.rstrip().endswith("*/"))


def _own_mark(snapshot: Snapshot, language: str) -> str:
    """How the first documented definition of the file is; "" when none is."""
    for symbol in symbols(snapshot):
        found, _ = _documentation(snapshot, snapshot.lines.line_of(symbol.span.start), language)
        if symbol.docstring and found:
            begin = snapshot.lines.line_text(found[0]).strip()
            return next((mark for mark in ("/**", "///", "//", "#") if begin.startswith(mark)), "")
    return ""


def _kept(said: str, indent: str, mark: str, language: str, old: list[str]) -> str:
    """The comment in place of the lines `old`, with those of them that are more than words."""
    words = [_MARKS_BEFORE.sub("", line, count=1).strip() for line in old]
    summary = next((number + 1 for number, word in enumerate(words) if "</summary>" in word), None)
    at = (
        next((number for number, word in enumerate(words) if SECTION.match(word)), None) if summary is None else summary
    )
    if at is None or at == len(old):
        return _comment(said, indent, mark, language)
    begin = old[0].strip()
    same = "/**" if begin.startswith("/*") else _line_mark(begin, language)
    if (same == "/**" and (at == 0 or not old[at].strip().startswith("*"))) or (at == 0 and language != "csharp"):
        raise more_than_words(old[at])
    if same != "/**":
        between = "" if summary is not None else f"{indent}{same}\n"
        return f"{_comment(said, indent, same, language)}\n{between}" + "\n".join(old[at:])
    told = filled(said.replace("*/", "* /"), limit("change.columns") - len(indent) - 3)
    return "\n".join(
        (
            begin[:3] if begin.startswith("/**") else "/*",
            *(f"{indent} * {line}".rstrip() for line in told),
            f"{indent} *",
            *old[at:],
        )
    )


def _comment(said: str, indent: str, mark: str, language: str) -> str:
    said = said.replace("*/", "* /")
    if language == "csharp" and mark == "///" and "<summary>" not in said:
        said = f"<summary>\n{said.replace('<', '&lt;')}\n</summary>"
    lines = filled(said, limit("change.columns") - len(indent) - len(mark) - 1)
    if mark != "/**":
        return f"\n{indent}".join(f"{mark} {line}".rstrip() for line in lines)
    if len(lines) == 1:
        return f"/** {lines[0]} */"
    return f"\n{indent}".join(("/**", *(f" * {line}".rstrip() for line in lines), " */"))


def filled(said: str, columns: int) -> list[str]:
    """The words in lines of about this width."""
    lines: list[str] = []
    for line in said.split("\n"):
        lines += textwrap.wrap(line, max(columns, 20), break_long_words=False) or [""]
    return lines


def more_than_words(line: str) -> UsageError:
    """The error for documentation that begins with what is to stay."""
    return UsageError(
        f"The documentation that is there begins with `{line.strip()}`, which is to stay.",
        next_step="Write the words above it yourself.",
    )
