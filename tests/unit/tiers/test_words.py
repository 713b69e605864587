from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.tiers.words import Word, may_fit, needed_words, vocabulary, words_of_regex


def texts(needed: object) -> list[set[str]]:
    return [{word.text for word in words} for words in needed]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("rule", "needed"),
    [
        ({"pattern": "yaml.load($TEXT)"}, [{"yaml"}, {"load"}]),
        ({"pattern": "$A == $B"}, []),
        ({"pattern": "on$A"}, []),
        ({"kind": "call", "regex": "^eval"}, [{"eval"}]),
        ({"kind": "call", "regex": r"^(subprocess\.)?(run|call)$"}, [{"run", "call"}]),
        ({"kind": "call", "regex": "(?i)PassW|pwd"}, [{"passw", "pwd"}]),
        ({"kind": "call", "regex": "[[:alpha:]]+$"}, []),
        ({"kind": "call", "regex": "not ( python's"}, []),
        ({"pattern": {"context": "class A { $B }", "selector": "x"}}, []),
        ({"all": [{"pattern": "one($A)"}, {"not": {"pattern": "two"}}]}, [{"one"}]),
        ({"any": [{"pattern": "one($A)"}, {"pattern": "$A.three()"}]}, [{"one", "three"}]),
        ({"any": [{"pattern": "one($A)"}, {"kind": "call"}]}, []),
        ({"kind": "call", "has": {"pattern": "one", "stopBy": "end"}}, [{"one"}]),
        ({"matches": "round"}, [{"way"}]),
        ({"matches": "elsewhere"}, []),
    ],
)
def test_what_a_rule_needs(rule: dict[str, Any], needed: list[set[str]]) -> None:
    """Words that it spells out, never what a variable, a kind or one branch of several may stand for."""
    utils = {"round": {"any": [{"matches": "round"}, {"pattern": "way"}], "all": [{"pattern": "way"}]}}
    assert texts(needed_words(rule, utils)) == needed


@pytest.mark.parametrize(
    ("regex", "needed"),
    [
        (r"\bis\s+['\"]", [Word("is")]),
        (r"is\s+['\"]", [Word("is", whole=False)]),
        (r"[.]execute\(", [Word("execute")]),
        (r"execute\w*\(", [Word("execute", whole=False)]),
        (r"(?i)\bexec\b", [Word("exec", whole=False, anycase=True)]),
        (r"ab?c", []),
        (r"\d+", []),
        (r"(", []),
    ],
)
def test_what_a_regular_expression_needs(regex: str, needed: list[Word]) -> None:
    """A word is whole where it must end on both sides."""
    assert words_of_regex(regex, whole=True) == tuple(frozenset({word}) for word in needed)


def test_a_text_may_fit_when_it_has_one_word_of_each_set() -> None:
    """All sets, any word of each; whole, as a part, in any case."""
    needed = (frozenset({Word("one"), Word("two")}), frozenset({Word("hre", whole=False)}))
    assert may_fit(needed, vocabulary("two three"))
    assert not may_fit(needed, vocabulary("one two"))
    assert not may_fit(needed, vocabulary("ones three"))
    assert may_fit((), vocabulary(""))
    assert may_fit((frozenset({Word("pass", whole=False, anycase=True)}),), vocabulary("my_PASSword"))


def test_what_is_not_ascii_separates_words() -> None:
    """In the text as in what is looked for."""
    there = vocabulary("na\u00efve\u2026one \U0001f600two")
    assert all(map(there.has, map(Word, ("na", "ve", "one", "two"))))
    assert not there.has(Word("na\u00efve"))
    assert texts(needed_words({"pattern": "na\u00efve()"}, {})) == [{"na"}, {"ve"}]


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            ["\\b", "\\s+", "ab", "cd?", "(ef|gh)", "[ij]", "\\(", "k+", "(?:lm){2}", "n*", "_o", "\\.", "(?i:Pq)"]
        ),
        max_size=6,
    ).map("".join),
    st.data(),
)
def test_what_matches_has_what_is_needed(regex: str, data: st.DataObject) -> None:
    """Of any text that a regular expression matches, nothing that it needs is missing."""
    text = data.draw(st.from_regex(regex)) + data.draw(st.text(alphabet="ab cd", max_size=5))
    if re.search(regex, text):
        assert may_fit(words_of_regex(regex, whole=True), vocabulary(text))
