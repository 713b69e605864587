from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.tiers.finding import Category, Finding, Severity, Tag
from leanvibe_lsp.tiers.rule import rule_of
from leanvibe_lsp.tiers.rule_files import read_file, read_rules
from leanvibe_lsp.tiers.scan import scan

FULL = """
id: mine/print
language: [Python, js]
message: "`print($$$WHAT)` is for a person."
severity: info
note: It is noise in a log.
mend: Log it.
category: clarity
url: https://example.org/print
cwe: 532
confidence: 0.4
tags: [deprecated]
rule: { matches: said }
utils: { said: { pattern: print($$$WHAT) } }
fix: log($$$WHAT)
fixTitle: Log it
metadata: { author: me }
"""


def test_a_rule_with_every_field() -> None:
    """ast-grep's fields are ast-grep's, ours become those of the finding; of a fix only what differs."""
    (rule,) = read_rules(FULL, source="mine.yml")
    assert rule.languages == ("python", "javascript")
    assert scan("print(1, a)\n", "python", [rule]) == (
        Finding(
            rule="mine/print",
            message="`print(1, a)` is for a person.",
            severity=Severity.INFORMATION,
            span=Span(0, 11),
            quote="print(1, a)",
            confidence=0.4,
            note="It is noise in a log.",
            mend="Log it.",
            category=Category.CLARITY,
            cwe=532,
            link="https://example.org/print",
            tags=(Tag.DEPRECATED,),
            fix=(TextEdit(Span(0, 5), "log"),),
            fix_title="Log it",
        ),
    )


def test_an_ast_grep_rule_works_as_it_is() -> None:
    """Only its own fields: several in one file, those that are off left out, the id for want of a message."""
    one = (
        "id: one\nlanguage: Python\nrule: {pattern: one()}\nfix: {template: two()}\nfiles: [{glob: '*.py'}]\nlabels: {}"
    )
    off = "id: two\nlanguage: py\nseverity: off\nrule: {kind: call}"
    (rule,) = read_rules(f"{off}\n---\n{one}\n---\n{off.replace('off', repr('off'))}", source="ours.yml")
    (finding,) = scan("one()", "python", [rule])
    assert (finding.message, finding.severity, finding.confidence) == ("one", Severity.HINT, 0.7)
    assert (rule.fix, rule.files) == ("two()", ("*.py",))
    assert read_rules("", source="empty.yml") == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id: a\nlanguage: Cobol\nrule: {kind: call}", "line 2: language: there is no 'cobol'"),
        ("id: a\nlanguage: Python\nrule: {kind: nonsense}", "Kind `nonsense` is invalid"),
        ("id: a\nlanguage: Python\nrule: {patern: x}", "unknown field `patern`"),
        ("id: a\nlanguage: Python\nrule: {regex: (}", "line 3: "),
        ("id: a\nlanguage: Python\nfile: [x]\nrule: {kind: call}", "line 3: file: there is no such field"),
        ("id: a\nlanguage: Python", "one of `rule` (a structure) and `flow` (a way of data) is needed"),
        ("id: a\nlanguage: Python\nflow: {}", "line 3: flow"),
        ("id: a\nlanguage: Go\nflow: {kind: x, sinks: [{call: f}]}", "flow is for python only, not for go"),
        ("id: a\nlanguage: Python\nrule: {kind: call}\nneeds: (", "line 4: needs: is no regular expression"),
        ("id: a\nlanguage: Python\nrule: {kind: call}\nrewriters: [x]", "line 4: rewriters: they are not supported"),
        ("id: a\nlanguage: Python\nrule: {kind: call}\nfix: {template: a, expandEnd: {regex: b}}", "line 4: fix: only"),
        ("id: a\nlanguage: Python\nrule: {kind: call}\nconfidence: 2", "line 4: confidence: Input should be less"),
        ("id: a\nlanguage: Python\nrule: {kind: call}\nfiles: [1]", "line 4: files.0"),
        ("- a\n- b", "line 1: "),
        ("just words", "line 1: "),
        ("\n{", "this is no YAML: "),
        ("a: " + "[" * 100_000, "line 1: more than 64 levels stand in each other"),
        (
            "a: &a [1, 1, 1, 1, 1, 1, 1, 1]\n"
            + "\n".join(f"{new}: &{new} [{', '.join([f'*{old}'] * 8)}]" for old, new in ("ab", "bc", "cd", "de", "ef")),
            "has more than 10000 parts",
        ),
    ],
)
def test_what_is_no_rule_is_said(text: str, problem: str) -> None:
    """The file is named, the line, and what is wrong with it; nothing of it ends the process or takes for ever."""
    with pytest.raises(UsageError) as caught:
        read_rules(text, source="mine.yml")
    assert caught.value.message.startswith("mine.yml is no rule that can be used: ")
    assert problem in caught.value.message


def test_a_broken_document_costs_itself() -> None:
    """The others are rules; each problem has its own line, and each rule that of its id."""
    good = "id: {}\nlanguage: Python\nrule: {{pattern: one()}}\n"
    read = read_file(
        "\n---\n".join((good.format("one"), "id: two\nlanguage: Python\n", good.format("three"))), trusted=False
    )
    assert [(values["id"], line) for values, line in zip(read.values, read.lines, strict=True)] == [
        ("one", 1),
        ("three", 10),
    ]
    assert [one.line for one in read.problems] == [6]


def test_a_stranger_s_rule_may_not_search_below_below_below() -> None:
    """Each such relation multiplies the time; a rule of our own may have more."""
    rule = "{kind: identifier}"
    for _ in range(4):
        rule = f"{{kind: block, has: {{stopBy: end, all: [{rule}]}}}}"
    text = f"id: a\nlanguage: Python\nrule: {rule}"
    assert len(read_file(text, trusted=True).values) == 1
    (problem,) = read_file(text, trusted=False).problems
    assert problem.message == "4 relations that search all below a node stand in each other, and 3 may"


@settings(deadline=None, max_examples=100)
@given(
    st.text(max_size=80)
    | st.sampled_from(["id: a\n", "rule: {", "---\n", "&a", "*a", "!!python/object:x\n"]).map(lambda one: one * 3)
)
def test_any_text_can_be_read(text: str) -> None:
    """Never an exception; a problem is on a line of the text."""
    read = read_file(text, trusted=False)
    assert all(1 <= one.line <= text.count("\n") + text.count("\r") + 2 for one in read.problems)
    assert all(rule_of(values) for values in read.values)


@pytest.mark.parametrize(
    ("files", "ignores", "path", "used"),
    [
        ([], [], "a/b.py", True),
        (["*.py"], [], "a/b.py", True),
        (["tests/**"], [], "tests/a/b.py", True),
        (["tests/**"], [], "src/tests/b.py", False),
        (["./src"], [], "src/tests/b.py", True),
        (["**/tests/*.py"], [], "src/tests/b.py", True),
        ([], ["src/old"], "src/old/b.py", False),
        (["src/**"], ["test_*"], "src/test_b.py", False),
    ],
)
def test_a_rule_is_about_files(files: list[str], ignores: list[str], path: str, used: bool) -> None:
    """Globs on the path in the workspace; one without a slash is for any depth."""
    (rule,) = read_rules(
        f"id: a\nlanguage: Python\nrule: {{kind: call}}\nfiles: {files}\nignores: {ignores}", source="a"
    )
    assert rule.is_about(path) is used
