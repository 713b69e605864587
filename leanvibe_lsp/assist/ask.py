"""A question about code, from the places it points at to an answer that says what it rests on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from leanvibe_lsp.assist.answer import (
    Answer,
    AnswerTiming,
    AskRequest,
    AskSink,
    Citation,
    Confidence,
    Stage,
    Turn,
)
from leanvibe_lsp.assist.hearing import Hearing
from leanvibe_lsp.assist.prompt import messages, newest_turns
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.documents.context import Packed, pack
from leanvibe_lsp.engine.base import GenerationRequest, Loaded, Message, Source
from leanvibe_lsp.engine.confidence import mean_token_probability
from leanvibe_lsp.engine.host import EngineHost, Ready
from leanvibe_lsp.engine.prompts import count_tokens, prompt_length, render
from leanvibe_lsp.engine.scheduler import Priority
from leanvibe_lsp.errors import Cancelled, ContextTooLarge, DeadlineExceeded, UsageError


@dataclass(frozen=True, slots=True)
class Prompt:
    """What goes to the model, and what was packed into it and left out."""

    ids: tuple[int, ...]
    messages: tuple[Message, ...]
    max_tokens: int
    packed: Packed
    omitted: tuple[str, ...]


async def ask(
    request: AskRequest, *, host: EngineHost, workers: Executor, sink: AskSink, cancel: CancelToken
) -> Answer:
    """Answer `request`; `sink` hears of it on the event loop's thread. Raises LeanVibeError.

    When the awaiting task is cancelled, or `cancel` is pulled, the engine stops within one token or one prefill chunk.
    """
    _check(request)
    begin = time.monotonic()
    seconds = limit("answer.seconds")
    deadline = Deadline.after(seconds)
    try:
        async with asyncio.timeout(seconds):
            if host.status.ready is None:
                sink(Stage("loading model"))
            ready = await asyncio.wrap_future(host.ready(priority=Priority.QUESTION, cancel=cancel, deadline=deadline))
            sink(Stage("reading context"))
            loop = asyncio.get_running_loop()
            prompt = await loop.run_in_executor(workers, build_prompt, request, ready.loaded)
            return await _generate(request, prompt, ready, host, sink, cancel, deadline, begin)
    except TimeoutError as error:
        raise DeadlineExceeded(
            f"No answer within {seconds} seconds.", next_step="Ask again, or ask for less."
        ) from error
    finally:
        cancel.cancel("the question is closed")


def build_prompt(request: AskRequest, loaded: Loaded) -> Prompt:
    """Pack code, history and question into the window.

    Pure. Raises ContextTooLarge when the question alone does not fit.
    """

    def count(text: str) -> int:
        return count_tokens(loaded, text)

    max_tokens = min(request.max_tokens or limit("answer.tokens"), loaded.window // 2)
    room = loaded.window - max_tokens
    asked = messages(request.question, (), ())
    bare = prompt_length(loaded, asked, render(loaded, asked))
    if bare > room:
        raise ContextTooLarge(
            f"The question takes {bare} tokens; the model's window of {loaded.window} leaves {room} "
            f"beside an answer of {max_tokens}.",
            next_step="Ask a shorter question, or for a shorter answer.",
        )
    history, bare = _remember(loaded, request, bare, room, count)
    forgotten = len(request.history) - len(history)
    places = [(place.snapshot, place.span) for place in request.places]
    budget = min(limit("context.tokens"), room - bare)
    packed, conversation, ids = _fit(
        loaded, request.question, history, lambda size: pack(places, size, count), budget, room
    )
    omitted = packed.omitted + ((f"{forgotten} earlier messages",) if forgotten else ())
    return Prompt(ids, conversation, max_tokens, packed, omitted)


def _remember(
    loaded: Loaded, request: AskRequest, bare: int, room: int, count: Callable[[str], int]
) -> tuple[tuple[Turn, ...], int]:
    """The newest turns that fit beside the question, and the length of the prompt with them and no code yet."""
    budget = min(limit("history.tokens"), room // 4, room - bare)
    history, _ = newest_turns(request.history, budget, count)
    while history:
        asked = messages(request.question, (), history)
        length = prompt_length(loaded, asked, render(loaded, asked))
        if length <= room:
            return history, length
        # The words around the turns made it too long: forget the oldest one, and an answer that then stands first.
        history, _ = newest_turns(history[1:], budget, count)
    return (), bare


def _fit(
    loaded: Loaded,
    question: str,
    history: Sequence[Turn],
    packer: Callable[[int], Packed],
    budget: int,
    room: int,
) -> tuple[Packed, tuple[Message, ...], tuple[int, ...]]:
    """Pack, and pack less while the words around the blocks make the whole too long: tokens do not add up exactly."""
    while True:
        packed = packer(max(0, budget))
        conversation = messages(question, packed.blocks, history)
        ids = render(loaded, conversation)
        length = prompt_length(loaded, conversation, ids)
        if length <= room or not packed.blocks:
            return packed, tuple(conversation), ids
        budget = min(budget, packed.tokens) - max(1, length - room)


def _check(request: AskRequest) -> None:
    if not request.question.strip():
        raise UsageError("The question is empty.", next_step="Ask something.")
    if request.max_tokens is not None and request.max_tokens < 1:
        raise UsageError(f"An answer of {request.max_tokens} tokens is none.", next_step="Ask for at least 1.")
    if not 0 <= request.temperature <= 2:
        raise UsageError(f"The temperature {request.temperature} is not between 0 and 2.", next_step="0 is exact.")


async def _generate(
    request: AskRequest,
    prompt: Prompt,
    ready: Ready,
    host: EngineHost,
    sink: AskSink,
    cancel: CancelToken,
    deadline: Deadline,
    begin: float,
) -> Answer:
    hearing = Hearing(sink, cancel, asyncio.get_running_loop())
    generation = GenerationRequest(
        prompt.ids,
        prompt.max_tokens,
        temperature=request.temperature,
        stop_loops=True,
        messages=prompt.messages,
        sources=tuple(Source(block.uri, block.start_line, block.end_line) for block in prompt.packed.blocks),
    )
    submitted = time.monotonic()
    try:
        finished = await asyncio.wrap_future(
            host.generate(generation, hearing.hear, priority=Priority.QUESTION, cancel=cancel, deadline=deadline)
        )
        hearing.finish(finished)
    except Cancelled:
        if hearing.failure is not None:
            raise hearing.failure from None
        raise
    finally:
        hearing.close()
    end = time.monotonic()
    return Answer(
        answer=finished.text,
        tier="model" if ready.verdict is not None else "mock",
        model=ready.model,
        backend=ready.selection.backend,
        confidence=_confidence(ready, hearing.logprobs),
        citations=_citations(prompt.packed),
        omitted=prompt.omitted,
        usage=finished.usage,
        timing=AnswerTiming(
            queued_seconds=(hearing.started or end) - submitted,
            first_token_seconds=(hearing.first or end) - begin,
            total_seconds=end - begin,
            tokens_per_second=finished.timing.tokens_per_second(finished.usage.completion_tokens),
        ),
        finish_reason=finished.reason,
    )


def _confidence(ready: Ready, logprobs: Sequence[float]) -> Confidence:
    if ready.verdict is None:
        return Confidence(0.0, "none: scripted text", calibrated=False)
    return Confidence(mean_token_probability(logprobs), "mean-token-probability", calibrated=False)


def _citations(packed: Packed) -> tuple[Citation, ...]:
    return tuple(Citation(block.uri, block.start_line, block.end_line, block.what) for block in packed.blocks)
