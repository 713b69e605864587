"""A question about code, from the places it points at to an answer that says what it rests on."""

from __future__ import annotations

import asyncio
import copy
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Protocol

from leanvibe_lsp.assist.answer import (
    Answer,
    AnswerTiming,
    AskEvent,
    AskRequest,
    AskSink,
    Citation,
    Fallback,
    Restart,
    Stage,
    TextDelta,
)
from leanvibe_lsp.assist.answer_cache import AnswerCache, Remembered, answer_key
from leanvibe_lsp.assist.fitting import Prompt, build_prompt
from leanvibe_lsp.assist.hearing import Hearing
from leanvibe_lsp.assist.sureness import alternatives, sureness
from leanvibe_lsp.assist.wanted import planned, wanted
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.documents.context import Packed
from leanvibe_lsp.engine.base import Chunk, Finished, FinishReason, GenerationRequest, Loaded, Timing, Usage
from leanvibe_lsp.engine.chain import Skipped, may_fall_back
from leanvibe_lsp.engine.confidence import Signs, signs_of
from leanvibe_lsp.engine.host import EngineHost, Ready
from leanvibe_lsp.engine.scheduler import Priority
from leanvibe_lsp.errors import Cancelled, DeadlineExceeded, LeanVibeError, ModelChanged, UsageError, Withheld
from leanvibe_lsp.tiers.intent.values import IntentGuess

log = logging.getLogger(__name__)
# Writes the prompt for a model. Pure; raises LeanVibeError.
Build = Callable[[AskRequest, Loaded], Prompt]


class Hosts(Protocol):
    """Engines in the order in which they are asked; see `engine.chain.EngineChain`."""

    def first(self) -> tuple[EngineHost, tuple[Skipped, ...]]:
        """The one to ask, and those before it that are left alone."""
        ...

    def after(self, host: EngineHost, error: LeanVibeError) -> EngineHost | None:
        """The one to ask when `host` failed."""
        ...


async def ask(
    request: AskRequest,
    *,
    hosts: Hosts,
    workers: Executor,
    sink: AskSink,
    cancel: CancelToken,
    answers: AnswerCache | None = None,
    build: Build | None = None,
    priority: Priority = Priority.QUESTION,
    here: bool = False,
) -> Answer:
    """Answer `request`; `sink` hears of it on the event loop's thread. Raises LeanVibeError.

    `build` writes the prompt, where it is not `build_prompt` that does. With `here` no server is asked, even where one
    would be: that raises Withheld.

    When an engine fails, the next one answers, and the answer says so. When the awaiting task is cancelled, or `cancel`
    is pulled, the engine stops within one token or one prefill chunk.
    """
    _check(request)
    guess = None if build else await _guess(request, workers)
    request = planned(request, guess)
    deadline = Deadline.after(limit("answer.seconds"))
    asking = _Asking(request, workers, sink, cancel, deadline, answers, build or build_prompt, priority, here)
    try:
        async with asyncio.timeout(limit("answer.seconds")):
            return replace(await _first_that_answers(asking, hosts), intent=guess)
    except TimeoutError as error:
        raise DeadlineExceeded(
            f"No answer within {limit('answer.seconds')} seconds.", next_step="Ask again, or ask for less."
        ) from error
    finally:
        cancel.cancel("the question is closed")


async def _guess(request: AskRequest, workers: Executor) -> IntentGuess | None:
    try:
        return await asyncio.get_running_loop().run_in_executor(workers, wanted, request)
    except RuntimeError:  # the workers have ended; the engine says so in better words
        return None


async def _first_that_answers(asking: _Asking, hosts: Hosts) -> Answer:
    while True:
        try:
            return await _down_the_chain(asking, hosts)
        except ModelChanged as error:
            log.info("the prompt is written anew: %s", error)


