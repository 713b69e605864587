from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from leanvibe_lsp.engine.streaming import TextAssembler, repeats

NARROW = st.text(alphabet="abé🙂\n", max_size=30)  # few letters, so that stop strings do occur
STOPS = st.lists(st.text(alphabet="abé🙂\n", max_size=4), max_size=3).map(tuple)


def cut(data: bytes, borders: list[int]) -> list[bytes]:
    """`data` in pieces, cut at the borders that lie in it."""
    places = sorted({0, len(data), *(border % (len(data) + 1) for border in borders)})
    return [data[start:end] for start, end in pairwise(places)]


def assemble(pieces: list[bytes], stop: tuple[str, ...] = ()) -> tuple[str, bool]:
    """What an assembler makes of the pieces, and whether a stop string came."""
    assembler = TextAssembler(stop)
    text = "".join(assembler.push(piece) for piece in pieces) + assembler.finish()
    return text, assembler.stopped


def expected(text: str, stop: tuple[str, ...]) -> tuple[str, bool]:
    """The slow, plain way: the shortest beginning that ends with a stop string decides."""
    for end in range(1, len(text) + 1):
        fitting = [one for one in stop if one and text[:end].endswith(one)]
        if fitting:
            return text[: end - max(len(one) for one in fitting)], True
    return text, False


@given(NARROW, STOPS, st.lists(st.integers(0, 200)))
@example("abab", ("aba", "b"), [1, 2])
@example("abab", ("abab", "ba"), [])
@example("abé", ("bé", "abé"), [1, 3])
def test_splits_do_not_matter(text: str, stop: tuple[str, ...], borders: list[int]) -> None:
    """However the bytes are cut, the same text comes out, and never a stop string."""
    assert assemble(cut(text.encode(), borders), stop) == expected(text, stop)


@given(st.binary(max_size=40), st.lists(st.integers(0, 40)))
def test_bad_bytes(data: bytes, borders: list[int]) -> None:
    """Bytes that are not UTF-8 are replaced alike for every split, and never raise."""
    assert assemble(cut(data, borders)) == assemble([data])


@given(st.text(), st.lists(st.integers(0, 200)))
def test_without_stop_nothing_waits(text: str, borders: list[int]) -> None:
    """With no stop string every whole character comes out with the byte that completes it."""
    assembler, seen = TextAssembler(), b""
    for piece in cut(text.encode(), borders):
        seen += piece
        assembler.push(piece)
    assert assembler.finish() == ""
    assert assemble(cut(seen, borders)) == (text, False)


def test_half_character_is_held_back() -> None:
    """The first half of a character gives no text; the second gives the character."""
    assembler = TextAssembler()
    assert assembler.push("é".encode()[:1]) == ""
    assert assembler.push("é".encode()[1:]) == "é"


def test_cut_character_is_left_out() -> None:
    """A character that the token limit cuts in half does not become a replacement sign."""
    assert assemble([b"a", "🙂".encode()[:2]]) == ("a", False)


def test_possible_stop_is_held_back_and_given_back() -> None:
    """Text that may become a stop string waits, and comes out when it does not."""
    assembler = TextAssembler(("<|end|>",))
    assert assembler.push(b"x<|e") == "x"
    assert assembler.push(b"l") == "<|el"
    assert assembler.push(b"<|") == ""
    assert assembler.finish() == "<|"
    assert not assembler.stopped


def test_nothing_after_a_stop() -> None:
    """After a stop string no text comes any more, not even at the end."""
    assembler = TextAssembler(("END",))
    assert assembler.push(b"a") + assembler.push(b"EN") + assembler.push(b"D b") == "a"
    assert assembler.stopped
    assert assembler.push(b"c") == ""
    assert assembler.finish() == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a" * 300, True),
        ("Once upon a time. " + "lsp." * 60, True),
        ("It is a wrapper. " * 12, True),
        ("It is a wrapper. " * 4, False),
        ("The module is designed to be lightweight, and asks and answers questions about code.\n\n" * 3, True),
        ("The module is designed to be lightweight, and asks and answers questions about code.\n\n" * 2, False),
        ("".join(f"item {number}, " for number in range(60)), False),
        ("word " * 60 + "and then something else", False),
        ("| a | b |\n|---|---|\n" + "".join(f"| {n} | {n * n} |\n" for n in range(40)), False),
        ("", False),
    ],
)
def test_a_loop_is_what_repeats_exactly_and_long(text: str, expected: bool) -> None:
    """Three equal pieces and 200 characters at the end are a loop; lists, tables and short repetitions are none."""
    assert repeats(text) is expected


@given(st.text(min_size=1, max_size=40), st.text(max_size=30))
def test_any_piece_said_often_enough_is_a_loop(piece: str, before: str) -> None:
    """Whatever the piece, and whatever came before: 200 characters and 3 times are enough."""
    assert repeats(before + piece * max(3, -(-200 // len(piece)))) is True


def test_the_assembler_says_when_a_text_loops() -> None:
    """Pushed token by token, a loop is seen in time and takes nothing back; without `stop_loops` nobody looks."""
    watching, blind = TextAssembler(stop_loops=True), TextAssembler()
    said = ""
    for _ in range(100):
        if watching.looping:
            break
        said += watching.push(b" lsp")
        blind.push(b" lsp")
    assert (len(said), watching.looping, blind.looping) == (256, True, False)
