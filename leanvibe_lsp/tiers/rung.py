"""The rungs of the ladder, and what one of them says. Plain values; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Rung(StrEnum):
    """Who answers; in the order of `LADDER` each costs more than the one before."""

    RULES = "rules"
    CLASSIFIER = "classifier"
    MODEL = "model"
    BIGGER = "bigger"
    PERSON = "person"


LADDER = tuple(Rung)


@dataclass(frozen=True, slots=True)
class Cost:
    """What an answer takes, or took: seconds of a person's waiting, and tokens of prompt and answer together."""

    seconds: float = 0.0
    tokens: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.seconds + other.seconds, self.tokens + other.tokens)

    def fits(self, budget: Cost) -> bool:
        """Whether the budget covers all of it."""
        return self.seconds <= budget.seconds and self.tokens <= budget.tokens


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one rung said.

    `verdict` is its answer in one word, the same word for the same answer whoever gives it ("risky", "fine", an
    intent). `confidence` is the calibrated probability that it is right; None when the rung cannot say. A rung that
    gave no answer has the reason in `failure` and counts as tried.
    """

    rung: Rung
    verdict: str
    confidence: float | None
    cost: Cost = Cost()
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """A rung that could be asked: what it will cost, or the `obstacle` for which it cannot."""

    rung: Rung
    cost: Cost = Cost()
    obstacle: str = ""
