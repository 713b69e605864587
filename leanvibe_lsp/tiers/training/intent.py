"""Fits the intent model: seeded, cross-validated by group, calibrated on what was not fitted.

Needs scikit-learn (the extra `train`), here and nowhere at run time.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from zlib import crc32

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.tiers.calibration import (
    Calibration,
    brier,
    expected_calibration_error,
    fit_platt,
    reliability,
)
from leanvibe_lsp.tiers.intent.classify import classify
from leanvibe_lsp.tiers.intent.features import Blocks, features
from leanvibe_lsp.tiers.intent.model import FORMAT, KIND, RARITY_STEPS, IntentModel, Vocabulary, log_odds
from leanvibe_lsp.tiers.intent.values import Intent, IntentGuess
from leanvibe_lsp.tiers.intent.words import clearest
from leanvibe_lsp.tiers.training.card import Card, Source, data_digest
from leanvibe_lsp.tiers.training.intent_data import EXTERNAL_LICENCE, OWN_LICENCE, Example

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Progress = Callable[[str, int, int], None]

_STRENGTH = 10.0  # inverse of the ridge penalty
_ITERATIONS = 200
_TOLERANCE = 1e-3
_SEEN = 2  # a feature of fewer rows says nothing of others
_PLACES = 9  # decimals: what lies beyond may differ from one processor to the next
_RAW = Calibration("platt", slope=1.0)  # from log-odds back to the probability
_SHARE = 0.95  # of right answers, at which the coverage is reported


@dataclass(frozen=True, slots=True)
class Judged:
    """A guess at an example that the model did not see."""

    example: Example
    guess: IntentGuess

    @property
    def right(self) -> bool:
        """Whether it is one of the intents that count as right."""
        return self.guess.intent in self.example.intents


def train(
    examples: Sequence[Example], *, seed: int, date: str, folds: int = 5, progress: Progress | None = None
) -> IntentModel:
    """The model of the rows that are not kept aside. Raises UsageError without scikit-learn or with too little data.

    The same rows and seed make the same model; `date` (ISO) is written into its card.
    """
    used = [one for one in examples if not one.kept_aside]
    aside = [one for one in examples if one.kept_aside]
    _enough(used, folds)
    card = Card(KIND, FORMAT, date, seed, data_digest(map(_plain, examples)), _sources(used), {}, ())
    judged = cross_validated(used, seed=seed, folds=folds, progress=progress)
    model = replace(fit(used, seed=seed, folds=0), card=card, calibration=_calibrated(judged))
    # What is reported was calibrated without it: by the other folds.
    measured = _metrics("cross_validated", judged)
    if aside:
        measured |= _metrics("kept_aside", [Judged(one, _guess(model, one)) for one in aside])
    table = reliability([one.guess.confidence for one in judged], [one.right for one in judged])
    return replace(model, card=replace(card, metrics=measured, reliability=table))


def cross_validated(
    examples: Sequence[Example],
    *,
    seed: int,
    folds: int,
    always: Sequence[Example] = (),
    progress: Progress | None = None,
) -> list[Judged]:
    """A guess at each example by a model of the other folds and of `always`; its calibration is of those folds too."""
    parts: dict[int, list[Example]] = defaultdict(list)
    for one in examples:
        parts[fold_of(one, seed, folds)].append(one)
    judged: list[Judged] = []
    for done, (fold, held) in enumerate(sorted(parts.items())):
        if progress is not None:
            progress(f"fold {done + 1}", done, len(parts))
        rest = [one for other, part in parts.items() if other != fold for one in part]
        model = fit([*always, *rest], seed=seed, folds=2)
        judged += (Judged(one, _guess(model, one)) for one in held)
    return judged


def fold_of(example: Example, seed: int, folds: int) -> int:
    """The fold of an example: that of its group."""
    return crc32(f"{seed}:{example.group}".encode()) % folds


def fit(examples: Sequence[Example], *, seed: int, folds: int) -> IntentModel:
    """A model of all `examples`, calibrated over so many folds of them; with 0 folds not calibrated."""
    calibration = _RAW
    if folds:
        parts = {fold: [one for one in examples if fold_of(one, seed + 1, folds) == fold] for fold in range(folds)}
        judged: list[Judged] = []
        for fold, held in parts.items():
            part = fit([one for other in parts if other != fold for one in parts[other]], seed=seed, folds=0)
            judged += (Judged(one, _guess(part, one)) for one in held)
        calibration = _calibrated(judged)
    blocks = [features(one.text, one.location, one.has_selection) for one in examples]
    vocabulary = _vocabulary(blocks, examples)
    classes = tuple(one for one in Intent if any(one in example.intents for example in examples))
    coefficients, scales, intercepts = _regression(vocabulary, blocks, examples, classes)
    card = Card(KIND, FORMAT, "", seed, "", (), {}, ())
    return IntentModel(
        classes, vocabulary, coefficients, scales, intercepts, calibration, _phrase_shares(examples), card
    )


def _vocabulary(blocks: Sequence[Blocks], examples: Sequence[Example]) -> Vocabulary:
    """The features that part the classes most, by chi-squared of the rows they stand in; ties by name."""
    rows: dict[str, Counter[Intent]] = defaultdict(Counter)
    totals: Counter[Intent] = Counter()
    for bag, example in zip(blocks, examples, strict=True):
        intent = example.intents[0]
        totals[intent] += 1
        for feature in {one for block in bag for one in block}:
            rows[feature][intent] += 1
    count = len(examples)

    def parting(feature: str) -> float:
        seen = rows[feature].total()
        return sum(
            (rows[feature][one] - seen * all_ / count) ** 2 / (seen * all_ / count) for one, all_ in totals.items()
        )

    known = [feature for feature, where in rows.items() if where.total() >= _SEEN]
    kept = sorted(sorted(known, key=lambda one: (-round(parting(one), _PLACES), one))[: limit("intent.features")])
    rarity = [math.log((1 + count) / (1 + rows[feature].total())) + 1.0 for feature in kept]
    return Vocabulary.of(kept, bytes(min(255, max(1, round(one * RARITY_STEPS))) for one in rarity))


def _regression(
    vocabulary: Vocabulary, blocks: Sequence[Blocks], examples: Sequence[Example], classes: tuple[Intent, ...]
) -> tuple[array[int], tuple[float, ...], tuple[float, ...]]:
    """Coefficients as bytes, the scale of each class, intercepts. An example of two intents is half of each."""
    regression, limits = _libraries()
    wanted = [
        (row, classes.index(one), 1.0 / len(example.intents))
        for row, example in enumerate(examples)
        for one in example.intents
    ]
    matrix = _matrix(vocabulary, [blocks[row] for row, _, _ in wanted])
    with limits(1):  # one thread adds in one order
        fitted = regression(C=_STRENGTH, max_iter=_ITERATIONS, tol=_TOLERANCE).fit(
            matrix, [column for _, column, _ in wanted], sample_weight=[weight for _, _, weight in wanted]
        )
    table: list[list[float]] = fitted.coef_.tolist()
    scales = tuple(round(max(map(abs, row)) / 127, _PLACES) or 1.0 for row in table)
    rounded = array("b", bytes(len(vocabulary.names) * len(classes)))
    for column, (row, scale) in enumerate(zip(table, scales, strict=True)):
        for feature, value in enumerate(row):
            rounded[feature * len(classes) + column] = max(-127, min(127, round(value / scale)))
    return rounded, scales, tuple(round(one, _PLACES) for one in fitted.intercept_.tolist())


def _matrix(vocabulary: Vocabulary, blocks: Sequence[Blocks]) -> csr_matrix:
    from scipy.sparse import csr_matrix

    values: list[float] = []
    columns: list[int] = []
    starts = [0]
    for bag in blocks:
        for column, weight in vocabulary.weighted(bag):
            columns.append(column)
            values.append(weight)
        starts.append(len(values))
    return csr_matrix((values, columns, starts), shape=(len(blocks), len(vocabulary.names)))


def _libraries() -> tuple[Any, Any]:
    try:
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise UsageError(
            "Training needs scikit-learn, which is not installed.",
            next_step="Install it: pip install 'leanvibe-lsp[train]'.",
        ) from error
    return LogisticRegression, threadpool_limits


def _phrase_shares(examples: Sequence[Example]) -> Mapping[str, float]:
    """How often each clear phrase is right where it comes first, by Laplace's rule."""
    hits: dict[str, list[bool]] = defaultdict(list)
    for one in examples:
        first = clearest(one.text)
        if first is not None:
            hits[first[0]].append(first[1] in one.intents)
    return {name: round((sum(right) + 1) / (len(right) + 2), 4) for name, right in sorted(hits.items())}


