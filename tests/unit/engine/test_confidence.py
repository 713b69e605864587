"""What a generation shows of its own sureness."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.engine.base import Alternative, Chunk
from leanvibe_lsp.engine.confidence import (
    Signs,
    choice_probability,
    entropy_of,
    mean_token_probability,
    signs_of,
    worst_span,
)
from leanvibe_lsp.engine.structured import Structure

_ANY = st.floats(allow_nan=True, allow_infinity=True)
_LOGPROBS = st.floats(-30, 0)


def chunk(text: str, probability: float, *others: tuple[str, float], token_id: int | None = None) -> Chunk:
    """A token and what could have been said instead; ids follow from the texts."""
    top = tuple(Alternative(_id(one), one, math.log(share)) for one, share in ((text, probability), *others))
    return Chunk(text, _id(text) if token_id is None else token_id, math.log(probability), top)


def _id(text: str) -> int:
    return sum(ord(one) << (8 * at) for at, one in enumerate(text))


_CHUNKS = st.lists(
    st.builds(
        Chunk,
        st.text(max_size=3),
        st.integers(0, 5) | st.none(),
        _ANY,
        st.lists(st.builds(Alternative, st.integers(0, 5) | st.none(), st.text(max_size=3), _ANY), max_size=3).map(
            tuple
        ),
    ),
    max_size=12,
)
_STRUCTURES = st.sampled_from([None, Structure.of_schema({}), Structure.of_choices(["a", "ab", "b"])])


def test_the_mean_of_probabilities() -> None:
    """Arithmetic mean of the probabilities, not of their logarithms."""
    assert mean_token_probability([math.log(0.5), math.log(1.0)]) == pytest.approx(0.75)


def test_nothing_said_is_no_confidence() -> None:
    """No token: 0.0, not an error."""
    assert mean_token_probability([]) == 0.0
    assert signs_of([]) == Signs(tokens=0, mean=0.0, worst=0.0, entropy=0.0, doubtful=0.0)


def test_nan_is_no_certainty() -> None:
    """A broken engine's NaN counts as 0, and a rounding error above 0 as certain."""
    assert mean_token_probability([math.nan]) == 0.0
    assert mean_token_probability([-math.inf, 0.0]) == 0.5
    assert mean_token_probability([1e-3]) == 1.0
    assert worst_span([0.0, math.nan, 0.0], 2) == 0.0


@given(st.lists(_ANY))
def test_always_a_probability(logprobs: list[float]) -> None:
    """Whatever the logprobs, the value lies in 0..1."""
    assert 0.0 <= mean_token_probability(logprobs) <= 1.0


@given(_CHUNKS, st.lists(st.integers(0, 5), max_size=12), _STRUCTURES)
def test_signs_are_finite_and_in_their_range(
    chunks: list[Chunk], prompt: list[int], structure: Structure | None
) -> None:
    """Whatever a backend or a server says of its tokens."""
    signs = signs_of(chunks, prompt=prompt, structure=structure)
    shares = [signs.mean, signs.worst, signs.doubtful, signs.choice if signs.choice is not None else 0.0]
    assert all(0.0 <= one <= 1.0 for one in shares)
    assert 0.0 <= signs.entropy < math.inf
    assert (signs.choice is None) == (structure is None or not structure.choices)


@given(st.lists(_LOGPROBS, min_size=1, max_size=20), st.integers(1, 10))
def test_the_worst_span_is_between_the_worst_token_and_the_whole(logprobs: list[float], window: int) -> None:
    """Never below the least probable token; a window as long as the text is its geometric mean."""
    worst = worst_span(logprobs, window)
    assert worst >= math.exp(min(logprobs)) * (1 - 1e-9)
    assert worst_span(logprobs, len(logprobs)) == pytest.approx(math.exp(math.fsum(logprobs) / len(logprobs)))
    assert worst <= math.exp(max(logprobs)) * (1 + 1e-9)


def test_the_worst_span_is_the_least_probable_one() -> None:
    """Where in the text it lies does not matter; a longer window sees more of what is around it."""
    said = [math.log(one) for one in (0.9, 0.9, 0.1, 0.9)]
    assert worst_span(said, 1) == pytest.approx(0.1)
    assert worst_span(said, 2) == pytest.approx(0.3)


