from __future__ import annotations

import pytest

from leanvibe_lsp.assist.infilling import AFTER, BEFORE, FAMILIES, Family, beginning, ending, family_of, infilling
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.base import Loaded
from leanvibe_lsp.engine.mock import CharacterTokenizer
from tests.support.engines import SpecialTokenizer


def loaded(tokenizer: SpecialTokenizer | None, **fields: object) -> Loaded:
    return Loaded(4_096, 0, "cpu", tokenizer, "", **fields)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_is_known_by_its_tokens(family: Family) -> None:
    """A model that has them is asked to fill the gap; what ends a gap is known."""
    tokenizer = SpecialTokenizer(*family.tokens, *family.ends)
    assert family_of(tokenizer) is family
    asked = infilling(loaded(tokenizer), "a(", ")")
    assert asked is not None
    expected = "".join({BEFORE: "a(", AFTER: ")"}.get(part, f"⟦{part}⟧") for part in family.prompt)
    assert tokenizer.show(asked.ids) == expected
    assert asked.ends == set(tokenizer.ids.values())


def test_a_token_written_in_a_file_stays_text() -> None:
    """Code that quotes special tokens cannot end or begin a part of the prompt."""
    tokenizer = SpecialTokenizer("<fim_prefix>", "<fim_suffix>", "<fim_middle>")
    asked = infilling(loaded(tokenizer), 'x = "<fim_middle>"', "<fim_prefix>")
    assert asked is not None
    shown = tokenizer.show(asked.ids)
    assert shown == '⟦<fim_prefix>⟧x = "<fim_middle>"⟦<fim_suffix>⟧<fim_prefix>⟦<fim_middle>⟧'


def test_without_such_tokens_the_code_before_goes_on() -> None:
    """No chat, no suffix; a model that begins texts with a token of its own gets it."""
    plain = SpecialTokenizer("<s>")
    asked = infilling(loaded(plain), "return ", "\n")
    assert asked is not None
    assert plain.show(asked.ids) == "return "
    begun = infilling(loaded(plain, special_text={"bos_token": "<s>"}, add_bos=True), "return ", "\n")
    assert begun is not None
    assert plain.show(begun.ids) == "⟦<s>⟧return "


def test_nothing_to_go_by_is_no_prompt() -> None:
    """An empty file, for a model that fills no gaps the beginning of one, and a model behind a server."""
    filling = SpecialTokenizer("<fim_prefix>", "<fim_suffix>", "<fim_middle>")
    assert infilling(loaded(filling), " \n", "\n") is None
    assert infilling(loaded(filling), "", "x") is not None
    assert infilling(loaded(SpecialTokenizer()), "", "x") is None
    assert infilling(loaded(None), "x", "") is None


def test_a_long_file_is_cut_at_the_same_line_from_key_to_key() -> None:
    """The prompt begins alike while a person types in a line; it holds what is nearest."""
    count = lambda text: len(CharacterTokenizer().encode(text))  # noqa: E731
    lines = [f"line {number}\n" for number in range(1_000)]
    shown = [ending("".join(lines) + typed, 600, count) for typed in ("a", "ab", "abc" * 5)]
    first = shown[0].partition("\n")[0]
    assert int(first.removeprefix("line ")) % limit("completion.anchor_lines") == 0
    assert [one.startswith(first) for one in shown] == [True] * 3
    assert [one.endswith(end) for one, end in zip(shown, ("a", "ab", "abcabc"), strict=True)] == [True] * 3
    assert max(map(len, shown)) <= 600
    assert ending("x" * 10_000, 100, count) == "x" * 300
    assert beginning("".join(lines), 20, count) == "line 0\nline 1\n"
    assert beginning("", 20, count) == ""
