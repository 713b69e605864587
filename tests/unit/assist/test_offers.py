from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.assist.analyze import analyze
from leanvibe_lsp.assist.answer import Place
from leanvibe_lsp.assist.changes.mending import mended, prove
from leanvibe_lsp.assist.changes.values import ChangeKind, ChangeRequest, Complaint
from leanvibe_lsp.assist.offering import Act, Offer
from leanvibe_lsp.assist.offers import (
    NEVER_SAVED,
    NO_COMMENT,
    NO_STATEMENTS,
    NO_SYMBOL,
    NOT_READ,
    carried,
    for_complaints,
    for_place,
    whole_statements,
)
from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.core.edits import TextEdit, applied
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.tiers.finding import Finding, Severity

TEXT = """\
import os

class Box:
    def put(self, thing):
        a = thing + 1
        b = a * 2
        if b:
            b -= 1
        return b
"""


def snapshot_of(text: str, language: str = "python") -> Snapshot:
    return Snapshot("file:///project/a", Path("/project/a"), language, 1, text, LineIndex(text))


def span_of(text: str, part: str) -> Span:
    start = text.index(part)
    return Span(start, start + len(part))


def offered(part: str, text: str = TEXT, language: str = "python") -> dict[str, tuple[str, str]]:
    """Title -> the text it is about and why not."""
    found = for_place(snapshot_of(text, language), span_of(text, part))
    return {offer.title: (text[offer.span.start : offer.span.end], offer.reason) for offer in found}


def test_a_cursor_is_about_the_definition_around_it() -> None:
    """The innermost one; the offers name it."""
    put = TEXT[TEXT.index("def put") :].rstrip("\n")
    cursor = span_of(TEXT, "thing + 1").start
    found = for_place(snapshot_of(TEXT), Span(cursor, cursor))
    assert [(offer.title, TEXT[offer.span.start : offer.span.end], offer.reason) for offer in found] == [
        ("Explain with LeanVibe", "", ""),
        ("Simplify 'put'", put, ""),
        ("Change 'put' with LeanVibe…", put, ""),
        ("Rename for clarity in 'put'", put, ""),
        ("Extract into a function", "", NO_STATEMENTS),
        ("Document 'put'", put, ""),
        ("Write tests for 'put'", put, ""),
        ("Review 'put' with LeanVibe", put, ""),
        ("Review this file with LeanVibe", TEXT, ""),
    ]


def test_a_selection_is_what_is_changed() -> None:
    """Without the white space at its ends; documentation and tests are still about the definition."""
    found = offered("        a = thing + 1\n        b = a * 2\n")
    selected = "a = thing + 1\n        b = a * 2"
    assert found["Simplify the selected code"] == (selected, "")
    assert found["Change the selected code with LeanVibe…"] == (selected, "")
    assert found["Extract into a function"] == (selected, "")
    assert found["Document 'put'"][0].startswith("def put")


def test_a_class_is_documented_and_tested_but_has_no_names_inside() -> None:
    """What is offered for a class; names are those of one routine."""
    found = offered("class Box")
    assert found["Document 'Box'"][1] == ""
    assert found["Write tests for 'Box'"][1] == ""
    assert found["Rename for clarity in the code here"][1] == NO_SYMBOL


def test_outside_of_all_definitions_the_reason_is_said() -> None:
    """Everything but an explanation needs something to be about."""
    at = Span(0, 0)
    reasons = {offer.change: offer.reason for offer in for_place(snapshot_of(TEXT), at)}
    assert reasons == {
        None: "",
        ChangeKind.SIMPLIFY: NO_SYMBOL,
        ChangeKind.REWRITE: NO_SYMBOL,
        ChangeKind.RENAME: NO_SYMBOL,
        ChangeKind.EXTRACT: NO_STATEMENTS,
        ChangeKind.DOCUMENT: NO_SYMBOL,
        ChangeKind.TESTS: NO_SYMBOL,
    }


def test_a_reason_from_outside_counts_for_all_that_needs_a_model() -> None:
    """No model, a secret file: said with every offer of a place but a review, which begins on rungs without one."""
    found = for_place(snapshot_of(TEXT), span_of(TEXT, "class Box"), reason="No model.")
    assert {offer.reason for offer in found if offer.act is not Act.REVIEW} == {"No model."}
    assert {offer.reason for offer in found if offer.act is Act.REVIEW} == {""}


