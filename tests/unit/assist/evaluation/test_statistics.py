from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.assist.evaluation.statistics import (
    Both,
    Point,
    aurc,
    auroc,
    below_at_same_error,
    coverage_at,
    coverage_curve,
    intervals,
    percentile,
    share,
)
from leanvibe_lsp.tiers.risk.rates import rates

_SCORES = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5, 0.75, 0.9, 1.0]) | st.floats(0, 1)
_CASES = st.lists(st.tuples(_SCORES, st.booleans()), min_size=1, max_size=60)


def _split(cases: list[tuple[float, bool]]) -> tuple[list[float], list[bool]]:
    return [score for score, _ in cases], [right for _, right in cases]


@given(_CASES)
def test_auroc_is_scikit_learns(cases: list[tuple[float, bool]]) -> None:
    """Ties included; with one class alone it is not defined."""
    metrics = pytest.importorskip("sklearn.metrics", reason="the extra `train` has scikit-learn")
    scores, right = _split(cases)
    if len(set(right)) < 2:
        assert math.isnan(auroc(scores, right))
    else:
        assert auroc(scores, right) == pytest.approx(metrics.roc_auc_score(right, scores))


@given(_CASES)
def test_brier_is_scikit_learns(cases: list[tuple[float, bool]]) -> None:
    """The reports' Brier score, of `tiers.calibration`."""
    metrics = pytest.importorskip("sklearn.metrics", reason="the extra `train` has scikit-learn")
    from leanvibe_lsp.tiers.calibration import brier

    scores, right = _split(cases)
    assert brier(scores, right) == pytest.approx(
        metrics.brier_score_loss([int(one) for one in right], scores, pos_label=1)
    )


def test_rates_are_of_what_is_there_and_of_what_is_not() -> None:
    """Recall over the risky, false alarms over the fine; without fine ones there is no rate of them."""
    found = rates([(True, True), (True, True), (True, False), (False, True), (False, False)])
    assert (found.recall, found.false_alarms) == (2 / 3, 1 / 2)
    assert found.youden == pytest.approx(1 / 6)
    assert math.isnan(rates([(True, True)]).youden)


def test_flagging_everything_is_worth_nothing() -> None:
    """However many cases are risky: Youden is 0, where an accuracy would look good."""
    assert rates([(True, True)] * 9 + [(False, True)]).youden == 0


def test_a_curve_takes_the_surest_first_and_equals_together() -> None:
    """Three cases at 0.8 are one point: no order among them is pretended."""
    curve = coverage_curve([0.8, 0.9, 0.8, 0.1, 0.8], [True, True, False, False, True])
    assert curve == (Point(0.9, 0.2, 1.0), Point(0.8, 0.8, 0.75), Point(0.1, 1.0, 0.6))


def test_coverage_at_an_accuracy_is_the_most_that_keeps_it() -> None:
    """A dip on the way does not matter; what no threshold reaches has no coverage."""
    curve = coverage_curve([0.9, 0.8, 0.7, 0.6, 0.5], [True, False, True, True, False])
    assert coverage_at(curve, 0.75) == Point(0.6, 0.8, 0.75)
    assert coverage_at(curve[1:], 0.99) is None


@given(_CASES)
def test_the_curve_ends_with_all_answers(cases: list[tuple[float, bool]]) -> None:
    """Coverage rises to 1, thresholds fall, and the last accuracy is that of all."""
    scores, right = _split(cases)
    curve = coverage_curve(scores, right)
    assert (curve[-1].coverage, curve[-1].accuracy) == (1.0, share(right))
    assert all(one.threshold > other.threshold for one, other in pairwise(curve))
    assert all(one.coverage < other.coverage for one, other in pairwise(curve))


def test_risk_coverage_area_by_hand() -> None:
    """Errors among the surest 1, 2, 3: 0, 1/2, 1/3; the wrong one last would give 0, 0, 1/3."""
    assert aurc([0.9, 0.8, 0.7], [True, False, True]) == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)
    assert aurc([0.9, 0.8, 0.7], [True, True, False]) == pytest.approx((0 + 0 + 1 / 3) / 3)


