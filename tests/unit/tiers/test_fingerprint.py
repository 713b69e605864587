from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.grammars import grammar
from leanvibe_lsp.documents.syntax import Syntax, syntax_of
from leanvibe_lsp.tiers.fingerprint import FORM, Mark, bare, comments_in, fingerprints

_TEXTS = st.text(st.sampled_from("ab(),] \n\t#é𝒻"), max_size=12)
_MARKS = st.builds(Mark, st.sampled_from("rs"), st.lists(_TEXTS, max_size=2).map(tuple), _TEXTS)


def parsed(text: str, language: str = "python") -> Syntax:
    known = grammar(language)
    assert known is not None
    return syntax_of(LineIndex(text), known)


@given(st.lists(_MARKS, max_size=8))
def test_each_finding_of_a_file_has_its_own(marks: list[Mark]) -> None:
    """Sixteen digits, no two the same, and the same ones whenever it is asked."""
    names = fingerprints(marks)
    assert len(set(names)) == len(marks)
    assert all(FORM.fullmatch(name) for name in names)
    assert fingerprints(marks) == names


@given(st.lists(_MARKS, min_size=1, max_size=8), _MARKS)
def test_another_finding_changes_no_other_s(marks: list[Mark], other: Mark) -> None:
    """One that is not equal to any of them may come and go, wherever it stands."""
    if other not in marks:
        assert fingerprints([other, *marks])[1:] == fingerprints(marks)
        assert fingerprints([*marks, other])[:-1] == fingerprints(marks)


def test_a_fingerprint_is_the_same_for_ever() -> None:
    """It is kept in baselines: when this fails, VERSION needs another name."""
    assert fingerprints([Mark("python/x", ("A", "f"), "g(1)"), Mark("python/x", ("A", "f"), "g(1)")]) == (
        "63ff460edf980281",
        "cd36571d42187b6b",
    )


def test_parts_do_not_run_into_each_other() -> None:
    """What a rule ends with is not what a symbol begins with."""
    one, other, third = (
        fingerprints([mark])[0]
        for mark in (Mark("r", ("ab",), "c"), Mark("r", ("a", "b"), "c"), Mark("r", ("a",), "bc"))
    )
    assert len({one, other, third}) == 3


@given(_TEXTS, st.lists(st.sampled_from([" ", "\n", "\t", "\r\n", "\u00a0"]), max_size=13))
def test_layout_does_not_count(code: str, blanks: list[str]) -> None:
    """Blanks and line ends anywhere between the characters change nothing."""
    spread = "".join(sign + blank for sign, blank in zip(code, [*blanks, *[""] * len(code)], strict=False))
    assert bare(spread) == bare(code)
    assert re.search(r"\s|,[)\]}]", bare(code)) is None or bare(bare(code)) != ""


def test_a_comma_before_a_bracket_does_not_count() -> None:
    """A formatter writes it when a call takes several lines."""
    assert bare("f(\n    a,\n    b,\n)") == bare("f(a, b)") == "f(a,b)"
    assert bare("f(a, b)") != bare("f(a)")


def test_comments_do_not_count_and_texts_do() -> None:
    """What reads like a comment inside a string is none; comments around the span are not its own."""
    text = "# before\nf(1,  # one\n  '# two')  # after\n"
    span = Span(text.index("f("), text.index("  # after"))
    comments = comments_in(parsed(text), span, "python")
    code = text[span.start : span.end]
    assert [code[one.start : one.end] for one in comments] == ["# one"]
    assert bare(code, comments) == "f(1,'#two')"


def test_offsets_are_characters() -> None:
    """Behind letters that take several bytes too."""
    text = "x = 'é𝒻'\nf('é',  // 1\n)\ng('é', /* 2 */ 3)\n"
    span = Span(text.index("g("), len(text))
    comments = comments_in(parsed(text, "javascript"), span, "javascript")
    assert [text[span.start :][one.start : one.end] for one in comments] == ["/* 2 */"]
