"""Code at the cursor, while a person types: from memory at once, or from the model that is ready.

Nothing is said to a server: keystrokes stay on this machine. Where no model is ready, the first request that a person
did not make has one loaded beside everything else, and gets nothing. What a model says is only ever inserted, never put
in the place of something.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from leanvibe_lsp.assist.completion_cache import Asked, CompletionCache
from leanvibe_lsp.assist.infilling import Infilling, infilling
from leanvibe_lsp.assist.insertion import Gap, end_of, inserted
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.core.clock import Clock
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.secrets import cover, withheld
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.engine.base import Chunk, Event, FinishReason, GenerationRequest
from leanvibe_lsp.engine.chain import may_fall_back
from leanvibe_lsp.engine.host import EngineHost, Ready
from leanvibe_lsp.engine.scheduler import Priority
from leanvibe_lsp.errors import Busy, Cancelled, DeadlineExceeded, LeanVibeError, ModelChanged

if TYPE_CHECKING:
    from leanvibe_lsp.assist.ask import Hosts

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """A place to go on from. `begun` stands there in place of `span`: what a list of the editor's own would insert.

    `invoked`: a person asked for it. `delay`: seconds to wait before a model is asked. `secrets`: globs of files that
    no model may see, beside the built-in ones.
    """

    snapshot: Snapshot
    span: Span
    begun: str = ""
    invoked: bool = False
    delay: float = 0.0
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """What to insert behind `begun`; `seconds` is what the engine took, None for one that was known."""

    text: str
    model: str
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class _Work:
    """What the model is asked, and where what it says is to stand."""

    gap: Gap
    prompt: Infilling
    max_tokens: int
    marks: tuple[str, ...]  # what stands for secrets in the prompt


class Completer:
    """Completions of one chain of engines. Event-loop thread only."""

    def __init__(self, hosts: Hosts, workers: Executor, *, clock: Clock | None = None) -> None:
        self._hosts = hosts
        self._workers = workers
        self._clock = clock or Clock()
        self._known = CompletionCache()
        self._loading: Future[Ready] | None = None

    async def complete(self, request: CompletionRequest, cancel: CancelToken) -> Completion | None:
        """What may follow; None for nothing. Pulled, `cancel` stops the engine.

        Raises LeanVibeError where a person asked, and Cancelled.
        """
        host = self._hosts.first()[0]
        try:
            return await self._complete(request, host, cancel)
        except (Cancelled, ModelChanged):
            if cancel.cancelled:
                raise
            return None  # the engine is closing, or was freed
        except LeanVibeError as error:
            if may_fall_back(error):
                self._hosts.after(host, error)
            if request.invoked:
                raise
            if not isinstance(error, Busy | DeadlineExceeded):
                log.warning("No completion: %s", error)
            return None
        finally:
            cancel.cancel("the completion is closed")

    async def _complete(self, request: CompletionRequest, host: EngineHost, cancel: CancelToken) -> Completion | None:
        ready = await self._ready(request, host, cancel)
        if ready is None or ready.loaded.tokenizer is None:
            return None
        snapshot, span = request.snapshot, request.span
        before, after = snapshot.text[: span.start] + request.begun, snapshot.text[span.end :]
        asked = Asked(snapshot.uri, ready.identity or ready.model, before, after)
        loop = asyncio.get_running_loop()
        if await loop.run_in_executor(self._workers, withheld, snapshot, request.secrets) is not None:
            return None
        if (known := self._known.get(asked)) is not None:
            return Completion(known, ready.model) if known else None
        await asyncio.sleep(request.delay)
        work = await loop.run_in_executor(self._workers, _work, request, ready)
        if work is None:
            return None
        begin = self._clock.now()
        text = await self._generate(work, host, ready, cancel)
        seconds = self._clock.now() - begin
        log.debug("a completion was made in %.0f ms: %d characters", seconds * 1000, len(text))
        if "\r\n" in before:
            text = text.replace("\n", "\r\n")
        self._known.put(asked, text)
        return Completion(text, ready.model, seconds) if text else None

    async def _ready(self, request: CompletionRequest, host: EngineHost, cancel: CancelToken) -> Ready | None:
        """The model in memory; a person who asked waits for it to be loaded."""
        if (ready := host.status.ready) is not None:
            return ready
        if request.invoked:
            deadline = Deadline.after(limit("answer.seconds"))
            return await asyncio.wrap_future(host.ready(priority=Priority.QUESTION, cancel=cancel, deadline=deadline))
        status = host.status
        failed = status.state == "failed" and self._clock.now() - status.since < limit("engine.cooldown_seconds")
        if not failed and (self._loading is None or self._loading.done()):
            log.info("The model is loaded for completions, beside all else; until then there are none.")
            self._loading = host.ready(priority=Priority.BACKGROUND, cancel=CancelToken(), deadline=Deadline.never())
            self._loading.add_done_callback(lambda future: self._loaded(host, future))
        return None

    def _loaded(self, host: EngineHost, future: Future[Ready]) -> None:
        error = future.exception() if not future.cancelled() else None
        if isinstance(error, LeanVibeError):
            log.warning("No completions: %s", error)
            if may_fall_back(error):
                self._hosts.after(host, error)

    async def _generate(self, work: _Work, host: EngineHost, ready: Ready, cancel: CancelToken) -> str:
        """What is to be inserted. The engine is stopped as soon as it said enough."""
        said: list[str] = []
        enough = CancelToken()
        cancel.on_cancel(lambda: enough.cancel(cancel.reason))

        def hear(event: Event) -> None:
            if not isinstance(event, Chunk) or enough.cancelled:
                return
            if event.token_id in work.prompt.ends:
                enough.cancel("the gap is filled")
                return
            said.append(event.text)
            if end_of("".join(said).removeprefix(work.gap.spare), work.gap) is not None:
                enough.cancel("the gap is filled")

        request = GenerationRequest(work.prompt.ids, work.max_tokens, stop_loops=True)
        deadline = Deadline.after(limit("completion.seconds"))
        try:
            finished = await asyncio.wrap_future(
                host.generate(
                    request, hear, priority=Priority.KEYSTROKE, cancel=enough, deadline=deadline, loaded=ready.loaded
                )
            )
        except Cancelled:
            if cancel.cancelled or not enough.cancelled:
                raise
            return _clean("".join(said), work, cut=False)
        if finished.reason is FinishReason.LOOP:
            return ""
        return _clean(finished.text, work, cut=finished.reason is FinishReason.LENGTH)


def _clean(text: str, work: _Work, *, cut: bool) -> str:
    """What is inserted; nothing that has the mark of a secret in it, or a character that is none."""
    text = inserted(text, work.gap, cut=cut)
    return "" if any(mark in text for mark in (*work.marks, "\ufffd")) else text


def _work(request: CompletionRequest, ready: Ready) -> _Work | None:
    """The prompt, without secrets; None for a cursor in one, and where there is nothing to go by. Any thread."""
    snapshot, span = request.snapshot, request.span
    found = cover(snapshot)
    if found is not None:
        if any(edit.span.start <= span.end and span.start <= edit.span.end for edit in found.edits):
            return None
        snapshot, span = replace(snapshot, text=found.lines.text), found.moved(span)
    before = (snapshot.text[: span.start] + request.begun).replace("\r\n", "\n")
    gap = Gap(before, snapshot.text[span.end :].replace("\r\n", "\n"))
    prompt = infilling(ready.loaded, gap.before.removesuffix(gap.spare), gap.after)
    max_tokens = limit("completion.block_tokens") if gap.takes_block else limit("completion.line_tokens")
    if prompt is None or len(prompt.ids) + max_tokens > ready.loaded.window:
        return None
    return _Work(gap, prompt, max_tokens, tuple(edit.text for edit in found.edits) if found is not None else ())
