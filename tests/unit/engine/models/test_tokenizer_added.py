"""Special tokens in a prompt, against the tokenizers library itself."""

from __future__ import annotations

import tokenizers
from hypothesis import example, given, settings
from hypothesis import strategies as st

from leanvibe_lsp.engine.models.tokenizer_added import SpecialToken, SpecialTokens

TOKENS = {
    "<a>": SpecialToken(1_000),
    "<a>b": SpecialToken(1_001),
    "<r>": SpecialToken(1_002, rstrip=True),
    "<l>": SpecialToken(1_003, lstrip=True),
    "<w>": SpecialToken(1_004, single_word=True),
    "<lr>": SpecialToken(1_005, lstrip=True, rstrip=True),
}
SPECIALS = SpecialTokens(TOKENS)
_PIECES = st.sampled_from(
    [*TOKENS, " ", "\n", "\t \u3000", "\x1c", "\u200d", "\u0301", "b", "_", "<", ">", "é", "5", "ab"]
)


def library() -> tokenizers.Tokenizer:
    """One id a character, below 1,000, and the same special tokens."""
    characters = sorted(
        {character for piece in "".join(TOKENS) + " \n\t\u3000\x1c\u200d\u0301_é5ab" for character in piece}
    )
    made = tokenizers.Tokenizer(tokenizers.models.BPE({one: at for at, one in enumerate(characters)}, []))
    made.add_tokens(
        [
            tokenizers.AddedToken(
                text, lstrip=one.lstrip, rstrip=one.rstrip, single_word=one.single_word, normalized=False
            )
            for text, one in TOKENS.items()
        ]
    )
    return made


LIBRARY = library()
FIRST = LIBRARY.get_vocab_size() - len(TOKENS)


@given(st.lists(_PIECES, max_size=12).map("".join))
@example("<r> \n <l>")
@example("a<w>b <w> \u0301<w>")
@settings(max_examples=400)
def test_a_template_is_split_as_the_library_splits_it(text: str) -> None:
    """Leftmost and longest, with the white space each takes, beside words or not."""
    expected = LIBRARY.encode(text).ids
    made: list[int] = []
    for run in SPECIALS.split([text]):
        made += [run - 1_000 + FIRST] if isinstance(run, int) else _plain(run)
    assert made == expected


def _plain(text: str) -> list[int]:
    return [LIBRARY.token_to_id(one) for one in text]


@given(st.lists(st.lists(_PIECES, max_size=5).map("".join), min_size=1, max_size=5))
def test_a_message_has_no_special_token_and_keeps_its_text(parts: list[str]) -> None:
    """Tokens are the template's, wherever the borders are; what is left is the text, white space apart."""
    runs = list(SPECIALS.split(parts))
    ids = [run for run in runs if isinstance(run, int)]
    harmless = [
        part if at % 2 == 0 else "".join("." if one in "<>" else one for one in part) for at, part in enumerate(parts)
    ]
    assert ids == [run for run in SPECIALS.split(harmless) if isinstance(run, int)]
    text = "".join(run for run in runs if isinstance(run, str))
    for part in parts[1::2]:
        assert "".join(part.split()) in "".join(text.split())
    assert all(runs)


def test_no_tokens_at_all() -> None:
    """A vocabulary without special tokens, and one with an empty text, which is none."""
    assert list(SpecialTokens({"": SpecialToken(1)}).split(["a", "", "b"])) == ["ab"]
