"""Calibration: from scores to probabilities that hold."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.tiers.calibration import (
    Bin,
    Calibration,
    brier,
    expected_calibration_error,
    fit_isotonic,
    fit_platt,
    logistic,
    pool,
    reliability,
)

_NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)
_ANSWERS = st.lists(st.tuples(_NUMBERS, st.sampled_from([0.0, 1.0])), max_size=40)
_FITS = pytest.mark.parametrize("fit", [fit_isotonic, fit_platt])


@_FITS
@given(answers=_ANSWERS, asked=st.lists(_NUMBERS, min_size=2, max_size=20))
def test_a_fit_rises_and_stays_a_probability(fit, answers, asked):
    """A higher score is never less probable, and nothing is outside of 0 to 1."""
    calibration = fit([score for score, _ in answers], [outcome for _, outcome in answers])
    found = [calibration(score) for score in sorted(asked)]
    assert all(0.0 <= one <= 1.0 for one in found)
    assert all(low <= high for low, high in pairwise(found))


@_FITS
@given(answers=_ANSWERS, asked=_NUMBERS)
def test_a_fit_survives_its_file(fit, answers, asked):
    """What JSON carries says the same."""
    calibration = fit([score for score, _ in answers], [outcome for _, outcome in answers])
    again = Calibration.from_json(json.loads(json.dumps(calibration.to_json())))
    assert again(asked) == calibration(asked)


@given(answers=_ANSWERS.filter(bool))
def test_isotonic_claims_no_certainty(answers):
    """Neither 0 nor 1, however alike the outcomes: the ends know how few answers they rest on."""
    calibration = fit_isotonic([score for score, _ in answers], [outcome for _, outcome in answers])
    bound = 1.0 / (len(answers) + 2)
    assert all(bound - 1e-12 <= calibration(score) <= 1 - bound + 1e-12 for score, _ in answers)


@given(st.lists(st.floats(0, 1), max_size=30))
def test_pooling_twice_changes_nothing(values):
    """PAVA is idempotent, to the last bit."""
    once = pool(values)
    assert pool(once) == once


@given(st.lists(st.floats(0, 1), max_size=30))
def test_pooling_keeps_the_mean_and_leaves_what_rises(values):
    """The weighted mean stays, and a rising sequence is its own answer."""
    assert math.fsum(pool(values)) == pytest.approx(math.fsum(values))
    assert pool(sorted(values)) == sorted(values)


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=12), st.floats(0, 0.5), st.floats(0.5, 1))
def test_pooling_is_nearest_of_rising_sequences(values, low, high):
    """No rising step comes nearer to the values than PAVA's answer."""
    fitted = pool(values)
    own = math.fsum((a - b) ** 2 for a, b in zip(fitted, values, strict=True))
    for step in range(len(values) + 1):
        other = [low] * step + [high] * (len(values) - step)
        assert own <= math.fsum((a - b) ** 2 for a, b in zip(other, values, strict=True)) + 1e-9


def test_platt_finds_the_curve_that_made_the_answers():
    """Outcomes that are the logistic function's own shares give back its slope and intercept."""
    scores = [number / 10 for number in range(-30, 31)] * 50
    calibration = fit_platt(scores, [logistic(2.0 * score - 0.5) for score in scores])
    assert calibration.slope == pytest.approx(2.0, abs=0.05)
    assert calibration.intercept == pytest.approx(-0.5, abs=0.05)


def test_platt_is_flat_where_scores_mislead():
    """Higher scores that are right less often are worth nothing: everybody gets the base rate."""
    calibration = fit_platt([1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 0.0, 0.0])
    assert calibration.slope == 0.0
    assert calibration(1.0) == calibration(4.0) == pytest.approx(0.5)


def test_isotonic_interpolates_between_what_it_saw():
    """Half-way between two points is half-way between their values; outside it is flat."""
    calibration = Calibration("isotonic", (0.0, 1.0), (0.2, 0.8))
    assert calibration(0.5) == pytest.approx(0.5)
    assert (calibration(-9), calibration(9)) == (0.2, 0.8)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "magic"},
        {"kind": "isotonic", "scores": [0, 1], "values": [0.9, 0.1]},
        {"kind": "isotonic", "scores": [1, 0], "values": [0.1, 0.9]},
        {"kind": "isotonic", "scores": [0], "values": []},
        {"kind": "isotonic", "scores": [0], "values": [1.5]},
        {"kind": "platt", "slope": -1, "intercept": 0},
        {"kind": "platt", "slope": "steep"},
    ],
)
def test_a_file_that_would_mislead_is_refused(wrong):
    """Falling, uneven or impossible values are an error with a name."""
    with pytest.raises(UsageError):
        Calibration.from_json(wrong)


def test_measures_of_known_answers():
    """Brier, bins and the calibration error, by hand."""
    said, came = [0.95, 0.85, 0.15, 1.0], [1.0, 0.0, 0.0, 1.0]
    assert brier(said, came) == pytest.approx((0.05**2 + 0.85**2 + 0.15**2) / 4)
    assert reliability(said, came)[-1] == Bin(0.9, 1.0, 2, pytest.approx(0.975), 1.0)
    assert expected_calibration_error(said, came) == pytest.approx((0.15 + 0.85 + 2 * 0.025) / 4)
    assert math.isnan(brier([], []))
    assert math.isnan(expected_calibration_error([], []))


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.0, 1.0])), min_size=1, max_size=50))
def test_every_answer_is_in_one_bin(answers):
    """The bins' counts sum up, and the error is a probability."""
    said, came = [one for one, _ in answers], [one for _, one in answers]
    assert sum(one.count for one in reliability(said, came)) == len(answers)
    assert 0.0 <= expected_calibration_error(said, came) <= 1.0
