"""One generation: llama.cpp's events turned into ours, across any number of pauses."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from leanvibe_lsp.engine.base import (
    Alternative,
    Chunk,
    Finished,
    FinishReason,
    GenerationRequest,
    Pause,
    Prefill,
    Sink,
    Timing,
    Usage,
)
from leanvibe_lsp.engine.llama.grammar import check_whole
from leanvibe_lsp.engine.streaming import TextAssembler
from leanvibe_lsp.errors import EngineError


class Run:
    """Takes events until `complete` or `paused`. `on_event` never raises: C++ calls it; `failure` keeps the error."""

    def __init__(
        self,
        request: GenerationRequest,
        sink: Sink,
        stopped: Callable[[], bool],
        stop_ids: frozenset[int],
        pause: Pause,
    ) -> None:
        self._request = request
        self._sink = sink
        self._stopped = stopped
        self._stop_ids = stop_ids
        self._pause = pause
        self._assembler = TextAssembler(request.stop, stop_loops=request.stop_loops)
        self._texts: list[str] = []
        self._tokens = 0  # of the answer; the beginning of a character comes without an event of its own
        self._resumed_at = 0
        self._cached: int | None = None
        self._computed = 0  # tokens of the prompt
        self._prefill_seconds = 0.0
        self._decode_seconds = 0.0
        self._since = 0.0
        self._reason = FinishReason.LENGTH
        self.made: list[int] = []  # ids up to the first that came without an event
        self.complete = False
        self.paused = False
        self.failure: BaseException | None = None

    @property
    def seen(self) -> tuple[int, ...]:
        """The tokens whose keys and values llama.cpp has now, without the last."""
        if not self.made:
            return self._request.prompt[: self._computed]
        return (*self._request.prompt, *self.made[:-1])

    def begin(self) -> None:
        """Begin, or go on after a pause."""
        self.paused = False
        self._resumed_at = self._tokens
        self._since = time.monotonic()

    def on_event(self, event: dict[str, Any]) -> bool:
        """Take one event; True stops llama.cpp."""
        try:
            return self._take(event)
        except BaseException as error:  # noqa: BLE001 - raised again by `generate`, in Python
            self.failure = error
            return True

    def _take(self, event: dict[str, Any]) -> bool:
        if "error" in event:
            raise EngineError(f"llama.cpp refused: {event['error'].get('message', 'no reason given')}.")
        if self._stopped():
            return True
        self._count_time()
        progress = event.get("prompt_progress")
        if progress is not None:
            self._progress(progress)
            # What was computed is kept: however often it pauses here, it comes to an end.
            return int(progress["cache"]) < int(progress["processed"]) < int(progress["total"]) and self._pauses(())
        choice = event["choices"][0]
        entries = (choice["logprobs"] or {"content": ()})["content"]
        for entry in entries:
            self._token(entry, int(event["timings"]["predicted_n"]))
        if choice["finish_reason"] is not None:
            self._end(event, str(choice["finish_reason"]))
        if self._assembler.stopped or self._assembler.looping:
            self._reason = FinishReason.STOP if self._assembler.stopped else FinishReason.LOOP
            self.complete = True
        return self.complete or self._pauses(entries)

    def _count_time(self) -> None:
        """The time up to the first token is prefill, and so is what is computed again after a pause."""
        now = time.monotonic()
        if self._tokens:
            self._decode_seconds += now - self._since
        else:
            self._prefill_seconds += now - self._since
        self._since = now

    def _progress(self, progress: dict[str, Any]) -> None:
        if self._cached is None:
            self._cached = int(progress["cache"])
        if not self._tokens:
            self._computed = int(progress["processed"])
            self._sink(Prefill(done=self._computed, total=int(progress["total"]), cached=self._cached))

    def _pauses(self, entries: Sequence[dict[str, Any]]) -> bool:
        """Whether to stop after the tokens `entries` for something more urgent.

        Only where prompt and ids so far say all that llama.cpp needs to go on: a structure's state would be lost; the
        beginning of a character comes without its id; and after a special token (no bytes) the end may follow.
        """
        if self._request.structure is not None or len(self.made) != self._tokens:
            return False
        if self._tokens == self._request.max_tokens or any(not entry["bytes"] for entry in entries):
            return False
        self.paused = self._pause.wanted
        return self.paused

    def _token(self, entry: dict[str, Any], predicted: int) -> None:
        token_id = int(entry["id"])
        if len(self.made) == self._tokens and self._resumed_at + predicted == self._tokens + 1:
            self.made.append(token_id)
        self._tokens = self._resumed_at + predicted
        text = "" if token_id in self._stop_ids else self._assembler.push(bytes(entry["bytes"]))
        self._texts.append(text)
        wanted = entry["top_logprobs"][: self._request.top_logprobs]
        top = tuple(Alternative(int(one["id"]), str(one["token"]), _logprob(one["logprob"])) for one in wanted)
        self._sink(Chunk(text, token_id, _logprob(entry["logprob"]), top))

    def _end(self, event: dict[str, Any], reason: str) -> None:
        self.complete = True
        self._reason = FinishReason.STOP if reason == "stop" else FinishReason.LENGTH
        self._tokens = self._resumed_at + int(event["timings"]["predicted_n"])

    def finished(self) -> Finished:
        """The end, once `complete`; text still held back (half a stop string) belongs to the answer.

        Raises Incomplete for a text that does not fit the structure that was asked for.
        """
        self._texts.append(self._assembler.finish())
        text = "".join(self._texts)
        if self._request.structure is not None:
            check_whole(self._request.structure, text, self._reason)
        return Finished(
            text=text,
            reason=self._reason,
            usage=Usage(len(self._request.prompt), self._cached or 0, self._tokens),
            timing=Timing(prefill_seconds=self._prefill_seconds, decode_seconds=self._decode_seconds),
        )


def _logprob(value: float | None) -> float:
    """llama.cpp's JSON has null where damaged weights gave NaN: that is no probability at all."""
    return float("-inf") if value is None else float(value)
