"""Models on MLX: the `Engine` of this package. MLX is imported by `load`, not by this module."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import (
    NO_PAUSE,
    Alternative,
    Chunk,
    Event,
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
from leanvibe_lsp.engine.local.runtime import device
from leanvibe_lsp.engine.models.registry import Located
from leanvibe_lsp.engine.models.tokenizer import load_tokenizer
from leanvibe_lsp.engine.streaming import TextAssembler
from leanvibe_lsp.errors import Cancelled, ContextTooLarge, DeadlineExceeded, EngineError, ModelDamaged, UsageError

if TYPE_CHECKING:
    from leanvibe_lsp.engine.local.generate import Sample
    from leanvibe_lsp.engine.local.load import Weights
    from leanvibe_lsp.engine.local.prefix import PrefixCache
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

        from leanvibe_lsp.engine.local.load import load_weights
        from leanvibe_lsp.engine.local.prefix import PrefixCache

        weights = load_weights(self._located, cancel)
        if files.tokenizer.vocabulary_size > weights.vocabulary:
            raise ModelDamaged(
                f"The tokenizer of {self._located.name} knows {files.tokenizer.vocabulary_size:,} tokens, "
                f"its weights {weights.vocabulary:,}: they are of two models.",
                next_step="Download the model again.",
            )
        window = min(weights.window, limit("engine.window"))
        self._state = _State(weights, files, PrefixCache(weights.model), window)
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
        """Generate; cancel and deadline are looked at before each prefill chunk and each token.

        Raises UsageError for a prompt that cannot be asked, ContextTooLarge for one that fills the window.
        """
        if self._state is None:
            raise EngineError("The model is not loaded.")
        cancel.check()
        deadline.check()
        self._state.refuse(request)
        cache = self._state.cache
        try:
            return _Run(self._state, request, sink, cancel, deadline).finish()
        except (Cancelled, DeadlineExceeded):
            raise  # raised between two steps: the cache holds what it says
        except BaseException:
            cache.reset()
            raise

    def close(self) -> None:
        """Free weights and cache. Idempotent."""
        if self._state is None:
            return
        self._state = None
        from leanvibe_lsp.engine.local.arrays import mx

        mx.clear_cache()


class _State:
    """What a loaded engine holds."""

    def __init__(self, weights: Weights, files: TokenizerFiles, cache: PrefixCache, window: int) -> None:
        self.weights = weights
        self.files = files
        self.cache = cache
        self.window = window

    def refuse(self, request: GenerationRequest) -> None:
        """Raise for a request that must not reach the device: MLX does not check indices."""
        if not request.prompt or request.max_tokens < 1:
            raise UsageError("A prompt and room for an answer are needed.")
        if not 0 <= min(request.prompt) <= max(request.prompt) < self.weights.vocabulary:
            raise UsageError(f"The prompt has token ids outside of 0 to {self.weights.vocabulary - 1:,}.")
        if len(request.prompt) >= self.window:
            raise ContextTooLarge(
                f"The prompt has {len(request.prompt):,} tokens, the model's window {self.window:,}.",
                next_step="Ask about less code at once.",
            )


class _Run:
    """One generation."""

    def __init__(
        self, state: _State, request: GenerationRequest, sink: Sink, cancel: CancelToken, deadline: Deadline
    ) -> None:
        self._state = state
        self._request = request
        self._sink = sink
        self._cancel = cancel
        self._deadline = deadline
        self._assembler = TextAssembler(request.stop, stop_loops=request.stop_loops)
        self._texts: list[str] = []

    def finish(self) -> Finished:
        """Prefill, decode, and say how it went."""
        from leanvibe_lsp.engine.local.generate import decode, make_sampler, prefill

        request, state = self._request, self._state
        begin = first = time.monotonic()
        cached = prefill(state.cache, request.prompt, progress=self._progress)
        samples = decode(
            state.weights.model,
            state.cache,
            request.prompt[-1],
            sampler=make_sampler(request.temperature, request.seed),
            top=min(request.top_logprobs, limit("engine.top_alternatives"), state.weights.vocabulary),
            count=min(request.max_tokens, state.window - len(request.prompt)),
        )
        reason, tokens = FinishReason.LENGTH, 0
        for tokens, sample in enumerate(samples, start=1):
            if tokens == 1:
                first = time.monotonic()
                self._emit(Prefill(done=len(request.prompt), total=len(request.prompt), cached=cached))
            if self._take(sample):
                reason = FinishReason.STOP
                break
            if self._assembler.looping:
                reason = FinishReason.LOOP
                break
        self._texts.append(self._assembler.finish())
        return Finished(
            text="".join(self._texts),
            reason=reason,
            usage=Usage(len(request.prompt), cached, tokens),
            timing=Timing(prefill_seconds=first - begin, decode_seconds=time.monotonic() - first),
        )

    def _progress(self, done: int, cached: int) -> None:
        self._emit(Prefill(done=done, total=len(self._request.prompt), cached=cached))

    def _emit(self, event: Event) -> None:
        """Pass an event on. Checked on both sides: nothing comes after a cancel, and nothing is begun after one."""
        self._check()
        self._sink(event)
        self._check()

    def _check(self) -> None:
        self._cancel.check()
        self._deadline.check()

    def _take(self, sample: Sample) -> bool:
        """Pass one token on; True when it ends the answer."""
        tokenizer = self._state.files.tokenizer
        ended = sample.token_id in self._state.files.stop_ids
        text = "" if ended else self._assembler.push(tokenizer.token_bytes(sample.token_id))
        self._texts.append(text)
        top = tuple(
            Alternative(token_id, tokenizer.token_bytes(token_id).decode(errors="replace"), logprob)
            for token_id, logprob in sample.top
        )
        self._emit(Chunk(text, sample.token_id, sample.logprob, top))
        return ended or self._assembler.stopped
