"""Perplexity on a fixed text of code: how well a model foresees each token from those before it.

exp(-mean ln p) over all tokens but the first. Known answers look at eight moments; this looks at hundreds, at all
distances, so it also shows what is only a little wrong. It depends on the tokenizer, so figures are compared only for
one model: with the registry's, or before and after a conversion.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.base import Engine, Loaded
from leanvibe_lsp.engine.models.selftest import State, Verdict, prompt_ids
from leanvibe_lsp.errors import ModelFormatError

if TYPE_CHECKING:
    from leanvibe_lsp.core.cancel import CancelToken

# Part of the contract: a recorded figure is worth nothing once a character of this changes.
TEXT = '''\
def binary_search(items, target):
    """Return the index of target in the sorted list items, or -1."""
    low, high = 0, len(items) - 1
    while low <= high:
        middle = (low + high) // 2
        if items[middle] == target:
            return middle
        if items[middle] < target:
            low = middle + 1
        else:
            high = middle - 1
    return -1

// The same in Go, over a slice of strings.
func contains(words []string, word string) bool {
    for _, w := range words {
        if w == word {
            return true
        }
    }
    return false
}

export async function fetchUser(id: number): Promise<User> {
  const response = await fetch(`/api/users/${id}`);
  if (!response.ok) {
    throw new Error(`request failed: ${response.status}`);
  }
  return response.json();
}

SELECT name, COUNT(*) AS total FROM orders GROUP BY name ORDER BY total DESC;

def linear_search(items, target):
    """Return the index of target in the unsorted list items, or -1."""
    for index, item in enumerate(items):
        if item == target:
            return index
    return -1
'''


class ScoringEngine(Engine, Protocol):
    """A backend that can say how probable a given text is."""

    def score(self, ids: Sequence[int], cancel: CancelToken) -> list[float]:
        """Natural log-probability of each of `ids` but the first, given those before. Raises EngineError, Cancelled."""
        ...


class Standing(StrEnum):
    """How a perplexity stands to what is known of the model."""

    AS_RECORDED = "as recorded"
    DIFFERENT = "not as recorded"
    PLAUSIBLE = "plausible"
    IMPLAUSIBLE = "implausible"


@dataclass(frozen=True, slots=True)
class Perplexity:
    """`value` over `tokens` of TEXT; infinite when a damaged model gave what is no probability."""

    value: float
    tokens: int
    recorded: float | None = None

    @property
    def change(self) -> float:
        """Distance from the recorded value, as a part of it: 0.02 is 2 % worse. Only where there is one."""
        assert self.recorded is not None, "only asked of a model with a recorded value"
        return self.value / self.recorded - 1

    @property
    def standing(self) -> Standing:
        """Against the recorded value, or without one against what any model of language reaches."""
        if self.recorded is not None:
            close = abs(self.change) * 100 <= limit("perplexity.tolerance_percent")
            return Standing.AS_RECORDED if close else Standing.DIFFERENT
        return Standing.PLAUSIBLE if self.value <= limit("perplexity.plausible") else Standing.IMPLAUSIBLE

    @property
    def ok(self) -> bool:
        """True when nothing speaks against the model."""
        return self.standing in (Standing.AS_RECORDED, Standing.PLAUSIBLE)

    @property
    def summary(self) -> str:
        """One line for a person."""
        compared = "" if self.recorded is None else f" (recorded: {self.recorded:.2f}, {percent(self.change)})"
        value = f"{self.value:.2f}" if self.value < _READABLE else f"{self.value:.0e}"
        return f"{value} over {self.tokens} tokens, {self.standing}{compared}"


@dataclass(frozen=True, slots=True)
class Proof:
    """What running a model showed: the known answers and the fixed text."""

    verdict: Verdict
    perplexity: Perplexity

    @property
    def ok(self) -> bool:
        """True when the model may be used, and nothing speaks against it."""
        return self.verdict.state is not State.UNVERIFIED and self.perplexity.ok


def measure(engine: ScoringEngine, loaded: Loaded, cancel: CancelToken, recorded: float | None = None) -> Perplexity:
    """Score TEXT, behind the model's begin of a text. Raises EngineError, Cancelled."""
    return perplexity_of(engine.score(prompt_ids(loaded, TEXT)[: loaded.window], cancel), recorded)


def perplexity_of(logprobs: Sequence[float], recorded: float | None = None) -> Perplexity:
    """Pure: the perplexity of these natural log-probabilities.

    Raises ModelFormatError for none at all: by its tokenizer the text is one token.
    """
    if not logprobs:
        raise ModelFormatError(
            "The model's tokenizer makes one token of the whole fixed text.", next_step="Take another model."
        )
    mean = math.fsum(logprobs) / len(logprobs) if all(map(math.isfinite, logprobs)) else -math.inf
    return Perplexity(math.exp(min(-mean, _LARGEST)) if mean > -math.inf else math.inf, len(logprobs), recorded)


def percent(change: float) -> str:
    """A change for a person: "+1.2%"; what is many times as large as a power of ten."""
    return f"{change:+.1%}" if change < _READABLE else f"+{change * 100:.0e}%"


_READABLE = 10_000.0
_LARGEST = 700.0  # exp of more overflows
