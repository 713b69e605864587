"""Typing errors in the words that decide."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.tiers.intent.spelling import mended, slips

_LETTERS = st.text("abcdef", max_size=8)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("explian", "explain"),
        ("genrate", "generate"),
        ("fucntion", "function"),
        ("documnetaton", "documentation"),
        ("docsrting", "docstring"),
        ("optimise", "optimize"),
    ],
)
def test_a_slip_in_a_long_word_is_mended(typed, meant):
    """Swapped, left out, put in, mistaken."""
    assert mended(typed) == meant


@pytest.mark.parametrize(
    "word",
    ["functions", "generated", "commits", "contents", "explains", "documents", "white", "refactoring", "doc", ""],
)
def test_another_word_stays(word):
    """Other forms, words nearby, short words."""
    assert mended(word) == word


@given(_LETTERS, _LETTERS, _LETTERS)
def test_slips_are_counted_as_a_distance(one, other, third):
    """Nothing between a word and itself, alike both ways, never less than the lengths differ, at most the longer."""
    assert slips(one, one) == 0
    assert slips(one, other) == slips(other, one)
    assert abs(len(one) - len(other)) <= slips(one, other) <= max(len(one), len(other))
    assert (slips(one, other) == 0) == (one == other)
    assert slips(one + third, other + third) <= slips(one, other)


@given(st.text(max_size=20))
def test_mending_twice_changes_nothing(word):
    """What was mended is a word of ours."""
    assert mended(mended(word)) == mended(word)
