"""What an evaluation found: figures with their intervals, what was not run, and what it cost. Pure.

Two kinds of answers are measured. One that is right or wrong (an intent, a choice) has an accuracy for its coverage; a
flag on something that is risky or fine has recall and false alarms, and never an accuracy: where most cases are risky,
flagging all of them would look good.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from leanvibe_lsp.assist.evaluation import statistics
from leanvibe_lsp.assist.evaluation.statistics import Both, Point
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.tiers.calibration import Bin, brier, expected_calibration_error, reliability
from leanvibe_lsp.tiers.risk.rates import rates

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answered:
    """A case that was answered. `confidence` is 0 to 1, NaN where there is none; `seconds` NaN where not measured."""

    id: str
    group: str
    right: bool
    confidence: float
    rung: str
    seconds: float = math.nan
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Flagged:
    """A case that is risky or fine, whether it was flagged, and a score that is higher for what is surer to be."""

    id: str
    group: str
    risky: bool
    flagged: bool
    score: float
    rung: str = ""
    seconds: float = math.nan
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Figure:
    """A number and, where it was made, the interval it would move in; NaN: it is not defined for these cases."""

    name: str
    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True, slots=True)
class RungUse:
    """How many cases were decided on a rung, and how long that took them (seconds; NaN where not measured)."""

    rung: str
    cases: int
    share: float
    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Section:
    """One table of an evaluation. `curve` and `bins` are for plots and --json; `notes` say how to read it."""

    title: str
    cases: int
    figures: tuple[Figure, ...]
    rungs: tuple[RungUse, ...] = ()
    curve: tuple[Point, ...] = ()
    bins: tuple[Bin, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """A task's evaluation. `not_run` says in sentences what is not in it, and why."""

    task: str
    sections: tuple[Section, ...]
    not_run: tuple[str, ...] = ()
    seconds: float = 0.0
    tokens: int = 0
    facts: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it; what is not defined is null."""
        return {
            "task": self.task,
            "facts": dict(self.facts),
            "sections": [_section_json(one) for one in self.sections],
            "notRun": list(self.not_run),
            "cost": {"seconds": _number(self.seconds), "tokens": self.tokens},
        }


def of_answers(
    title: str, cases: Sequence[Answered], *, seed: int, alone: float = math.nan, notes: Iterable[str] = ()
) -> Section:
    """Accuracy, coverage at the accuracy wanted, calibration, and the rungs.

    `alone` is the confidence from which on an answer is given without asking further: the product's, and so chosen on
    other cases than these, which the best threshold in `coverage at accuracy` is not.
    """
    known = [one for one in cases if not math.isnan(one.confidence)]
    names = ["accuracy", _covered(), "ECE", "Brier", "AURC", "AUROC of confidence"]
    if not math.isnan(alone):
        names += [f"answered alone, from {alone:.2f}", "accuracy of those"]

    def measure(drawn: Sequence[Answered]) -> Sequence[float]:
        numbers = (statistics.share(one.right for one in drawn), *_of_confidence(drawn))
        if math.isnan(alone):
            return numbers
        given = [one.right for one in drawn if one.confidence >= alone]
        return (*numbers, statistics.share(one.confidence >= alone for one in drawn), statistics.share(given))

    sure, right = [one.confidence for one in known], [one.right for one in known]
    unsure = len(cases) - len(known)
    more = ["the surest answers are picked on these very cases for the coverage; noise of few cases adds to ECE"]
    more += [f"{unsure} of {len(cases)} have no confidence and count for accuracy alone"] if unsure else []
    return Section(
        title,
        len(cases),
        with_intervals(names, cases, measure, group=lambda one: one.group, seed=seed),
        rungs=uses((one.rung, one.seconds) for one in cases),
        curve=statistics.coverage_curve(sure, right),
        bins=reliability(sure, right, bins=limit("evaluation.bins")),
        notes=(*notes, *more),
    )


def of_flags(title: str, cases: Sequence[Flagged], *, seed: int, notes: Iterable[str] = ()) -> Section:
    """Recall, false alarms, their difference, and how well the score ranks."""
    names = ("recall", "false alarms", "Youden", "AUROC of score")

    def measure(drawn: Sequence[Flagged]) -> Sequence[float]:
        found = rates((one.risky, one.flagged) for one in drawn)
        ranked = statistics.auroc([one.score for one in drawn], [one.risky for one in drawn])
        return found.recall, found.false_alarms, found.youden, ranked

    risky = sum(one.risky for one in cases)
    return Section(
        title,
        len(cases),
        with_intervals(names, cases, measure, group=lambda one: one.group, seed=seed),
        rungs=uses((one.rung, one.seconds) for one in cases if one.rung),
        notes=(f"{risky} risky, {len(cases) - risky} fine", *notes),
    )


def of_both(title: str, cases: Sequence[Both], *, wanted: int) -> Section:
    """How much of the work the rungs below the model can do without more wrong answers than it makes alone."""
    part, sure = statistics.below_at_same_error(cases)
    model = 1 - statistics.share(one.right_model for one in cases)
    enough = part * 100 >= wanted
    note = f"at the model's own error the rungs below answer {part:.0%}; at least {wanted}% is wanted: "
    return Section(
        title,
        len(cases),
        (
            Figure("error of the model alone", model),
            Figure("answered below the model", part),
            Figure("from a confidence of", sure),
        ),
        notes=(note + ("met" if enough else "missed"),),
    )


def with_intervals(
    names: Sequence[str],
    cases: Sequence[T],
    measure: Callable[[Sequence[T]], Sequence[float]],
    *,
    group: Callable[[T], str],
    seed: int,
) -> tuple[Figure, ...]:
    """The numbers of all cases, with bootstrap intervals over their groups."""
    ends = statistics.intervals(
        cases,
        measure,
        group=group,
        seed=seed,
        rounds=limit("evaluation.rounds"),
        level=limit("evaluation.interval_percent") / 100,
    )
    return tuple(Figure(name, value, *end) for name, value, end in zip(names, measure(cases), ends, strict=True))


def uses(decided: Iterable[tuple[str, float]]) -> tuple[RungUse, ...]:
    """How many cases each rung decided, in the order in which they first came, and how long it took."""
    by_rung: dict[str, list[float]] = {}
    for rung, seconds in decided:
        by_rung.setdefault(rung, []).append(seconds)
    total = sum(map(len, by_rung.values()))
    return tuple(
        RungUse(rung, len(all_of), len(all_of) / total, *_percentiles(all_of)) for rung, all_of in by_rung.items()
    )


def _percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    known = [one for one in seconds if not math.isnan(one)]
    return statistics.percentile(known, 0.5), statistics.percentile(known, 0.95)


def _of_confidence(cases: Sequence[Answered]) -> tuple[float, float, float, float, float]:
    known = [one for one in cases if not math.isnan(one.confidence)]
    sure, right = [one.confidence for one in known], [one.right for one in known]
    best = statistics.coverage_at(statistics.coverage_curve(sure, right), limit("evaluation.accuracy_percent") / 100)
    covered = (best.coverage if best is not None else 0.0) if known else math.nan
    error = expected_calibration_error(sure, right, bins=limit("evaluation.bins"))
    return covered, error, brier(sure, right), statistics.aurc(sure, right), statistics.auroc(sure, right)


def _covered() -> str:
    return f"coverage at accuracy {limit('evaluation.accuracy_percent') / 100:.2f}"


def _section_json(section: Section) -> dict[str, Any]:
    return {
        "title": section.title,
        "cases": section.cases,
        "figures": {
            one.name: {"value": _number(one.value), "low": _number(one.low), "high": _number(one.high)}
            for one in section.figures
        },
        "rungs": {
            one.rung: {"cases": one.cases, "share": one.share, "p50": _number(one.p50), "p95": _number(one.p95)}
            for one in section.rungs
        },
        "curve": [
            {"threshold": one.threshold, "coverage": one.coverage, "accuracy": one.accuracy} for one in section.curve
        ],
        "reliability": [
            {
                "low": one.low,
                "high": one.high,
                "count": one.count,
                "confidence": one.confidence,
                "accuracy": one.accuracy,
            }
            for one in section.bins
        ],
        "notes": list(section.notes),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
