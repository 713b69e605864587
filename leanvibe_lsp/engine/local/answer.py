"""What one generation says: samples in, events and text out. Nothing here knows where the samples come from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import (
    Alternative,
    Chunk,
    Event,
    Finished,
    FinishReason,
    GenerationRequest,
    Prefill,
    Sink,
    Timing,
    Usage,
)
from leanvibe_lsp.engine.streaming import TextAssembler
from leanvibe_lsp.errors import Incomplete

if TYPE_CHECKING:
    from leanvibe_lsp.engine.local.generate import Sample
    from leanvibe_lsp.engine.models.tokenizer import TokenizerFiles


class Answer:
    """One answer as it grows. `clock` gives the seconds of this generation's own; they are counted from now.

    Every event may raise Cancelled, DeadlineExceeded, and what the sink raises.
    """

    def __init__(
        self,
        files: TokenizerFiles,
        request: GenerationRequest,
        sink: Sink,
        cancel: CancelToken,
        deadline: Deadline,
        clock: Callable[[], float],
    ) -> None:
        self._files = files
        self._request = request
        self._sink = sink
        self._cancel = cancel
        self._deadline = deadline
        self._clock = clock
        self._begun = self._first = clock()
        self._assembler = TextAssembler(request.stop, stop_loops=request.stop_loops)
        self._texts: list[str] = []
        self._reason = FinishReason.LENGTH
        self._cached = self._tokens = self._drafted = 0

    def check(self) -> None:
        """Raise Cancelled or DeadlineExceeded when it is to stop."""
        self._cancel.check()
        self._deadline.check()

    def progress(self, done: int, cached: int) -> None:
        """Tell how much of the prompt is computed, and how much of that was known before."""
        self._cached = cached
        self._emit(Prefill(done=done, total=len(self._request.prompt), cached=cached))

    def take(self, sample: Sample) -> bool:
        """Pass one token on; True when it ends the answer."""
        self._tokens += 1
        self._drafted += sample.drafted
        if self._tokens == 1:
            self._first = self._clock()
            self.progress(len(self._request.prompt), self._cached)
        tokenizer = self._files.tokenizer
        ended = sample.token_id in self._files.stop_ids
        text = "" if ended else self._assembler.push(tokenizer.token_bytes(sample.token_id))
        self._texts.append(text)
        top = tuple(
            Alternative(token_id, tokenizer.token_bytes(token_id).decode(errors="replace"), logprob)
            for token_id, logprob in sample.top
        )
        self._emit(Chunk(text, sample.token_id, sample.logprob, top))
        if ended or sample.ends or self._assembler.stopped:
            self._reason = FinishReason.STOP
        elif self._assembler.looping:
            self._reason = FinishReason.LOOP
        return self._reason is not FinishReason.LENGTH

    def finish(self) -> Finished:
        """The result: of an answer that no token ended, the limit did. Raises Incomplete for half a structure."""
        self._texts.append(self._assembler.finish())
        text = "".join(self._texts)
        if (structure := self._request.structure) is not None:
            if self._reason is not FinishReason.STOP:
                raise Incomplete(
                    f"The answer was cut after {self._tokens:,} tokens, before its structure was whole.",
                    next_step="Ask again with more room.",
                )
            structure.parse(text)
        return Finished(
            text=text,
            reason=self._reason,
            usage=Usage(len(self._request.prompt), self._cached, self._tokens, self._drafted),
            timing=Timing(prefill_seconds=self._first - self._begun, decode_seconds=self._clock() - self._first),
        )

    def _emit(self, event: Event) -> None:
        """Pass an event on. Checked on both sides: nothing comes after a cancel, and nothing is begun after one."""
        self.check()
        self._sink(event)
        self.check()
