from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.assist.insertion import Gap, end_of, inserted, trimmed

LINE = st.text(alphabet="ab +=.,é𝒻", min_size=1, max_size=12).filter(lambda text: text.strip() == text)


def insert(before: str, text: str, after: str = "", *, cut: bool = False) -> str:
    """What of a model's text is inserted; the blank it was not shown is said by it."""
    gap = Gap(before, after)
    return inserted(gap.spare + text, gap, cut=cut)


@pytest.mark.parametrize(
    ("before", "text", "after", "result"),
    [
        ("return ", "a + b\n\nprint(add(1, 2))", "", "a + b"),
        ("return", " a\nmore", "\nx", " a"),
        ("print(", "x)\n", ")\n", "x"),
        ("print(", "f(x)\n", ")\n", "f(x)"),
        ("print(", "f(x))\n", ")\n", "f(x)"),
        ("print(f'Hello {", "name}!')\n", "}')\n", "name"),
        ('print("', 'Hello", name)\n', '")\n', "Hello"),
        ("x = a", " + b + c\n", " + c\n", " + b"),
        ("a = [", "1, 2]", "]", "1, 2"),
        ("f(", "{'a': [1]})", ")", "{'a': [1]}"),
    ],
)
def test_one_line_where_the_line_has_more(before: str, text: str, after: str, result: str) -> None:
    """In the middle of a line one line is completed; what stands behind the cursor is not said twice."""
    assert insert(before, text, after) == result


@pytest.mark.parametrize(
    ("before", "text", "after", "result"),
    [
        ("def f():\n    ", "a = 1\n    return a\n\ndef g():\n    pass\n", "", "a = 1\n    return a"),
        (
            "def f():\n    ",
            "if a:\n        b()\n\n        c()\n    d()\ne()",
            "",
            "if a:\n        b()\n\n        c()\n    d()",
        ),
        ("def f():\n", "    return 1\nf()\n", "", "    return 1"),
        ("import a\n", "def f():\n    pass\n\ndef g(): ...\n", "", "def f():\n    pass"),
        ("{\n\t", "a;\n\tb;\n}\n", "\n}\n", "a;\n\tb;"),
        ("def f():\n    ", "\n    return 1\n", "", "return 1"),
        ("def f():\n    ", "\ndef g(): ...\n", "", ""),
        ("if a:\n    ", "b()\n    return x\n    c()\n", "\n    return x\n    c()\n", "b()"),
    ],
)
def test_a_block_where_the_line_is_empty(before: str, text: str, after: str, result: str) -> None:
    """On an empty line a whole block may come; it ends where the code is less deep, or after an empty line as deep."""
    assert insert(before, text, after) == result


def test_a_text_that_only_repeats_what_follows_is_nothing() -> None:
    """Nothing is inserted that stands there already."""
    assert insert("def f():\n    ", "return x\n", "\n    return x\n") == ""
    assert insert("f(", ")", ")") == ""
    assert insert("a\n", "   \n", "") == ""
    assert insert("x = ", "re", "\nreturn") == "re"


def test_what_was_cut_loses_its_last_line() -> None:
    """A line that the model had no room to end is no line."""
    assert insert("x = ", "a + b + ", cut=True) == ""
    assert insert("def f():\n    ", "a = 1\n    b = 2 +", cut=True) == "a = 1"
    assert insert("x = ", "a\nb", cut=True) == "a"


def test_a_text_without_the_blank_it_was_not_shown_is_nothing() -> None:
    """`x = ` was shown as `x =`: what does not go on with a blank would not fit behind it."""
    gap = Gap("x = ", "")
    assert gap.spare == " "
    assert inserted("= y", gap, cut=False) == ""
    assert inserted(" y", gap, cut=False) == "y"


def test_the_end_is_known_as_soon_as_it_can_be() -> None:
    """The engine is stopped at the first character that cannot belong to the text."""
    line, block = Gap("x = ", ""), Gap("def f():\n    ", "")
    assert [end_of(text, line) for text in ("a", "a\n")] == [None, 1]
    assert [end_of(text, block) for text in ("a", "a\n", "a\n    b", "a\n  ", "a\nb")] == [None, None, None, None, 1]
    many = "\n    ".join("a" for _ in range(13))
    assert end_of(many, block) == len("\n    ".join("a" for _ in range(12)))


@given(core=LINE, rest=LINE, size=st.integers(0, 12))
def test_overlap_is_trimmed_and_nothing_else(core: str, rest: str, size: int) -> None:
    """The result begins the text, and what was taken from its end stands behind the cursor."""
    text = core + rest[:size]
    result = trimmed(text, Gap("x", rest + "\n"))
    assert text.startswith(result)
    if result:
        assert rest.startswith((text[len(result) :], text[len(result) :].strip()))
    assert not result or not rest[:size] or len(result) <= len(core)


@given(text=st.text(alphabet="ab\n (){}[]\"'\t", max_size=40), before=st.text(max_size=10), after=st.text(max_size=10))
def test_whatever_a_model_says_never_fails(text: str, before: str, after: str) -> None:
    """Any text at any place: a result without an empty end, one line where the line has more."""
    gap = Gap(before, after)
    result = inserted(text, gap, cut=False)
    assert result == result.rstrip()
    assert gap.takes_block or "\n" not in result
