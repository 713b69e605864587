"""Features of a request."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.tiers.intent.features import features


def test_blocks_hold_characters_words_and_hints():
    """Runs within a word, words and pairs with the ends marked, hints by name."""
    characters, words, hints = features("Fix it?", "panel", True)
    assert "cfix" in characters
    assert "c fi" in characters
    assert not [one for one in characters if " " in one.removeprefix("c").strip()]
    assert {"wfix", "w^ fix", "wfix it", "wit $"} <= set(words)
    assert {"hfix-verb", "h1 fix-verb", "hquestion", "hpanel", "hselection"} <= set(hints)


def test_courtesies_and_numbers_do_not_matter():
    """What is around the request, and which number stands in it."""
    assert features("please sort 12 rows", "inline", None) == features("sort 99 rows", "inline", None)


def test_an_unknown_selection_says_nothing():
    """Three values, three sets of hints."""
    said = {features("sort", "inline", value)[2] for value in (None, True, False)}
    assert len(said) == 3


@given(st.text(max_size=2_000))
def test_any_text_has_features(text):
    """No error, and no more than the part that is looked at can hold."""
    characters, words, _hints = features(text, "inline", None)
    assert all(one[0] == "c" for one in characters)
    assert all(one[0] == "w" for one in words)
    assert len(words) < 2 * 18 * 400 + 2  # NFKC makes 18 characters of one, at most
