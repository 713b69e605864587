"""What a person wants to know of a finding or a rule: why, how sure, how to mend it, how to silence it. Pure.

No model is asked: all of it stands in the rule and in the file.
"""

from __future__ import annotations

from collections.abc import Iterator

from leanvibe_lsp.assist.suppress import suppression
from leanvibe_lsp.core.edits import applied
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.review.catalogue import Entry
from leanvibe_lsp.review.mending import diff, proven
from leanvibe_lsp.review.text import STYLES, Line, excerpt_lines, percent
from leanvibe_lsp.review.values import Found
from leanvibe_lsp.tiers.rule import Rule

_RUNGS = {
    "rules": "A rule: it looks at the code alone, and always says the same of the same code",
    "classifier": "A small classifier: it learned what risky code looks like, and does not know what this is for",
    "model": "A language model",
}


def finding_lines(one: Found, snapshot: Snapshot) -> Iterator[Line]:
    """All that is known of a finding; `snapshot` is the text that it was found in."""
    finding = one.finding
    where = f"{one.target.shown}:{one.region.line}:{one.region.column}"
    yield (where, "bold"), (f" {finding.severity}: ", STYLES[finding.severity]), (finding.message, "")
    margin = len(str(max(one.excerpt.line, *(step.excerpt.line for step in one.steps), 0)))
    yield from excerpt_lines(one.excerpt, margin, STYLES[finding.severity])
    yield from _section("Why it is wrong", finding.note or finding.message)
    yield from _section("How to mend it", finding.mend)
    if one.steps:
        yield from _title("Evidence")
        for number, step in enumerate(one.steps, 1):
            yield _said(f"{number}. line {step.region.line}: {step.message}")
            yield from excerpt_lines(step.excerpt, margin, "dim")
        yield _said(f"{len(one.steps) + 1}. line {one.region.line}: {finding.message}")
    yield from _title("Who says so, and how sure")
    yield _said(f"{_RUNGS.get(finding.rung, finding.rung)}.")
    yield _said(f"Confidence {percent(finding.confidence)}: so many of a hundred such places deserve a look.")
    if one.also:
        others = ", ".join(f"{other.rule} ({percent(other.confidence)})" for other in one.also)
        yield _said(f"Also found by {others}; the surer one is shown.")
    yield from _facts(finding.rule, finding.cwe, finding.link, one.fingerprint, one.symbol)
    edits = proven(finding, snapshot)
    if edits:
        yield from _title(f"The fix: {finding.fix_title or 'as the rule has it'} (leanvibe check --fix)")
        yield from _diff(one, snapshot, applied(snapshot.text, edits))
    yield from _silencing(one, snapshot)


def rule_lines(entry: Entry) -> Iterator[Line]:
    """All that is known of a rule."""
    rule = entry.rule
    yield (rule.id, "bold"), (f" {rule.severity}: ", STYLES[rule.severity]), (rule.message, "")
    yield from _section("Why it is wrong", rule.note)
    yield from _section("How to mend it", rule.mend)
    yield from _title("Who says so, and how sure")
    kind = "It follows data from where it comes in to where it must not go" if rule.flow else "It looks for a structure"
    yield _said(f"{kind}, in {', '.join(rule.languages)}.")
    less = "; a way of data that is less clear has less" if rule.flow is not None else ""
    yield _said(f"Confidence {percent(rule.confidence)}, as its author sees it{less}.")
    if rule.fix is not None:
        yield _said(f"It has a fix: {rule.fix_title or 'see below'} (leanvibe check --fix).")
    yield from _facts(rule.id, rule.cwe, rule.link, "", "")
    yield _said(f"file      {entry.file}")
    yield from _settings(rule.id)


def case_lines(rule: Rule) -> Iterator[Line]:
    """The rule's cases: what it finds, what it leaves alone."""
    for title, texts in (("It finds", rule.invalid), ("It leaves alone", rule.valid), ("Its fix makes", rule.fixed)):
        if texts:
            yield from _title(title)
        for number, text in enumerate(texts):
            if number:
                yield _said("--", "dim")
            yield from map(_said, text.rstrip("\n").split("\n"))


def _section(title: str, text: str) -> Iterator[Line]:
    if text:
        yield from _title(title)
        yield _said(text)


def _said(text: str, style: str = "") -> Line:
    return ((f"  {text}", style),)


def _title(title: str) -> Iterator[Line]:
    yield ()
    yield ((title, "bold"),)


def _facts(rule: str, cwe: int | None, link: str, fingerprint: str, symbol: str) -> Iterator[Line]:
    facts = (
        ("rule", rule),
        ("weakness", f"CWE-{cwe}" if cwe is not None else ""),
        ("more", link),
        ("in", symbol),
        ("id", fingerprint),
    )
    yield from (_said(f"{name:9} {value}") for name, value in facts if value)


def _diff(one: Found, snapshot: Snapshot, after: str) -> Iterator[Line]:
    for line in diff(one.target.within, snapshot.text, after).splitlines():
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
        yield _said(line, style)


def _silencing(one: Found, snapshot: Snapshot) -> Iterator[Line]:
    rules = (one.finding.rule, *(other.rule for other in one.also))
    yield from _title("How to silence it")
    edit = suppression(snapshot, one.finding.span, ", ".join(rules))
    if edit is not None:
        yield _said("here:")
        yield from _diff(one, snapshot, applied(snapshot.text, (edit,)))
    else:
        yield _said(f"here:      no comment can stand there for leanvibe: ignore[{', '.join(rules)}]")
    yield _said(f"this file: a comment with  leanvibe: ignore-file[{', '.join(rules)}]")
    yield from _in_settings(one.finding.rule)


def _settings(rule: str) -> Iterator[Line]:
    yield from _title("How to silence it")
    yield _said(f"a place:   a comment with  leanvibe: ignore[{rule}] reason")
    yield _said(f"a file:    a comment with  leanvibe: ignore-file[{rule}] reason")
    yield from _in_settings(rule)


def _in_settings(rule: str) -> Iterator[Line]:
    yield _said("everywhere, in leanvibe.toml:")
    yield _said("  [diagnostics]")
    yield _said(f'  severity = {{ "{rule}" = "off" }}')
