from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.tiers.patterns import LANGUAGES, Tree

CALLS = {"rule": {"pattern": "$F($$$ARGS)"}}


def test_spans_count_characters() -> None:
    """Behind an emoji, a CRLF and a lone surrogate a span is still one of the Python string."""
    text = "é = '\U0001f600'\r\nx = '\ud800', call(one,  two)\r\n"
    (match,) = Tree(text, "python").find(CALLS)
    assert text[match.span.start : match.span.end] == match.quote == "call(one,  two)"


def test_a_template_is_filled_from_the_text() -> None:
    """One node, several with what stands between them, a transformed one, and "" for a variable without a node."""
    matcher = {**CALLS, "transform": {"UP": {"convert": {"source": "$F", "toCase": "upperCase"}}}}
    (match,) = Tree("x = '\U0001f600' ; call(one,  two)", "python").find(matcher)
    assert match.filled("$F|$$$ARGS|$UP|$NONE|$$$NONE|$1|a$") == "call|one,  two|CALL|||$1|a$"


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_language_is_one_of_ast_greps(language: str) -> None:
    """It panics for any other name."""
    assert Tree("", language).text == ""


def test_other_languages_are_refused_before_ast_grep_sees_them() -> None:
    """ValueError, and no panic on stderr."""
    with pytest.raises(ValueError, match="ast-grep has no cobol"):
        Tree("", "cobol")


def test_what_ast_grep_refuses_is_said_without_its_stack() -> None:
    """The causes, in one line."""
    with pytest.raises(UsageError) as caught:
        Tree("", "python").find({"rule": {"kind": "nonsense"}})
    assert caught.value.message.endswith("Kind `nonsense` is invalid.")
    assert "\n" not in caught.value.message
    assert "backtrace" not in caught.value.message


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=200), st.sampled_from(sorted(LANGUAGES)))
def test_any_text_in_any_language_can_be_searched(text: str, language: str) -> None:
    """Never an exception; spans inside of the text."""
    for match in Tree(text, language).find({"rule": {"any": [{"regex": "."}]}}):
        assert 0 <= match.span.start <= match.span.end <= len(text)
