"""Prefill and decode: token ids in, sampled tokens with their probabilities out. Text and stops are the caller's.

The next step is handed to the device before the token of this one is looked at: it does not wait for Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.local.arrays import compute_errors, mx
from leanvibe_lsp.engine.local.prefix import GROWTH, PrefixCache

Sampler = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Sample:
    """A token and its natural log-probability; `top` has (token id, log-probability), most probable first."""

    token_id: int
    logprob: float
    top: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class _Step:
    """Results the device still works on."""

    token: Any  # shape (1,)
    logprob: Any  # shape (1,)
    top_ids: Any = None  # shape (k,)
    top_logprobs: Any = None

    def start(self) -> None:
        """Let the device begin."""
        if self.top_ids is None:
            mx.async_eval(self.token, self.logprob)
        else:
            mx.async_eval(self.token, self.logprob, self.top_ids, self.top_logprobs)

    def wait(self) -> Sample:
        """The values, once they are there."""
        top: list[tuple[int, float]] = []
        if self.top_ids is not None:
            top = sorted(zip(self.top_ids.tolist(), self.top_logprobs.tolist(), strict=True), key=lambda one: -one[1])
        return Sample(self.token.item(), self.logprob.item(), tuple(top))


def make_sampler(temperature: float, seed: int) -> Sampler:
    """A function from logits (1, vocabulary) to a token (1,): the likeliest at temperature 0, else drawn."""
    if temperature <= 0:
        return lambda logits: mx.argmax(logits, axis=-1)
    key = mx.random.key(seed % (1 << 64))

    def draw(logits: Any) -> Any:
        nonlocal key
        key, now = mx.random.split(key)
        return mx.random.categorical(logits / temperature, key=now)

    return draw


def prefill(cache: PrefixCache, prompt: Sequence[int], *, progress: Callable[[int, int], None]) -> int:
    """Compute all of `prompt` but its last token, reusing what `cache` holds; gives the number of tokens reused.

    `progress(done, cached)` is called before each chunk and after the last, and may raise to stop. Raises EngineError.
    """
    cached = cache.reuse(prompt)
    progress(cached, cached)
    chunk = limit("engine.prefill_chunk")
    while (done := len(cache.seen)) < len(prompt) - 1:
        cache.fill(prompt[done : min(done + chunk, len(prompt) - 1)])
        progress(len(cache.seen), cached)
    return cached


def decode(model: Any, cache: PrefixCache, last: int, *, sampler: Sampler, top: int, count: int) -> Iterator[Sample]:
    """Go on from `last`, the prompt's last token, for at most `count` tokens. Raises EngineError.

    Whenever a sample comes out, `cache` is consistent; the caller may stop there.
    """

    def step(token: Any) -> _Step:
        logits = model(token[None], cache=cache.layers)[:, -1, :].astype(mx.float32)
        chosen = sampler(logits)
        total = mx.logsumexp(logits, axis=-1)
        logprob = mx.take_along_axis(logits, chosen[None], axis=-1)[0] - total
        if top == 0:
            begun = _Step(chosen, logprob)
        else:
            best = mx.argpartition(-logits[0], kth=top - 1)[:top]
            begun = _Step(chosen, logprob, best, logits[0, best] - total)
        begun.start()
        return begun

    with compute_errors():
        ahead: _Step | None = step(mx.array([last]))
    cache.append([last])
    for index in range(count):
        with compute_errors():
            now, ahead = ahead, step(ahead.token) if ahead is not None and index + 1 < count else None
            assert now is not None
            sample = now.wait()
        if ahead is not None:
            cache.append([sample.token_id])
        if index % GROWTH == 0:  # the cache has grown about then, and its old arrays wait to be freed
            mx.clear_cache()
        yield sample
