"""`leanvibe eval calibration`: does a confidence hold, on questions about sources that nothing was fitted on."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any

from leanvibe_lsp.assist.evaluation.cases import sample
from leanvibe_lsp.assist.evaluation.question_forms import Question
from leanvibe_lsp.assist.evaluation.questions import Task, is_right, questions, request_of
from leanvibe_lsp.assist.evaluation.results import Answered, Section, of_answers
from leanvibe_lsp.assist.evaluation.runs import Measured, NoModel, Run, unheard
from leanvibe_lsp.config.limits import limit

_TITLES: dict[Task, str] = {"answer": "answers in free text", "choice": "choices"}


async def evaluate(run: Run) -> Measured:
    """A table for each task; the accuracy is that of the model on such questions, and no goal."""
    made = await asyncio.to_thread(questions, count=limit("evaluation.questions"), seed=run.seed)
    held_out = sample(enumerate(one for one in made if one.half == "test"), run.most, run.seed)
    sections: list[Section] = []
    not_run: list[str] = []
    for task, title in _TITLES.items():
        try:
            sections += await _of_task(run, task, title, held_out, not_run)
        except NoModel as error:
            not_run.append(f"{title}: not run: {error}")
    not_run.append("fixes and reviews: their confidence is measured by `leanvibe eval fix` and `risk`")
    return sections, not_run


async def _of_task(
    run: Run, task: Task, title: str, held_out: Sequence[tuple[int, Question]], not_run: list[str]
) -> list[Section]:
    async def work(numbered: tuple[int, Question]) -> dict[str, Any]:
        question = numbered[1]
        answer = await run.require().ask(request_of(question, task), unheard, run.child())
        sure = answer.confidence
        return {
            "right": is_right(question, answer.answer),
            "confidence": None if math.isnan(sure.value) else sure.value,
            "method": sure.method if sure.calibrated else f"raw: {sure.method}",
            "seconds": None if answer.remembered else answer.timing.total_seconds,
            "tokens": answer.usage.prompt_tokens + answer.usage.completion_tokens,
        }

    done, failures = await run.each(
        f"calibration, {task}", held_out, lambda one: f"{one[0]} {one[1].source} {one[1].text}", work
    )
    not_run += failures
    if not done:
        return []
    cases = [
        Answered(
            str(number),
            question.source,
            bool(result["right"]),
            math.nan if result["confidence"] is None else float(result["confidence"]),
            "model",
            math.nan if result["seconds"] is None else float(result["seconds"]),
        )
        for (number, question), result in done
    ]
    methods = sorted({str(result["method"]) for _, result in done})
    return [
        of_answers(f"{title}, held-out sources", cases, seed=run.seed, notes=(f"confidence: {'; '.join(methods)}",))
    ]
