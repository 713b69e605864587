from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from leanvibe_lsp.assist.found import found
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.config.settings import EditorSettings, Override
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.snapshot import read_snapshot
from leanvibe_lsp.review.look import excerpt_of, look_at
from leanvibe_lsp.review.values import Excerpt, Region, Wanted
from leanvibe_lsp.review.workspace import use_rules
from tests.unit.review.conftest import MakeTarget

BAD = """import os
from flask import request


class A:
    def f(self, x=[]):
        if x is "é":
            os.system("ls " + request.args["q"])
"""


def test_a_file_s_findings_are_the_editor_s(make: MakeTarget, wanted: Wanted, tmp_path: Path) -> None:
    """The same rules, places, severities, messages and confidences, by the settings and comments that count there."""
    text = BAD + "y = z is 'a'  # leanvibe: ignore[python/is-literal] why not\nz = 1  # leanvibe: ignore[python/x]\n"
    settings = EditorSettings(
        severity=(("python/mutable-default", "hint"),),
        overrides=(Override(("a.py",), (("python/is-literal", "off"),)),),
    )
    target = make("a.py", text)
    report = look_at(target, replace(wanted, settings={tmp_path: settings}))
    editor = found(read_snapshot(target.path), settings)
    told = {one.finding for one in report.found}
    assert told <= set(editor)
    stands = {other.rule for one in report.found for other in one.also}
    assert {one.rule for one in editor} - {one.rule for one in told} <= stands
    assert {one.rule: str(one.severity) for one in told if one.category != "security"} == {
        "python/mutable-default": "hint",
        "leanvibe/unused-suppression": "hint",
    }


def test_a_finding_can_be_told_without_its_file(make: MakeTarget, wanted: Wanted) -> None:
    """Place in UTF-16 units, line with the mark, symbol, fingerprint, the way of the data, who else found it."""
    report = look_at(make("a.py", BAD.replace('"é"', '"é𝒻"; y = x is "b"')), wanted)
    by_rule = {one.finding.rule: one for one in report.found}
    flow = by_rule["python/flow-command"]
    assert flow.symbol == "A.f"
    assert [step.region.line for step in flow.steps] == [8]
    assert [other.rule for other in flow.also] == ["python/shell-injection"]
    literal = by_rule["python/is-literal"]
    assert literal.region.line == 7
    assert literal.excerpt.text[literal.excerpt.start : literal.excerpt.end] == literal.finding.quote
    assert len({one.fingerprint for one in report.found}) == len(report.found)


def test_columns_count_as_editors_do(make: MakeTarget, wanted: Wanted) -> None:
    """A letter outside of the first plane counts two."""
    (one,) = look_at(make("a.py", "x = '𝒻', y is 'a'\n"), wanted).found
    assert one.region == Region(1, 11, 1, 19)


def test_a_fingerprint_outlives_edits_around_it(make: MakeTarget, wanted: Wanted) -> None:
    """Lines above it, another indentation, another layout, a comment, another file."""
    before = {one.finding.rule: one.fingerprint for one in look_at(make("a.py", BAD), wanted).found}
    moved = "# new\n\nimport sys\n\n" + BAD.replace('"ls " + request', '"ls "  +  request').replace("    ", "  ")
    after = {one.finding.rule: one.fingerprint for one in look_at(make("deep/b.py", moved), wanted).found}
    assert {rule: after.get(rule) for rule in before} == before
    renamed = {
        one.finding.rule: one.fingerprint for one in look_at(make("c.py", BAD.replace("def f", "def g")), wanted).found
    }
    assert not set(renamed.values()) & set(before.values())


def test_only_what_is_wanted(make: MakeTarget, wanted: Wanted) -> None:
    """By id and confidence; a fingerprint is the same whatever else is asked for."""
    target = make("a.py", BAD)
    every = {one.finding.rule: one for one in look_at(target, wanted).found}
    chosen = look_at(target, replace(wanted, select=("python/is-*", "python/mutable-default"), ignore=("*/mutable*",)))
    assert [one.fingerprint for one in chosen.found] == [every["python/is-literal"].fingerprint]
    sure = look_at(target, replace(wanted, least=0.95)).found
    assert sure
    assert all(one.finding.confidence >= 0.95 for one in sure)


@pytest.mark.parametrize(
    ("content", "left_out", "failed"),
    [
        (b"x = 1\0", "it is binary", ""),
        (b"# \xe9\n", "", "is not UTF-8"),
        (b"x = '" + b"a" * 30_000 + b"'\n", "a line is longer", ""),
        (b"x = 1\n" * 400_000, "larger than", ""),
        (b"\xef\xbb\xbfx is 'a'\r\n", "", ""),
    ],
    ids=["binary", "latin-1", "minified", "huge", "mark"],
)
def test_what_cannot_be_looked_at_is_said(
    make: MakeTarget, wanted: Wanted, content: bytes, left_out: str, failed: str
) -> None:
    """What nobody wrote by hand is left out; what somebody wrote and we cannot read was not checked."""
    report = look_at(make("a.py", content), wanted)
    assert left_out in report.left_out
    assert bool(report.left_out) == bool(left_out)
    assert failed in report.failed
    assert bool(report.failed) == bool(failed)
    assert bool(report.found) == (not left_out and not failed)


def test_a_file_that_breaks_what_looks_costs_itself(
    make: MakeTarget, wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told as not checked, with the reason."""
    monkeypatch.setattr("leanvibe_lsp.review.look.found", lambda *_: 1 / 0)
    assert "ZeroDivisionError" in look_at(make("a.py", "x = 1\n"), wanted).failed
    gone = make("b.py", "x = 1\n")
    gone.path.unlink()
    assert look_at(gone, wanted).failed == "does not exist"


def test_fixes_are_told_when_they_are_proven(make: MakeTarget, wanted: Wanted) -> None:
    """And only where that is asked for; a file is never written here."""
    target = make("a.py", "if x is 'a':\n    pass\n")
    assert look_at(target, wanted).found[0].fix == ()
    (part,) = look_at(target, replace(wanted, prove=True)).found[0].fix
    assert (part.text, part.region) == ("==", Region(1, 6, 1, 8))
    report = look_at(target, replace(wanted, mend=True))
    assert report.found == ()
    assert report.mended is not None
    assert report.mended.after == "if x == 'a':\n    pass\n"
    assert target.path.read_text() == report.mended.before


def test_rules_of_the_workspace_count(make: MakeTarget, wanted: Wanted, tmp_path: Path) -> None:
    """From when they are in use."""
    make(".leanvibe/rules/own.yml", "id: own/no-f\nlanguage: Python\nmessage: No $A.\nrule: {pattern: f($A)}\n")
    target = make("a.py", "f(1)\n")
    assert look_at(target, wanted).found == ()
    assert use_rules([tmp_path]) == ()
    assert [one.finding.message for one in look_at(target, wanted).found] == ["No 1."]


def test_a_long_line_is_cut_around_what_is_meant() -> None:
    """The mark stays under it."""
    most = limit("check.excerpt_characters")
    text = "a" * 1_000 + "MEANT" + "b" * 1_000
    cut = excerpt_of(Span(1_000, 1_005), LineIndex(text))
    assert len(cut.text) == most
    assert cut.text[cut.start : cut.end] == "MEANT"
    assert excerpt_of(Span(0, 3), LineIndex("ab\ncd")) == Excerpt(1, "ab", 0, 2)
    assert excerpt_of(Span(2, 2), LineIndex("ab\n")) == Excerpt(1, "ab", 2, 2)
    assert excerpt_of(Span(0, 2_005), LineIndex(text)).end == most
