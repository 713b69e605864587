"""What every backend gives, and the small values it speaks in.

A backend is synchronous and is called from one thread only (`engine/scheduler.py` owns it). It pushes events into a
sink while it works and returns a `Finished`. Prompts arrive as token ids: the tokenizer is ours, so both backends see
the same prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.structured import Structure


class FinishReason(StrEnum):
    """Why a generation ended without an error."""

    STOP = "stop"  # the model said it was done, or a stop string came
    LENGTH = "length"  # max_tokens were made, or the window is full
    LOOP = "loop"  # the model said the same over and over


@dataclass(frozen=True, slots=True)
class Alternative:
    """A token the model could have said instead; `logprob` is natural, before temperature."""

    token_id: int | None  # None: a server does not say
    text: str
    logprob: float


@dataclass(frozen=True, slots=True)
class Chunk:
    """One generated token. `text` may be empty: half a character, or held back because a stop string may follow.

    A server may say nothing of its tokens: then a chunk is what came in one piece, `token_id` None, `logprob` NaN.
    """

    text: str
    token_id: int | None
    logprob: float
    top: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True)
class Prefill:
    """Progress through the prompt, in tokens; `cached` of them were not computed again."""

    done: int
    total: int
    cached: int


Event = Chunk | Prefill
Sink = Callable[[Event], None]


class Pause(Protocol):
    """How more urgent work gets its turn in the middle of a generation.

    A backend looks at `wanted` at each boundary (a token, a prefill chunk) and calls `run` there, on the engine's
    thread: the urgent work may call the same backend again before `run` returns. Afterwards the generation goes on from
    its own KV state. What `run` does never fails for the paused one.
    """

    @property
    def wanted(self) -> bool:
        """True while something more urgent waits."""
        ...

    def run(self) -> None:
        """Do it now."""
        ...


class _NoPause:
    wanted = False

    def run(self) -> None:
        """Nothing waits."""


NO_PAUSE: Pause = _NoPause()


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Source:
    """A part of a file whose text is in the prompt; zero-based lines, the last one included."""

    uri: str
    start_line: int
    end_line: int


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """What to generate. `top_logprobs` is how many alternatives each chunk carries (0 to 20).

    `stop_loops` ends a text that began to repeat itself (`streaming.repeats`), with the reason LOOP. `structure` holds
    the text to a schema or a list; an answer that ends before it is whole raises `Incomplete`. `draft` allows drafting
    from the prompt, which changes the speed and nothing else. An engine on this machine takes `prompt`, a remote one
    `messages`, of which `sources` says what files they quote.
    """

    prompt: tuple[int, ...]
    max_tokens: int
    temperature: float = 0.0
    top_logprobs: int = 0
    stop: tuple[str, ...] = ()
    stop_loops: bool = False
    seed: int = 0
    structure: Structure | None = None
    draft: bool = True
    messages: tuple[Message, ...] = ()
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one generation. `cached_tokens` is the part of `prompt_tokens` that was reused.

    `drafted_tokens` is the part of `completion_tokens` that was guessed from the prompt and confirmed by the model.
    """

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    drafted_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds inside the backend, without the time in the queue."""

    prefill_seconds: float
    decode_seconds: float

    def tokens_per_second(self, completion_tokens: int) -> float:
        """Decode speed; the first token belongs to the prefill. 0.0 when nothing was decoded."""
        return (
            (completion_tokens - 1) / self.decode_seconds if completion_tokens > 1 and self.decode_seconds > 0 else 0.0
        )


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of a generation that was not stopped from outside.

    `text` begins with what the chunks' texts add up to; text held back for a stop string that never came follows only
    here.
    """

    text: str
    reason: FinishReason
    usage: Usage
    timing: Timing


class Tokenizer(Protocol):
    """Text to ids and back. `encode` never gives a special token, whatever the text says."""

    @property
    def vocabulary_size(self) -> int:
        """Ids are below this."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of `text` as plain text."""
        ...

    def encode_prompt(self, parts: Sequence[str]) -> list[int]:
        """Ids of a prompt in parts, a template's and messages' in turn: special tokens only in the template's."""
        ...

    def special(self, text: str) -> int | None:
        """The id of the special token written like `text`, or None."""
        ...

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes a token stands for; b"" for a special token."""
        ...


@dataclass(frozen=True, slots=True)
class Loaded:
    """Facts about a model that a backend has loaded."""

    window: int  # tokens of prompt and answer together
    memory_bytes: int  # held by weights and cache, as far as the backend can tell
    device: str  # "cpu", "metal", "cuda", "remote"
    tokenizer: Tokenizer | None  # None: a server counts and renders for itself, and lengths are estimated
    chat_template: str
    special_text: dict[str, str] = field(default_factory=dict)  # "bos_token", "eos_token" -> their text
    add_bos: bool = False


class Engine(Protocol):
    """One backend with one model. Raises errors from `leanvibe_lsp.errors` only."""

    @property
    def backend(self) -> str:
        """ "llama.cpp", "mlx", "remote" or "mock"."""
        ...

    def load(self, cancel: CancelToken) -> Loaded:
        """Read the weights. Raises ModelError or EngineError."""
        ...

    def generate(
        self,
        request: GenerationRequest,
        sink: Sink,
        cancel: CancelToken,
        deadline: Deadline,
        pause: Pause = NO_PAUSE,
    ) -> Finished:
        """Generate until a stop, a limit, a cancel (raises Cancelled) or the deadline (raises DeadlineExceeded).

        Greedy at temperature 0. After a cancel it returns within one token or one prefill chunk. Raises EngineError.
        """
        ...

    def warm(self, prompt: tuple[int, ...], cancel: CancelToken, pause: Pause = NO_PAUSE) -> None:
        """Compute and keep the beginning of later prompts; a hint."""
        ...

    @property
    def cache_bytes(self) -> int:
        """Bytes held by prompts that can be resumed; 0 when unknown."""
        ...

    def close(self) -> None:
        """Free the weights. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """One of several generations that run together; its future gets the result or the error.

    `loaded` is the model its prompt was written for; None where that is any model's.
    """

    request: GenerationRequest
    sink: Sink
    cancel: CancelToken
    deadline: Deadline
    future: Future[Finished]
    loaded: Loaded | None = None


@runtime_checkable
class BatchEngine(Engine, Protocol):
    """A backend that is faster with several generations at once than with one after the other."""

    @property
    def lanes(self) -> int:
        """How many it runs together at most."""
        ...

    def generate_batch(self, take: Callable[[int], Sequence[Job]], pause: Pause = NO_PAUSE) -> None:
        """Run jobs together until `take` gives none and all have ended; each settles its own future.

        `take(n)` gives up to `n` more jobs and is called on the engine's thread whenever lanes are free. One job's
        failure or cancel is its own; whatever happens, every job taken is settled when this returns or raises.
        """
        ...
