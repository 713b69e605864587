from __future__ import annotations

from pathlib import Path

import pytest

from leanvibe_lsp.core.edits import applied
from leanvibe_lsp.tiers.patterns import LANGUAGES, Tree
from leanvibe_lsp.tiers.rule import Rule, rule_of
from leanvibe_lsp.tiers.rule_files import read_file
from leanvibe_lsp.tiers.rules import LIBRARY, rules_for
from leanvibe_lsp.tiers.scan import scan

_FILES = sorted(LIBRARY.rglob("*.yml"))
_READ = {file: read_file(file.read_text(encoding="utf-8"), trusted=True) for file in _FILES}
_RULES = [rule_of(values) for read in _READ.values() for values in read.values]
_CASES = [pytest.param(rule, language, id=f"{rule.id}-{language}") for rule in _RULES for language in rule.languages]


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.relative_to(LIBRARY).as_posix())
def test_a_file_is_one_rule(file: Path) -> None:
    """It is understood, and its id is the file's path in the library."""
    assert _READ[file].problems == ()
    assert [one["id"] for one in _READ[file].values] == [file.relative_to(LIBRARY).with_suffix("").as_posix()]


def test_every_rule_is_served_for_its_languages() -> None:
    """`rules_for` gives each rule to all languages that it names, and to no other."""
    served = {(rule.id, language) for language in LANGUAGES for rule in rules_for(language)}
    assert served == {(rule.id, language) for rule in _RULES for language in rule.languages}


@pytest.mark.parametrize("rule", _RULES, ids=lambda rule: rule.id)
def test_every_rule_is_whole(rule: Rule) -> None:
    """Three cases of each kind at least, a sentence of message and of note, and a result for each fix."""
    assert len(rule.valid) >= 3
    assert len(rule.invalid) >= 3
    assert rule.message.endswith((".", "?"))
    assert rule.note.endswith(".")
    assert len(rule.fixed) == (0 if rule.fix is None else len(rule.invalid))
    assert bool(rule.fix) == bool(rule.fix_title)


@pytest.mark.parametrize(("rule", "language"), _CASES)
def test_valid_texts_are_left_alone(rule: Rule, language: str) -> None:
    """The rule finds nothing in its valid texts."""
    found = {text: [finding.quote for finding in scan(text, language, [rule])] for text in rule.valid}
    assert found == {text: [] for text in rule.valid}


@pytest.mark.parametrize(("rule", "language"), _CASES)
def test_invalid_texts_are_found_once(rule: Rule, language: str) -> None:
    """The rule finds exactly one place in each of its invalid texts, and quotes it."""
    for text in rule.invalid:
        findings = scan(text, language, [rule])
        assert len(findings) == 1, text
        assert text[findings[0].span.start : findings[0].span.end] == findings[0].quote


@pytest.mark.parametrize(("rule", "language"), [case for case in _CASES if case.values[0].flow is None])
def test_what_a_rule_needs_is_there(rule: Rule, language: str) -> None:
    """`needs`, and the words that are read from its patterns, leave nothing out: without them it finds the same."""
    for text in (*rule.valid, *rule.invalid):
        assert list(scan(text, language, [rule])) == list(rule.findings(Tree(text, language))), text


@pytest.mark.parametrize(("rule", "language"), _CASES)
def test_a_fix_makes_the_text_it_promises(rule: Rule, language: str) -> None:
    """The fix applied gives the text in `fixed`, in which the rule finds nothing."""
    for text, wanted in zip(rule.invalid, rule.fixed, strict=False):
        (finding,) = scan(text, language, [rule])
        assert applied(text, finding.fix) == wanted
        assert scan(wanted, language, [rule]) == ()
