"""Fits the risk model: seeded, cross-validated by task, calibrated on what was not fitted.

Needs scikit-learn (the extra `train`), here and nowhere at run time. The rules were written by who wrote the rows, so
that they find more in them than in other code: each row is fitted twice, once as if the rules had found nothing, with
the weight `_LOST`. That keeps the model of use where the rules know nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from zlib import crc32

from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.tiers.calibration import (
    Calibration,
    brier,
    expected_calibration_error,
    fit_platt,
    reliability,
)
from leanvibe_lsp.tiers.finding import Category, Finding
from leanvibe_lsp.tiers.risk.assessment import features_of
from leanvibe_lsp.tiers.risk.features import Features, in_span
from leanvibe_lsp.tiers.risk.model import FORMAT, KIND, Linear, RiskModel
from leanvibe_lsp.tiers.risk.rates import Rates, rates
from leanvibe_lsp.tiers.risk.values import Basis
from leanvibe_lsp.tiers.rules import LIBRARY, rules_for
from leanvibe_lsp.tiers.scan import scan
from leanvibe_lsp.tiers.training.card import Card, Source, data_digest
from leanvibe_lsp.tiers.training.risk_data import LICENCES, Example

if TYPE_CHECKING:
    from numpy.typing import NDArray

Progress = Callable[[str, int, int], None]

_STRENGTH = 0.3  # inverse of the ridge penalty
_LOST = 0.35  # of each row's weight: as if the rules had found nothing in it
_ITERATIONS = 1_000
_SEEN = 3  # a feature of fewer rows says nothing of others
_PLACES = 5  # decimals: what lies beyond may differ from one processor to the next
_INNER = 3  # folds in which calibration and threshold are found
_UNTRIED = 0.9  # least threshold for other languages: no row of them was fitted
_TURNS = 3  # how often rows are parted anew for that: the threshold hangs on few of them
_STEPS = tuple(step / 100 for step in range(30, 91))  # thresholds that are tried


@dataclass(frozen=True, slots=True)
class Row:
    """An example and its features: as it is, and as if the rules had found nothing; `by_rules` is what they say."""

    example: Example
    full: Features
    bare: Features
    by_rules: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """What a model that did not see a row says of it: `bare` is its probability without the rules' findings."""

    row: Row
    probability: float
    bare: float
    threshold: float

    @property
    def flagged(self) -> bool:
        """Whether the ladder up to the classifier calls it risky."""
        return self.row.by_rules or self.probability >= self.threshold


def train(
    examples: Sequence[Example], *, seed: int, date: str, folds: int = 5, progress: Progress | None = None
) -> RiskModel:
    """The model of the rows that are not kept aside. Raises UsageError without scikit-learn or with too little data.

    The same rows, seed and rules make the same model; `date` (ISO) is written into its card.
    """
    used = [one for one in examples if not one.kept_aside]
    _enough(used, folds)
    _libraries()
    known = Findings()
    rows = prepared(used, known)
    judged = cross_validated(rows, seed=seed, folds=folds, progress=progress)
    parts: dict[Basis, Linear] = {"python": fit(rows, seed=seed, folds=folds)}
    generic = fit(prepared(used, known, basis="generic"), seed=seed, folds=folds)
    parts["generic"] = replace(generic, threshold=max(generic.threshold, _UNTRIED))
    measured = _metrics("cross_validated", judged)
    if aside := prepared([one for one in examples if one.kept_aside], known):
        measured |= _metrics("kept_aside", [judge(parts["python"], one) for one in aside])
    table = reliability([one.probability for one in judged], [float(one.row.example.risky) for one in judged])
    digest = data_digest(map(_plain, examples))
    return RiskModel(parts, rules_digest(), Card(KIND, FORMAT, date, seed, digest, _sources(used), measured, table))


