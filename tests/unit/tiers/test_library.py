from __future__ import annotations

import pytest

from leanvibe_lsp.core.edits import applied
from leanvibe_lsp.tiers.patterns import LANGUAGES, Tree
from leanvibe_lsp.tiers.rules import LIBRARY, Rule, read_rules, rules_for

_FILES = sorted(LIBRARY.rglob("*.yml"))
_RULES = [rule for file in _FILES for rule in read_rules(file.read_text(encoding="utf-8"), source=file.name)]
_CASES = [pytest.param(rule, language, id=f"{rule.id}-{language}") for rule in _RULES for language in rule.languages]


def test_ids_are_unique_and_say_where_the_rule_stands() -> None:
    """One rule a file, and its id is the file's path in the library."""
    assert [rule.id for rule in _RULES] == [file.relative_to(LIBRARY).with_suffix("").as_posix() for file in _FILES]


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
    found = {text: [finding.quote for finding in rule.findings(Tree(text, language))] for text in rule.valid}
    assert found == {text: [] for text in rule.valid}


@pytest.mark.parametrize(("rule", "language"), _CASES)
def test_invalid_texts_are_found_once(rule: Rule, language: str) -> None:
    """The rule finds exactly one place in each of its invalid texts, and quotes it."""
    for text in rule.invalid:
        findings = list(rule.findings(Tree(text, language)))
        assert len(findings) == 1, text
        assert text[findings[0].span.start : findings[0].span.end] == findings[0].quote


@pytest.mark.parametrize(("rule", "language"), _CASES)
def test_a_fix_makes_the_text_it_promises(rule: Rule, language: str) -> None:
    """The fix applied gives the text in `fixed`, in which the rule finds nothing."""
    for text, wanted in zip(rule.invalid, rule.fixed, strict=False):
        (finding,) = rule.findings(Tree(text, language))
        assert applied(text, finding.fix) == wanted
        assert list(rule.findings(Tree(wanted, language))) == []
