"""The probability that an answer is right: fitted, kept in a file, and never beyond what it was fitted on."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.engine.confidence import Signs
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.tiers import calibrated
from leanvibe_lsp.tiers.calibrated import SHIPPED, Calibrated, Case, card_of, file_name, shipped, values_of
from leanvibe_lsp.tiers.calibration import expected_calibration_error
from leanvibe_lsp.tiers.fitting import fit, fit_logistic, measured_on

_SMOLLM2 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_SHARES = st.floats(0, 1)
_SIGNS = st.builds(
    Signs,
    tokens=st.integers(0, 2_000),
    mean=_SHARES,
    worst=_SHARES,
    entropy=st.floats(0, 20),
    doubtful=_SHARES,
    choice=st.none() | _SHARES,
    whole=st.booleans(),
)
_CHECKS = st.dictionaries(st.sampled_from(["parses", "rule gone", "quotes"]), _SHARES)


def told(count: int, *, seed: int = 1, honest: bool = True) -> list[Case]:
    """Cases of a model whose mean probability says how often it is right; without `honest`, it says nothing."""
    rng = random.Random(seed)
    cases = []
    for number in range(count):
        mean = rng.random()
        right = rng.random() < (mean if honest else 0.3)
        signs = Signs(rng.randint(5, 40), mean, mean * rng.random(), 2 * (1 - mean), 1 - mean)
        cases.append(Case(signs, right, {}, f"group {number // 2}"))
    return cases


def made(cases: list[Case]) -> Calibrated:
    return fit(cases, task="answer", model="tiny", digest="abc")


_FITTED = made(told(120))


def test_a_probability_holds_on_cases_that_were_not_fitted() -> None:
    """Of those said to be right with p, p are; and it is measured on folds left out, so the figure holds as well."""
    fitted = made(told(400))
    fresh = told(2_000, seed=2)
    said = [fitted.probability(case.signs, {}) or 0.0 for case in fresh]
    error = expected_calibration_error(said, [float(case.right) for case in fresh])
    assert error < 0.06
    assert fitted.measured.ece < 0.12
    assert measured_on(fitted, fresh).measured.ece == pytest.approx(error)
    assert measured_on(fitted, fresh).measured.cases == 2_000


def test_signs_that_say_nothing_give_the_share_that_was_right() -> None:
    """No certainty is made up where the model's own probabilities are of no use."""
    fitted = made(told(400, honest=False))
    said = [fitted.probability(case.signs, {}) or 0.0 for case in told(200, seed=3)]
    assert max(said) - min(said) < 0.35
    assert sum(said) / len(said) == pytest.approx(0.3, abs=0.08)


@given(signs=_SIGNS, checks=_CHECKS)
def test_always_a_probability_and_never_certain(signs: Signs, checks: dict[str, float]) -> None:
    """Whatever the signs, also far from all that was fitted."""
    value = _FITTED.probability(signs, checks)
    assert value is None or 0.0 < value < 1.0


def test_a_longer_answer_than_it_can_speak_of_has_none() -> None:
    """Nor has an empty one."""
    signs = replace(told(1)[0].signs, tokens=_FITTED.longest * 2)
    assert _FITTED.probability(signs, {}) is not None
    assert _FITTED.probability(replace(signs, tokens=_FITTED.longest * 2 + 1), {}) is None
    assert _FITTED.probability(replace(signs, tokens=0), {}) is None


def test_a_check_that_passed_makes_it_surer() -> None:
    """Where fixes that parse were right and others not, that counts; a check not made lies between."""
    rng = random.Random(4)
    cases = []
    for number in range(200):
        parses = rng.random() < 0.5
        signs = replace(told(1, seed=number)[0].signs)
        cases.append(Case(signs, rng.random() < (0.8 if parses else 0.1), {"parses": float(parses)}, str(number)))
    fitted = fit(cases, task="fix", model="tiny", digest="abc")
    signs = told(1)[0].signs
    passed, unknown, failed = (fitted.probability(signs, checks) for checks in ({"parses": 1.0}, {}, {"parses": 0.0}))
    assert passed is not None
    assert unknown is not None
    assert failed is not None
    assert passed > unknown > failed
    assert passed > failed + 0.4


