"""What is asked, what comes while it is worked on, and what is answered. Plain values; no I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.gathered import NOTHING, Gathered
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.engine.base import FinishReason, Source, Usage
from leanvibe_lsp.engine.confidence import Signs
from leanvibe_lsp.engine.models.selftest import Verdict
from leanvibe_lsp.engine.structured import Structure
from leanvibe_lsp.tiers.calibrated import Task
from leanvibe_lsp.tiers.intent.values import IntentGuess


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier message of the conversation. `sources`: what files it quotes; None when that is not known."""

    role: Literal["user", "assistant"]
    content: str
    sources: tuple[Source, ...] | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where the question points: a document, and a span of it, or all of it."""

    snapshot: Snapshot
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class AskRequest:
    """A question and its places; the first place is the one the question is about.

    `gathered` is what was found around it (`assist/gathering.py`); `secrets` are a person's globs of files that no
    model may see, beside the built-in ones. `task` is what a confidence of the answer would be about.
    """

    question: str
    places: tuple[Place, ...] = ()
    history: tuple[Turn, ...] = ()
    max_tokens: int | None = None
    temperature: float = 0.0
    structure: Structure | None = None
    seed: int = 0
    gathered: Gathered = NOTHING
    secrets: tuple[str, ...] = ()
    task: Task = "answer"


@dataclass(frozen=True, slots=True)
class Stage:
    """Work entered a new stage ("loading model", "reading context", ...); `percentage` 0 to 100 when it is known."""

    title: str
    percentage: int | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the answer; `tokens` is how many were made so far.

    All deltas since the last `Restart` are the answer, byte for byte.
    """

    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Restart:
    """The engine that answered failed, and another begins anew: all text so far is no part of the answer.

    A sink that cannot take text back raises.
    """

    reason: str


AskEvent = Stage | TextDelta | Restart
AskSink = Callable[[AskEvent], None]


@dataclass(frozen=True, slots=True)
class Confidence:
    """How sure the answer is, and how that was found.

    Only when `calibrated` is `value` the probability of being right.
    """

    value: float
    method: str
    calibrated: bool


@dataclass(frozen=True, slots=True)
class Citation:
    """A part of a document that the model was shown: zero-based, end line inclusive."""

    uri: str
    start_line: int
    end_line: int
    what: str


@dataclass(frozen=True, slots=True)
class AnswerTiming:
    """Seconds as the caller felt them: from the request to the first text, to the end; decode speed."""

    queued_seconds: float
    first_token_seconds: float
    total_seconds: float
    tokens_per_second: float


@dataclass(frozen=True, slots=True)
class Fallback:
    """An engine that should have answered, and why it did not."""

    engine: str
    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of a question that was answered.

    `verdict` is what is known of the model's weights; None for a server that cannot be asked, and where no model spoke.
    `signs` is what the confidence was found from, and `digest` that of the weights; None where nobody knows.
    """

    answer: str
    tier: str
    model: str
    backend: str
    confidence: Confidence
    citations: tuple[Citation, ...]
    omitted: tuple[str, ...]
    usage: Usage
    timing: AnswerTiming
    finish_reason: FinishReason
    fallbacks: tuple[Fallback, ...] = ()
    verdict: Verdict | None = None
    signs: Signs | None = None
    digest: str | None = None
    intent: IntentGuess | None = None  # what the question seemed to want; None for one the program has written
    remembered: bool = False  # the very same thing was asked before, and nothing was computed