@given(_CASES, st.randoms())
def test_the_area_does_not_depend_on_the_order_of_equals(cases: list[tuple[float, bool]], rng: random.Random) -> None:
    """The same cases in any order have the same area, between 0 and 1."""
    shuffled = list(cases)
    rng.shuffle(shuffled)
    area = aurc(*_split(cases))
    assert 0 <= area <= 1
    assert aurc(*_split(shuffled)) == pytest.approx(area)


def test_a_confidence_that_says_nothing_has_the_error_as_its_area() -> None:
    """All equally sure: the risk is the same at every coverage."""
    assert aurc([0.5] * 4, [True, False, False, True]) == pytest.approx(0.5)


def test_work_below_the_model_at_its_own_error() -> None:
    """Two sure right answers save the model two; the third would add an error that the model does not make."""
    cases = [Both(0.9, True, True), Both(0.8, True, False), Both(0.7, False, True), Both(0.2, False, True)]
    assert below_at_same_error(cases) == (0.75, 0.7)
    assert below_at_same_error([*cases[2:], Both(0.1, True, True)]) == (0.0, pytest.approx(math.nan, nan_ok=True))


@given(st.lists(st.tuples(_SCORES, st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_the_share_below_never_costs_more_errors(given_cases: list[tuple[float, bool, bool]]) -> None:
    """Answering those at least so sure below, and the rest by the model, is wrong no more often than the model."""
    cases = [Both(*one) for one in given_cases]
    part, sure = below_at_same_error(cases)
    below = [one for one in cases if one.sure >= sure]
    above = [one for one in cases if not one.sure >= sure]  # all of them where `sure` is not defined
    assert len(below) == round(part * len(cases))
    wrong = sum(not one.right_below for one in below) + sum(not one.right_model for one in above)
    assert wrong <= sum(not one.right_model for one in cases)


def test_percentiles_lie_between_neighbours() -> None:
    """The median of four is the middle of two; the ends are the ends."""
    assert [percentile([4, 1, 3, 2], part) for part in (0, 0.5, 1)] == [1, 2.5, 4]
    assert math.isnan(percentile([], 0.5))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.floats(0, 1))
def test_percentiles_are_numpys(values: list[float], part: float) -> None:
    """The linear kind."""
    numpy = pytest.importorskip("numpy", reason="the dev group has it")
    assert percentile(values, part) == pytest.approx(float(numpy.percentile(values, part * 100)), abs=1e-6)


def _accuracy(drawn: object) -> list[float]:
    return [share(one for _, one in drawn)]  # type: ignore[attr-defined]


def _interval(cases: list[tuple[str, bool]], *, seed: int = 0) -> tuple[float, float]:
    return intervals(cases, _accuracy, group=lambda one: one[0], seed=seed, rounds=400, level=0.95)[0]


def test_the_same_seed_gives_the_same_interval() -> None:
    """And another one another, near to it."""
    cases = [(str(number), number % 3 > 0) for number in range(60)]
    low, high = _interval(cases)
    assert _interval(cases) == (low, high)
    assert _interval(cases, seed=1) != (low, high)
    assert low < 2 / 3 < high


def test_groups_are_drawn_whole() -> None:
    """Sixty copies of six cases tell no more than the six: the interval stays as wide."""
    single = [(str(number), number % 3 > 0) for number in range(6)]
    alone, copied = _interval(single), _interval([one for one in single for _ in range(10)])
    assert copied == alone
    spread = _interval([(f"{name} {copy}", right) for name, right in single for copy in range(10)])
    assert spread[1] - spread[0] < (alone[1] - alone[0]) / 2


def test_an_interval_of_nothing_is_not_defined() -> None:
    """No cases, no number."""
    assert all(map(math.isnan, _interval([])))
