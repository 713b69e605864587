"""The evaluations by name, and one of them from its beginning to its report."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from leanvibe_lsp.assist.evaluation import confidences, fixes, intent, reviews, risk
from leanvibe_lsp.assist.evaluation.cases import INTENT
from leanvibe_lsp.assist.evaluation.results import Report
from leanvibe_lsp.assist.evaluation.runs import Measured, Run
from leanvibe_lsp.assist.evaluation.task import EvalTask

# All files that any of them reads from --data.
DATA = tuple(sorted({INTENT, *risk.DATA, *fixes.DATA, *reviews.DATA}))


_EVALUATE: dict[EvalTask, Callable[[Run], Awaitable[Measured]]] = {
    EvalTask.INTENT: intent.evaluate,
    EvalTask.RISK: risk.evaluate,
    EvalTask.FIX: fixes.evaluate,
    EvalTask.REVIEW: reviews.evaluate,
    EvalTask.CALIBRATION: confidences.evaluate,
}


async def evaluate(task: EvalTask, run: Run) -> Report:
    """Run one task. The tokens are those of all answers, also of those that an earlier run computed."""
    begin, run.tokens, kept = time.monotonic(), 0, len(run.journal)
    sections, not_run = await _EVALUATE[task](run)
    facts = {**run.facts, "results of earlier runs": str(kept)}
    return Report(str(task), tuple(sections), tuple(not_run), time.monotonic() - begin, run.tokens, facts)
