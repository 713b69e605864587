from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.engine.confidence import mean_token_probability


def test_the_mean_of_probabilities() -> None:
    """Arithmetic mean of the probabilities, not of their logarithms."""
    assert mean_token_probability([math.log(0.5), math.log(1.0)]) == pytest.approx(0.75)


def test_nothing_said_is_no_confidence() -> None:
    """No token: 0.0, not an error."""
    assert mean_token_probability([]) == 0.0


def test_nan_is_no_certainty() -> None:
    """A broken engine's NaN counts as 0, and a rounding error above 0 as certain."""
    assert mean_token_probability([math.nan]) == 0.0
    assert mean_token_probability([-math.inf, 0.0]) == 0.5
    assert mean_token_probability([1e-3]) == 1.0


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True)))
def test_always_a_probability(logprobs: list[float]) -> None:
    """Whatever the logprobs, the value lies in 0..1."""
    assert 0.0 <= mean_token_probability(logprobs) <= 1.0
