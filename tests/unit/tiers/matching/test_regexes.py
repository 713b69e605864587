from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.tiers.matching.regexes import compiled, translated
from leanvibe_lsp.tiers.matching.unsupported import Unsupported
from leanvibe_lsp.tiers.patterns import Tree

_TEXTS = (
    *("ab", "AB", "a-b", "a b", "\u00e9t\u00e9", "x1", "aa", "\u2022", "K", "\u212a"),
    *("a_b", "b", "a", "bt", "[a]", "f{x}"),
)
_REGEXES = (
    "^a.b$",
    "(?i)^AB?$",
    "(?i-u)k",
    "(?i)k",
    r"(?-u)^\w+$",
    r"^\w+$",
    r"(?-u:\w)+t",
    "(?x) ^ a [bc] $ # so",
    "(?i:A)(?-i:b)",
    "^x$|(?i)^B$|^F",
    r"\x{2022}",
    r"[\u2022x]",
    r"^[\[f].*[\]}]$",
    "(?<name>a)",
    "(?P<name>a)+?",
    "a{2}|b{1,}",
    r"\bb\b",
    r"^a\z",
)


def held(regex: str, text: str) -> bool:
    """Whether ast-grep finds the expression in the text."""
    quoted = f"'{text}'"
    return any(match.quote == text for match in Tree(quoted, "python").find({"rule": {"regex": regex}}))


@pytest.mark.parametrize("regex", _REGEXES)
def test_an_expression_means_what_it_means_to_ast_grep(regex: str) -> None:
    """In flags, escapes, classes and anchors."""
    search = compiled(regex).search
    assert {text for text in _TEXTS if search(text)} == {text for text in _TEXTS if held(regex, text)}
    assert any(map(search, _TEXTS))


@pytest.mark.parametrize(
    "regex",
    [r"\pL", r"[a[bc]]", "[a&&b]", "a++", "a{2}+", "(?m)^a$", "a(?i)b", r"\b{start}a", "[[:alpha:]]", "(?x)[a b]", "("],
)
def test_what_python_reads_otherwise_is_not_supported(regex: str) -> None:
    """It stays with ast-grep."""
    with pytest.raises(Unsupported):
        compiled(regex)


def test_a_dollar_sign_is_the_very_end() -> None:
    """Of the text, not of its last line."""
    assert compiled("a$").search("a\n") is None
    assert translated(r"a\$[$]") == r"a\$[$]"


@settings(deadline=None, max_examples=100)
@given(st.text(alphabet="ab[]()|*+?{}^$\\-&1,:i<>= ", max_size=12))
def test_any_expression_is_one_of_pythons_or_none(text: str) -> None:
    """Never another exception."""
    with suppress(Unsupported):
        assert isinstance(compiled(text), re.Pattern)