async def _down_the_chain(asking: _Asking, hosts: Hosts) -> Answer:
    """What may not be sent to a server is asked of those on this machine that were left alone."""
    host, skipped = hosts.first()
    left: list[EngineHost] = []  # of the skipped ones, when they are asked after all
    failed = {one.host: one.error for one in skipped}
    while True:
        failed.pop(host, None)
        try:
            return await asking.of(host, tuple(Fallback(one.name, str(error)) for one, error in failed.items()))
        except LeanVibeError as error:
            failure = error
        following = hosts.after(host, failure) if may_fall_back(failure) else None
        if isinstance(failure, Withheld):
            left, skipped = [one.host for one in skipped], ()
        if left and (following is not None or isinstance(failure, Withheld)):
            following = left.pop(0)
        if following is None:
            raise _with_history(failure, {one.name: error for one, error in failed.items()}) from failure
        failed[host] = failure
        asking.restart(f"{host.name} failed: {failure.message}")
        host = following


def _with_history(failure: LeanVibeError, failed: Mapping[str, LeanVibeError]) -> LeanVibeError:
    """A copy that says what went before, by engine, and every next step once: the error itself may be others' too."""
    told = copy.copy(failure)
    told.message += "".join(f" Before that, {name}: {error.message}" for name, error in failed.items())
    steps = dict.fromkeys(error.next_step for error in (failure, *failed.values()))
    told.next_step = " ".join(filter(None, steps))
    return told


@dataclass(slots=True)
class _Asking:
    """One question on its way, whoever answers it in the end."""

    request: AskRequest
    workers: Executor
    sink: AskSink
    cancel: CancelToken
    deadline: Deadline
    answers: AnswerCache | None
    build: Build
    priority: Priority
    here: bool
    begin: float = field(default_factory=time.monotonic)
    told: bool = False  # some text of an answer went out

    def tell(self, event: AskEvent) -> None:
        """The sink, with a note of whether there is text to take back."""
        self.told = self.told or isinstance(event, TextDelta)
        self.sink(event)

    def restart(self, reason: str) -> None:
        """Take back what was told."""
        if self.told:
            self.told = False
            self.sink(Restart(reason))

    async def of(self, host: EngineHost, fallbacks: tuple[Fallback, ...]) -> Answer:
        """The answer of one engine. Raises LeanVibeError."""
        if host.status.ready is None:
            self.tell(Stage("loading model"))
        ready = await asyncio.wrap_future(
            host.ready(priority=self.priority, cancel=self.cancel, deadline=self.deadline)
        )
        if self.here and ready.selection.is_remote:
            raise Withheld("No model on this machine can answer.", next_step="Run `leanvibe models pull`.")
        self.tell(Stage("reading context"))
        prompt = await self._prompt(host, ready)
        generation = _generation(self.request, prompt)
        key = _key(ready, generation) if self.answers is not None else None
        submitted = time.monotonic()
        heard = await self._recall(key) or await self._generate(host, ready, generation, key)
        return self._answer(ready, prompt, heard, fallbacks, submitted)

    async def _prompt(self, host: EngineHost, ready: Ready) -> Prompt:
        """The prompt for a model. One that no prompt can be written for, its template is at fault, is not kept."""
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self.workers, self.build, self.request, ready.loaded)
        except LeanVibeError as error:
            if may_fall_back(error):
                await asyncio.wrap_future(host.give_up(error, priority=self.priority, cancel=self.cancel))
            raise

    async def _recall(self, key: bytes | None) -> _Heard | None:
        """The answer to the very same thing asked before, told at once."""
        if self.answers is None or key is None:
            return None
        begin = time.monotonic()
        kept = await asyncio.get_running_loop().run_in_executor(self.workers, self.answers.get, key)
        if kept is None:
            return None
        if kept.text:
            self.tell(TextDelta(kept.text, kept.completion_tokens))
        now = time.monotonic()
        usage = Usage(kept.prompt_tokens, kept.prompt_tokens, kept.completion_tokens)
        finished = Finished(kept.text, kept.reason, usage, Timing(now - begin, 0.0))
        return _Heard(finished, kept.signs, begin, now, remembered=True)

    async def _generate(
        self, host: EngineHost, ready: Ready, generation: GenerationRequest, key: bytes | None
    ) -> _Heard:
        hearing = Hearing(self.tell, self.cancel, asyncio.get_running_loop())
        try:
            finished = await asyncio.wrap_future(
                host.generate(
                    generation,
                    hearing.hear,
                    priority=self.priority,
                    cancel=self.cancel,
                    deadline=self.deadline,
                    loaded=ready.loaded,
                )
            )
            hearing.finish(finished)
        except Cancelled:
            if hearing.failure is not None:
                raise hearing.failure from None
            raise
        finally:
            hearing.close()
        signs = _signs(ready, generation, hearing.chunks, whole=finished.reason is FinishReason.STOP)
        if self.answers is not None and key is not None:
            usage = finished.usage
            kept = Remembered(finished.text, finished.reason, usage.prompt_tokens, usage.completion_tokens, signs)
            await asyncio.get_running_loop().run_in_executor(self.workers, self.answers.put, key, kept)
        return _Heard(finished, signs, hearing.started, hearing.first, remembered=False)

    def _answer(
        self, ready: Ready, prompt: Prompt, heard: _Heard, fallbacks: tuple[Fallback, ...], submitted: float
    ) -> Answer:
        end = time.monotonic()
        finished = heard.finished
        return Answer(
            answer=finished.text,
            tier="mock" if ready.selection.is_mock else "model",
            model=ready.model,
            backend=ready.selection.backend,
            confidence=sureness().of_answer(ready, self.request, heard.signs),
            citations=_citations(prompt.packed),
            omitted=prompt.omitted,
            usage=finished.usage,
            timing=AnswerTiming(
                queued_seconds=(heard.started or end) - submitted,
                first_token_seconds=(heard.first or end) - self.begin,
                total_seconds=end - self.begin,
                tokens_per_second=finished.timing.tokens_per_second(finished.usage.completion_tokens),
            ),
            finish_reason=finished.reason,
            fallbacks=fallbacks,
            verdict=ready.verdict,
            signs=heard.signs,
            digest=ready.selection.located.digest if ready.selection.located is not None else None,
            remembered=heard.remembered,
        )


