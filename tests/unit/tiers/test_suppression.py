from __future__ import annotations

import re
from time import thread_time

import pytest

from leanvibe_lsp.core.edits import applied
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.tiers.finding import Finding, Severity
from leanvibe_lsp.tiers.suppression import UNUSED, directives, silenced


def looked(text: str) -> tuple[Finding, ...]:
    """Every BAD is a finding of rule a/bad, every WORSE one of a/worse; comments begin with # or stand in /* */."""
    lines = LineIndex(text)
    code = re.sub(r"#.*|/\*(?s:.)*?\*/", lambda found: " " * len(found[0]), text)
    findings = [
        Finding(f"a/{found[0].lower()}", "m", Severity.WARNING, Span(*found.span()), found[0], 1.0)
        for found in re.finditer(r"BAD|WORSE", code)
    ]
    comments = [Span(*found.span()) for found in re.finditer(r"#.*|/\*(?s:.)*?\*/", text)]
    return silenced(findings, directives(comments, lines), lines)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("BAD", ["a/bad"]),
        ("BAD  # leanvibe: ignore[a/bad]", []),
        ("BAD  # leanvibe: ignore[a/bad] for a reason", []),
        ("BAD  # noqa  leanvibe: ignore[a/*]", []),
        ("BAD WORSE # leanvibe: ignore[a/bad, a/worse]", []),
        ("BAD WORSE # leanvibe: ignore", []),
        ("BAD WORSE # leanvibe: ignore[a/bad]", ["a/worse"]),
        ("  # leanvibe: ignore[a/bad]\n  BAD", []),
        ("# leanvibe: ignore[a/bad]\n# leanvibe: ignore[a/worse]\nBAD WORSE", []),
        ("# leanvibe: ignore[a/bad]\r\nBAD\r\nBAD", ["a/bad"]),
        ("BAD\nBAD\n# leanvibe: ignore-file[a/bad]", []),
        ("BAD WORSE\n# leanvibe: ignore-file", []),
        ("/*\n leanvibe: ignore[a/bad]\n*/\nBAD", []),
        ("x # leanvibe: ignore[a/bad]\nBAD", [UNUSED, "a/bad"]),
        ("BAD # leanvibe: ignore[b/bad]", ["a/bad", UNUSED]),
        ("BAD # leanvibe: ignore[a/bad, a/worse]", [UNUSED]),
        ("# leanvibe: ignore[a/bad]\n\nBAD", [UNUSED, "a/bad"]),
        ("BAD # leanvibe: ignored", ["a/bad"]),
        ("BAD # as in `leanvibe: ignore[a/bad]`", ["a/bad"]),
        ("BAD # leanvibe: ignore-line", ["a/bad"]),
    ],
)
def test_what_a_comment_silences(text: str, left: list[str]) -> None:
    """Its own line, or the next one when it stands alone, or the file; and it is named when it silences nothing."""
    assert [finding.rule for finding in looked(text)] == left


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("x  # leanvibe: ignore[a/bad]\ny", "x\ny"),
        ("x\n  # leanvibe: ignore\r\ny", "x\ny"),
        ("x\n/* leanvibe: ignore[a/bad] */", "x\n"),
        ("BAD # leanvibe: ignore[a/worse, a/bad,b]", "BAD # leanvibe: ignore[a/bad]"),
        ("x # leanvibe: ignore[a/bad] for a reason", None),
    ],
)
def test_the_fix_of_one_that_silences_nothing(text: str, fixed: str | None) -> None:
    """It takes out what is not needed and the comment with it, but nothing a person wrote beside it."""
    (finding,) = looked(text)
    assert finding.rule == UNUSED
    assert finding.quote == text[finding.span.start : finding.span.end]
    assert (applied(text, finding.fix) if finding.fix else None) == fixed


@pytest.mark.parametrize(
    "line", ["# leanvibe: ignore[a/bad]\n", "BAD # leanvibe: ignore[a/bad]\n", "BAD\n# leanvibe: ignore-file[a/bad]\n"]
)
def test_many_of_them_cost_their_number(line: str) -> None:
    """Twice the comments and findings take no more than about twice as long."""

    def took(number: int) -> float:
        taken = []
        for _ in range(3):
            began = thread_time()
            looked(line * number)
            taken.append(thread_time() - began)
        return min(taken)

    assert took(4_000) < 4 * took(2_000) + 0.05
