"""From the signs of a generation to a confidence: the probability of being right, where that was fitted.

What was fitted belongs to one task and to the digest of the weights: what was marked on this machine counts before what
comes with the program. Of any other model the mean probability of its tokens is told, and that it is no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from leanvibe_lsp.assist.answer import Answer, AskRequest, Confidence
from leanvibe_lsp.assist.feedback import Feedback, Said, feedback_path
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.confidence import Signs
from leanvibe_lsp.engine.structured import Structure
from leanvibe_lsp.tiers.calibrated import Calibrated, Task, shipped

if TYPE_CHECKING:
    from leanvibe_lsp.engine.status import Ready

RAW = "mean-token-probability"
_SCRIPTED = Confidence(0.0, "none: scripted text", calibrated=False)
_SILENT = Confidence(0.0, "none: the server does not say", calibrated=False)


class Sureness:
    """What is fitted, asked for. Any thread."""

    def __init__(self, feedback: Feedback) -> None:
        self._feedback = feedback

    def of_answer(self, ready: Ready, request: AskRequest, signs: Signs | None) -> Confidence:
        """The confidence of an answer as it comes from the model, before anything was checked."""
        if ready.selection.is_mock:
            return _SCRIPTED
        if signs is None:
            return _SILENT
        located = ready.selection.located
        task = task_of(request)
        digest = located.digest if located is not None else None
        return self._found(task, digest, signs, {}) if task in ("answer", "choice") else _raw(signs)

    def of_fix(self, answer: Answer, checks: Mapping[str, float]) -> Confidence:
        """How probable it is that a fix is right, after the checks it passed (`tiers.calibrated.CHECKS`)."""
        return self._after("fix", answer, checks)

    def of_review(self, answer: Answer, checks: Mapping[str, float]) -> Confidence:
        """The same for a judgement of code."""
        return self._after("review", answer, checks)

    def remember(self, request: AskRequest, answer: Answer) -> None:
        """Keep what may be marked of the terminal's last answer."""
        said = said_of(request, answer)
        if said is not None:
            self._feedback.remember(said)

    def _after(self, task: Task, answer: Answer, checks: Mapping[str, float]) -> Confidence:
        if answer.signs is None:
            return answer.confidence
        return self._found(task, answer.digest, answer.signs, checks)

    def _found(self, task: Task, digest: str | None, signs: Signs, checks: Mapping[str, float]) -> Confidence:
        made = self._fitted(task, digest) if digest is not None else None
        value = made.probability(signs, checks) if made is not None else None
        if made is None or value is None:
            return _raw(signs)
        return Confidence(value, made.method, calibrated=True)

    def _fitted(self, task: Task, digest: str) -> Calibrated | None:
        own = self._feedback.fitted(task, digest)
        if own is not None:
            return own
        found = shipped(task, digest)
        return found[0] if found is not None else None


@cache
def sureness() -> Sureness:
    """That of this process, with what was marked on this machine."""
    return Sureness(Feedback(feedback_path()))


def task_of(request: AskRequest) -> Task | None:
    """What a confidence of its answer is about; None for a JSON document, of which nothing is known before it is read.

    A question with choices is a choice, whoever asks it.
    """
    if request.structure is None:
        return request.task
    return "choice" if request.structure.choices and request.task == "answer" else None


def said_of(request: AskRequest, answer: Answer) -> Said | None:
    """What may be marked of an answer; None where its weights are not known, or nothing of how sure the model was."""
    task = task_of(request)
    if task is None or answer.signs is None or answer.digest is None:
        return None
    return Said(task, answer.model, answer.digest, answer.signs)


def alternatives(structure: Structure | None) -> int:
    """How many alternatives to each token a generation should carry."""
    if structure is not None and structure.choices:
        return limit("confidence.choice_alternatives")
    return limit("confidence.alternatives")


def _raw(signs: Signs) -> Confidence:
    return Confidence(signs.mean, RAW, calibrated=False)
