from __future__ import annotations

from typing import Any

import pytest

from leanvibe_lsp.tiers.words import may_fit, needed_words


@pytest.mark.parametrize(
    ("rule", "needed"),
    [
        ({"pattern": "yaml.load($TEXT)"}, [{"yaml"}, {"load"}]),
        ({"pattern": "$A == $B"}, []),
        ({"kind": "call", "regex": "^eval"}, []),
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
    """Words that a pattern spells out, never what a variable, a kind or one branch of several may stand for."""
    utils = {"round": {"any": [{"matches": "round"}, {"pattern": "way"}], "all": [{"pattern": "way"}]}}
    assert [set(words) for words in needed_words(rule, utils)] == needed


def test_a_text_may_fit_when_it_has_one_word_of_each_set() -> None:
    """All sets, any word of each."""
    needed = (frozenset({"one", "two"}), frozenset({"three"}))
    assert may_fit(needed, "two three")
    assert not may_fit(needed, "one two")
    assert may_fit((), "")