class Findings:
    """What the library's rules find in texts, remembered."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[Finding, ...]] = {}

    def of(self, text: str, language: str) -> tuple[Finding, ...]:
        """Those of a text."""
        key = (text, language)
        if key not in self._known:
            self._known[key] = scan(text, language, rules_for(language))
        return self._known[key]


def prepared(examples: Sequence[Example], known: Findings, *, basis: Basis = "python") -> list[Row]:
    """The rows of examples. With the basis "generic" they are read as if their language were not known."""
    rows: list[Row] = []
    for one in examples:
        findings = known.of(one.text, one.language)
        language = one.language if basis == "python" else ""
        here = in_span(findings, one.span.start, one.span.end)
        rows.append(
            Row(
                one,
                features_of(one.text, language, one.span, here),
                features_of(one.text, language, one.span, ()),
                any(finding.category is Category.SECURITY for finding in here),
            )
        )
    return rows


def cross_validated(
    rows: Sequence[Row],
    *,
    seed: int,
    folds: int,
    always: Sequence[Row] = (),
    group: Callable[[Example], str] | None = None,
    progress: Progress | None = None,
) -> list[Judged]:
    """What a model of the other folds and of `always` says of each row; calibration and threshold are theirs too.

    Rows of one `group` (their own, unless given) are judged together.
    """
    group = group or _group
    parts: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        parts[fold_of(group(row.example), seed, folds)].append(row)
    judged: list[Judged] = []
    for done, (fold, held) in enumerate(sorted(parts.items())):
        if progress is not None:
            progress(f"fold {done + 1}", done, len(parts))
        rest = [row for other, part in parts.items() if other != fold for row in part]
        linear = fit([*always, *rest], seed=seed, folds=_INNER)
        judged += (judge(linear, row) for row in held)
    return judged


def judge(linear: Linear, row: Row) -> Judged:
    """What a model says of a row."""
    calibrated = linear.calibration
    return Judged(row, calibrated(linear.log_odds(row.full)), calibrated(linear.log_odds(row.bare)), linear.threshold)


def fold_of(group: str, seed: int, folds: int) -> int:
    """The fold of a group."""
    return crc32(f"{seed}:{group}".encode()) % folds


def fit(rows: Sequence[Row], *, seed: int, folds: int) -> Linear:
    """A model of all rows, its calibration and threshold found over so many folds of them, parted some times anew."""
    odds: list[tuple[Row, float, float]] = []
    for turn in range(1, _TURNS + 1):
        parts: dict[int, list[Row]] = defaultdict(list)
        for row in rows:
            parts[fold_of(row.example.group, seed + turn, folds)].append(row)
        for fold, held in sorted(parts.items()):
            rest = [row for other, part in parts.items() if other != fold for row in part]
            if len({row.example.risky for row in rest}) == 2:
                linear = _regression(rest)
                odds += ((row, linear.log_odds(row.full), linear.log_odds(row.bare)) for row in held)
    calibration = _calibrated(odds)
    judged = [Judged(row, calibration(full), calibration(bare), 0.5) for row, full, bare in odds]
    return replace(_regression(rows), calibration=calibration, threshold=best_threshold(judged))


def best_threshold(judged: Sequence[Judged]) -> float:
    """Where recall minus false alarms of the ladder is best, with the rules and, by `_LOST`, without them."""

    def worth(threshold: float) -> float:
        full = rates((one.row.example.risky, one.row.by_rules or one.probability >= threshold) for one in judged)
        bare = rates((one.row.example.risky, one.bare >= threshold) for one in judged)
        return round((1 - _LOST) * full.youden + _LOST * bare.youden, _PLACES)

    return max(_STEPS, key=lambda step: (worth(step), -step)) if judged else 0.5


def _calibrated(odds: Sequence[tuple[Row, float, float]]) -> Calibration:
    """Platt's, on both readings of each row; the rarer reading counts less by being there less often."""
    scores: list[float] = []
    outcomes: list[float] = []
    for row, full, bare in odds:
        scores.append(full)
        outcomes.append(float(row.example.risky))
        if crc32(row.example.text.encode()) % 100 < 100 * _LOST:
            scores.append(bare)
            outcomes.append(float(row.example.risky))
    fitted = fit_platt(scores, outcomes)
    return replace(fitted, slope=round(fitted.slope, _PLACES), intercept=round(fitted.intercept, _PLACES))


