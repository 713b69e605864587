"""The small linear model: a file of coefficients with a name for each, evaluated in plain Python.

Logistic regression on the features of `features`. A feature's weight in an answer is its coefficient times how far it
is from the mean of the training rows, so that what is missing can be a reason too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.tiers.calibration import Calibration
from leanvibe_lsp.tiers.risk.features import Features
from leanvibe_lsp.tiers.risk.values import Basis
from leanvibe_lsp.tiers.training.card import Card, unseal

KIND = "risk"
FORMAT = 1
SHIPPED = Path(__file__).parent / "data" / "risk.json"
_AGAIN = "Train it again: `leanvibe train risk`."


@dataclass(frozen=True, slots=True)
class Linear:
    """Coefficient of each feature and its mean in the training rows, and the intercept where all features are 0.

    `calibration` is from the log-odds to the probability, `threshold` the probability from which on code is risky.
    """

    coefficients: Mapping[str, float]
    means: Mapping[str, float]
    intercept: float
    calibration: Calibration
    threshold: float

    def log_odds(self, features: Features) -> float:
        """Of being risky, not calibrated."""
        known = self.coefficients
        return self.intercept + math.fsum(known[name] * value for name, value in features.items() if name in known)

    def weight(self, name: str, value: float) -> float:
        """How far a feature of this value moves the log-odds from where an average row's is; 0 for an unknown one."""
        return self.coefficients[name] * (value - self.means[name]) if name in self.coefficients else 0.0


@dataclass(frozen=True, slots=True)
class RiskModel:
    """One linear model for what is known of Python, one for what is known of every language; `rules` is the digest
    of the rules whose findings it was trained with."""

    parts: Mapping[Basis, Linear]
    rules: str
    card: Card


def to_content(model: RiskModel) -> dict[str, Any]:
    """The file's content, without its digest."""
    return {
        "card": model.card.to_json(),
        "rules": model.rules,
        "parts": {
            basis: {
                "intercept": part.intercept,
                "threshold": part.threshold,
                "calibration": part.calibration.to_json(),
                "features": {name: [value, part.means[name]] for name, value in part.coefficients.items()},
            }
            for basis, part in model.parts.items()
        },
    }


def read_model(text: str, *, name: str) -> RiskModel:
    """A model from the text of its file. Raises UsageError for what is none, ModelDamaged for a wrong digest."""
    content = unseal(text, kind=KIND, form=FORMAT, name=name)
    bases: tuple[Basis, ...] = ("python", "generic")
    try:
        parts = {basis: _part(content["parts"][basis]) for basis in bases}
        return RiskModel(parts, str(content["rules"]), Card.from_json(content["card"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{name} holds no model: {error}.", next_step=_AGAIN) from error


def _part(given: Mapping[str, Any]) -> Linear:
    return Linear(
        coefficients={name: float(pair[0]) for name, pair in given["features"].items()},
        means={name: float(pair[1]) for name, pair in given["features"].items()},
        intercept=float(given["intercept"]),
        calibration=Calibration.from_json(given["calibration"]),
        threshold=float(given["threshold"]),
    )


@cache
def shipped() -> RiskModel:
    """The model that comes with the program; read once."""
    return read_model(SHIPPED.read_text(encoding="utf-8"), name=SHIPPED.name)
