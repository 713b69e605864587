"""From scores to probabilities that hold, and figures that say how well they do. Pure.

A score is what a rung says of its own answer; an outcome is whether that answer was right (0 or 1, or a share between
them). A calibration is fitted on answers that the rung was not fitted on itself, and never made to say 0 or 1 where
the data do not: the ends are drawn in by Laplace's rule.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from leanvibe_lsp.errors import UsageError

Kind = Literal["identity", "isotonic", "platt"]

_STEPS = 100  # of Newton's method: it has converged long before, or the data are separable and it never will
_SMALL = 1e-12
_LARGE = 36.0  # exp of it times a double's resolution is about 1: beyond, a probability is 0 or 1 anyway


@dataclass(frozen=True, slots=True)
class Calibration:
    """A function from a score to a probability that never falls where the score rises.

    `isotonic`: straight lines between the points `scores` (rising) and `values`, flat outside. `platt`: the logistic
    function of `slope` times the score plus `intercept`. `identity`: the score itself, held to 0 to 1.
    """

    kind: Kind = "identity"
    scores: tuple[float, ...] = ()
    values: tuple[float, ...] = ()
    slope: float = 0.0
    intercept: float = 0.0

    def __call__(self, score: float) -> float:
        """The probability for a score."""
        if self.kind == "platt":
            return logistic(self.slope * score + self.intercept)
        if self.kind == "identity" or not self.scores:
            return min(1.0, max(0.0, score))
        after = bisect_right(self.scores, score)
        if after == 0:
            return self.values[0]
        if after == len(self.scores):
            return self.values[-1]
        low, high = self.scores[after - 1], self.scores[after]
        share = (score - low) / (high - low)
        # In this form, and held between the two, rounding cannot make it fall.
        return min(self.values[after], self.values[after - 1] + share * (self.values[after] - self.values[after - 1]))

    def to_json(self) -> dict[str, Any]:
        """As it stands in a file."""
        if self.kind == "platt":
            return {"kind": self.kind, "slope": self.slope, "intercept": self.intercept}
        if self.kind == "isotonic":
            return {"kind": self.kind, "scores": list(self.scores), "values": list(self.values)}
        return {"kind": self.kind}

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Calibration:
        """Back from a file. Raises UsageError for what is no calibration."""
        kind = given.get("kind")
        if kind not in ("identity", "isotonic", "platt"):
            raise UsageError(f"{kind!r} is no kind of calibration.", next_step="Train it again: `leanvibe train`.")
        try:
            scores = tuple(float(one) for one in given.get("scores", ()))
            values = tuple(float(one) for one in given.get("values", ()))
            slope, intercept = float(given.get("slope", 0.0)), float(given.get("intercept", 0.0))
        except (TypeError, ValueError) as error:
            raise UsageError(f"A calibration holds no numbers: {error}.", next_step="Train it again.") from error
        rising = all(low < high for low, high in pairwise(scores)) and all(
            low <= high for low, high in pairwise(values)
        )
        if len(scores) != len(values) or not rising or slope < 0 or any(not 0 <= one <= 1 for one in values):
            raise UsageError("A calibration does not rise from 0 to 1.", next_step="Train it again: `leanvibe train`.")
        return cls(kind, scores, values, slope, intercept)


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers whose probability is within `low` (included) and `high`: their mean, and how many were right."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def logistic(value: float) -> float:
    """1 / (1 + exp(-value)), for every float."""
    if value >= 0:
        return 1.0 / (1.0 + math.exp(-min(value, _LARGE)))
    return math.exp(max(value, -_LARGE)) / (1.0 + math.exp(max(value, -_LARGE)))


def pool(values: Sequence[float], weights: Sequence[float] | None = None) -> list[float]:
    """The rising sequence nearest to `values` by weighted squares: neighbours that fall are pooled (PAVA)."""
    blocks: list[tuple[float, float, int]] = []  # mean, weight, length
    for index, value in enumerate(values):
        mean, weight, length = value, 1.0 if weights is None else weights[index], 1
        while blocks and blocks[-1][0] >= mean:
            before, more, longer = blocks.pop()
            total = weight + more
            # Equal means stay as they are to the last bit: pooling twice changes nothing.
            mean = mean if before == mean else (before * more + mean * weight) / total
            weight, length = total, length + longer
        blocks.append((mean, weight, length))
    return [mean for mean, _, length in blocks for _ in range(length)]


def fit_isotonic(scores: Sequence[float], outcomes: Sequence[float]) -> Calibration:
    """The rising function nearest to what happened; identity for no data.

    Scores alike are one point. What lies below a block of n answers and above one is drawn in to 1 / (n + 2) and
    (n + 1) / (n + 2).
    """
    together: dict[float, list[float]] = {}
    for score, outcome in zip(scores, outcomes, strict=True):
        together.setdefault(score, []).append(outcome)
    if not together:
        return Calibration()
    xs = sorted(together)
    weights = [float(len(together[x])) for x in xs]
    fitted = pool([math.fsum(together[x]) / len(together[x]) for x in xs], weights)
    least = 1.0 / (2.0 + math.fsum(weight for weight, one in zip(weights, fitted, strict=True) if one == fitted[0]))
    most = 1.0 / (2.0 + math.fsum(weight for weight, one in zip(weights, fitted, strict=True) if one == fitted[-1]))
    values = [min(1.0 - most, max(least, one)) for one in fitted]
    kept = [
        index
        for index in range(len(xs))
        if index in (0, len(xs) - 1) or not values[index - 1] == values[index] == values[index + 1]
    ]
    return Calibration("isotonic", tuple(xs[index] for index in kept), tuple(values[index] for index in kept))


def fit_platt(scores: Sequence[float], outcomes: Sequence[float]) -> Calibration:
    """A logistic function of the score, by Newton's method on Platt's smoothed targets; identity for no data.

    Where higher scores are right less often, the slope is 0: the answer is the share that was right.
    """
    if not scores:
        return Calibration()
    right = math.fsum(outcomes)
    wrong = len(outcomes) - right
    high, low = (right + 1.0) / (right + 2.0), 1.0 / (wrong + 2.0)
    targets = [outcome * high + (1.0 - outcome) * low for outcome in outcomes]
    share = math.fsum(targets) / len(targets)
    flat = Calibration("platt", slope=0.0, intercept=math.log(share / (1.0 - share)))
    centre = math.fsum(scores) / len(scores)
    spread = math.sqrt(math.fsum((score - centre) ** 2 for score in scores) / len(scores))
    if spread < _SMALL:
        return flat
    slope, intercept = _newton([(score - centre) / spread for score in scores], targets, flat.intercept)
    if slope <= 0:
        return flat
    return Calibration("platt", slope=slope / spread, intercept=intercept - slope * centre / spread)


def _newton(xs: Sequence[float], targets: Sequence[float], intercept: float) -> tuple[float, float]:
    slope = 0.0
    for _ in range(_STEPS):
        fitted = [logistic(slope * x + intercept) for x in xs]
        gaps = [one - target for one, target in zip(fitted, targets, strict=True)]
        curve = [one * (1.0 - one) + _SMALL for one in fitted]
        a, b = math.fsum(c * x * x for c, x in zip(curve, xs, strict=True)) + _SMALL, math.fsum(curve) + _SMALL
        mixed = math.fsum(c * x for c, x in zip(curve, xs, strict=True))
        gradient, base = math.fsum(g * x for g, x in zip(gaps, xs, strict=True)), math.fsum(gaps)
        determinant = a * b - mixed * mixed
        if determinant < _SMALL * _SMALL:
            break
        steps = (b * gradient - mixed * base) / determinant, (a * base - mixed * gradient) / determinant
        factor = min(1.0, 1.0 / (max(map(abs, steps)) + _SMALL))  # no step above 1: it cannot fly off
        slope, intercept = slope - factor * steps[0], intercept - factor * steps[1]
        if max(map(abs, steps)) < _SMALL:
            break
    return slope, intercept


def brier(probabilities: Sequence[float], outcomes: Sequence[float]) -> float:
    """Mean squared distance of probability and outcome; 0 is perfect, 0.25 is a coin. NaN for no data."""
    pairs = list(zip(probabilities, outcomes, strict=True))
    return math.fsum((one - outcome) ** 2 for one, outcome in pairs) / len(pairs) if pairs else math.nan


def reliability(probabilities: Sequence[float], outcomes: Sequence[float], *, bins: int = 10) -> tuple[Bin, ...]:
    """Answers by probability, in `bins` of equal width; empty ones are left out."""
    found: dict[int, list[tuple[float, float]]] = {}
    for one, outcome in zip(probabilities, outcomes, strict=True):
        found.setdefault(min(bins - 1, int(one * bins)), []).append((one, outcome))
    return tuple(
        Bin(
            low=index / bins,
            high=(index + 1) / bins,
            count=len(pairs),
            confidence=_mean(one for one, _ in pairs),
            accuracy=_mean(outcome for _, outcome in pairs),
        )
        for index, pairs in sorted(found.items())
    )


def expected_calibration_error(probabilities: Sequence[float], outcomes: Sequence[float], *, bins: int = 10) -> float:
    """How far probability and share of right answers are apart, over the bins by their size. NaN for no data."""
    table = reliability(probabilities, outcomes, bins=bins)
    total = sum(one.count for one in table)
    return math.fsum(one.count * abs(one.confidence - one.accuracy) for one in table) / total if total else math.nan


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return math.fsum(numbers) / len(numbers)