def test_what_cannot_work_here_is_not_offered() -> None:
    """Tests for a file that is nowhere, or in a language that we cannot test; functions out of a shell script."""

    def reasons(text: str, language: str, path: Path | None) -> dict[ChangeKind | None, str]:
        snapshot = replace(snapshot_of(text, language), path=path)
        part = span_of(text, {"python": "a = thing + 1", "c": "y *= 2;", "shellscript": "echo $a"}[language])
        return {offer.change: offer.reason for offer in for_place(snapshot, part)}

    assert reasons(TEXT, "python", None)[ChangeKind.TESTS] == NEVER_SAVED
    assert reasons(TEXT, "python", Path("/project/a"))[ChangeKind.TESTS] == ""
    assert reasons(C, "c", Path("/project/a"))[ChangeKind.TESTS] == "It is not known how c is tested."
    assert reasons(C, "c", Path("/project/a"))[ChangeKind.EXTRACT] == ""
    assert reasons(BASH, "shellscript", Path("/project/a"))[ChangeKind.EXTRACT] == NOT_READ


def test_a_finding_where_no_comment_can_stand_is_not_to_be_ignored() -> None:
    """It is said beforehand; elsewhere it is offered."""
    text = "q = 1\nt = '''\na\nb\nc\n'''\n"
    reasons = []
    for word in ("q", "b"):
        complaint = replace(OURS, span=span_of(text, word))
        reasons += [one.reason for one in for_complaints(snapshot_of(text), [complaint], ()) if one.act is Act.SUPPRESS]
    assert reasons == ["", NO_COMMENT]


def test_a_language_without_structure_says_so() -> None:
    """A text that cannot be parsed can be explained, and nothing else."""
    found = for_place(snapshot_of("x\n", "unheard-of"), Span(0, 1))
    assert [offer.reason for offer in found][:2] == [
        "",
        "LeanVibe cannot read the structure here: the language is not known.",
    ]


GO = "package a\n\nfunc f(x int) int {\n\ty := x + 1\n\ty *= 2\n\treturn y\n}\n"
JAVASCRIPT = "function f(x) {\n  const y = x + 1;\n  g(y);\n  return y;\n}\n"
RUBY = "def f(x)\n  y = x + 1\n  y * 2\nend\n"
C = "int f(int x) {\n  int y = x;\n  y *= 2;\n  return y;\n}\n"
RUST = "fn f(x: i32) -> i32 {\n    let y = x + 1;\n    y * 2\n}\n"
BASH = "f() {\n  a=1\n  echo $a\n}\n"


@pytest.mark.parametrize(
    ("language", "text", "part", "whole"),
    [
        ("python", TEXT, "a = thing + 1", True),
        ("python", TEXT, "a = thing + 1\n        b = a * 2", True),
        ("python", TEXT, "if b:\n            b -= 1\n        return b", True),
        ("python", TEXT, "b -= 1", True),
        ("python", TEXT, "thing + 1", False),
        ("python", TEXT, "= thing + 1\n        b = a * 2", False),
        ("python", TEXT, "b -= 1\n        return b", False),
        ("python", TEXT, "def put(self, thing):\n        a = thing + 1", False),
        ("python", TEXT, TEXT[TEXT.index("def put") :].rstrip(), False),
        ("python", "x = (\n", "x = (", False),
        ("go", GO, "y := x + 1\n\ty *= 2", True),
        ("go", GO, "x + 1", False),
        ("javascript", JAVASCRIPT, "const y = x + 1;\n  g(y);", True),
        ("javascript", JAVASCRIPT, "g(y);", True),
        ("javascript", JAVASCRIPT, "x + 1", False),
        ("ruby", RUBY, "y = x + 1\n  y * 2", True),
        ("c", C, "int y = x;\n  y *= 2;", True),
        ("c", C, "y *= 2", False),
        ("rust", RUST, "let y = x + 1;", True),
        ("shellscript", BASH, "a=1\n  echo $a", True),
    ],
)
def test_only_whole_statements_are_extracted(language: str, text: str, part: str, whole: bool) -> None:
    """One statement, or several of one block, from its first character to its last."""
    span = span_of(text, part)
    assert whole_statements(snapshot_of(text, language), span) == (span if whole else None)


FSTRING = "def f():\n    return f'abc'\n"
RULE = "python/f-string-without-placeholder"
OURS = Complaint(span_of(FSTRING, "f'abc'"), "Nothing is filled in.", RULE, "leanvibe", RULE)
THEIRS = Complaint(Span(3, 4), "Name 'x'\n is not defined" + " here" * 30, "F821", "ruff")
SHORT = "Name 'x' is not defined here here here here here here here here here here here…"
FINDINGS = analyze(snapshot_of(FSTRING), EditorSettings())


