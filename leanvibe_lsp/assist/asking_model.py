"""One piece of code put before a model: what it is told, its answers, and what of them holds.

A quote that is not in the piece is dropped and counted. More than one answer is taken only where the first leaves a
doubt that others could end, and where the budget allows it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Protocol

from leanvibe_lsp.assist.answer import Answer, AskEvent, AskRequest, AskSink, Confidence, Place, Stage
from leanvibe_lsp.assist.changes.task import meant
from leanvibe_lsp.assist.fitting import Prompt
from leanvibe_lsp.assist.judged import JudgeRequest
from leanvibe_lsp.assist.judging_prompt import build_review, text_of
from leanvibe_lsp.assist.rungs import Models
from leanvibe_lsp.assist.units import Unit
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.engine.base import Loaded
from leanvibe_lsp.errors import (
    Busy,
    Cancelled,
    ContextTooLarge,
    DeadlineExceeded,
    Incomplete,
    LeanVibeError,
    ModelChanged,
)
from leanvibe_lsp.tiers.finding import Finding
from leanvibe_lsp.tiers.model.prompt import told_by
from leanvibe_lsp.tiers.model.quotes import place
from leanvibe_lsp.tiers.model.schema import read, structure
from leanvibe_lsp.tiers.model.votes import Placed, Sample, Vote, together, vote
from leanvibe_lsp.tiers.rung import Cost, Opinion, Rung

# What is wrong with the piece or the moment, and not with the model: the next piece may fare better.
_OF_THE_PIECE = (Busy, ContextTooLarge, DeadlineExceeded, Incomplete, ModelChanged)


class Calibrate(Protocol):
    """Makes of an answer and the checks it passed (0 to 1 each, by name) how probable it is that it is right."""

    def __call__(self, answer: Answer, checks: Mapping[str, float]) -> Confidence:
        """The confidence of a verdict; `calibrated` only where it was fitted for reviews by these very weights."""
        ...


def raw(answer: Answer, checks: Mapping[str, float]) -> Confidence:
    """What the model says of its own words: no probability of being right."""
    return replace(answer.confidence, calibrated=False)


@dataclass(frozen=True, slots=True)
class Doubt:
    """A piece and what the rungs below said of it; `needed` is the confidence that would end the doubt."""

    unit: Unit
    findings: tuple[Finding, ...]
    opinions: tuple[Opinion, ...]
    reasons: tuple[str, ...]
    needed: float
    left: Cost

    def code(self, snapshot: Snapshot) -> str:
        """The text of the piece."""
        return snapshot.text[self.unit.span.start : self.unit.span.end]

    def told(self, snapshot: Snapshot) -> str:
        """What a model is told of it."""
        return told_by(self.findings, self.opinions, self.reasons, snapshot.lines)

    def known(self) -> str:
        """The same, wherever in a file the piece stands: what changes it asks for another look."""
        found = (f"{one.rule} {one.span.start - self.unit.span.start} {one.message}" for one in self.findings)
        said = (f"{one.rung} {one.verdict} {one.confidence}" for one in self.opinions if not one.failure)
        return "\n".join((*found, *said, *self.reasons))


@dataclass(frozen=True, slots=True)
class ModelSaid:
    """What a model's answers come to, or the `failure` for which there are none; `is_down`: nor for any other piece.

    `placed` are remarks with their places, `dropped` counts the quotes that have none. `confidence` is of the vote.
    """

    model: str = ""
    vote: Vote = field(default_factory=lambda: vote(()))
    confidence: Confidence = field(default_factory=lambda: Confidence(0.0, "none", calibrated=False))
    placed: tuple[Placed, ...] = ()
    dropped: int = 0
    tokens: int = 0
    shown: str = ""
    origin: int = 0  # where the piece began
    remembered: bool = False
    failure: str = ""
    is_down: bool = False

    def opinion(self, rung: Rung, cost: Cost) -> Opinion:
        """The same for the policy: a probability only where there is a calibrated one."""
        return Opinion(rung, self.vote.verdict, self.vote.confidence if self.confidence.calibrated else None, cost)

    def again(self, unit: Unit) -> ModelSaid:
        """What was said before of the very same code, where that stands now."""
        by = unit.span.start - self.origin
        placed = tuple(replace(one, span=Span(one.span.start + by, one.span.end + by)) for one in self.placed)
        return replace(self, placed=placed, origin=unit.span.start, remembered=True)


async def ask_model(
    request: JudgeRequest,
    doubt: Doubt,
    rung: Rung,
    *,
    models: Models,
    workers: Executor,
    sink: AskSink,
    cancel: CancelToken,
    calibrate: Calibrate = raw,
) -> ModelSaid:
    """Ask about a piece, within what is left of the budget. Raises Cancelled; any other failure is told."""
    asking = _Asking(request, doubt, rung, models, workers, sink, cancel, calibrate)
    try:
        async with asyncio.timeout(max(0.0, doubt.left.seconds)):
            return await asking.answers()
    except TimeoutError:
        return asking.come_to(failure=f"it gave no answer in the {doubt.left.seconds:.0f} s that were left")
    except Cancelled:
        raise
    except LeanVibeError as error:
        return asking.come_to(failure=str(error), is_down=not isinstance(error, _OF_THE_PIECE))


class _Asking:
    """One piece before one model."""

    def __init__(
        self,
        request: JudgeRequest,
        doubt: Doubt,
        rung: Rung,
        models: Models,
        workers: Executor,
        sink: AskSink,
        cancel: CancelToken,
        calibrate: Calibrate,
    ) -> None:
        self._request = request
        self._doubt = doubt
        self._rung = rung
        self._models = models
        self._workers = workers
        self._sink = sink
        self._cancel = cancel
        self._calibrate = calibrate
        self._samples: list[Sample] = []
        self._confidence = Confidence(0.0, "none", calibrated=False)
        self._model = ""
        self._shown = ""
        self._tokens = self._dropped = 0

    async def answers(self) -> ModelSaid:
        """One answer, exact; and some that are drawn, where they could end the doubt."""
        await self._sample(seed=0, temperature=0.0)
        others = limit("judge.samples") - 1
        sure = vote(self._samples).confidence
        doubtful = self._confidence.calibrated and (sure is None or sure < self._doubt.needed)
        if doubtful and others and self._tokens * (others + 1) <= self._doubt.left.tokens:
            drawn = limit("judge.temperature_percent") / 100
            tasks = [self._sample(seed=seed, temperature=drawn) for seed in range(1, others + 1)]
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                # The first answer stands: what became of another one is no failure of it.
                if isinstance(outcome, BaseException) and not isinstance(outcome, LeanVibeError):
                    raise outcome
            self._cancel.check()
        return self.come_to()

    def come_to(self, *, failure: str = "", is_down: bool = False) -> ModelSaid:
        """All that was said so far; with none of it the failure."""
        return ModelSaid(
            model=self._model,
            vote=vote(self._samples),
            confidence=self._confidence,
            placed=together(self._samples),
            dropped=self._dropped,
            tokens=self._tokens,
            shown=self._shown,
            origin=self._doubt.unit.span.start,
            failure="" if self._samples else failure,
            is_down=is_down and not self._samples,
        )

    async def _sample(self, *, seed: int, temperature: float) -> None:
        request, snapshot = self._request, self._request.snapshot
        asked = AskRequest(
            question=self._doubt.unit.name,
            places=(Place(snapshot, self._doubt.unit.span),),
            temperature=temperature,
            structure=structure(),
            seed=seed,
            gathered=request.gathered,
            secrets=request.secrets,
            task="review",
        )
        answer = await self._models.ask(self._rung, asked, self._build, self._tell, _child(self._cancel))
        self._model = answer.model
        self._tokens += answer.usage.prompt_tokens + answer.usage.completion_tokens
        loop = asyncio.get_running_loop()
        sample, dropped = await loop.run_in_executor(self._workers, self._heard, answer)
        self._dropped += dropped
        self._samples.append(sample)

    def _heard(self, answer: Answer) -> tuple[Sample, int]:
        """An answer with the places of its quotes, and how many have none. Any thread."""
        snapshot, unit = self._request.snapshot, self._doubt.unit
        said = read(answer.answer)
        placed = []
        for remark in said.remarks:
            span = place(meant(snapshot, remark.quote), snapshot.lines, unit.span)
            if span is not None:
                placed.append(Placed(span, remark))
        found = len(placed) / len(said.remarks) if said.remarks else 1.0
        confidence = self._calibrate(answer, {"quotes": found})
        if not self._samples:
            self._confidence = confidence
        return Sample(said, tuple(placed), confidence.value), len(said.remarks) - len(placed)

    def _build(self, request: AskRequest, loaded: Loaded) -> Prompt:
        prompt = build_review(request, loaded, self._doubt.unit, self._doubt.told(request.places[0].snapshot))
        self._shown = text_of(prompt)
        return prompt

    def _tell(self, event: AskEvent) -> None:
        """Only what takes long and is not the review's own step: the words themselves are JSON."""
        if isinstance(event, Stage) and event.title == "loading model":
            self._sink(event)


def _child(cancel: CancelToken) -> CancelToken:
    """A token of one answer: who asks pulls it in the end, and there may be others."""
    child = CancelToken()
    cancel.on_cancel(lambda: child.cancel(cancel.reason))
    return child


def tried(opinions: Sequence[Opinion]) -> str:
    """What each rung said, for a person."""
    return "; ".join(map(_said, opinions))


def _said(opinion: Opinion) -> str:
    if opinion.failure:
        return f"{opinion.rung}: {opinion.failure.rstrip('.')}"
    if opinion.rung is Rung.RULES and opinion.confidence is None:
        return "rules: nothing found"
    sure = "not calibrated" if opinion.confidence is None else f"{opinion.confidence:.2f}"
    return f"{opinion.rung}: {opinion.verdict} ({sure})"
