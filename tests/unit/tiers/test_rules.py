from __future__ import annotations

import subprocess
import sys

import pytest

from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.tiers.finding import Category, Finding, Severity, Tag
from leanvibe_lsp.tiers.patterns import Tree
from leanvibe_lsp.tiers.rules import find_all, read_rules, rules_for

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
    assert list(find_all([rule], Tree("print(1, a)\n", "python"))) == [
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
        )
    ]


def test_an_ast_grep_rule_works_as_it_is() -> None:
    """Only its own fields: several in one file, those that are off left out, the id for want of a message."""
    one = "id: one\nlanguage: Python\nrule: {pattern: one()}"
    off = "id: two\nlanguage: py\nseverity: off\nrule: {kind: call}"
    (rule,) = read_rules(f"{off}\n---\n{one}\n---\n{off.replace('off', repr('off'))}", source="ours.yml")
    (finding,) = find_all([rule], Tree("one()", "python"))
    assert (finding.message, finding.severity, finding.confidence) == ("one", Severity.HINT, 0.7)
    assert read_rules("", source="empty.yml") == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id: a\nlanguage: Cobol\nrule: {kind: call}", "language: there is no 'cobol'"),
        ("id: a\nlanguage: Python\nrule: {kind: nonsense}", "Kind `nonsense` is invalid"),
        ("id: a\nlanguage: Python\nrule: {patern: x}", "unknown field `patern`"),
        ("id: a\nlanguage: Python\nrule: {regex: (}", ""),
        ("id: a\nlanguage: Python\nfiles: [x]\nrule: {kind: call}", "files: Extra inputs are not permitted"),
        ("id: a\nlanguage: Python", "rule: Field required"),
        ("- a\n- b", ""),
        ("just words", ""),
        ("{", ""),
    ],
)
def test_what_is_no_rule_is_said(text: str, problem: str) -> None:
    """The file is named, and what is wrong with it."""
    with pytest.raises(UsageError) as caught:
        read_rules(text, source="mine.yml")
    assert caught.value.message.startswith("mine.yml is no rule that can be used: ")
    assert problem in caught.value.message


def test_nothing_is_imported_before_the_first_text() -> None:
    """ast-grep and YAML cost the start of the server nothing."""
    code = "import sys, leanvibe_lsp.lsp.assembly; print({'ast_grep_py', 'yaml'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "set()"


def test_leaving_rules_out_loses_nothing() -> None:
    """All rules at once find what each finds alone, in all texts that any of them is about."""
    for language in ("python", "javascript", "tsx", "go"):
        rules = rules_for(language)
        text = "\n".join(case for rule in rules for case in rule.invalid)
        tree = Tree(text, language)
        alone = [finding for rule in rules for finding in rule.findings(tree)]
        assert list(find_all(rules, tree)) == alone
        assert len(alone) >= len(rules)
