"""Slash commands and clear words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.tiers.intent.values import Intent
from leanvibe_lsp.tiers.intent.words import COMMANDS, clearest, command, core, normalised, phrases, spoken


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_heard_wherever_text_follows(name):
    """Alone, before text, in capitals; not in the middle of a text, and not as the beginning of another word."""
    assert command(name) == command(f"  {name.upper()} the parser") == COMMANDS[name]
    assert command(f"the {name} command") is None
    assert command(f"{name}ing") is None


@pytest.mark.parametrize("text", ["", "   ", "/", "/unknown thing", "explain /fix"])
def test_what_is_no_command_is_none(text):
    """Nothing, a slash alone, another tool's command."""
    assert command(text) is None


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("Please explain this regex", Intent.EXPLAIN),
        ("could you fix the import", Intent.FIX),
        ("this should not crash on None", Intent.FIX),
        ("write unit tests for Ledger", Intent.TESTS),
        ("add javadoc please", Intent.DOCUMENT),
        ("rename x to total", Intent.EDIT),
        ("write a function that adds two numbers", Intent.GENERATE),
        ("where is this used", Intent.SEARCH),
        ("review my changes", Intent.REVIEW),
        ("Danke!", Intent.CHAT),
        ("???", Intent.UNKNOWN),
        ("erkläre diesen Code", Intent.EXPLAIN),
        ("corrige l'erreur", Intent.FIX),
        ("写单元测试", Intent.TESTS),
        ("コメントを追加して", Intent.DOCUMENT),
        ("упрости этот код", Intent.EDIT),
    ],
)
def test_clear_words_say_what_is_wanted(text, intent):
    """In several languages, with courtesies around them."""
    found = clearest(text)
    assert found is not None
    assert found[1] is intent


@pytest.mark.parametrize(
    ("text", "not_this"),
    [
        ("remove comments", Intent.DOCUMENT),
        ("comment out this block", Intent.DOCUMENT),
        ("write code for this comment", Intent.DOCUMENT),
        ("make the tests pass", Intent.TESTS),
        ("create a test environment", Intent.TESTS),
        ("what is wrong with this", Intent.EXPLAIN),
        ("where is the mistake", Intent.SEARCH),
        ("fix up", Intent.FIX),
        ("make it work", Intent.EDIT),
        ("should I learn Rust", Intent.EDIT),
    ],
)
def test_near_misses_are_left_alone(text, not_this):
    """The word is there and means something else."""
    found = clearest(text)
    assert found is None or found[1] is not not_this


@given(st.text(max_size=300))
def test_any_text_is_looked_at_without_error(text):
    """Names are known ones; what is spoken is part of the text and within the limit."""
    assert all(isinstance(intent, Intent) for _, intent in phrases(normalised(text)))
    assert len(spoken(text)) <= limit("intent.characters")
    assert spoken(text) in text


@given(st.text(max_size=80))
def test_normalising_twice_changes_little(text):
    """Spaces are single, and what is normal stays as long."""
    once = normalised(text)
    assert once == " ".join(once.split())


@pytest.mark.parametrize("text", ["Hi, could you please sort this?", "sort this, thanks!", "SORT  this", "sort this"])
def test_courtesies_are_no_part_of_the_request(text):
    """Before it, after it; a text of nothing else stays whole."""
    assert core(normalised(text)) == "sort this"
    assert core("please") == "please"


def test_pasted_code_is_not_spoken():
    """What stands under an empty line or a fence is material; a short first line is not enough to go by."""
    assert spoken("write tests for these:\n\nfix = broken()") == "write tests for these:"
    assert spoken("fix this code\n```\nadd tests\n```") == "fix this code"
    assert spoken("tests\n\nfor this") == "tests\n\nfor this"
