"""`leanvibe eval intent`: what a request wants, by the classifier alone, the model alone, and the ladder of both."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from leanvibe_lsp.assist.answer import AskRequest
from leanvibe_lsp.assist.evaluation.cases import INTENT, missing, rows_of, sample
from leanvibe_lsp.assist.evaluation.results import Answered, Section, of_answers, of_both
from leanvibe_lsp.assist.evaluation.runs import Measured, NoModel, Run, unheard
from leanvibe_lsp.assist.evaluation.statistics import Both
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.structured import Structure
from leanvibe_lsp.tiers.intent.evaluate import Predicted, out_of_fold, place, predicted
from leanvibe_lsp.tiers.intent.values import Intent, IntentGuess
from leanvibe_lsp.tiers.policy import Action, decide, needed_for
from leanvibe_lsp.tiers.rung import Cost, Offer, Opinion, Rung

_PEER = "the peer's own detector: 0.82 as published; 0.88 on the rows it covers of other cases of this kind"
_RUNGS = {"command": "slash commands", "words": "clear words", "model": "classifier"}
_FREE = Cost(math.inf, 1 << 62)
_MEANS = {
    Intent.EXPLAIN: "explain what code or an error means",
    Intent.GENERATE: "write new code",
    Intent.EDIT: "change code that is there",
    Intent.DOCUMENT: "write comments or documentation",
    Intent.TESTS: "write tests",
    Intent.FIX: "mend an error or wrong behaviour",
    Intent.REVIEW: "judge whether code is good",
    Intent.SEARCH: "find places, files or issues",
    Intent.CHAT: "talk that is about no code",
    Intent.UNKNOWN: "nothing of these",
}


async def evaluate(run: Run) -> Measured:
    """Own rows are those that were kept aside; others are the visible ones of --data."""
    sections = [_own(run)]
    not_run = missing(run.data, [INTENT])
    rows = sample(rows_of(run.data, INTENT), run.most, run.seed) if run.data is not None else []
    if rows:
        shipped = [_guessed(row) for row in rows]
        sections += _alone(run, rows, shipped, not_run)
        if run.most is None:
            sections += await _out_of_fold(run, rows, not_run)
        else:
            not_run.append("classifier out of fold: not run, as --limit leaves too few rows to fit on")
        sections += await _with_model(run, rows, shipped, not_run)
    return sections, not_run


def ladder(below: Opinion, model: Opinion | None) -> Opinion:
    """What the two come to: the rung that decided, or PERSON with the surest verdict. Pure."""
    needed = needed_for("intent")
    opinions = [below]
    decision = decide(opinions, [Offer(Rung.MODEL)], _FREE, needed=needed)
    if decision.action is Action.CLIMB and model is not None:
        opinions.append(model)
        decision = decide(opinions, [], _FREE, needed=needed)
    if decision.action is Action.ACCEPT:
        return Opinion(decision.rung, decision.verdict, decision.confidence)
    surest = max(opinions, key=lambda one: -1.0 if one.confidence is None else one.confidence)
    return replace(surest, rung=Rung.PERSON)


def _guessed(row: Mapping[str, Any]) -> tuple[Predicted, float]:
    from leanvibe_lsp.tiers.intent.classify import classify

    begin = time.perf_counter()
    guess = classify(row["text"], location=place(row))
    return predicted(row, guess), time.perf_counter() - begin


def _own(run: Run) -> Section:
    """Our own requests that no model was fitted on."""
    from leanvibe_lsp.tiers.intent.classify import classify
    from leanvibe_lsp.tiers.training.intent_data import own_examples

    answered = []
    kept = [one for one in own_examples() if one.kept_aside]
    for number, one in enumerate(sample(kept, run.most, run.seed)):
        begin = time.perf_counter()
        guess = classify(one.text, location=one.location, has_selection=one.has_selection)
        seconds = time.perf_counter() - begin
        right = guess.intent in one.intents
        answered.append(Answered(f"own {number}", one.group, right, guess.confidence, _RUNGS[guess.method], seconds))
    title = "classifier alone, our own requests that were kept aside"
    return of_answers(
        title,
        answered,
        seed=run.seed,
        alone=_alone_from(),
        notes=("ten intents; written by those who wrote the others",),
    )


def _alone(
    run: Run, rows: Sequence[Mapping[str, Any]], shipped: Sequence[tuple[Predicted, float]], not_run: list[str]
) -> list[Section]:
    """The classifier as it is shipped, where it was fitted on none of these rows."""
    from leanvibe_lsp.tiers.intent.model import shipped as model

    others = [one.name for one in model().card.sources if one.name != "own"]
    if others:
        not_run.append(f"the shipped classifier alone: not run, as it was fitted on {', '.join(others)}")
        return []
    found = []
    for where, title in (("inline", "inline requests"), ("panel", "panel requests")):
        cases = [_answered(one, seconds) for one, seconds in shipped if one.location == where]
        notes = [_PEER] if where == "inline" else ["most of these have a command as their label, or none"]
        if cases:
            name = f"classifier alone, {title}"
            found.append(of_answers(name, cases, seed=run.seed, alone=_alone_from(), notes=notes))
    return found


async def _out_of_fold(run: Run, rows: Sequence[Mapping[str, Any]], not_run: list[str]) -> list[Section]:
    """The classifier fitted on our rows and the other folds of these."""

    async def work(_: str) -> dict[str, Any]:
        found = await asyncio.to_thread(out_of_fold, rows, seed=run.seed)
        return {
            "predicted": [[one.id, one.location, one.labels, one.predicted, one.confidence, one.rung] for one in found]
        }

    done, failures = await run.each("intent, classifier out of fold", ["all"], str, work)
    not_run += failures
    every = [Predicted(one[0], one[1], tuple(one[2]), *one[3:]) for _, result in done for one in result["predicted"]]
    cases = [_answered(one, math.nan) for one in every if one.location == "inline"]
    title = "classifier fitted on other folds too, inline requests"
    notes = ("out of fold", _PEER)
    return [of_answers(title, cases, seed=run.seed, alone=_alone_from(), notes=notes)] if cases else []


def _alone_from() -> float:
    """The confidence from which on nobody else is asked."""
    return needed_for("intent")


def _answered(one: Predicted, seconds: float) -> Answered:
    return Answered(one.id, one.id, one.right, one.confidence, _RUNGS[one.rung], seconds)


async def _with_model(
    run: Run, rows: Sequence[Mapping[str, Any]], shipped: Sequence[tuple[Predicted, float]], not_run: list[str]
) -> list[Section]:
    """The model asked about every inline request: alone, and as the rung that doubt climbs to."""
    inline = [(row, *one) for row, one in zip(rows, shipped, strict=True) if one[0].location == "inline"]

    async def work(case: tuple[Mapping[str, Any], Predicted, float]) -> dict[str, Any]:
        models, request = run.require(), _question(case[0]["text"])
        answer = await models.ask(request, unheard, run.child())
        sure = answer.confidence
        return {
            "intent": answer.answer,
            "confidence": sure.value if sure.calibrated and not math.isnan(sure.value) else None,
            "seconds": None if answer.remembered else answer.timing.total_seconds,
            "tokens": answer.usage.prompt_tokens + answer.usage.completion_tokens,
        }

    try:
        done, failures = await run.each("intent, model", inline, lambda case: str(case[0]["id"]), work)
    except NoModel as error:
        not_run.append(f"the model's rung and the ladder: not run: {error}")
        return []
    not_run += failures
    alone, together, both = [], [], []
    for (row, below, seconds), result in done:
        model = _model_said(row, result)
        spent = math.nan if result["seconds"] is None else float(result["seconds"])
        alone.append(Answered(below.id, below.id, model.right, _float(result["confidence"]), "model", spent))
        chosen = ladder(
            Opinion(Rung.CLASSIFIER, below.predicted, below.confidence),
            Opinion(Rung.MODEL, model.predicted, result["confidence"]),
        )
        climbed = chosen.rung in (Rung.MODEL, Rung.PERSON)
        right = chosen.verdict in below.labels
        took = seconds + spent if climbed else seconds
        together.append(Answered(below.id, below.id, right, _float(chosen.confidence), str(chosen.rung), took))
        both.append(Both(below.confidence, below.right, model.right))
    person = "a person's row is what nobody was sure of; its surest guess counts in the accuracy"
    return [
        of_answers("model alone, inline requests, ten choices", alone, seed=run.seed),
        of_answers("ladder, inline requests", together, seed=run.seed, notes=(person,)),
        of_both("rungs below at the model's error", both, wanted=limit("evaluation.below_percent")),
    ]


def _model_said(row: Mapping[str, Any], result: Mapping[str, Any]) -> Predicted:
    return predicted(row, IntentGuess(Intent(result["intent"]), _float(result["confidence"]), "model"))


def _question(text: str) -> AskRequest:
    means = "\n".join(f"{name}: {words}" for name, words in _MEANS.items())
    asked = f"A programmer typed this into a code editor:\n\n{text}\n\nWhat does it ask for?\n{means}"
    return AskRequest(f"{asked}\nAnswer with one word.", structure=Structure.of_choices([str(one) for one in Intent]))


def _float(value: float | None) -> float:
    return math.nan if value is None else value
