"""A confidence: calibrated where it was fitted for these very weights and this kind of answer, else raw and said so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from leanvibe_lsp.assist.answer import Answer, AnswerTiming, AskRequest, Confidence
from leanvibe_lsp.assist.feedback import Feedback, Said
from leanvibe_lsp.assist.sureness import Sureness, alternatives, said_of, task_of
from leanvibe_lsp.config.limits import LIMITS, limit
from leanvibe_lsp.engine.base import FinishReason, Usage
from leanvibe_lsp.engine.confidence import Signs
from leanvibe_lsp.engine.structured import Structure
from leanvibe_lsp.tiers.calibrated import shipped

_SMOLLM2 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_SIGNS = Signs(12, 0.6, 0.2, 0.7, 0.25)
_QUESTION = AskRequest("Why?")
_CHOICE = AskRequest("Which?", structure=Structure.of_choices(["yes", "no"]))
_DOCUMENT = AskRequest("What?", structure=Structure.of_schema({}))


@pytest.fixture
def sureness(tmp_path: Path) -> Sureness:
    return Sureness(Feedback(tmp_path / "feedback.sqlite"))


def ready(digest: str | None, *, mock: bool = False) -> Any:
    located = None if digest == "server" else SimpleNamespace(digest=digest)
    return SimpleNamespace(selection=SimpleNamespace(is_mock=mock, located=located))


def answer(digest: str | None = _SMOLLM2, signs: Signs | None = _SIGNS) -> Answer:
    timing = AnswerTiming(0, 0, 0, 0)
    raw = Confidence(0.6, "mean-token-probability", calibrated=False)
    return Answer(
        "text",
        "model",
        "tiny",
        "mlx",
        raw,
        (),
        (),
        Usage(1, 0, 1),
        timing,
        FinishReason.STOP,
        signs=signs,
        digest=digest,
    )


def test_the_embedded_model_has_a_probability_and_says_how_it_was_found(sureness: Sureness) -> None:
    """Task, model, how many cases, how far off it was on others."""
    found = sureness.of_answer(ready(_SMOLLM2), _QUESTION, _SIGNS)
    base = shipped("answer", _SMOLLM2)
    assert base is not None
    assert found == Confidence(base[0].probability(_SIGNS, {}) or 0.0, base[0].method, calibrated=True)
    assert found.method.startswith("calibrated: answer, smollm2, ")
    choice = sureness.of_answer(ready(_SMOLLM2), _CHOICE, replace(_SIGNS, tokens=2, choice=0.5))
    assert choice.method.startswith("calibrated: choice, smollm2, ")


@pytest.mark.parametrize(
    ("digest", "request_", "signs"),
    [
        ("0" * 64, _QUESTION, _SIGNS),
        (None, _QUESTION, _SIGNS),
        ("server", _QUESTION, _SIGNS),
        (_SMOLLM2, _DOCUMENT, _SIGNS),
        (_SMOLLM2, replace(_QUESTION, task="fix"), _SIGNS),
        (_SMOLLM2, replace(_CHOICE, task="review"), _SIGNS),
        (_SMOLLM2, _QUESTION, replace(_SIGNS, tokens=4_000)),
    ],
)
def test_what_was_not_fitted_stays_raw(
    sureness: Sureness, digest: str | None, request_: AskRequest, signs: Signs
) -> None:
    """Another model, a server, a document, a change of code, an answer far longer than any that was looked at."""
    found = sureness.of_answer(ready(digest), request_, signs)
    assert found == Confidence(0.6, "mean-token-probability", calibrated=False)


def test_where_nobody_says_how_sure_there_is_none(sureness: Sureness) -> None:
    """Scripted text, and a server without probabilities."""
    assert sureness.of_answer(ready(None, mock=True), _QUESTION, _SIGNS).method == "none: scripted text"
    assert sureness.of_answer(ready("server"), _QUESTION, None).method == "none: the server does not say"


def test_what_was_marked_here_counts_before_what_was_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next answer after the last mark that was needed already has the new confidence."""
    monkeypatch.setitem(LIMITS, "feedback.refit", replace(LIMITS["feedback.refit"], default=5))
    feedback = Feedback(tmp_path / "feedback.sqlite")
    sureness = Sureness(feedback)
    before = sureness.of_answer(ready(_SMOLLM2), _QUESTION, _SIGNS)
    for _ in range(5):
        feedback.record(Said("answer", "smollm2", _SMOLLM2, _SIGNS), right=True)
    after = sureness.of_answer(ready(_SMOLLM2), _QUESTION, _SIGNS)
    assert after.value > before.value
    assert "and 5 of your own" in after.method


def test_a_review_and_a_fix_are_raw_until_they_are_fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the checks they passed count."""
    feedback = Feedback(tmp_path / "feedback.sqlite")
    sureness = Sureness(feedback)
    assert not sureness.of_review(answer(), {"quotes": 1.0}).calibrated
    assert sureness.of_fix(answer(signs=None), {}) == answer().confidence
    monkeypatch.setitem(LIMITS, "feedback.refit", replace(LIMITS["feedback.refit"], default=60))
    for number in range(60):
        one = Said("review", "tiny", _SMOLLM2, _SIGNS, {"quotes": float(number % 2)})
        feedback.record(one, right=bool(number % 2))
    held, missed = (sureness.of_review(answer(), {"quotes": share}) for share in (1.0, 0.0))
    assert held.calibrated
    assert missed.calibrated
    assert held.value > 0.7
    assert missed.value < 0.3
    assert not sureness.of_fix(answer(), {}).calibrated
    unchecked = sureness.of_answer(ready(_SMOLLM2), replace(_QUESTION, task="review"), _SIGNS)
    assert not unchecked.calibrated


def test_what_a_confidence_is_about() -> None:
    assert [task_of(one) for one in (_QUESTION, _CHOICE, _DOCUMENT)] == ["answer", "choice", None]
    assert task_of(replace(_QUESTION, task="fix")) == "fix"


def test_only_an_answer_of_known_weights_can_be_marked() -> None:
    said = said_of(_QUESTION, answer())
    assert said is not None
    assert (said.task, said.model, said.digest, said.signs) == ("answer", "tiny", _SMOLLM2, _SIGNS)
    assert said_of(_QUESTION, answer(digest=None)) is None
    assert said_of(_QUESTION, answer(signs=None)) is None
    assert said_of(_DOCUMENT, answer()) is None


def test_the_terminals_last_answer_can_be_marked(tmp_path: Path) -> None:
    feedback = Feedback(tmp_path / "feedback.sqlite")
    Sureness(feedback).remember(_QUESTION, answer())
    Sureness(feedback).remember(_DOCUMENT, answer())
    last = feedback.last()
    assert last is not None
    assert last.signs == _SIGNS


def test_choices_are_looked_at_more_closely() -> None:
    """Few tokens, and every other choice should be among the alternatives."""
    assert alternatives(_CHOICE.structure) == limit("confidence.choice_alternatives")
    assert alternatives(None) == alternatives(_DOCUMENT.structure) == limit("confidence.alternatives")
