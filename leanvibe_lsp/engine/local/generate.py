"""Prefill and decode: token ids in, sampled tokens with their probabilities out. Text and stops are the caller's.

The device does not wait for Python: the next pass is handed to it before the tokens of this one are given out, in the
plain case even before they are known. With a guess of what comes next (`draft.py`) one pass computes several tokens,
and those after the first wrong guess are forgotten. With a grammar the allowed tokens are found while the pass runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.local.arrays import compute_errors, mx
from leanvibe_lsp.engine.local.kv import GROWTH
from leanvibe_lsp.engine.local.prefix import Session

if TYPE_CHECKING:
    from leanvibe_lsp.engine.local.constrain import Grammar
    from leanvibe_lsp.engine.local.draft import Drafter

Sampler = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Sample:
    """A token and its natural log-probability; `top` has (token id, log-probability), most probable first.

    The probabilities are the model's own, before temperature and grammar. `drafted` is a guess that was confirmed;
    `ends` completes the grammar.
    """

    token_id: int
    logprob: float
    top: tuple[tuple[int, float], ...]
    drafted: bool = False
    ends: bool = False


@dataclass(frozen=True, slots=True)
class Scores:
    """What one forward pass says after each of its rows; the device may still work on it."""

    tokens: Any  # shape (rows,)
    logprobs: Any  # shape (rows,)
    top_ids: Any  # shape (rows, k), or None
    top_logprobs: Any

    def wait(self) -> list[Sample]:
        """One sample a row."""
        tops: Any = [()] * self.tokens.size
        if self.top_ids is not None:
            pairs = zip(self.top_ids.tolist(), self.top_logprobs.tolist(), strict=True)
            tops = [tuple(sorted(zip(*row, strict=True), key=lambda one: -one[1])) for row in pairs]
        return [Sample(*row) for row in zip(self.tokens.tolist(), self.logprobs.tolist(), tops, strict=True)]


def score(logits: Any, total: Any, tokens: Any, top: int) -> Scores:
    """Hand to the device how probable `tokens` (rows,) and the `top` likeliest are by `logits` (rows, vocabulary).

    `total` is the logarithm of the sum of their exponentials, shape (rows, 1).
    """
    logprobs = (mx.take_along_axis(logits, tokens[:, None], axis=-1) - total)[:, 0]
    top_ids = top_logprobs = None
    if top:
        top_ids = mx.argpartition(-logits, kth=top - 1, axis=-1)[:, :top]
        top_logprobs = mx.take_along_axis(logits, top_ids, axis=-1) - total
        mx.async_eval(top_ids, top_logprobs)
    mx.async_eval(tokens, logprobs)
    return Scores(tokens, logprobs, top_ids, top_logprobs)


@dataclass(frozen=True, slots=True)
class _Pass:
    """One forward pass over a token and the guesses after it: row i is what comes after the i-th of them."""

    scores: Scores
    draft: list[int]
    forced: bool  # by the grammar
    begun: float  # seconds on `time.perf_counter`

    def wait(self) -> list[Sample]:
        """What the model says: each confirmed guess, and the token after the last of them."""
        samples = self.scores.wait()
        pairs = zip(self.draft, samples, strict=False)
        right = next((at for at, (guess, said) in enumerate(pairs) if guess != said.token_id), len(self.draft))
        return [*(replace(sample, drafted=True) for sample in samples[:right]), samples[right]]


def make_sampler(temperature: float, seed: int) -> Sampler:
    """A function from logits (rows, vocabulary) to tokens (rows,): the likeliest at temperature 0, else drawn."""
    if temperature <= 0:
        return lambda logits: mx.argmax(logits, axis=-1)
    key = mx.random.key(seed % (1 << 64))

    def draw(logits: Any) -> Any:
        nonlocal key
        key, now = mx.random.split(key)
        return mx.random.categorical(logits / temperature, key=now)

    return draw


def prefill(session: Session, prompt: Sequence[int], *, progress: Callable[[int, int], None]) -> int:
    """Compute all of `prompt` but its last token, after what `session` holds of it; gives how many tokens it held.

    `progress(done, cached)` is called before each chunk and after the last, and may raise to stop. Raises EngineError.
    """
    cached = len(session.seen)
    progress(cached, cached)
    chunk = limit("engine.prefill_chunk")
    while (done := len(session.seen)) < len(prompt) - 1:
        session.fill(prompt[done : min(done + chunk, len(prompt) - 1)])
        progress(len(session.seen), cached)
    return cached


class Decoder:
    """The decode loop of one session. `top` is how many alternatives a sample carries.

    A `drafter` changes the speed and nothing else; it needs a sampler for temperature 0 and a session that can be
    trimmed.
    """

    def __init__(
        self,
        model: Any,
        session: Session,
        *,
        sampler: Sampler,
        top: int = 0,
        drafter: Drafter | None = None,
        grammar: Grammar | None = None,
    ) -> None:
        self._model = model
        self._session = session
        self._sampler = sampler
        self._top = top
        self._drafter = drafter
        self._grammar = grammar

    def run(self, last: int, count: int) -> Generator[Sample, None, None]:
        """Go on from `last`, the prompt's last token, for at most `count` tokens. Raises EngineError.

        Whenever a sample comes out, the session is consistent; the caller may stop there.
        """
        made, ready = 0, 0.0
        with compute_errors():
            now: _Pass | None = self._start(mx.array([last]))
        self._session.append([last])
        while now is not None:
            ahead: _Pass | None = None
            with compute_errors():
                if made + 1 < count and self._runs_ahead(now, count - made):
                    ahead = self._start(now.scores.tokens)
                samples = now.wait()
            begun, ready = max(now.begun, ready), time.perf_counter()
            samples = self._settle(now, samples, ready - begun)
            made += len(samples)
            if ahead is not None:
                self._session.append([samples[-1].token_id])
            elif made < count and not samples[-1].ends:
                ahead = self._follow(samples[-1].token_id, count - made - 1)
            if made // GROWTH != (made - len(samples)) // GROWTH:  # the cache grew, and its old arrays wait to be freed
                mx.clear_cache()
            yield from samples
            now = ahead

    def _runs_ahead(self, now: _Pass, room: int) -> bool:
        """Whether the next pass may begin before this one's token is known: nothing is looked up with it."""
        return not now.draft and self._grammar is None and not (self._drafter and self._drafter.propose(room))

    def _settle(self, done: _Pass, samples: list[Sample], seconds: float) -> list[Sample]:
        """Forget the wrong guesses, tell drafter and grammar what was said; a grammar may end before all samples."""
        self._session.trim(len(done.draft) - (len(samples) - 1))
        if self._drafter is not None:
            if not done.draft:
                self._drafter.policy.stepped(seconds)
            elif not done.forced:
                self._drafter.policy.verified(len(done.draft), len(samples) - 1, seconds)
        for place, sample in enumerate(samples):
            if self._drafter is not None:
                self._drafter.append(sample.token_id)
            if self._grammar is not None and self._grammar.take(sample.token_id):
                return [*samples[:place], replace(sample, ends=True)]
        return samples

    def _follow(self, known: int, room: int) -> _Pass:
        """Begin the pass after `known`, with at most `room` guesses."""
        draft: list[int] = []
        forced = False
        if self._drafter is not None:
            if self._grammar is not None:
                draft = self._grammar.forced(min(room, limit("draft.tokens_max")))
                forced = bool(draft)
            draft = draft or self._drafter.propose(room)
            if self._grammar is not None:
                draft = self._grammar.cut(draft)
        with compute_errors():
            begun = self._start(mx.array([known, *draft]), draft, forced=forced)
        self._session.append([known, *draft])
        return begun

    def _start(self, ids: Any, draft: list[int] | None = None, *, forced: bool = False) -> _Pass:
        """Hand a pass over `ids`, shape (1 + len(draft),), to the device."""
        begun = time.perf_counter()
        draft = draft or []
        logits = self._model(ids[None], cache=self._session.layers)[0].astype(mx.float32)
        total = mx.logsumexp(logits, axis=-1, keepdims=True)
        if self._grammar is None:
            tokens = self._sampler(logits)
        else:
            mx.async_eval(logits, total)
            tokens = self._sampler(mx.where(mx.array(self._grammar.allowed(draft)), logits, -mx.inf))
        return _Pass(score(logits, total, tokens, self._top), draft, forced, begun)
