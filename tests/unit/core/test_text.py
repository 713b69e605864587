from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.core.text import Encoding, LineIndex, Position, Span, join_surrogates
from tests.support import utf16_reference as reference

texts = st.text(st.one_of(st.sampled_from("\r\n\r\nab\u2028é😀漢\x0b\x85"), st.characters()), max_size=60).map(
    join_surrogates
)
encodings = st.sampled_from(Encoding)


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        ("", [0]),
        ("a", [0]),
        ("a\n", [0, 2]),
        ("a\r\nb\rc\n\r", [0, 3, 5, 7, 8]),
        ("a\u2028b\u2029c\x0bd\x0ce\x85f\x1cg", [0]),
    ],
)
def test_lines_end_at_three_things_only(text: str, starts: list[int]) -> None:
    """Line endings are CR LF, LF and CR; Unicode's other separators are characters like any other."""
    index = LineIndex(text)
    assert [index.line_span(line).start for line in range(index.line_count)] == starts


@pytest.mark.parametrize(
    ("position", "offset"),
    [
        (Position(0, 9), 2),
        (Position(1, 9), 5),
        (Position(2, 0), 7),
        (Position(2, 7), 7),
        (Position(9, 0), 7),
        (Position(-1, 3), 0),
        (Position(1, -3), 4),
    ],
)
def test_positions_clamp(position: Position, offset: int) -> None:
    """Past a line's end is before its line ending, past the last line is the end of the text, below zero is zero."""
    assert LineIndex("ab\r\nc\r\n").offset(position, Encoding.UTF16) == offset


@pytest.mark.parametrize(
    ("encoding", "columns"),
    [
        (Encoding.UTF8, [0, 1, 1, 3, 3, 3, 3, 7, 8, 8]),
        (Encoding.UTF16, [0, 1, 2, 2, 4, 5, 5]),
        (Encoding.UTF32, [0, 1, 2, 3, 4, 4]),
    ],
)
def test_a_column_inside_a_character_means_its_start(encoding: Encoding, columns: list[int]) -> None:
    """Half a surrogate pair or a UTF-8 continuation byte snaps back to the character; then come the clamped ones."""
    index = LineIndex("aé😀b")
    found = [index.position(index.offset(Position(0, at), encoding), encoding) for at in range(len(columns))]
    assert [position.character for position in found] == columns


@pytest.mark.parametrize("text", ["\ud800", "a\udc00b", "\udc00\ud800", "x\ud83d\n\ude00"])
@pytest.mark.parametrize("encoding", list(Encoding))
def test_lone_surrogates_do_not_crash(text: str, encoding: Encoding) -> None:
    """JSON can carry half a character: every offset still has a position that leads back to it."""
    index = LineIndex(text)
    offsets = [offset for offset in range(len(text) + 1) if text[offset - 1 : offset] != "\n" or offset == 0]
    assert [index.offset(index.position(offset, encoding), encoding) for offset in offsets] == offsets


def test_split_pairs_are_joined() -> None:
    """A high and a low surrogate side by side become the one character they mean; lone ones stay."""
    assert join_surrogates("a\ud83d\ude00\ude00") == "a😀\ude00"


@given(texts, encodings, st.integers(0, 8), st.integers(0, 90))
def test_offset_agrees_with_the_reference(text: str, encoding: Encoding, line: int, character: int) -> None:
    """Every position of every text means what walking over UTF-16 code units says."""
    units = reference.units(text)
    expected = reference.text_of(units[: reference.offset(units, line, character, encoding)])
    assert LineIndex(text).offset(Position(line, character), encoding) == len(expected)


@given(texts, encodings, st.data())
def test_position_agrees_with_the_reference(text: str, encoding: Encoding, data: st.DataObject) -> None:
    """Every offset of every text stands where walking over UTF-16 code units says."""
    offset = data.draw(st.integers(0, len(text)))
    expected = reference.position(reference.units(text), len(reference.units(text[:offset])), encoding)
    assert LineIndex(text).position(offset, encoding) == Position(*expected)


@given(texts, st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90), texts), max_size=6))
def test_an_edited_index_is_the_index_of_the_edited_text(text: str, edits: list[tuple[int, int, str]]) -> None:
    """The incremental index never differs from one made from scratch, whatever is joined or parted, in any order."""
    index = LineIndex(text)
    for one, other, replacement in edits:
        start, end = sorted((min(one, len(index.text)), min(other, len(index.text))))
        before = index.text
        edited = index.edited(Span(start, end), replacement)
        fresh = LineIndex(before[:start] + replacement + before[end:])
        assert index.text == before
        assert edited == fresh
        spans = [edited.line_span(line) for line in range(edited.line_count)]
        assert spans == [fresh.line_span(line) for line in range(fresh.line_count)]
        assert [edited.line_of(i) for i in range(len(fresh.text) + 1)] == [
            fresh.line_of(i) for i in range(len(fresh.text) + 1)
        ]
        index = edited


@given(texts, encodings, st.integers(-2, 8), st.integers(-2, 90))
def test_client_offsets_do_not_snap(text: str, encoding: Encoding, line: int, character: int) -> None:
    """In the client's own units a position and its offset lead to each other, inside a character too."""
    index = LineIndex(text)
    units = index.client_offset(Position(line, character), encoding)
    position = index.client_position(units, encoding)
    assert index.client_offset(position, encoding) == units
    assert index.offset(position, encoding) == index.offset(Position(line, character), encoding)


def test_a_line_that_does_not_exist_is_an_error() -> None:
    """Asking for the text of a line beyond the last one raises IndexError; the last one is there."""
    index = LineIndex("a\nb")
    assert index.line_text(1) == "b"
    for line in (-1, 2):
        with pytest.raises(IndexError, match="of 2"):
            index.line_text(line)


def test_index_values() -> None:
    """An index is a value: equal and hashed by its text, and says its size."""
    assert (LineIndex("a\n"), hash(LineIndex("a"))) == (LineIndex("a\n"), hash(LineIndex("a")))
    assert LineIndex("a") != "a"
    assert repr(LineIndex("a\nb")) == "LineIndex(2 lines, 3 characters)"


@pytest.mark.performance
def test_keystroke_in_a_long_file() -> None:
    """Prints what one keystroke in the middle of 40,000 lines costs."""
    index = LineIndex("    some_value = compute(another_value)\n" * 40_000)
    started = time.perf_counter()
    for step in range(200):
        offset = index.offset(Position(20_000, 4 + step), Encoding.UTF16)
        index = index.edited(Span(offset, offset), "x")
    print(f"keystroke: {(time.perf_counter() - started) / 200 * 1e3:.3f} ms")
    assert index.line_text(20_000).startswith("    " + 200 * "x")
