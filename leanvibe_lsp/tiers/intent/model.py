"""The small linear model: a file of rounded coefficients, evaluated in plain Python.

Logistic regression on the blocks of `features`: in each, a feature weighs (1 + ln n) times its inverse document
frequency where it stands there n times, scaled to length 1.
"""

from __future__ import annotations

import math
from array import array
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.tiers.calibration import Calibration
from leanvibe_lsp.tiers.intent.features import Blocks
from leanvibe_lsp.tiers.intent.values import Intent
from leanvibe_lsp.tiers.training.card import Card, unseal

KIND = "intent"
FORMAT = 1
SHIPPED = Path(__file__).parent / "data" / "intent.json"

RARITY_STEPS = 16  # of the rounded inverse document frequency, for each 1.0
_CERTAIN = 1e-9

Weighted = list[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The features that count, and how rare each is, in steps of 1 / `RARITY_STEPS`."""

    names: tuple[str, ...]
    rarity: bytes
    index: Mapping[str, int]

    @classmethod
    def of(cls, names: Iterable[str], rarity: bytes) -> Vocabulary:
        """From the features in their order, and the rarity of each."""
        ordered = tuple(names)
        return cls(ordered, rarity, {name: row for row, name in enumerate(ordered)})

    def weighted(self, blocks: Blocks) -> Weighted:
        """Index and weight of the features of a request that are known."""
        found: Weighted = []
        for block in blocks:
            counts = Counter(self.index[one] for one in block if one in self.index)
            raw = [(one, (1.0 + math.log(count)) * self.rarity[one]) for one, count in sorted(counts.items())]
            length = math.sqrt(math.fsum(weight * weight for _, weight in raw))
            found += ((one, weight / length) for one, weight in raw)
        return found


@dataclass(frozen=True, slots=True)
class IntentModel:
    """Coefficients (a row of bytes for each feature, in the order of `classes`), their scales, and what was measured.

    `calibration` is from the log-odds of the likeliest class to the probability that it is right; `phrases` are the
    shares of right answers of the clear words, by name.
    """

    classes: tuple[Intent, ...]
    vocabulary: Vocabulary
    coefficients: array[int]
    scales: tuple[float, ...]
    intercepts: tuple[float, ...]
    calibration: Calibration
    phrases: Mapping[str, float]
    card: Card

    def probabilities(self, weighted: Weighted) -> dict[Intent, float]:
        """By class, the likeliest first, as they come out of the model: they sum to 1 and are not calibrated."""
        width = len(self.classes)
        sums = [0.0] * width
        for row, weight in weighted:
            for column, coefficient in enumerate(self.coefficients[row * width : (row + 1) * width]):
                sums[column] += weight * coefficient
        logits = [one * scale + start for one, scale, start in zip(sums, self.scales, self.intercepts, strict=True)]
        top = max(logits)
        powers = [math.exp(one - top) for one in logits]
        total = math.fsum(powers)
        pairs = sorted(zip(self.classes, powers, strict=True), key=lambda pair: -pair[1])
        return {intent: power / total for intent, power in pairs}

    def moved(self, weighted: Weighted, intent: Intent, count: int) -> tuple[str, ...]:
        """Up to `count` words and hints that spoke most for `intent`."""
        column, width, names = self.classes.index(intent), len(self.classes), self.vocabulary.names
        spoke = [
            (weight * self.coefficients[row * width + column], names[row])
            for row, weight in weighted
            if not names[row].startswith("c")
        ]
        return tuple(name[1:] for gain, name in sorted(spoke, reverse=True)[:count] if gain > 0)


def log_odds(probability: float) -> float:
    """ln(p / (1 - p)), finite for 0 and 1 too."""
    held = min(1.0 - _CERTAIN, max(_CERTAIN, probability))
    return math.log(held / (1.0 - held))


def to_content(model: IntentModel) -> dict[str, Any]:
    """The file's content, without its digest."""
    return {
        "card": model.card.to_json(),
        "classes": [str(one) for one in model.classes],
        "calibration": model.calibration.to_json(),
        "phrases": dict(model.phrases),
        "scales": list(model.scales),
        "intercepts": list(model.intercepts),
        "features": list(model.vocabulary.names),
        "rarity": b64encode(model.vocabulary.rarity).decode("ascii"),
        "coefficients": b64encode(model.coefficients.tobytes()).decode("ascii"),
    }


def read_model(text: str, *, name: str) -> IntentModel:
    """A model from the text of its file. Raises UsageError for what is none, ModelDamaged for a wrong digest."""
    content = unseal(text, kind=KIND, form=FORMAT, name=name)
    try:
        coefficients = array("b", b64decode(content["coefficients"], validate=True))
        model = IntentModel(
            classes=tuple(Intent(one) for one in content["classes"]),
            vocabulary=Vocabulary.of(content["features"], b64decode(content["rarity"], validate=True)),
            coefficients=coefficients,
            scales=tuple(content["scales"]),
            intercepts=tuple(content["intercepts"]),
            calibration=Calibration.from_json(content["calibration"]),
            phrases=dict(content["phrases"]),
            card=Card.from_json(content["card"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{name} holds no model: {error}.", next_step="Train it again: `leanvibe train`.") from error
    features, width = len(model.vocabulary.names), len(model.classes)
    if not (
        len(coefficients) == features * width
        and len(model.vocabulary.rarity) == features
        and len(model.scales) == len(model.intercepts) == width > 1
    ):
        raise UsageError(f"{name} has parts that do not fit.", next_step="Train it again: `leanvibe train`.")
    return model


@cache
def shipped() -> IntentModel:
    """The model that comes with the program; read once."""
    return read_model(SHIPPED.read_text(encoding="utf-8"), name=SHIPPED.name)
