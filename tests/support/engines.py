"""Engines and tokenizers for tests: small, exact, stopped by events and never by a clock."""

# ruff: noqa: D102 - the contracts are those of engine.base

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import (
    NO_PAUSE,
    Alternative,
    Chunk,
    Finished,
    FinishReason,
    GenerationRequest,
    Loaded,
    Pause,
    Prefill,
    Sink,
    Timing,
    Usage,
)
from leanvibe_lsp.engine.mock import TEMPLATE, CharacterTokenizer
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.registry import LocalPath, Located, ModelSpec
from leanvibe_lsp.engine.models.selftest import KNOWN_ANSWERS

WAIT = 5.0  # seconds until a test that hangs fails


def located(format: Format = Format.GGUF, name: str = "planted") -> Located:
    """A model that is nowhere."""
    path = Path("/nowhere/model.gguf")
    return Located(name, path, format, ModelSpec(name, LocalPath(path), "planted"), None)


class EndlessEngine:
    """Says one word, tells `started`, then works until its cancel token is pulled or the deadline passes."""

    backend = "mock"

    def __init__(self, *, window: int = 16_384) -> None:
        self.started = threading.Event()
        self.idle = threading.Event()
        self.stopped_by = ""
        self.closed = 0
        self._window = window

    def load(self, cancel: CancelToken) -> Loaded:
        return Loaded(self._window, 0, "none", CharacterTokenizer(), TEMPLATE)

    def generate(
        self,
        request: GenerationRequest,
        sink: Sink,
        cancel: CancelToken,
        deadline: Deadline,
        pause: Pause = NO_PAUSE,
    ) -> Finished:
        pulled = threading.Event()
        cancel.on_cancel(pulled.set)
        sink(Prefill(1, 1, 0))
        sink(Chunk("word", 1, -0.5))
        self.started.set()
        try:
            while not pulled.wait(0.01):
                deadline.check()
            sink(Chunk(" late", 2, -0.5))  # a token that was under way when the cancel came
            cancel.check()
        finally:
            self.stopped_by = cancel.reason
            self.idle.set()
        raise AssertionError("unreachable")

    def close(self) -> None:
        self.closed += 1


class KnowingEngine:
    """Answers the known answers with probability `logprob` each, and anything else with one word."""

    backend = "llama.cpp"

    def __init__(
        self, *, logprob: float = -0.01, on_load: Callable[[CancelToken], None] = lambda _: None, chat: str = TEMPLATE
    ) -> None:
        self._logprob = logprob
        self._on_load = on_load
        self._chat = chat
        self.loads = 0
        self.generations = 0
        self.closed = 0
        self.threads: set[str] = set()

    def load(self, cancel: CancelToken) -> Loaded:
        self.loads += 1
        self.threads.add(threading.current_thread().name)
        self._on_load(cancel)
        return Loaded(4_096, 1_000_000, "cpu", CharacterTokenizer(), self._chat)

    def generate(
        self,
        request: GenerationRequest,
        sink: Sink,
        cancel: CancelToken,
        deadline: Deadline,
        pause: Pause = NO_PAUSE,
    ) -> Finished:
        cancel.check()
        deadline.check()
        self.generations += 1
        self.threads.add(threading.current_thread().name)
        asked = "".join(map(chr, request.prompt))
        said = dict(KNOWN_ANSWERS).get(asked, "yes")
        sink(Prefill(len(request.prompt), len(request.prompt), 0))
        sink(Chunk(said, 1, self._logprob, (Alternative(1, said, self._logprob),)))
        sink(Chunk(".", 2, self._logprob))
        return Finished(said + ".", FinishReason.STOP, Usage(len(request.prompt), 0, 2), Timing(0.01, 0.02))

    def close(self) -> None:
        self.closed += 1


class SpecialTokenizer:
    """One token a code point; each text in `specials` has an id above all code points. `encode` never gives those."""

    vocabulary_size = 0x110000 + 64

    def __init__(self, *specials: str) -> None:
        self.ids = {text: 0x110000 + index for index, text in enumerate(specials)}

    def encode(self, text: str) -> list[int]:
        return [ord(character) for character in text]

    def special(self, text: str) -> int | None:
        return self.ids.get(text)

    def token_bytes(self, token_id: int) -> bytes:
        return b"" if token_id >= 0x110000 else chr(token_id).encode(errors="replace")

    def show(self, ids: tuple[int, ...]) -> str:
        """The ids as text, special tokens between double brackets."""
        names = {value: f"⟦{key}⟧" for key, value in self.ids.items()}
        return "".join(names.get(one) or chr(one) for one in ids)
