"""Findings for a person: the place, what is wrong, the line with a mark under it, the way of the data, how to mend it.

Lines of pieces with a style each; who prints them decides whether styles are drawn. Pure.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from leanvibe_lsp.review.values import Excerpt, FileReport, Found, Report
from leanvibe_lsp.tiers.finding import Severity

Line = tuple[tuple[str, str], ...]  # texts, and what rich calls their styles

STYLES = {
    Severity.ERROR: "bold red",
    Severity.WARNING: "bold yellow",
    Severity.INFORMATION: "bold blue",
    Severity.HINT: "bold cyan",
}
_PLURALS = {
    Severity.ERROR: ("error", "errors"),
    Severity.WARNING: ("warning", "warnings"),
    Severity.INFORMATION: ("information", "information"),
    Severity.HINT: ("hint", "hints"),
}


def lines(report: Report) -> Iterator[Line]:
    """Every finding, with a blank line behind it."""
    for one in report.found:
        yield from finding_lines(one)
        yield ()


def finding_lines(one: Found) -> Iterator[Line]:
    """One finding."""
    finding, place = one.finding, f"{one.target.shown}:{one.region.line}:{one.region.column}:"
    facts = [finding.rule, *([f"CWE-{finding.cwe}"] if finding.cwe else []), percent(finding.confidence)]
    severity = finding.severity
    yield (
        (place, "bold"),
        (" ", ""),
        (f"{severity}:", STYLES[severity]),
        (f" {_one_line(finding.message)} ", ""),
        (f"[{', '.join(facts)}]", "dim"),
    )
    margin = max(len(str(excerpt.line)) for excerpt in (one.excerpt, *(step.excerpt for step in one.steps)))
    yield from excerpt_lines(one.excerpt, margin, STYLES[severity])
    for step in one.steps:
        yield _remark(margin, "from", f"line {step.region.line}: {step.message}")
    if finding.mend:
        yield _remark(margin, "mend", finding.mend)
    if one.also:
        others = ", ".join(f"{other.rule} ({percent(other.confidence)})" for other in one.also)
        yield _remark(margin, "also", f"found by {others}, which is less sure")
    if finding.fix:
        yield _remark(margin, "fix", f"{finding.fix_title or 'the rule has one'}, with --fix")
    yield _remark(margin, "id", one.fingerprint)


def excerpt_lines(excerpt: Excerpt, margin: int, style: str) -> Iterator[Line]:
    """The line, and marks under what is meant."""
    yield (f" {excerpt.line:>{margin}} | ", "dim"), (excerpt.text, "")
    before, meant = excerpt.text[: excerpt.start], excerpt.text[excerpt.start : excerpt.end]
    gap = "".join("\t" if sign == "\t" else " " * _width(sign) for sign in before)
    yield (f" {'':>{margin}} | {gap}", "dim"), ("^" * max(1, sum(map(_width, meant))), style)


def summary(report: Report) -> Iterator[str]:
    """What came of it, in a few sentences, one a line."""
    counted = [f"{count} {_PLURALS[severity][count != 1]}" for severity, count in report.counts().items()]
    where = f"{_count(report.files, 'file')}, {_count(report.lines, 'line')}"
    took = f", {report.seconds:.1f} s" if report.seconds else ""
    total = _count(len(report.found), "finding")
    yield f"{total} ({', '.join(counted)}) in {where}{took}." if counted else f"No findings in {where}{took}."
    for title, troubles in (("left out", report.left_out), ("not checked", report.failed)):
        yield from (f"{title}: {one.place}: {one.reason}" for one in troubles)
    if report.unfinished:
        yield f"Stopped before the end: {_count(report.unfinished, 'file')} not looked at."


def mended_summary(reports: tuple[FileReport, ...], *, written: bool) -> Iterator[str]:
    """What the fixes did, or would do, file by file."""
    for one in reports:
        if one.mended is not None:
            rules = ", ".join(sorted(set(one.mended.done)))
            verb = "fixed" if written else "would fix"
            yield f"{verb} {_count(len(one.mended.done), 'finding')} in {one.target.shown}: {rules}"


def percent(share: float) -> str:
    """A confidence for a person."""
    return f"{100 * share:.0f} %"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _remark(margin: int, name: str, said: str) -> Line:
    return (f" {'':>{margin}} = {name}: ", "dim"), (_one_line(said), "")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _width(sign: str) -> int:
    """How many columns of a terminal a character takes."""
    if unicodedata.combining(sign):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1
