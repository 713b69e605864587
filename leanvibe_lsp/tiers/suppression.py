"""Comments that silence findings, and those that silence nothing. Pure.

`leanvibe: ignore[rule] reason` in a comment is about the line it stands on, or, when nothing else stands there, about
the next line that is no such comment itself. `leanvibe: ignore-file[rule]` is about the whole file. In the brackets
stand ids or globs over ids, with commas between; without brackets it is all rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.tiers.finding import Finding, Severity, Tag

UNUSED = "leanvibe/unused-suppression"
# What is found elsewhere, so that nobody here can tell whether a comment about it is of use.
OTHER_RUNGS = ("leanvibe/risk", "leanvibe/review", "leanvibe/unsure")
MARK = "leanvibe: ignore"  # a text without it has no directive

_DIRECTIVE = re.compile(r"(?<![\w`])leanvibe: ignore(?P<file>-file)?(?:\[(?P<rules>[^\]\r\n]*)\])?(?![\w`-])")
_BLANK = " \t"
# What may stand around a directive in a comment that says nothing else.
_AROUND = "#/*-<>!;%" + _BLANK


@dataclass(frozen=True, slots=True)
class Directive:
    """One such comment. `rules` is empty for all, `line` None for the whole file; `span` is without the reason."""

    span: Span
    rules: tuple[str, ...]
    line: int | None
    comment: Span

    def silences(self, finding: Finding) -> tuple[str, ...]:
        """Which of `rules` a finding on its line falls under, ("",) when it is all rules."""
        return tuple(rule for rule in self.rules or ("",) if not rule or fnmatchcase(finding.rule, rule))


def directives(comments: Iterable[Span], lines: LineIndex) -> tuple[Directive, ...]:
    """The directives in the comments of a text; comments without one need not be among them."""
    # Some grammars count the line's end as part of a comment.
    trimmed = (Span(one.start, one.start + len(lines.text[one.start : one.end].rstrip("\r\n"))) for one in comments)
    ordered = sorted(trimmed, key=lambda span: span.start)
    alone = {span for span in ordered if _stands_alone(span, lines)}
    only_comments = {line for span in alone for line in range(lines.line_of(span.start), lines.line_of(span.end) + 1)}
    behind: dict[int, int] = {}  # by a line of nothing but comments: the next one that is none
    for line in sorted(only_comments, reverse=True):
        behind[line] = behind.get(line + 1, line + 1)
    return tuple(
        directive
        for span in ordered
        for directive in _of_comment(
            span, lines, behind[lines.line_of(span.end)] if span in alone else lines.line_of(span.end)
        )
    )


def silenced(findings: Sequence[Finding], found: Sequence[Directive], lines: LineIndex) -> tuple[Finding, ...]:
    """The findings that no directive is about, and a hint at each directive that is about none."""
    used: set[tuple[Directive, str]] = set()
    kept = []
    by_line: dict[int | None, dict[tuple[str, ...], Directive]] = {}  # of those that say the same the first counts
    for directive in found:
        by_line.setdefault(directive.line, {}).setdefault(directive.rules, directive)
    for finding in findings:
        places = dict.fromkeys((None, lines.line_of(finding.span.start), _last_line(finding, lines)))
        about = (directive for line in places for directive in by_line.get(line, {}).values())
        hits = [(directive, rule) for directive in about for rule in directive.silences(finding)]
        used.update(hits)
        if not hits:
            kept.append(finding)
    for directive in found:
        unused = tuple(
            rule for rule in directive.rules or ("",) if (directive, rule) not in used and rule not in OTHER_RUNGS
        )
        if unused:
            kept.append(_hint(directive, unused, lines))
    return tuple(sorted(kept, key=lambda finding: (finding.span.start, finding.span.end, finding.rule)))


def _of_comment(comment: Span, lines: LineIndex, line: int) -> Iterator[Directive]:
    """The directives in a comment that is about `line`."""
    for match in _DIRECTIVE.finditer(lines.text, comment.start, comment.end):
        names = tuple(dict.fromkeys(name for part in (match["rules"] or "").split(",") if (name := part.strip())))
        yield Directive(Span(*match.span()), names, None if match["file"] else line, comment)


def _hint(directive: Directive, unused: tuple[str, ...], lines: LineIndex) -> Finding:
    named = ", ".join(unused) if unused != ("",) else ""
    return Finding(
        rule=UNUSED,
        message=f"This silences nothing: {named} finds nothing here." if named else "This silences nothing.",
        severity=Severity.HINT,
        span=directive.span,
        quote=lines.text[directive.span.start : directive.span.end],
        confidence=1.0,
        tags=(Tag.UNNECESSARY,),
        fix=_removal(directive, unused, lines),
        fix_title=f"Ignore {named} no more" if named else "Remove it",
    )


def _removal(directive: Directive, unused: tuple[str, ...], lines: LineIndex) -> tuple[TextEdit, ...]:
    """The edit that takes the unused names out; with the last of them a comment that says nothing else goes too."""
    kept = [rule for rule in directive.rules if rule not in unused]
    text, span, comment = lines.text, directive.span, directive.comment
    if kept:
        inside = Span(text.index("[", span.start) + 1, span.end - 1)
        return (TextEdit(inside, ", ".join(kept)),)
    if (text[comment.start : span.start] + text[span.end : comment.end]).strip(_AROUND):
        return ()
    first, last = (lines.line_of(at) for at in (comment.start, comment.end))
    start, end = lines.line_span(first).start, lines.line_span(last).end
    if not _stands_alone(comment, lines):
        before = text[start : comment.start]
        return (TextEdit(Span(start + len(before.rstrip(_BLANK)), comment.end), ""),)
    after = lines.line_span(last + 1).start if last + 1 < lines.line_count else end
    return (TextEdit(Span(start, after), ""),)


def _stands_alone(span: Span, lines: LineIndex) -> bool:
    """Whether nothing but blanks shares the comment's lines."""
    before = lines.text[lines.line_span(lines.line_of(span.start)).start : span.start]
    after = lines.text[span.end : lines.line_span(lines.line_of(span.end)).end]
    return not (before + after).strip()


def _last_line(finding: Finding, lines: LineIndex) -> int:
    return lines.line_of(max(finding.span.start, finding.span.end - 1))
