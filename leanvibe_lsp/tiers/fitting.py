"""Fitting a `Calibrated`: the logistic function, and the calibration that holds better. Pure."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.tiers.calibrated import Calibrated, Case, Feature, Measured, Task, values_of
from leanvibe_lsp.tiers.calibration import (
    Calibration,
    brier,
    expected_calibration_error,
    fit_isotonic,
    fit_platt,
    logistic,
)

_FOLDS = 5
_STEPS = 50  # of Newton's method
_RIDGE = 1.0  # how strongly weights are drawn to 0, in cases: with few of them a feature must earn its place
_SMALL = 1e-9
_FITS: tuple[Callable[[Sequence[float], Sequence[float]], Calibration], ...] = (fit_isotonic, fit_platt)


def fit(cases: Sequence[Case], *, task: Task, model: str, digest: str, own: int = 0) -> Calibrated:
    """A calibration from cases, measured on folds left out: cases of one group are in one fold.

    Raises UsageError for fewer cases than it takes.
    """
    if len(cases) < limit("confidence.least_cases"):
        raise UsageError(
            f"{len(cases)} cases are too few to calibrate from; {limit('confidence.least_cases')} are needed.",
            next_step="Mark more answers: `leanvibe feedback right`, `leanvibe feedback wrong`.",
        )
    folds = [_fold(case.group) for case in cases]
    outcomes = [float(case.right) for case in cases]
    scores = [0.0] * len(cases)
    for fold in range(_FOLDS):
        part = [case for case, place in zip(cases, folds, strict=True) if place != fold] or cases
        features, intercept = fit_logistic(part)
        for at, case in enumerate(cases):
            if folds[at] == fold:
                scores[at] = _score(features, intercept, case)
    found = [_left_out(scores, outcomes, folds, one) for one in _FITS]
    best = min(range(len(_FITS)), key=lambda at: brier(found[at], outcomes))
    features, intercept = fit_logistic(cases)
    return Calibrated(
        task=task,
        model=model,
        digest=digest,
        features=features,
        intercept=intercept,
        calibration=_FITS[best](scores, outcomes),
        longest=max(case.signs.tokens for case in cases),
        fitted=len(cases),
        measured=_measured(found[best], outcomes),
        own=own,
    )


def measured_on(made: Calibrated, cases: Sequence[Case]) -> Calibrated:
    """The same calibration, with how good it is on cases of which none was fitted."""
    said = [made.calibration(made.score(case.signs, case.checks)) for case in cases]
    return replace(made, measured=_measured(said, [float(case.right) for case in cases]))


def fit_logistic(cases: Sequence[Case]) -> tuple[tuple[Feature, ...], float]:
    """Weights of the features that differ between cases, and the intercept: by Newton's method, with a ridge."""
    rows = [values_of(case.signs, case.checks) for case in cases]
    features = []
    for name in rows[0]:
        column = [row[name] for row in rows]
        centre = math.fsum(column) / len(column)
        scale = math.sqrt(math.fsum((one - centre) ** 2 for one in column) / len(column))
        if scale > _SMALL:
            features.append(Feature(name, min(column), max(column), centre, scale, 1.0))
    right = sum(case.right for case in cases)
    # Platt's targets: where all are right, or the features tell them apart, the weights stay finite.
    high, low = (right + 1) / (right + 2), 1 / (len(cases) - right + 2)
    targets = [high if case.right else low for case in cases]
    weights = _newton([[1.0, *(one.of(row) for one in features)] for row in rows], targets)
    return tuple(replace(one, weight=weight) for one, weight in zip(features, weights[1:], strict=True)), weights[0]


def _newton(rows: Sequence[Sequence[float]], targets: Sequence[float]) -> list[float]:
    """Weights that make targets likeliest, the first one (of the constant) without a ridge."""
    size = len(rows[0])
    weights = [0.0] * size
    for _ in range(_STEPS):
        fitted = [logistic(_dot(weights, row)) for row in rows]
        gradient = [
            math.fsum((one - target) * row[at] for one, target, row in zip(fitted, targets, rows, strict=True))
            + (_RIDGE * weights[at] if at else 0.0)
            for at in range(size)
        ]
        curve = [one * (1.0 - one) for one in fitted]
        matrix = [
            [
                math.fsum(weight * row[at] * row[other] for weight, row in zip(curve, rows, strict=True))
                + (_RIDGE if at == other and at else _SMALL if at == other else 0.0)
                for other in range(size)
            ]
            for at in range(size)
        ]
        steps = _solved(matrix, gradient)
        factor = min(1.0, 1.0 / (max(map(abs, steps)) + _SMALL))  # no step above 1: it cannot fly off
        weights = [weight - factor * step for weight, step in zip(weights, steps, strict=True)]
        if max(map(abs, steps)) < _SMALL:
            break
    return weights


def _solved(matrix: list[list[float]], right: Sequence[float]) -> list[float]:
    """The solution of a positive definite system, by elimination."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    size = len(rows)
    for at in range(size):
        pivot = max(range(at, size), key=lambda place: abs(rows[place][at]))
        rows[at], rows[pivot] = rows[pivot], rows[at]
        for below in range(at + 1, size):
            share = rows[below][at] / rows[at][at]
            rows[below] = [one - share * other for one, other in zip(rows[below], rows[at], strict=True)]
    found = [0.0] * size
    for at in reversed(range(size)):
        known = math.fsum(rows[at][place] * found[place] for place in range(at + 1, size))
        found[at] = (rows[at][size] - known) / rows[at][at]
    return found


def _left_out(
    scores: Sequence[float],
    outcomes: Sequence[float],
    folds: Sequence[int],
    fit_one: Callable[[Sequence[float], Sequence[float]], Calibration],
) -> list[float]:
    """What a kind of calibration says of each case when fitted without its fold."""
    found = [0.0] * len(scores)
    for fold in set(folds):
        rest = [at for at in range(len(scores)) if folds[at] != fold]
        made = fit_one([scores[at] for at in rest], [outcomes[at] for at in rest])
        for at in range(len(scores)):
            if folds[at] == fold:
                found[at] = made(scores[at])
    return found


def _measured(said: Sequence[float], outcomes: Sequence[float]) -> Measured:
    return Measured(len(said), expected_calibration_error(said, outcomes), brier(said, outcomes))


def _score(features: Sequence[Feature], intercept: float, case: Case) -> float:
    values = values_of(case.signs, case.checks)
    return intercept + math.fsum(one.of(values) for one in features)


def _dot(weights: Sequence[float], row: Sequence[float]) -> float:
    return math.fsum(weight * value for weight, value in zip(weights, row, strict=True))


def _fold(group: str) -> int:
    return hashlib.sha256(group.encode()).digest()[0] % _FOLDS