def test_the_rules_own_fix_comes_first_and_needs_no_model() -> None:
    """Then the rest; where a rule has a fix, the model is not offered for it. Only what was proven is called so."""
    snapshot = snapshot_of(FSTRING)
    mend = Offer(Act.MEND, "Remove the f", OURS.span, ChangeKind.FIX, OURS, FINDINGS[0])
    assert for_complaints(snapshot, (OURS,), FINDINGS)[0] == mend
    assert prove(FINDINGS[0], snapshot)
    assert for_complaints(snapshot, (THEIRS, OURS), FINDINGS, reason="No model.") == (
        replace(mend, proven=True),
        Offer(Act.CHANGE, f"Fix with LeanVibe: {SHORT}", THEIRS.span, ChangeKind.FIX, THEIRS, reason="No model."),
        Offer(Act.EXPLAIN, f"Explain with LeanVibe: {SHORT}", THEIRS.span, complaint=THEIRS, reason="No model."),
        Offer(Act.EXPLAIN, f"Explain with LeanVibe: {OURS.message}", OURS.span, complaint=OURS, reason="No model."),
        Offer(Act.SUPPRESS, f"Ignore {RULE} on this line", OURS.span, complaint=OURS),
    )


@pytest.mark.parametrize(
    "findings",
    [
        (replace(FINDINGS[0], span=Span(0, 8)),),
        (replace(FINDINGS[0], rule="python/other"),),
        (replace(FINDINGS[0], fix=()),),
        (replace(FINDINGS[0], fix=(TextEdit(Span(0, 3), ""),)),),
    ],
    ids=["another place", "another rule", "no fix", "a fix that breaks the code"],
)
def test_a_fix_is_that_of_the_very_finding_and_proven(findings: tuple[Finding, ...]) -> None:
    """Else it is the model's to mend."""
    snapshot = snapshot_of(FSTRING)
    prove(findings[0], snapshot)
    offers = for_complaints(snapshot, (OURS,), findings)
    assert [offer.act for offer in offers] == [Act.CHANGE, Act.EXPLAIN, Act.SUPPRESS]


def test_a_change_for_our_own_complaint_is_made_by_its_rule() -> None:
    """Proven, at no cost, and it says that a rule did it."""
    request = ChangeRequest(ChangeKind.FIX, Place(snapshot_of(FSTRING), OURS.span), complaint=OURS)
    made = mended(request, EditorSettings())
    assert made is not None
    assert applied(FSTRING, made.files[0].edits) == FSTRING.replace("f'abc'", "'abc'")
    assert (made.title, made.proven, made.answer.tier, made.attempts) == ("Remove the f", True, "rules", 0)
    assert mended(replace(request, complaint=THEIRS), EditorSettings()) is None
    assert mended(replace(request, complaint=None), EditorSettings()) is None


@given(st.integers(0, 10_000))
@settings(max_examples=200, deadline=None)
def test_findings_are_carried_to_where_their_text_is(seed: int) -> None:
    """Those that no edit touched, each over the text it was found in, and its fix with it."""
    draw = random.Random(seed)
    before = "".join(draw.choice(("ab", "x = f'y'\n", "\n", "é ")) for _ in range(20))
    starts = [at for at in range(len(before)) if before.startswith("f'y'", at)]
    found = [
        Finding("a/b", "m", Severity.HINT, Span(at, at + 4), "f'y'", 1.0, fix=(TextEdit(Span(at, at + 1), ""),))
        for at in starts
    ]
    text, since = before, list[TextEdit]()
    for _ in range(draw.randrange(6)):
        start = draw.randrange(len(text) + 1)
        edit = TextEdit(Span(start, min(len(text), start + draw.randrange(4))), draw.choice(("", "Q", "\n\n", "QQQ")))
        since.append(edit)
        text = applied(text, (edit,))
    left = carried(found, since)
    assert [text[one.span.start : one.span.end] for one in left] == ["f'y'"] * len(left)
    assert [text[one.fix[0].span.start] for one in left] == ["f"] * len(left)
    assert len(left) == len(found) or since


def test_a_finding_that_was_touched_is_not_carried() -> None:
    """Inside, at its beginning and at its end; elsewhere it moves, or stays."""
    one = Finding("a/b", "m", Severity.HINT, Span(4, 8), "f'y'", 1.0, fix=(TextEdit(Span(4, 5), ""),))
    for at in (4, 6, 8):
        assert carried([one], [TextEdit(Span(at, at), "z")]) == ()
    assert carried([one], [TextEdit(Span(9, 9), "z")]) == (one,)
    moved = replace(one, span=Span(6, 10), fix=(TextEdit(Span(6, 7), ""),))
    assert carried([one], [TextEdit(Span(0, 0), "zz")]) == (moved,)
