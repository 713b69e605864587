"""Figures over answers that are known to be right or wrong, and how far they would move on other cases. Pure.

A confidence is 0 to 1; what is undefined (no cases, one class alone) is NaN and never a number that looks like one.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

T = TypeVar("T")

_TINY = 1e-12  # sums of shares are that exact


@dataclass(frozen=True, slots=True)
class Point:
    """Of the answers at least as sure as `threshold`: how many of all they are, and how many of them are right."""

    threshold: float
    coverage: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Both:
    """One case as the rungs below the model and the model itself answered it; `sure` is how sure those below were."""

    sure: float
    right_below: bool
    right_model: bool


def share(outcomes: Iterable[bool]) -> float:
    """How many of them are true; NaN for none."""
    known = list(outcomes)
    return sum(known) / len(known) if known else math.nan


def auroc(scores: Sequence[float], outcomes: Sequence[bool]) -> float:
    """How probable it is that a right answer has a higher score than a wrong one; equal ones count half."""
    pairs = sorted(zip(scores, outcomes, strict=True), key=lambda pair: pair[0])
    right = sum(outcome for _, outcome in pairs)
    wrong = len(pairs) - right
    if not right or not wrong:
        return math.nan
    below, won = 0, 0.0
    for _, group in groupby(pairs, key=lambda pair: pair[0]):
        alike = [outcome for _, outcome in group]
        up = sum(alike)
        down = len(alike) - up
        won += up * (below + down / 2)
        below += down
    return won / (right * wrong)


def coverage_curve(confidences: Sequence[float], right: Sequence[bool]) -> tuple[Point, ...]:
    """Coverage and accuracy at each threshold, the highest first; answers equally sure come together."""
    pairs = sorted(zip(confidences, right, strict=True), key=lambda pair: -pair[0])
    points: list[Point] = []
    taken = correct = 0
    for sure, group in groupby(pairs, key=lambda pair: pair[0]):
        alike = [outcome for _, outcome in group]
        taken += len(alike)
        correct += sum(alike)
        points.append(Point(sure, taken / len(pairs), correct / taken))
    return tuple(points)


def coverage_at(curve: Sequence[Point], accuracy: float) -> Point | None:
    """The point of most coverage that is at least so accurate; None where there is none."""
    fitting = [one for one in curve if one.accuracy >= accuracy - _TINY]
    return max(fitting, key=lambda one: one.coverage, default=None)


def aurc(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """Area under the risk-coverage curve: the mean share of wrong answers among the surest k, over all k.

    Among answers equally sure the wrong ones are spread evenly, as in any order on average.
    """
    pairs = sorted(zip(confidences, right, strict=True), key=lambda pair: -pair[0])
    taken, wrong, area = 0, 0.0, 0.0
    for _, group in groupby(pairs, key=lambda pair: pair[0]):
        alike = [outcome for _, outcome in group]
        step = (len(alike) - sum(alike)) / len(alike)
        for _ in alike:
            taken += 1
            wrong += step
            area += wrong / taken
    return area / len(pairs) if pairs else math.nan


def below_at_same_error(cases: Sequence[Both]) -> tuple[float, float]:
    """How many cases the rungs below can answer with no more wrong answers than the model has alone, and from how sure.

    The surest are answered below, the rest by the model. (0, NaN) where even the surest are wrong more often.
    """
    allowed = sum(not one.right_model for one in cases)
    best = (0.0, math.nan)
    wrong, taken = allowed, 0
    for sure, group in groupby(sorted(cases, key=lambda one: -one.sure), key=lambda one: one.sure):
        alike = list(group)
        taken += len(alike)
        wrong += sum(one.right_model - one.right_below for one in alike)
        if wrong <= allowed:
            best = (taken / len(cases), sure)
    return best


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which that part (0 to 1) of them lies, on a straight line between neighbours; NaN for none."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    at = part * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    # In this form rounding cannot leave the range of the two.
    return min(ordered[high], ordered[low] + (at - low) * (ordered[high] - ordered[low]))


def intervals(
    cases: Sequence[T],
    statistic: Callable[[Sequence[T]], Sequence[float]],
    *,
    group: Callable[[T], Hashable],
    seed: int,
    rounds: int,
    level: float,
) -> tuple[tuple[float, float], ...]:
    """Bootstrap intervals (percentiles, at `level` 0 to 1) of each number that `statistic` makes of the cases.

    Groups are drawn whole, as cases of one stand and fall together. Rounds in which a number is undefined are left out
    of its interval; the same seed gives the same intervals.
    """
    groups: dict[Hashable, list[T]] = {}
    for case in cases:
        groups.setdefault(group(case), []).append(case)
    known = list(groups.values())
    if not known:
        return tuple((math.nan, math.nan) for _ in statistic(()))
    rng = random.Random(seed)
    drawn = [statistic([case for one in rng.choices(known, k=len(known)) for case in one]) for _ in range(rounds)]
    edge = (1 - level) / 2
    columns = ([one for one in column if not math.isnan(one)] for column in zip(*drawn, strict=True))
    return tuple((percentile(column, edge), percentile(column, 1 - edge)) for column in columns)
