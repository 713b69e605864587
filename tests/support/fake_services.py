"""Services that answer by a script, for the doors' tests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

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
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.base import FinishReason, Usage


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
