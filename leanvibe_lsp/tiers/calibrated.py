"""The probability that an answer is right, from the signs of its generation and the checks it passed. Pure but for the
files that come with the program.

A logistic function of the signs gives a score, and a calibration (isotonic or Platt's, whichever held better on cases
left out) makes a probability of it. Both belong to one task and one model, by the digest of its weights: another
model's probabilities mean something else.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.confidence import Signs
from leanvibe_lsp.errors import LeanVibeError, UsageError
from leanvibe_lsp.tiers.calibration import Calibration
from leanvibe_lsp.tiers.training.card import Card, unseal

log = logging.getLogger(__name__)

Task = Literal["answer", "choice", "fix", "review"]
TASKS: tuple[Task, ...] = ("answer", "choice", "fix", "review")
# What an answer can be held against, each 0 (failed) to 1: it parses, the rule no longer complains, which share of its
# quotes is in the file.
CHECKS = ("parses", "rule gone", "quotes")

KIND, FORM = "calibration", 1
SHIPPED = Path(__file__).parent / "calibrations"
_EDGE = 1e-4  # no probability counts as nearer to 0 or 1 than that


@dataclass(frozen=True, slots=True)
class Case:
    """An answer known to be right or wrong. `group`: cases of one are never on both sides of a split."""

    signs: Signs
    right: bool
    checks: Mapping[str, float]
    group: str

    def to_json(self) -> dict[str, Any]:
        """As it stands in a file: numbers alone, nothing of what was asked or said."""
        return asdict(self) | {"signs": asdict(self.signs), "checks": dict(self.checks)}

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Case:
        """Back from a file. Raises UsageError for what is no case."""
        try:
            signs = Signs(**given["signs"])
            checks = {str(name): float(passed) for name, passed in given["checks"].items()}
            check_signs(signs)
            if not all(0 <= passed <= 1 for passed in checks.values()):
                raise ValueError("a check is neither passed nor failed")
            return cls(signs, bool(given["right"]), checks, str(given["group"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UsageError(f"That is no case of a calibration: {error}.", next_step="Leave it out.") from error


@dataclass(frozen=True, slots=True)
class Feature:
    """One number of a case as the score sees it: held to `low` to `high`, the range that was seen, and scaled."""

    name: str
    low: float
    high: float
    centre: float
    scale: float
    weight: float

    def of(self, values: Mapping[str, float]) -> float:
        """What it adds to the score."""
        value = min(self.high, max(self.low, values[self.name]))
        return self.weight * (value - self.centre) / self.scale


@dataclass(frozen=True, slots=True)
class Measured:
    """How good it was on `cases` that were not fitted: the expected calibration error, and Brier's score."""

    cases: int
    ece: float
    brier: float


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What is right how often, for one task and model. `longest` is the longest answer (tokens) it was fitted on.

    `own` counts the cases among those fitted that were marked on this machine.
    """

    task: Task
    model: str
    digest: str
    features: tuple[Feature, ...]
    intercept: float
    calibration: Calibration
    longest: int
    fitted: int
    measured: Measured
    own: int = 0

    def probability(self, signs: Signs, checks: Mapping[str, float]) -> float | None:
        """The probability that the answer is right, 0.0 to 1.0; None for one longer than it can speak of."""
        if not 0 < signs.tokens * 100 <= self.longest * limit("confidence.reach_percent"):
            return None
        return self.calibration(self.score(signs, checks))

    def score(self, signs: Signs, checks: Mapping[str, float]) -> float:
        """What is calibrated: higher is surer."""
        values = values_of(signs, checks)
        return self.intercept + math.fsum(one.of(values) for one in self.features)

    @property
    def method(self) -> str:
        """How the probability was found, in a few words."""
        own = f" and {self.own} of your own" if self.own else ""
        cases = self.fitted - self.own
        return f"calibrated: {self.task}, {self.model}, {cases} cases{own}, ECE {self.measured.ece:.2f}"

    def to_json(self) -> dict[str, Any]:
        """As it stands in a file."""
        return asdict(self) | {"calibration": self.calibration.to_json()}

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Calibrated:
        """Back from a file. Raises UsageError for what is none."""
        try:
            fields = {name: given[name] for name in cls.__slots__}
            fields["features"] = tuple(Feature(**one) for one in given["features"])
            fields["calibration"] = Calibration.from_json(given["calibration"])
            fields["measured"] = Measured(**given["measured"])
            made = cls(**fields)
            values_ok = all(one.name in values_of(_BLANK, {}) and one.scale > 0 for one in made.features)
            numbers = [made.intercept, *(one.weight for one in made.features)]
            if made.task not in TASKS or not values_ok or not all(map(math.isfinite, numbers)):
                raise ValueError("its features or numbers are not ours")
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"That is no fitted calibration: {error}.", next_step="Fit it again.") from error
        return made


_BLANK = Signs(tokens=1, mean=0.5, worst=0.5, entropy=0.0, doubtful=0.0)


def check_signs(signs: Signs) -> None:
    """Raise ValueError for numbers that no generation has."""
    shares = (signs.mean, signs.worst, signs.doubtful, 0.0 if signs.choice is None else signs.choice)
    if not all(0 <= one <= 1 for one in shares) or not 0 <= signs.entropy < math.inf or signs.tokens < 0:
        raise ValueError("signs out of their range")


def values_of(signs: Signs, checks: Mapping[str, float]) -> dict[str, float]:
    """Every feature of a case by name. A check that was not made lies in the middle."""
    return {
        "mean": _logit(signs.mean),
        "worst": math.log(max(_EDGE, signs.worst)),
        "entropy": signs.entropy,
        "length": math.log1p(signs.tokens),
        "doubtful": signs.doubtful,
        "choice": 0.0 if signs.choice is None else _logit(signs.choice),
        "whole": float(signs.whole),
        **{name: float(checks.get(name, 0.5)) for name in CHECKS},
    }


@cache
def shipped(task: Task, digest: str) -> tuple[Calibrated, tuple[Case, ...]] | None:
    """What comes with the program for a task and a model, and the cases it was fitted on; None where nothing does."""
    path = SHIPPED / file_name(task, digest)
    try:
        content = unseal(path.read_text(encoding="utf-8"), kind=KIND, form=FORM, name=path.name)
        made = Calibrated.from_json(content["calibrated"])
        cases = tuple(Case.from_json(one) for one in content["cases"])
    except FileNotFoundError:
        return None
    except (OSError, LeanVibeError, KeyError, TypeError) as error:
        log.warning("the calibration %s is left out: %s", path.name, error)
        return None
    return (made, cases) if (made.task, made.digest) == (task, digest) else None


def card_of(task: Task, digest: str) -> Card | None:
    """What the shipped file says of itself; None where there is none."""
    path = SHIPPED / file_name(task, digest)
    if not path.exists():
        return None
    return Card.from_json(unseal(path.read_text(encoding="utf-8"), kind=KIND, form=FORM, name=path.name)["card"])


def file_name(task: Task, digest: str) -> str:
    """Where a task's calibration for a model lies."""
    return f"{task}-{hashlib.sha256(digest.encode()).hexdigest()[:12]}.json"


def _logit(probability: float) -> float:
    held = min(1.0 - _EDGE, max(_EDGE, probability))
    return math.log(held / (1.0 - held))