@dataclass(frozen=True, slots=True)
class _Heard:
    """A finished text, the signs of how sure the model was of it, and when the engine began and said its first word."""

    finished: Finished
    signs: Signs | None  # None where a server does not say
    started: float | None
    first: float | None
    remembered: bool


def _generation(request: AskRequest, prompt: Prompt) -> GenerationRequest:
    return GenerationRequest(
        prompt.ids,
        prompt.max_tokens,
        temperature=request.temperature,
        top_logprobs=alternatives(request.structure),
        seed=request.seed,
        stop_loops=request.structure is None,
        structure=request.structure,
        messages=prompt.messages,
        sources=prompt.sources,
    )


def _key(ready: Ready, generation: GenerationRequest) -> bytes | None:
    """Where the answer is kept; None for one that cannot be repeated exactly or whose weights are not known."""
    if generation.temperature > 0 or ready.identity is None:
        return None
    return answer_key(ready.identity, ready.loaded.chat_template, generation)


def _check(request: AskRequest) -> None:
    if not request.question.strip():
        raise UsageError("The question is empty.", next_step="Ask something.")
    if request.max_tokens is not None and request.max_tokens < 1:
        raise UsageError(f"An answer of {request.max_tokens} tokens is none.", next_step="Ask for at least 1.")
    if not 0 <= request.temperature <= 2:
        raise UsageError(f"The temperature {request.temperature} is not between 0 and 2.", next_step="0 is exact.")


def _signs(ready: Ready, generation: GenerationRequest, chunks: Sequence[Chunk], *, whole: bool) -> Signs | None:
    """What the tokens say. A server may give probabilities for some or for none: then None."""
    if ready.selection.is_remote:
        chunks = [chunk for chunk in chunks if not math.isnan(chunk.logprob)]
        if not chunks:
            return None
    return signs_of(chunks, prompt=generation.prompt, structure=generation.structure, whole=whole)


def _citations(packed: Packed) -> tuple[Citation, ...]:
    return tuple(Citation(block.uri, block.start_line, block.end_line, block.what) for block in packed.blocks)
