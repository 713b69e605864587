"""Calibrations made on questions with known answers: half of the sources is fitted, the other half measured."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace

from leanvibe_lsp.assist.answer import Answer, AskRequest, AskSink
from leanvibe_lsp.assist.changes.run import Ask
from leanvibe_lsp.assist.evaluation.question_forms import Question
from leanvibe_lsp.assist.evaluation.questions import Task, is_right, request_of
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.tiers.calibrated import FORM, KIND, Calibrated, Case
from leanvibe_lsp.tiers.calibration import brier, expected_calibration_error, reliability
from leanvibe_lsp.tiers.fitting import fit, measured_on
from leanvibe_lsp.tiers.training.card import Card, Source, data_digest, seal

_DIGITS = 4  # of the signs in a file: more say nothing


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that was put to a model. `case` is None where nothing is known of how sure the model was."""

    question: Question
    answer: Answer
    case: Case | None

    @property
    def right(self) -> bool:
        """Whether the answer says what is expected."""
        return is_right(self.question, self.answer.answer)


async def put(
    questions: Iterable[Question], task: Task, *, ask: Ask, sink: AskSink, cancel: CancelToken
) -> AsyncIterator[Asked]:
    """Ask one after the other, and judge each answer. Raises what `ask` raises; what came before stays."""
    for question in questions:
        request: AskRequest = request_of(question, task)
        answer = await ask(request, sink, _child(cancel))
        cancel.check()
        yield Asked(question, answer, case_of(question, answer))


def case_of(question: Question, answer: Answer) -> Case | None:
    """What an answer adds to a calibration: numbers, and its source's name as the group."""
    if answer.signs is None:
        return None
    signs = answer.signs
    rounded = replace(
        signs,
        mean=round(signs.mean, _DIGITS),
        worst=round(signs.worst, _DIGITS),
        entropy=round(signs.entropy, _DIGITS),
        doubtful=round(signs.doubtful, _DIGITS),
        choice=None if signs.choice is None else round(signs.choice, _DIGITS),
    )
    return Case(rounded, is_right(question, answer.answer), {}, question.source)


def made_of(fitted: Sequence[Case], measured: Sequence[Case], *, task: Task, model: str, digest: str) -> Calibrated:
    """A calibration of one half, with how good it is on the other. Raises UsageError for too few cases."""
    return measured_on(fit(fitted, task=task, model=model, digest=digest), measured)


def sealed(
    made: Calibrated, fitted: Sequence[Case], measured: Sequence[Case], *, sources: tuple[Source, ...], date: str
) -> str:
    """The text of the file that comes with the program: the calibration, its cases, and what it says of itself.

    `raw_ece` and `raw_brier` are those of the mean token probability alone, on the same cases.
    """
    said = [made.calibration(made.score(case.signs, case.checks)) for case in measured]
    raw = [case.signs.mean for case in measured]
    outcomes = [float(case.right) for case in measured]
    metrics = {
        "fitted": float(len(fitted)),
        "measured": float(len(measured)),
        "right": sum(outcomes) / len(outcomes),
        "ece": expected_calibration_error(said, outcomes),
        "brier": brier(said, outcomes),
        "raw_ece": expected_calibration_error(raw, outcomes),
        "raw_brier": brier(raw, outcomes),
    }
    rows = [case.to_json() for case in fitted]
    card = Card(KIND, FORM, date, 0, data_digest(rows), sources, metrics, reliability(said, outcomes))
    return seal({"card": card.to_json(), "calibrated": made.to_json(), "cases": rows})


def _child(cancel: CancelToken) -> CancelToken:
    """A token of one question: who answers pulls it in the end, and there are others."""
    child = CancelToken()
    cancel.on_cancel(lambda: child.cancel(cancel.reason))
    return child
