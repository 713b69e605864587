from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.core.edits import TextEdit, applied, minimal
from leanvibe_lsp.core.text import Span

_ALPHABET = st.sampled_from(["a", "b", " ", "\n", "\r\n", "\r", "é", "👩‍💻", "x = 1", "\t", "}", "\ud800", "\u2028"])
_TEXT = st.lists(_ALPHABET, max_size=40).map("".join)


def edit(start: int, end: int, text: str) -> TextEdit:
    return TextEdit(Span(start, end), text)


@given(_TEXT, _TEXT)
@settings(max_examples=500, deadline=None)
def test_the_edits_make_the_one_text_into_the_other(before: str, after: str) -> None:
    """Whatever the texts, the edits lead from one to the other, in order, and none changes nothing."""
    edits = minimal(before, after)
    assert applied(before, edits) == after
    assert all(before[one.span.start : one.span.end] != one.text for one in edits)
    assert sorted(edits, key=lambda one: one.span.start) == list(edits)


@given(_TEXT, _TEXT)
@settings(max_examples=300, deadline=None)
def test_no_edit_parts_a_line_ending(before: str, after: str) -> None:
    """A client places columns before a line ending, so no span begins or ends between "\\r" and "\\n"."""
    for one in minimal(before, after):
        for at in (one.span.start, one.span.end):
            assert before[at - 1 : at + 1] != "\r\n" or at == 0


@given(_TEXT, _TEXT, _TEXT)
@settings(max_examples=200, deadline=None)
def test_an_offset_moves_the_edits_into_the_document(head: str, before: str, after: str) -> None:
    """The edits of a part are edits of the whole."""
    assert applied(head + before, minimal(before, after, len(head))) == head + after


@pytest.mark.parametrize(
    ("before", "after", "edits"),
    [
        ("a\nb\nc\n", "a\nb\nc\n", ()),
        ("a\nb\nc\n", "a\nc\n", (edit(2, 4, ""),)),
        ("a\nc\n", "a\nb\nc\n", (edit(2, 2, "b\n"),)),
        ("total = total + 1\n", "total = count + 1\n", (edit(8, 13, "count"),)),
        (
            "def f(a, b):\n    return a\n\ndef g():\n    pass\n",
            "def f(a):\n    return a\n\ndef g():\n    return 1\n",
            (edit(7, 10, ""), edit(40, 44, "return 1")),
        ),
        ("one two three\n", "quite another line\n", (edit(0, 13, "quite another line"),)),
        ("x\r\ny\r\n", "x\r\nz\r\n", (edit(3, 4, "z"),)),
        ("a\r\n", "a\n", (edit(1, 3, "\n"),)),
    ],
)
def test_only_what_differs_is_replaced(before: str, after: str, edits: tuple[TextEdit, ...]) -> None:
    """Lines that stay are left alone; so are the words of a line that mostly stays."""
    assert minimal(before, after) == edits


def _hostile() -> list[tuple[str, str]]:
    draw = random.Random(4)
    same = "x\n" * 20_000
    twice = [f"line {draw.randrange(500)}\n" for _ in range(4_000)]
    shuffled = draw.sample(twice, len(twice))
    return [
        (same, same[:-2] + "y\n" + same),
        ("".join(twice), "".join(shuffled)),
        ("a " * 200_000, "b " * 200_000),
        ("".join(f"{n}\n" for n in range(20_000)), "".join(f"{n}\n" for n in reversed(range(20_000)))),
        ("\r" * 50_000, "\r\n" * 50_000),
    ]


@pytest.mark.parametrize("number", range(5))
def test_hostile_texts_take_a_moment(number: int) -> None:
    """Nothing takes the square of its length; the bound is generous for a busy machine."""
    before, after = _hostile()[number]
    begin = time.process_time()
    edits = minimal(before, after)
    assert time.process_time() - begin < 3
    assert applied(before, edits) == after


def test_spans_that_overlap_are_refused() -> None:
    """Edits that cannot all be made at once raise, and so does one outside the text."""
    with pytest.raises(ValueError, match="overlaps"):
        applied("abc", (edit(0, 2, "x"), edit(1, 3, "y")))
    with pytest.raises(ValueError, match="outside"):
        applied("abc", (edit(2, 4, ""),))
    assert applied("abc", (edit(1, 1, "x"), edit(1, 1, "y"))) == "axybc"