def _regression(rows: Sequence[Row]) -> Linear:
    """Coefficients, means and intercept; not calibrated."""
    numpy, regression, limits = _libraries()
    seen = Counter(name for row in rows for name in row.full)
    names = sorted(name for name, count in seen.items() if count >= _SEEN)
    readings = [(row.full, 1 - _LOST) for row in rows] + [(row.bare, _LOST) for row in rows]
    table: NDArray[Any] = numpy.array([[found.get(name, 0.0) for name in names] for found, _ in readings])
    weights = numpy.array([weight for _, weight in readings])
    wanted = [row.example.risky for row in rows] * 2
    with limits(1):  # one thread adds in one order
        fitted = regression(C=_STRENGTH, max_iter=_ITERATIONS).fit(table, wanted, sample_weight=weights)
    means = [round(float(one), _PLACES) for one in numpy.average(table, axis=0, weights=weights)]
    values = [round(float(one), _PLACES) for one in fitted.coef_[0]]
    return Linear(
        dict(zip(names, values, strict=True)), dict(zip(names, means, strict=True)),
        round(float(fitted.intercept_[0]), _PLACES), Calibration("platt", slope=1.0), 0.5,
    )  # fmt: skip


def _libraries() -> tuple[Any, Any, Any]:
    try:
        import numpy
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise UsageError(
            "Training needs scikit-learn, which is not installed.",
            next_step="Install it: pip install 'leanvibe-lsp[train]'.",
        ) from error
    return numpy, LogisticRegression, threadpool_limits


def _metrics(name: str, judged: Sequence[Judged]) -> dict[str, float]:
    risky = [one.row.example.risky for one in judged]
    sure = [one.probability for one in judged]
    sets: tuple[tuple[str, Rates], ...] = (
        ("rules", rates(zip(risky, (one.row.by_rules for one in judged), strict=True))),
        ("classifier", rates(zip(risky, (one.probability >= one.threshold for one in judged), strict=True))),
        ("ladder", rates(zip(risky, (one.flagged for one in judged), strict=True))),
        ("without_rules", rates(zip(risky, (one.bare >= one.threshold for one in judged), strict=True))),
    )
    outcomes = [float(one) for one in risky]
    measured = {
        "rows": float(len(judged)),
        "ece": expected_calibration_error(sure, outcomes),
        "brier": brier(sure, outcomes),
        "ece_without_rules": expected_calibration_error([one.bare for one in judged], outcomes),
    }
    for kind, one in sets:
        for figure in ("recall", "false_alarms", "youden"):
            measured[f"{kind}.{figure}"] = getattr(one, figure)
    return {f"{name}.{key}": round(value, 4) for key, value in measured.items()}


def rules_digest() -> str:
    """SHA-256 over the library's rules: with others the features are others."""
    return data_digest(
        (file.relative_to(LIBRARY).as_posix(), file.read_text(encoding="utf-8"))
        for file in sorted(LIBRARY.rglob("*.yml"))
    )


def _group(example: Example) -> str:
    return example.group


def _sources(examples: Sequence[Example]) -> tuple[Source, ...]:
    counts = Counter(one.source for one in examples)
    return tuple(Source(name, LICENCES[name], count) for name, count in sorted(counts.items()))


def _plain(one: Example) -> Mapping[str, Any]:
    return {
        "text": one.text, "span": [one.span.start, one.span.end], "risky": one.risky, "group": one.group,
        "source": one.source, "kept_aside": one.kept_aside,
    }  # fmt: skip


def _enough(examples: Sequence[Example], folds: int) -> None:
    groups = {(one.group, one.risky) for one in examples}
    for risky in (True, False):
        if sum(one is risky for _, one in groups) < folds:
            kind = "risky" if risky else "sound"
            raise UsageError(
                f"Too few tasks with {kind} rows to train on: {folds} are needed.", next_step="Add rows to the data."
            )
