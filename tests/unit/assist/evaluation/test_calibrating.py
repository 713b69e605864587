"""Calibrations made on questions with known answers."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from leanvibe_lsp.assist.answer import Answer, AnswerTiming, AskRequest, AskSink, Confidence
from leanvibe_lsp.assist.evaluation.calibrating import Asked, case_of, made_of, put, sealed
from leanvibe_lsp.assist.evaluation.question_forms import Question
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.base import FinishReason, Usage
from leanvibe_lsp.engine.confidence import Signs
from leanvibe_lsp.errors import Cancelled
from leanvibe_lsp.tiers.calibrated import FORM, KIND, Calibrated, Case
from leanvibe_lsp.tiers.training.card import Source, unseal

_QUESTIONS = tuple(
    Question(f"module {number}", "loops", "code", f"Is there a loop in `f{number}`?", "yes", ("yes", "no"), "loop")
    for number in range(200)
)


def answer(text: str, signs: Signs | None) -> Answer:
    timing = AnswerTiming(0, 0, 0, 0)
    confidence = Confidence(0.5, "mean-token-probability", calibrated=False)
    return Answer(
        text, "model", "tiny", "mlx", confidence, (), (), Usage(1, 0, 1), timing, FinishReason.STOP, signs=signs
    )


async def knowing(request: AskRequest, sink: AskSink, cancel: CancelToken) -> Answer:
    """Right where its mean probability is high; it leaves its token pulled, as `ask` does."""
    number = int(request.question.split("f")[-1].split("`")[0])
    cancel.cancel("the question is closed")
    mean = 0.9 if number % 3 else 0.123456
    return answer("yes" if number % 3 else "no", Signs(5, mean, mean, 0.5, 0.0))


async def asked() -> list[Asked]:
    return [one async for one in put(_QUESTIONS, "answer", ask=knowing, sink=print, cancel=CancelToken())]


async def test_every_question_is_asked_and_judged() -> None:
    """In their order; one that ends does not end the others."""
    found = await asked()
    assert [one.question for one in found] == list(_QUESTIONS)
    assert [one.right for one in found[:4]] == [False, True, True, False]


async def test_a_cancel_ends_the_asking() -> None:
    cancel = CancelToken()
    asking = put(_QUESTIONS, "answer", ask=knowing, sink=print, cancel=cancel)
    assert (await anext(asking)).question == _QUESTIONS[0]
    cancel.cancel("enough")
    with pytest.raises(Cancelled):
        await anext(asking)


def test_a_case_holds_numbers_and_the_name_of_a_source() -> None:
    """Four digits say all there is; where a server says nothing, there is no case."""
    case = case_of(_QUESTIONS[0], answer("yes", Signs(5, 0.123456, 0.1, 0.5, 0.0, choice=0.333333)))
    assert case == Case(Signs(5, 0.1235, 0.1, 0.5, 0.0, choice=0.3333), True, {}, "module 0")
    assert case_of(_QUESTIONS[0], answer("yes", None)) is None


async def test_what_is_fitted_is_one_half_and_what_is_measured_the_other() -> None:
    """A file that says so, and comes back; the raw figures stand beside the calibrated ones."""
    cases = {
        half: [one.case for one in await asked() if one.case and one.question.half == half] for half in ("fit", "test")
    }
    made = made_of(cases["fit"], cases["test"], task="answer", model="tiny", digest="abc")
    assert made.fitted == len(cases["fit"])
    assert made.measured.cases == len(cases["test"])
    text = sealed(made, cases["fit"], cases["test"], sources=(Source("here", "MIT", 200),), date="2026-01-01")
    content = unseal(text, kind=KIND, form=FORM, name="x")
    assert Calibrated.from_json(content["calibrated"]) == made
    assert [Case.from_json(one) for one in content["cases"]] == cases["fit"]
    metrics = content["card"]["metrics"]
    assert metrics["ece"] == made.measured.ece < metrics["raw_ece"]
    assert metrics["measured"] + metrics["fitted"] == len(_QUESTIONS)
    assert json.loads(text)["card"]["sources"][0]["name"] == "here"


async def test_figures_are_those_of_the_other_half() -> None:
    """Where it is the opposite there, the error is large: nothing of it was fitted."""
    cases = [one.case for one in await asked() if one.case]
    turned = [replace(case, right=not case.right) for case in cases]
    made = made_of(cases, turned, task="answer", model="tiny", digest="abc")
    assert made.measured.ece > 0.8