@given(st.lists(_LOGPROBS, min_size=1, max_size=12), st.integers(0, 11), st.floats(0, 1))
def test_a_more_probable_token_never_makes_it_less_sure(logprobs: list[float], at: int, share: float) -> None:
    """Mean and worst span do not fall, the share of doubtful tokens does not rise."""
    at %= len(logprobs)
    chunks = [Chunk("a", None, one) for one in logprobs]
    surer = [replace(one, logprob=one.logprob * share) if place == at else one for place, one in enumerate(chunks)]
    before, after = signs_of(chunks), signs_of(surer)
    assert after.mean >= before.mean - 1e-12
    assert after.worst >= before.worst - 1e-12
    assert after.doubtful <= before.doubtful


def test_entropy_is_that_of_the_alternatives() -> None:
    """Two texts of one half: ln 2. Without alternatives: of the token against all others."""
    assert entropy_of(chunk("a", 0.5, ("b", 0.5))) == pytest.approx(math.log(2))
    assert entropy_of(Chunk("a", 1, math.log(0.5))) == pytest.approx(math.log(2))
    assert entropy_of(Chunk("a", 1, 0.0)) == 0.0
    assert entropy_of(chunk("a", 0.25, ("b", 0.25), ("c", 0.25))) == pytest.approx(math.log(4))


def test_space_and_punctuation_decide_nothing() -> None:
    """A doubtful comma is no doubt; a doubtful word is."""
    assert signs_of([chunk("yes", 0.9), chunk(",", 0.1), chunk("\n", 0.1)]).doubtful == 0.0
    assert signs_of([chunk("yes", 0.1), chunk(",", 0.9)]).doubtful == 1.0


def test_what_repeats_the_prompt_decides_nothing() -> None:
    """The third token in the prompt's order is a repetition, the first two may still be a choice."""
    said = [chunk("a", 0.9), chunk("b", 0.9), chunk("c", 0.1)]
    assert signs_of(said, prompt=[_id("a"), _id("b"), _id("c")]).doubtful == 0.0
    assert signs_of(said, prompt=[_id("b"), _id("c"), _id("a")]).doubtful == pytest.approx(1 / 3)


def test_the_keys_of_a_json_document_decide_nothing() -> None:
    """Its values do; the same text without a schema is text like any other."""
    said = [chunk('{"', 0.9), chunk("key", 0.1), chunk('": "', 0.9), chunk("value", 0.9), chunk('"}', 0.9)]
    assert signs_of(said, structure=Structure.of_schema({})).doubtful == 0.0
    assert signs_of(said).doubtful == 0.5


def test_a_choice_counts_against_the_other_choices_alone() -> None:
    """What could have been said outside of the choices takes nothing away."""
    said = [chunk("yes", 0.2, ("no", 0.1), ("The", 0.7))]
    assert choice_probability(said, ["yes", "no"]) == pytest.approx(2 / 3)


def test_choices_part_where_their_texts_do() -> None:
    """Tokens that all choices share decide nothing; half a word counts for those it begins."""
    said = [chunk("low ", 0.1), chunk("risk", 0.3, ("cost", 0.1))]
    assert choice_probability(said, ["low risk", "low cost"]) == pytest.approx(0.75)
    said = [chunk("low", 0.4, ("lo", 0.2), ("high", 0.2))]
    assert choice_probability(said, ["low", "high"]) == pytest.approx(0.75)


def test_a_choice_that_is_not_shown_counts_as_the_least_that_is() -> None:
    """So the probability is never more than the truth."""
    said = [chunk("a", 0.6, ("b", 0.2))]
    assert choice_probability(said, ["a", "b", "c"]) == pytest.approx(0.6)
    assert choice_probability([Chunk("a", 1, math.log(0.6))], ["a", "b"]) == pytest.approx(0.5)


def test_a_choice_that_begins_another_one_is_decided_by_the_end() -> None:
    """ "1" and "10": whether it goes on is the choice."""
    end = Chunk("", 9, math.log(0.3), (Alternative(9, "", math.log(0.3)), Alternative(_id("0"), "0", math.log(0.1))))
    assert choice_probability([chunk("1", 0.5), end], ["1", "10"]) == pytest.approx(0.75)


@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=3))
def test_the_probabilities_of_all_choices_are_one(weights: list[float]) -> None:
    """Each choice in turn, with the others as its alternatives: together they are certain."""
    total = sum(weights)
    shares = dict(zip("abc", (one / total for one in weights), strict=True))
    found = [
        choice_probability(
            [chunk(text, share, *((other, rest) for other, rest in shares.items() if other != text))], "abc"
        )
        for text, share in shares.items()
    ]
    assert math.fsum(found) == pytest.approx(1.0)


def test_what_is_no_choice_has_no_probability() -> None:
    """A text that is none of them, or none at all."""
    assert choice_probability([chunk("maybe", 1.0)], ["yes", "no"]) == 0.0
    assert choice_probability([], ["yes"]) == 0.0
