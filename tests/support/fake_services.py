"""Services that answer by a script, for the doors' tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from leanvibe_lsp.assist.answer import (
    Answer,
    AnswerTiming,
    AskRequest,
    AskSink,
    Citation,
    Confidence,
    Restart,
    Stage,
    TextDelta,
)
from leanvibe_lsp.assist.changes.values import Change, ChangeRequest, Check, FileChange
from leanvibe_lsp.assist.complete import Completion, CompletionRequest
from leanvibe_lsp.assist.judged import Judged, JudgeRequest
from leanvibe_lsp.assist.summary import Summary, SummaryRequest
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.engine.base import FinishReason, Usage

T = TypeVar("T")


class FakeServices:
    """Says `deltas`, waits for `gate` when there is one, then answers or raises `error`.

    With a `restart`, that is why it begins anew after the first of `deltas`.
    """

    def __init__(
        self,
        deltas: Sequence[str] = ("The ", "answer."),
        *,
        gate: asyncio.Event | None = None,
        error: Exception | None = None,
    ) -> None:
        self.deltas = tuple(deltas)
        self.gate = gate
        self.error = error
        self.restart = ""
        self.obstacle = ""
        self.changes: list[ChangeRequest] = []
        self.edits: tuple[TextEdit, ...] | None = None  # None: what the request is about becomes the deltas
        self.made: Change | None = None  # the change itself, in place of one with `edits`
        self.proven = False
        self.completions: list[CompletionRequest] = []
        self.completion: Completion | None = None
        self.summaries: list[SummaryRequest] = []
        self.said: Summary | None = None
        self.refusal = ""
        self.reviews: list[JudgeRequest] = []
        self.judged: Callable[[JudgeRequest], Judged] | None = None
        self.requests: list[AskRequest] = []
        self.tokens: list[CancelToken] = []
        self.stopped = 0
        self.asked = asyncio.Event()
        self.closed = 0

    async def ask(self, request: AskRequest, sink: AskSink, cancel: CancelToken) -> Answer:
        """See `leanvibe_lsp.services.Services.ask`."""
        self.requests.append(request)
        self.tokens.append(cancel)
        self.asked.set()
        try:
            sink(Stage("thinking"))
            if self.restart:
                sink(TextDelta(self.deltas[0], 1))
                sink(Restart(self.restart))
            for count, delta in enumerate(self.deltas, 1):
                sink(TextDelta(delta, count))
                await asyncio.sleep(0)
            if self.gate is not None:
                await self.gate.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        if self.error is not None:
            raise self.error
        return answer_of("".join(self.deltas))

    async def change(self, request: ChangeRequest, sink: AskSink, cancel: CancelToken) -> Change:
        """See `leanvibe_lsp.services.Services.change`."""
        self.changes.append(request)
        place = AskRequest(request.instruction or str(request.kind), (request.place,))
        answer = await self.ask(place, sink, cancel)
        snapshot, span = request.place.snapshot, request.place.span
        assert span is not None
        edits = self.edits if self.edits is not None else (TextEdit(span, answer.answer),)
        return self.made or Change(
            title=f"A {request.kind}",
            files=() if self.refusal else (FileChange(snapshot, edits),),
            checks=(Check("parses", passed=not self.refusal),),
            proven=self.proven,
            draft=answer.answer,
            refusal=self.refusal,
            answer=answer,
        )

    async def judge(self, request: JudgeRequest, sink: AskSink, cancel: CancelToken) -> Judged:
        """See `leanvibe_lsp.services.Services.judge`; `judged` makes the result, after `gate` when there is one."""
        self.reviews.append(request)
        sink(Stage("rules and classifier"))
        judged = self.judged(request) if self.judged is not None else Judged(request.snapshot, (), {})
        return await self._scripted(judged, cancel)

    async def complete(self, request: CompletionRequest, cancel: CancelToken) -> Completion | None:
        """See `leanvibe_lsp.services.Services.complete`; waits for `gate` when there is one."""
        self.completions.append(request)
        return await self._scripted(self.completion, cancel)

    async def summary(self, request: SummaryRequest, cancel: CancelToken) -> Summary | None:
        """See `leanvibe_lsp.services.Services.summary`; waits for `gate` when there is one."""
        self.summaries.append(request)
        return await self._scripted(self.said, cancel)

    async def _scripted(self, value: T, cancel: CancelToken) -> T:
        self.tokens.append(cancel)
        self.asked.set()
        stopped = asyncio.Event()
        cancel.on_cancel(stopped.set)
        waits = [asyncio.ensure_future(one.wait()) for one in (stopped, self.gate) if one is not None]
        try:
            if self.gate is not None:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        finally:
            for one in waits:
                one.cancel()
        if self.error is not None:
            raise self.error
        cancel.check()
        return value

    async def health(self) -> dict[str, object]:
        """A fixed state."""
        return {"status": "healthy", "model": "fake"}

    def close(self) -> None:
        """Counted."""
        self.closed += 1


def answer_of(text: str) -> Answer:
    """An answer with every field filled."""
    return Answer(
        answer=text,
        tier="model",
        model="fake",
        backend="mock",
        confidence=Confidence(0.5, "mean token probability", calibrated=False),
        citations=(Citation("file:///a.py", 2, 4, "function f"),),
        omitted=("imports",),
        usage=Usage(10, 4, 2),
        timing=AnswerTiming(0.1, 0.2, 0.3, 40.0),
        finish_reason=FinishReason.STOP,
    )
