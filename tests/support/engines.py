"""Engines and tokenizers for tests: small, exact, stopped by events and never by a clock."""

# ruff: noqa: D102 - the contracts are those of engine.base

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import (
    NO_PAUSE,
    Alternative,
    Chunk,
    Finished,
    FinishReason,
    GenerationRequest,
    Job,
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
from leanvibe_lsp.engine.models.tokenizer_added import SpecialToken, SpecialTokens
from leanvibe_lsp.errors import LeanVibeError

WAIT = 5.0  # seconds until a test that hangs fails


def located(format: Format = Format.GGUF, name: str = "planted") -> Located:
    """A model that is nowhere."""
    path = Path("/nowhere/model.gguf")
    return Located(name, path, format, ModelSpec(name, LocalPath(path), "planted"), None)


class EndlessEngine:
    """Says one word, tells `started`, then works until its cancel token is pulled or the deadline passes."""

    backend = "mock"
    cache_bytes = 0

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

    def warm(self, prompt: tuple[int, ...], cancel: CancelToken, pause: Pause = NO_PAUSE) -> None:
        pass

    def close(self) -> None:
        self.closed += 1


class KnowingEngine:
    """Answers the known answers with probability `logprob` each, and anything else with one word."""

    backend = "llama.cpp"
    cache_bytes = 0

    def __init__(
        self, *, logprob: float = -0.01, on_load: Callable[[CancelToken], None] = lambda _: None, chat: str = TEMPLATE
    ) -> None:
        self.logprob = logprob
        self._on_load = on_load
        self._chat = chat
        self.loads = 0
        self.generations = 0
        self.closed = 0
        self.threads: set[str] = set()
        self.warmed: list[tuple[int, ...]] = []
        self.warm_done = threading.Event()

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
        sink(Chunk(said, 1, self.logprob, (Alternative(1, said, self.logprob),)))
        sink(Chunk(".", 2, self.logprob))
        return Finished(said + ".", FinishReason.STOP, Usage(len(request.prompt), 0, 2), Timing(0.01, 0.02))

    def warm(self, prompt: tuple[int, ...], cancel: CancelToken, pause: Pause = NO_PAUSE) -> None:
        self.warmed.append(prompt)
        self.warm_done.set()

    def close(self) -> None:
        self.closed += 1


class ScriptedEngine(KnowingEngine):
    """Says the next of `texts` each time it is asked, and keeps what it was asked; the known answers as they are."""

    def __init__(self, *texts: str, window: int = 32_768) -> None:
        super().__init__()
        self.texts = list(texts)
        self.asked: list[str] = []
        self._window = window

    def load(self, cancel: CancelToken) -> Loaded:
        return replace(super().load(cancel), window=self._window)

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
        self.asked.append("".join(map(chr, request.prompt)))
        text = self.texts.pop(0)
        sink(Chunk(text, 1, -0.1))
        return Finished(text, FinishReason.STOP, Usage(len(request.prompt), 0, len(text)), Timing(0.0, 0.1))


class SpecialTokenizer:
    """One token a code point; each text in `specials` has an id above all code points. `encode` never gives those."""

    vocabulary_size = 0x110000 + 64

    def __init__(self, *specials: str) -> None:
        self.ids = {text: 0x110000 + index for index, text in enumerate(specials)}
        self._tokens = SpecialTokens({text: SpecialToken(one) for text, one in self.ids.items()})

    def encode(self, text: str) -> list[int]:
        return [ord(character) for character in text]

    def encode_prompt(self, parts: Sequence[str]) -> list[int]:
        runs = ([run] if isinstance(run, int) else self.encode(run) for run in self._tokens.split(parts))
        return [one for run in runs for one in run]

    def special(self, text: str) -> int | None:
        return self.ids.get(text)

    def token_bytes(self, token_id: int) -> bytes:
        return b"" if token_id >= 0x110000 else chr(token_id).encode(errors="replace")

    def show(self, ids: tuple[int, ...]) -> str:
        """The ids as text, special tokens between double brackets."""
        names = {value: f"⟦{key}⟧" for key, value in self.ids.items()}
        return "".join(names.get(one) or chr(one) for one in ids)


class SteppingEngine(KnowingEngine):
    """Generates one word a step, and looks at its pause before each; `begun` and `ended` keep the order."""

    def __init__(
        self,
        *,
        steps: int = 3,
        on_step: Callable[[str, int], None] = lambda _name, _step: None,
        on_load: Callable[[CancelToken], None] = lambda _: None,
    ) -> None:
        super().__init__(on_load=on_load)
        self._steps = steps
        self.on_step = on_step
        self.begun: list[str] = []
        self.ended: list[str] = []

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
        name = "".join(map(chr, request.prompt))
        self.begun.append(name)
        for step in range(self._steps):
            self.on_step(name, step)
            cancel.check()
            if pause.wanted:
                pause.run()
            sink(Chunk("word ", step, -0.1))
        self.ended.append(name)
        return Finished("word " * self._steps, FinishReason.STOP, Usage(1, 0, self._steps), Timing(0.0, 0.1))


class LanesEngine(SteppingEngine):
    """Runs up to `lanes` jobs at once, a step of each in turn; `rounds` says which ran together."""

    def __init__(self, *, lanes: int = 2, on_step: Callable[[str, int], None] = lambda _name, _step: None) -> None:
        super().__init__(on_step=on_step)
        self.lanes = lanes
        self.rounds: list[tuple[str, ...]] = []
        self.fails_after = -1  # rounds, then it breaks down

    def generate_batch(self, take: Callable[[int], Sequence[Job]], pause: Pause = NO_PAUSE) -> None:
        running: list[list[Any]] = []
        while True:
            running += [[job, 0] for job in take(self.lanes - len(running))]
            if not running:
                return
            if len(self.rounds) == self.fails_after:
                raise RuntimeError("the batch broke down")
            self.rounds.append(tuple("".join(map(chr, job.request.prompt)) for job, _ in running))
            if pause.wanted:
                pause.run()
            for lane in list(running):
                if self._step(lane):
                    running.remove(lane)

    def _step(self, lane: list[Any]) -> bool:
        job, step = lane
        self.on_step("".join(map(chr, job.request.prompt)), step)
        try:
            job.cancel.check()
            job.deadline.check()
        except LeanVibeError as error:
            job.future.set_exception(error)
            return True
        lane[1] += 1
        if lane[1] < self._steps:
            return False
        job.future.set_result(
            Finished("word " * self._steps, FinishReason.STOP, Usage(1, 0, self._steps), Timing(0.0, 0.1))
        )
        return True
