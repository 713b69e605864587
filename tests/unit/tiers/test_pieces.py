from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.core.text import LineIndex
from leanvibe_lsp.documents.grammars import grammar
from leanvibe_lsp.documents.syntax import syntax_of
from leanvibe_lsp.tiers.pieces import pieces

_LARGE = "def f{0}():\n" + "    call({0})\n" * 120
_SMALL = "x{0} = '\U0001f600'\n"


def texts_of(text: str, language: str) -> list[str]:
    language_grammar = grammar(language)
    assert language_grammar is not None
    lines = LineIndex(text)
    return [text[part.span.start : part.span.end] for part in pieces(syntax_of(lines, language_grammar), language)]


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=300), st.sampled_from(["python", "javascript", "go", "php", "c"]))
def test_pieces_are_the_text(text: str, language: str) -> None:
    """In order, nothing twice, nothing left out, whatever the text is."""
    assert "".join(texts_of(text, language)) == text


def test_a_large_definition_is_a_piece_and_small_ones_share_one() -> None:
    """The pieces of a text with both."""
    small = _SMALL.format(1) + _SMALL.format(2)
    assert texts_of(small + _LARGE.format(1) + _LARGE.format(2), "python") == [
        small,
        _LARGE.format(1),
        _LARGE.format(2),
    ]


def test_a_long_list_of_small_ones_is_several() -> None:
    """A file of data is no single piece."""
    assert 10 < len(texts_of("".join(_SMALL.format(number) for number in range(1_000)), "python")) < 100


@pytest.mark.parametrize("place", [0, 3, 6])
def test_an_edit_leaves_the_other_pieces_as_they_are(place: int) -> None:
    """All but the one that it is in."""
    parts = [_LARGE.format(number) for number in range(7)]
    before = set(texts_of("".join(parts), "python"))
    parts[place] = parts[place].replace("call", "called", 1)
    assert len(set(texts_of("".join(parts), "python")) - before) == 1


@pytest.mark.parametrize("broken", ["def g(\n", "if x\n", "class A:\n    def (self):\n"])
def test_broken_code_costs_its_neighbours_nothing(broken: str) -> None:
    """While something is half typed, all other definitions but the next one are the pieces that they were."""
    parts = [_LARGE.format(number) for number in range(7)]
    assert set(parts) - set(texts_of("".join([*parts[:3], broken, *parts[3:]]), "python")) <= {parts[3]}


def test_an_error_is_looked_into() -> None:
    """Where tree-sitter takes all the rest for broken, what begins before it still stands alone."""
    parts = [_LARGE.format(number) for number in range(5)]
    assert texts_of("".join([*parts, "x = (1,\n"]), "python")[:5] == parts