def test_cases_of_one_group_are_never_on_both_sides() -> None:
    """Copies of a case, as one's own marks are, do not make it look better measured: each group is left out whole."""
    noise = [replace(case, right=number % 2 == 0) for number, case in enumerate(told(60, honest=False))]
    alone = [replace(case, group=str(number)) for number, case in enumerate(noise)]
    copied = [case for case in alone for _ in range(5)]
    assert made(copied).measured.brier > 0.24


@pytest.mark.parametrize("right", [True, False])
def test_cases_that_all_came_out_alike_are_no_certainty(right: bool) -> None:
    """Weights stay finite, probabilities inside."""
    fitted = made([replace(case, right=right) for case in told(60)])
    value = fitted.probability(told(1)[0].signs, {})
    assert value is not None
    assert abs(value - float(right)) < 0.1
    assert 0 < value < 1


def test_too_few_cases_are_refused_with_the_way_to_more() -> None:
    with pytest.raises(UsageError, match="too few"):
        made(told(39))


def test_only_features_that_differ_are_fitted() -> None:
    """No check was made, so no check has a weight."""
    features, intercept = fit_logistic(told(50))
    assert {one.name for one in features} == {"mean", "worst", "entropy", "length", "doubtful"}
    assert math.isfinite(intercept)


@given(signs=_SIGNS)
def test_a_fitted_one_comes_back_from_its_file_as_it_was(signs: Signs) -> None:
    """Through JSON: the same probability to the last bit."""
    back = Calibrated.from_json(json.loads(json.dumps(_FITTED.to_json())))
    assert back == _FITTED
    assert back.probability(signs, {}) == _FITTED.probability(signs, {})


@given(signs=_SIGNS, checks=_CHECKS, right=st.booleans())
def test_a_case_comes_back_from_its_file_as_it_was(signs: Signs, checks: dict[str, float], right: bool) -> None:
    case = Case(signs, right, checks, "a")
    assert Case.from_json(json.loads(json.dumps(case.to_json()))) == case


@pytest.mark.parametrize(
    "change",
    [{"features": [{"name": "x"}]}, {"task": "cooking"}, {"intercept": math.inf}, {"calibration": {"kind": "magic"}}],
)
def test_a_file_of_something_else_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Calibrated.from_json({**_FITTED.to_json(), **change})


@pytest.mark.parametrize("change", [{"mean": 2.0}, {"entropy": math.nan}, {"tokens": -1}, {"unknown": 1}])
def test_signs_that_no_generation_has_are_refused(change: dict[str, float]) -> None:
    case = told(1)[0].to_json()
    with pytest.raises(UsageError):
        Case.from_json({**case, "signs": {**case["signs"], **change}})


def test_a_check_that_was_not_made_lies_in_the_middle() -> None:
    values = values_of(told(1)[0].signs, {"parses": 1.0})
    assert (values["parses"], values["rule gone"]) == (1.0, 0.5)


@pytest.mark.parametrize("task", ["answer", "choice"])
def test_what_is_shipped_for_the_embedded_model_holds_on_the_half_that_was_not_fitted(task: calibrated.Task) -> None:
    """Its card, its figures and its cases are those of one fit; the goal is an error of at most 0.10."""
    found, card = shipped(task, _SMOLLM2), card_of(task, _SMOLLM2)
    assert found is not None
    assert card is not None
    fitted, cases = found
    assert fitted.measured.ece <= 0.10
    assert fitted.measured.ece == pytest.approx(card.metrics["ece"])
    assert len(cases) == fitted.fitted
    again = fit(cases, task=task, model=fitted.model, digest=fitted.digest)
    assert again.probability(cases[0].signs, {}) == pytest.approx(fitted.probability(cases[0].signs, {}))


def test_nothing_is_shipped_for_weights_nobody_measured() -> None:
    """Another model's probabilities mean something else."""
    assert shipped("answer", "0" * 64) is None
    assert shipped("fix", _SMOLLM2) is None


def test_a_shipped_file_that_was_changed_is_left_out(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were none; the answer is given all the same."""
    text = (SHIPPED / file_name("answer", _SMOLLM2)).read_text(encoding="utf-8")
    (tmp_path / file_name("answer", _SMOLLM2)).write_text(
        text.replace('"intercept":', '"intercept":1'), encoding="utf-8"
    )
    monkeypatch.setattr(calibrated, "SHIPPED", tmp_path)
    shipped.cache_clear()
    assert shipped("answer", _SMOLLM2) is None
    shipped.cache_clear()