def _guess(model: IntentModel, one: Example) -> IntentGuess:
    return classify(one.text, location=one.location, has_selection=one.has_selection, model=model)


def _calibrated(judged: Sequence[Judged]) -> Calibration:
    """From the log-odds that an uncalibrated model gave to how often it was right; words have their own measure."""
    asked = [one for one in judged if one.guess.method == "model"]
    fitted = fit_platt([log_odds(one.guess.confidence) for one in asked], [float(one.right) for one in asked])
    return replace(fitted, slope=round(fitted.slope, _PLACES), intercept=round(fitted.intercept, _PLACES))


def _metrics(name: str, judged: Sequence[Judged]) -> dict[str, float]:
    sure = [one.guess.confidence for one in judged]
    right = [float(one.right) for one in judged]
    measured = {
        "rows": float(len(judged)),
        "accuracy": sum(right) / len(right),
        "coverage_at_95": coverage(judged),
        "ece": expected_calibration_error(sure, right),
        "brier": brier(sure, right),
    }
    return {f"{name}.{key}": round(value, 4) for key, value in measured.items()}


def coverage(judged: Sequence[Judged]) -> float:
    """The largest share of the surest guesses of which 95 of 100 are right."""
    best = right = 0
    for count, one in enumerate(sorted(judged, key=lambda one: -one.guess.confidence), 1):
        right += one.right
        if right >= _SHARE * count:
            best = count
    return best / len(judged) if judged else 0.0


def _sources(examples: Sequence[Example]) -> tuple[Source, ...]:
    counts = Counter(one.source for one in examples)
    return tuple(
        Source(name, OWN_LICENCE if name == "own" else EXTERNAL_LICENCE, count)
        for name, count in sorted(counts.items())
    )


def _plain(one: Example) -> list[object]:
    return [
        one.text,
        [str(intent) for intent in one.intents],
        one.location,
        one.has_selection,
        one.group,
        one.kept_aside,
    ]


def _enough(examples: Sequence[Example], folds: int) -> None:
    groups: dict[Intent, set[str]] = defaultdict(set)
    for one in examples:
        groups[one.intents[0]].add(one.group)
    thin = sorted(str(intent) for intent, members in groups.items() if len(members) < folds)
    if len(groups) < 2 or thin:
        what = f"too few groups of {', '.join(thin)}" if thin else "only one intent"
        raise UsageError(f"The data have {what}: {folds} are needed of each.", next_step="Add rows.")
