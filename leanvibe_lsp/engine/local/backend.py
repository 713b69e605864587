"""Models on MLX: the `Engine` of this package. MLX is imported by `load`, not by this module."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import (
    NO_PAUSE,
    Finished,
    GenerationRequest,
    Job,
    Loaded,
    Pause,
    Sink,
)
from leanvibe_lsp.engine.local.answer import Answer
from leanvibe_lsp.engine.local.constrain import Grammars
from leanvibe_lsp.engine.local.draft import Drafter
from leanvibe_lsp.engine.local.runtime import device
from leanvibe_lsp.engine.models.registry import Located
from leanvibe_lsp.engine.models.tokenizer import load_tokenizer
from leanvibe_lsp.errors import ContextTooLarge, EngineError, ModelDamaged, UsageError

if TYPE_CHECKING:
    from leanvibe_lsp.engine.local.generate import Decoder
    from leanvibe_lsp.engine.local.load import Weights
    from leanvibe_lsp.engine.local.prefix import PrefixTree, Session
    from leanvibe_lsp.engine.models.tokenizer import TokenizerFiles


class MlxEngine:
    """One GGUF file or safetensors folder on MLX. See `engine.base.Engine` for the contract."""

    backend = "mlx"

    def __init__(self, located: Located) -> None:
        self._located = located
        self._state: _State | None = None

    def load(self, cancel: CancelToken) -> Loaded:
        """Read weights and tokenizer. Raises BackendError without MLX, ModelFormatError, ModelDamaged, Cancelled."""
        cancel.check()
        where = device()
        files = load_tokenizer(self._located)
        cancel.check()

        import psutil

        from leanvibe_lsp.engine.local.kv import kind_of, make_prompt_cache
        from leanvibe_lsp.engine.local.load import load_weights
        from leanvibe_lsp.engine.local.prefix import CacheKey, PrefixTree, prefix_room

        weights = load_weights(self._located, cancel)
        if files.tokenizer.vocabulary_size > weights.vocabulary:
            raise ModelDamaged(
                f"The tokenizer of {self._located.name} knows {files.tokenizer.vocabulary_size:,} tokens, "
                f"its weights {weights.vocabulary:,}: they are of two models.",
                next_step="Download the model again.",
            )
        window = min(weights.window, limit("engine.window"))
        key = CacheKey(
            digest=self._located.digest or str(self._located.path),
            template=files.chat_template,
            adapter="",
            kind=kind_of(make_prompt_cache(weights.model)),
        )
        room = prefix_room(
            psutil.virtual_memory().available,
            mib=limit("engine.prefix_cache_mib"),
            percent=limit("engine.prefix_cache_percent"),
        )
        self._state = _State(weights, files, PrefixTree(weights.model, key, room), window)
        return Loaded(
            window=window,
            memory_bytes=weights.nbytes,
            device=where,
            tokenizer=files.tokenizer,
            chat_template=files.chat_template,
            special_text=files.special_text,
            add_bos=files.add_bos,
        )

    def generate(
        self,
        request: GenerationRequest,
        sink: Sink,
        cancel: CancelToken,
        deadline: Deadline,
        pause: Pause = NO_PAUSE,
    ) -> Finished:
        """Generate; cancel, deadline and pause are looked at before each prefill chunk and each token.

        Raises UsageError for a prompt that cannot be asked, ContextTooLarge for one that fills the window.
        """
        cancel.check()
        deadline.check()
        state = self._loaded()
        state.refuse(request.prompt, request.max_tokens)
        if request.structure is not None and request.stop:
            raise UsageError("A structured answer ends where its structure does: it takes no stop strings.")
        with state.prefixes.session(request.prompt) as session:
            return _Run(state, session, request, sink, cancel, deadline, pause).finish()

    @property
    def lanes(self) -> int:
        """1 where this model is no faster with several, or cannot be right."""
        return limit("engine.lanes") if self._state is not None and self._state.batches else 1

    def generate_batch(self, take: Callable[[int], Sequence[Job]], pause: Pause = NO_PAUSE) -> None:
        """See `engine.base.BatchEngine`. Structured jobs run one after the other."""
        state = self._loaded()
        from leanvibe_lsp.engine.local.batch import Batch

        def alone(job: Job) -> Finished:
            return self.generate(job.request, job.sink, job.cancel, job.deadline, pause)

        Batch(state, self.lanes, take, pause, alone).run()

    def warm(self, prompt: tuple[int, ...], cancel: CancelToken, pause: Pause = NO_PAUSE) -> None:
        """Compute and keep the beginning of later prompts; what was computed before a cancel is kept.

        Raises Cancelled and what `generate` raises for a prompt.
        """
        state = self._loaded()
        state.refuse(prompt, max_tokens=1)
        chunk = limit("engine.prefill_chunk")
        with state.prefixes.session(prompt) as session:
            while (done := len(session.seen)) < len(prompt):
                if pause.wanted:
                    pause.run()
                cancel.check()
                session.fill(prompt[done : done + chunk])

    @property
    def cache_bytes(self) -> int:
        """Bytes held by prompts that can be resumed."""
        return 0 if self._state is None else self._state.prefixes.nbytes

    def score(self, ids: Sequence[int], cancel: CancelToken) -> list[float]:
        """See `engine.models.perplexity.ScoringEngine`."""
        from leanvibe_lsp.engine.local.score import token_logprobs

        return token_logprobs(self._loaded().weights.model, ids, cancel)

    def close(self) -> None:
        """Free weights and prompts. Idempotent."""
        if self._state is None:
            return
        self._state = None
        from leanvibe_lsp.engine.local.arrays import mx

        mx.clear_cache()

    def _loaded(self) -> _State:
        if self._state is None:
            raise EngineError("The model is not loaded.")
        return self._state


class _State:
    """What a loaded engine holds."""

    def __init__(self, weights: Weights, files: TokenizerFiles, prefixes: PrefixTree, window: int) -> None:
        self.weights = weights
        self.files = files
        self.prefixes = prefixes
        self.window = window
        self.grammars = Grammars(files.tokenizer, files.stop_ids, weights.vocabulary)

    @property
    def batches(self) -> bool:
        """Whether several generations run side by side, see `rows.can_batch`."""
        from leanvibe_lsp.engine.local.rows import can_batch

        return can_batch(self.weights.model)

    def refuse(self, prompt: tuple[int, ...], max_tokens: int) -> None:
        """Raise for a request that must not reach the device: MLX does not check indices."""
        if not prompt or max_tokens < 1:
            raise UsageError("A prompt and room for an answer are needed.")
        if not 0 <= min(prompt) <= max(prompt) < self.weights.vocabulary:
            raise UsageError(f"The prompt has token ids outside of 0 to {self.weights.vocabulary - 1:,}.")
        if len(prompt) >= self.window:
            raise ContextTooLarge(
                f"The prompt has {len(prompt):,} tokens, the model's window {self.window:,}.",
                next_step="Ask about less code at once.",
            )

    def room(self, request: GenerationRequest) -> int:
        """How many tokens the answer may have."""
        return min(request.max_tokens, self.window - len(request.prompt))

    def top(self, request: GenerationRequest) -> int:
        """How many alternatives each of them carries."""
        return min(request.top_logprobs, limit("engine.top_alternatives"), self.weights.vocabulary)


class _Run:
    """One generation that has the device for itself, but for more urgent work."""

    def __init__(
        self,
        state: _State,
        session: Session,
        request: GenerationRequest,
        sink: Sink,
        cancel: CancelToken,
        deadline: Deadline,
        pause: Pause,
    ) -> None:
        self._state = state
        self._session = session
        self._request = request
        self._pause = pause
        self._away = 0.0  # seconds given to more urgent work
        self._answer = Answer(state.files, request, sink, cancel, deadline, self._clock)

    def finish(self) -> Finished:
        """Prefill, decode, and say how it went."""
        from leanvibe_lsp.engine.local.generate import prefill

        request = self._request
        decoder = self._decoder()
        prefill(self._session, request.prompt, progress=self._progress)
        for sample in decoder.run(request.prompt[-1], self._state.room(request)):
            if self._answer.take(sample):
                break
            self._give_way()
        return self._answer.finish()

    def _decoder(self) -> Decoder:
        """What the request asks for. Drafting is for temperature 0: there the guess is confirmed by one comparison."""
        from leanvibe_lsp.engine.local.generate import Decoder, make_sampler

        request, state = self._request, self._state
        drafts = request.draft and request.temperature <= 0 and self._session.trimmable
        return Decoder(
            state.weights.model,
            self._session,
            sampler=make_sampler(request.temperature, request.seed),
            top=state.top(request),
            drafter=Drafter(request.prompt) if drafts else None,
            grammar=state.grammars.grammar(request.structure) if request.structure is not None else None,
        )

    def _progress(self, done: int, cached: int) -> None:
        self._answer.progress(done, cached)
        self._give_way()

    def _give_way(self) -> None:
        """Let more urgent work have its turn; a cancel that came meanwhile is heard."""
        if self._pause.wanted:
            begin = time.monotonic()
            self._pause.run()
            self._away += time.monotonic() - begin
            self._answer.check()

    def _clock(self) -> float:
        """Seconds of this generation's own."""
        return time.monotonic() - self._away
