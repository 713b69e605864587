"""What a model's own probabilities say about its answer. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence


def mean_token_probability(logprobs: Sequence[float]) -> float:
    """Arithmetic mean of the chosen tokens' probabilities, 0.0 to 1.0; 0.0 for none. NaN counts as 0.0.

    Raw: it says how sure the model was of its words, not how often such an answer is right.
    """
    return math.fsum(map(_probability, logprobs)) / len(logprobs) if logprobs else 0.0


def _probability(logprob: float) -> float:
    # Rounding can put a logprob a little above 0. NaN is no certainty: min(0.0, nan) would be 0.0, and so 1.0.
    return 0.0 if math.isnan(logprob) else math.exp(min(0.0, logprob))
