from __future__ import annotations

import math

import pytest

from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.base import Loaded
from leanvibe_lsp.engine.llama.score import token_logprobs
from leanvibe_lsp.engine.mock import CharacterTokenizer
from leanvibe_lsp.engine.models.perplexity import TEXT, Standing, measure, perplexity_of
from leanvibe_lsp.errors import EngineError, ModelFormatError


class Even:
    """Gives every token the same probability."""

    def __init__(self, probability: float) -> None:
        self.logprob = math.log(probability)
        self.asked: list[int] = []

    def score(self, ids, cancel):
        """As many as there are tokens, but the first."""
        self.asked = list(ids)
        return [self.logprob] * (len(ids) - 1)


def test_a_model_that_guesses_evenly_has_the_perplexity_of_its_choices():
    """1 in 8 for each token: 8, over all of the text."""
    engine = Even(1 / 8)
    found = measure(engine, Loaded(100_000, 0, "cpu", CharacterTokenizer(), ""), CancelToken())
    assert found.value == pytest.approx(8)
    assert found.tokens == len(TEXT) - 1
    assert "".join(map(chr, engine.asked)) == TEXT


def test_a_small_window_gets_the_beginning():
    """Never more than the window holds."""
    engine = Even(0.5)
    assert measure(engine, Loaded(64, 0, "cpu", CharacterTokenizer(), ""), CancelToken()).tokens == 63


@pytest.mark.parametrize(
    ("value", "recorded", "standing", "ok"),
    [
        (3.55, 3.55, Standing.AS_RECORDED, True),
        (3.60, 3.55, Standing.AS_RECORDED, True),
        (3.37, 3.55, Standing.DIFFERENT, False),  # better is wrong, too: a rotary base of 10,000 does that
        (3.85, 3.55, Standing.DIFFERENT, False),
        (3.85, None, Standing.PLAUSIBLE, True),
        (10_000.0, None, Standing.IMPLAUSIBLE, False),
    ],
)
def test_the_standing_of_a_figure(value, recorded, standing, ok):
    """Against the record both ways; without one, only what no model of language has is refused."""
    found = perplexity_of([-math.log(value)] * 3, recorded)
    assert (found.standing, found.ok) == (standing, ok)
    assert str(standing) in found.summary


@pytest.mark.parametrize("bad", [math.nan, -math.inf, math.inf])
def test_what_is_no_probability_is_an_infinite_perplexity(bad):
    """One NaN is enough, and is never a pass."""
    found = perplexity_of([-0.1, bad], 3.5)
    assert found.value == math.inf
    assert not found.ok
    assert "inf" in found.summary


def _reply(token_id, logprob):
    return {"choices": [{"logprobs": {"content": [{"id": token_id, "logprob": logprob}]}}]}


def test_llama_scores_by_forcing_each_token():
    """One request a token: the prompt before it, and a bias that leaves no choice."""
    asked = []

    def complete(request):
        asked.append((request["prompt"], request["logit_bias"][0][0]))
        return _reply(request["logit_bias"][0][0], -0.5)

    assert token_logprobs(complete, [5, 6, 7], CancelToken()) == [-0.5, -0.5]
    assert asked == [([5], 6), ([5, 6], 7)]


def test_llama_says_minus_infinity_where_there_is_no_number():
    """Null, and a token that no bias could force: weights that give NaN."""
    assert token_logprobs(lambda request: _reply(6, None), [5, 6], CancelToken()) == [-math.inf]
    assert token_logprobs(lambda request: _reply(0, -1.0), [5, 6], CancelToken()) == [-math.inf]
    with pytest.raises(EngineError, match="refused: no"):
        token_logprobs(lambda request: {"error": {"message": "no"}}, [5, 6], CancelToken())


def test_a_text_of_one_token_has_no_perplexity():
    """A tokenizer may make of it what it wants."""
    with pytest.raises(ModelFormatError, match="one token of the whole fixed text"):
        perplexity_of([])
