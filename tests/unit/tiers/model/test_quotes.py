from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.tiers.model.quotes import numbered, place

TEXT = "def f(a):\n    b = a + 1\n    print(a)\n    b = a + 1\n    return  b\n"
ALL = Span(0, len(TEXT))


def found(quote: str, within: Span = ALL, text: str = TEXT) -> str | None:
    span = place(quote, LineIndex(text), within)
    return None if span is None else f"{text[: span.start].count(chr(10)) + 1}: {text[span.start : span.end]}"


@pytest.mark.parametrize(
    ("quote", "expected"),
    [
        ("print(a)", "3: print(a)"),
        ("  print(a)\n", "3: print(a)"),
        ("3|     print(a)", "3: print(a)"),
        ("return b", "5: return  b"),
        ("b = a + 1\nprint(a)", "2: b = a + 1\n    print(a)"),
        ("b = a + 1", "2: b = a + 1"),
        ("4| b = a + 1", "4: b = a + 1"),
        ("b = a - 1", None),
        ("rint(a)", None),
        ("retur", None),
        ("", None),
        ("   ", None),
        ("(): +", None),
        ("9999999| print(a)", "3: print(a)"),
    ],
)
def test_a_quote_is_found_word_for_word_or_laid_out_anew(quote: str, expected: str | None) -> None:
    """Line numbers are taken off and tell of several places which; other words, and parts of words, are nowhere."""
    assert found(quote) == expected


def test_what_stands_outside_of_the_piece_is_not_there() -> None:
    """A quote from another function is none."""
    first = Span(0, TEXT.index("    print"))
    assert found("print(a)", first) is None
    assert found("b = a + 1", Span(TEXT.index("    print"), len(TEXT))) == "4: b = a + 1"


@given(st.text(alphabet="ab_ (\n\t=.", max_size=60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_a_place_is_inside_and_says_the_quote(text: str, one: int, other: int, size: int) -> None:
    """Whatever is quoted: the place lies within, and the words there are those of the quote."""
    within = Span(min(one, other, len(text)), min(max(one, other), len(text)))
    quote = text[size : size + 20]
    span = place(quote, LineIndex(text), within)
    if span is not None:
        assert within.start <= span.start < span.end <= within.end
        assert text[span.start : span.end].split() == quote.split()


@given(
    st.lists(st.text(alphabet="abc =()", max_size=12), min_size=1, max_size=12), st.integers(0, 11), st.integers(1, 900)
)
def test_every_numbered_line_is_found_at_its_number(lines: list[str], row: int, first: int) -> None:
    """A line that was shown with its number and is quoted so is found on that very line."""
    row %= len(lines)
    text = "\n" * (first - 1) + "\n".join(lines)
    shown = numbered("\n".join(lines), first).split("\n")[row]
    span = place(shown, LineIndex(text), Span(0, len(text)))
    if any(map(str.isalnum, lines[row])):
        assert span is not None
        assert LineIndex(text).line_of(span.start) == first - 1 + row
    else:
        assert span is None
