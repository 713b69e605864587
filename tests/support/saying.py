"""An engine that says pieces of text, and a room with a host in which it answers."""

# ruff: noqa: D102 - the contracts are those of engine.base

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents import uris
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.engine.base import (
    NO_PAUSE,
    Chunk,
    Finished,
    FinishReason,
    GenerationRequest,
    Loaded,
    Pause,
    Sink,
    Timing,
    Tokenizer,
    Usage,
)
from leanvibe_lsp.engine.chain import Skipped
from leanvibe_lsp.engine.host import EngineHost
from leanvibe_lsp.engine.mock import CharacterTokenizer
from leanvibe_lsp.engine.scheduler import Priority, Scheduler
from leanvibe_lsp.engine.select import Selection
from leanvibe_lsp.errors import LeanVibeError
from tests.support.engines import WAIT, KnowingEngine, located


class SayingEngine(KnowingEngine):
    """Says `pieces`, looking at its cancel token before each; with `hold` it waits there for a cancel instead."""

    def __init__(
        self,
        *pieces: str | tuple[str, int],
        reason: FinishReason = FinishReason.STOP,
        sure: float = -0.1,
        tokenizer: Tokenizer | None = None,
        on_load: Callable[[CancelToken], None] = lambda _: None,
    ) -> None:
        super().__init__(on_load=on_load)
        self.pieces = pieces
        self.hold = False
        self.error: LeanVibeError | None = None
        self.asked: list[GenerationRequest] = []
        self.started = threading.Semaphore(0)
        self.whole = 0  # generations that ran to their end
        self.said = 0
        self._reason = reason
        self._sure = sure
        self._tokenizer = tokenizer or CharacterTokenizer()

    def load(self, cancel: CancelToken) -> Loaded:
        return replace(super().load(cancel), tokenizer=self._tokenizer)

    def generate(
        self,
        request: GenerationRequest,
        sink: Sink,
        cancel: CancelToken,
        deadline: Deadline,
        pause: Pause = NO_PAUSE,
    ) -> Finished:
        if request.max_tokens == 1:  # a known answer
            return super().generate(request, sink, cancel, deadline)
        self.asked.append(request)
        self.started.release()
        if self.error is not None:
            raise self.error
        texts: list[str] = []
        for piece in self.pieces:
            if self.hold:
                stopped = threading.Event()
                cancel.on_cancel(stopped.set)
                assert stopped.wait(WAIT)
            cancel.check()
            text, token = piece if isinstance(piece, tuple) else (piece, 1)
            self.said += 1
            texts.append(text)
            sink(Chunk(text, token, self._sure))
        cancel.check()
        self.whole += 1
        return Finished("".join(texts), self._reason, Usage(1, 0, len(texts)), Timing(0.0, 0.1))

    def prompts(self) -> list[str]:
        """What it was asked, as text."""
        return ["".join(map(chr, request.prompt)) for request in self.asked]


class Room:
    """One host with its engine; the chain that has only this one."""

    def __init__(self, engine: KnowingEngine) -> None:
        self.engine = engine
        self.workers = ThreadPoolExecutor(2)
        self.failures: list[LeanVibeError] = []
        self.host = EngineHost(
            lambda _: Selection("llama.cpp", located(), ()), lambda _: engine, Scheduler(capacity=16), name="it"
        )

    def first(self) -> tuple[EngineHost, tuple[Skipped, ...]]:
        return self.host, ()

    def after(self, host: EngineHost, error: LeanVibeError) -> EngineHost | None:
        self.failures.append(error)
        return None

    async def load(self) -> None:
        """Have the model in memory."""
        future = self.host.ready(priority=Priority.QUESTION, cancel=CancelToken(), deadline=Deadline.never())
        await asyncio.wrap_future(future)

    def close(self) -> None:
        assert self.host.close(WAIT)
        self.workers.shutdown()


def at_bar(marked: str, uri: str = "file:///project/code.py", language: str = "python") -> tuple[Snapshot, Span]:
    """A document, and the place of the bar that stands in `marked` and not in the document."""
    at: Sequence[str] = marked.partition("|")
    text = at[0] + at[2]
    place = Span(len(at[0]), len(at[0]))
    return Snapshot(uri, uris.to_path(uri), language, 1, text, LineIndex(text)), place
