from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import Event, GenerationRequest, Prefill
from leanvibe_lsp.engine.local import backend
from leanvibe_lsp.engine.local.backend import MlxEngine
from leanvibe_lsp.errors import Cancelled, ContextTooLarge, DeadlineExceeded, EngineError, UsageError
from tests.support.tiny_mlx import Ask, make_engine

PROMPT = tuple(range(1, 12))
TOKEN_BYTES = 2 * 2 * 2 * 8 * 4  # layers, keys and values, heads, width, bytes of a number


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefill four tokens at a time."""
    from leanvibe_lsp.engine.local import generate

    real = generate.limit
    for module in (generate, backend):
        monkeypatch.setattr(module, "limit", lambda name: 4 if name == "engine.prefill_chunk" else real(name))


class Urgent:
    """A pause that is wanted at the looks with these numbers, and does `work` then."""

    def __init__(self, work: Callable[[], Any], *at: int) -> None:
        self._work = work
        self._at = at
        self._looks = 0
        self.runs = 0

    @property
    def wanted(self) -> bool:
        """Counts the looks."""
        self._looks += 1
        return self._looks - 1 in self._at

    def run(self) -> None:
        """Work."""
        self.runs += 1
        self._work()


def tokens(model: Any, prompt: tuple[int, ...], count: int) -> list[int]:
    """A fresh engine's greedy answer."""
    ask = Ask(make_engine(model))
    ask(GenerationRequest(prompt, max_tokens=count))
    return ask.tokens


def test_a_paused_answer_is_the_same(tiny_model: Any) -> None:
    """With other answers in the middle of prefill and decode, both are what they would be alone."""
    engine = make_engine(tiny_model)
    outer, inner = Ask(engine), Ask(engine)
    said: list[list[int]] = []

    def work() -> None:
        inner(GenerationRequest((*PROMPT[:6], 40, 41), max_tokens=5))
        said.append(inner.tokens)

    urgent = Urgent(work, 1, 5, 7)
    finished = outer(GenerationRequest(PROMPT, max_tokens=8), pause=urgent)
    assert outer.tokens == tokens(tiny_model, PROMPT, 8)
    assert said == [tokens(tiny_model, (*PROMPT[:6], 40, 41), 5)] * 3
    assert finished.usage.cached_tokens == 0
    assert outer(GenerationRequest((*PROMPT, 1), max_tokens=1)).usage.cached_tokens == len(PROMPT)


def test_a_cancel_is_heard_after_a_pause(tiny_model: Any) -> None:
    """Cancelled or out of time while it was paused: nothing of the paused one comes any more."""
    engine = make_engine(tiny_model)
    cancel = CancelToken()
    outer = Ask(engine)
    with pytest.raises(Cancelled):
        outer(GenerationRequest(PROMPT, max_tokens=9), cancel, pause=Urgent(cancel.cancel, 1))
    assert len(outer.events) == 2
    assert outer(GenerationRequest(PROMPT, max_tokens=1)).usage.cached_tokens == 4, "no chunk was computed after it"
    past = Deadline.after(3_600)
    with pytest.raises(DeadlineExceeded):
        outer(GenerationRequest(PROMPT[::-1], max_tokens=9), deadline=past, pause=Urgent(lambda: _pass(past), 1))
    assert len(outer.events) == 2


def _pass(deadline: Deadline) -> None:
    object.__setattr__(deadline, "at", 0.0)


def test_a_cancel_of_the_urgent_one_is_its_own(tiny_model: Any) -> None:
    """The urgent one is cancelled and fails; the paused one ends as ever."""
    engine = make_engine(tiny_model)
    outer, inner = Ask(engine), Ask(engine)

    def work() -> None:
        cancel = CancelToken()
        with pytest.raises(Cancelled):
            inner(GenerationRequest((5, 6, 7, 8, 9, 10), max_tokens=5), cancel, watch=lambda _: cancel.cancel())

    urgent = Urgent(work, 1, 6)
    outer(GenerationRequest(PROMPT, max_tokens=8), pause=urgent)
    assert urgent.runs == 2
    assert outer.tokens == tokens(tiny_model, PROMPT, 8)


def test_the_time_of_others_is_not_its_own(tiny_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Speeds are those of the paused one alone."""
    now = 100.0

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return now

    def work() -> None:
        nonlocal now
        now += 50.0

    monkeypatch.setattr(backend, "time", Clock)
    timing = Ask(make_engine(tiny_model))(GenerationRequest(PROMPT, max_tokens=8), pause=Urgent(work, 1, 6)).timing
    assert (timing.prefill_seconds, timing.decode_seconds) == (0.0, 0.0)


def test_warm(tiny_model: Any) -> None:
    """What was warmed is not computed again; warming again, or with other work in the middle, is fine."""
    engine = make_engine(tiny_model)
    ask = Ask(engine)
    urgent = Urgent(lambda: ask(GenerationRequest((9, 9, 9), max_tokens=2)), 1)
    assert engine.cache_bytes == 0
    engine.warm(PROMPT, CancelToken(), urgent)
    engine.warm(PROMPT, CancelToken())
    assert urgent.runs == 1
    assert engine.cache_bytes == (len(PROMPT) + 4) * TOKEN_BYTES
    assert ask(GenerationRequest((*PROMPT, 3), max_tokens=6)).usage.cached_tokens == len(PROMPT)
    assert ask.tokens == tokens(tiny_model, (*PROMPT, 3), 6)


def test_a_cancelled_warm_keeps_what_it_has(tiny_model: Any) -> None:
    """Whole chunks of it are known."""
    engine = make_engine(tiny_model)
    cancel = CancelToken()
    with pytest.raises(Cancelled):
        engine.warm(PROMPT, cancel, Urgent(cancel.cancel, 2))
    assert Ask(engine)(GenerationRequest(PROMPT, max_tokens=1)).usage.cached_tokens == 8


def test_what_cannot_be_warmed(tiny_model: Any) -> None:
    """The device sees no prompt that `generate` would refuse; an engine that is not loaded says so."""
    engine = make_engine(tiny_model)
    with pytest.raises(UsageError):
        engine.warm((1, 999), CancelToken())
    with pytest.raises(ContextTooLarge):
        engine.warm((1,) * 64, CancelToken())
    engine.close()
    with pytest.raises(EngineError, match="not loaded"):
        engine.warm((1,), CancelToken())
    assert engine.cache_bytes == 0


def test_the_answer_is_reused_too(ask: Ask) -> None:
    """A second turn that repeats prompt and answer computes only what is new."""
    ask(GenerationRequest(PROMPT, max_tokens=5))
    turn = (*PROMPT, *ask.tokens)
    assert ask(GenerationRequest((*turn, 1, 2), max_tokens=1)).usage.cached_tokens == len(turn) - 1


PROMPTS = st.lists(st.integers(0, 2), min_size=1, max_size=40).map(tuple)  # few letters: prefixes are shared


@dataclass
class Step:
    """A request; at some events it is cancelled, or pauses for others."""

    prompt: tuple[int, ...]
    tokens: int
    cancel_at: int | None
    inner: dict[int, Step]


def steps(depth: int) -> st.SearchStrategy[Step]:
    """Requests with others in them, `depth` deep."""
    inner = st.dictionaries(st.integers(0, 12), steps(depth - 1), max_size=2) if depth else st.just({})
    return st.builds(Step, PROMPTS, st.integers(1, 6), st.none() | st.integers(0, 14), inner)


class Replay:
    """Runs steps on one engine, and compares each with a fresh one."""

    def __init__(self, model: Any, room: int) -> None:
        self._model = model
        self._room = room
        self._engine = make_engine(model, room=room)

    def __call__(self, step: Step) -> None:
        """Run a step and all in it."""
        ask, cancel, looks = Ask(self._engine), CancelToken(), iter(range(1_000))
        self_ = self

        class Nested:
            at = -1

            @property
            def wanted(self) -> bool:
                self.at = next(looks)
                return self.at in step.inner

            def run(self) -> None:
                self_(step.inner[self.at])

        def watch(_event: Event) -> None:
            if len(ask.events) - 1 == step.cancel_at:
                cancel.cancel()

        expected = self._known(step.prompt)
        cancelled = False
        try:
            finished = ask(GenerationRequest(step.prompt, max_tokens=step.tokens), cancel, watch=watch, pause=Nested())
            assert finished.usage.cached_tokens == expected
        except Cancelled:
            cancelled = True
        fresh = tokens(self._model, step.prompt, step.tokens)
        assert ask.tokens == fresh[: len(ask.tokens)] if cancelled else ask.tokens == fresh
        assert isinstance(ask.events[0], Prefill)
        assert ask.events[0].cached == expected
        assert self._engine.cache_bytes <= self._room

    def _known(self, prompt: tuple[int, ...]) -> int:
        """The plain way: compare with each sequence that is held."""
        longest = 0
        for held in _sequences(self._engine):
            same = next((i for i, (a, b) in enumerate(zip(held, prompt, strict=False)) if a != b), len(held))
            longest = max(longest, min(same, len(prompt) - 1))
        return longest


def _sequences(engine: MlxEngine) -> Iterator[tuple[int, ...]]:
    """Each sequence of tokens that is held, from the beginning to a leaf; each part's bytes are those of its tokens."""
    assert engine._state is not None
    waiting = [((), engine._state.prefixes._tree._top)]
    while waiting:
        so_far, level = waiting.pop()
        for node in level.values():
            assert node.part.nbytes == len(node.ids) * TOKEN_BYTES
            waiting.append(((*so_far, *node.ids), node.children))
        yield so_far


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(steps(2), min_size=1, max_size=5), st.sampled_from([0, 10, 30, 60, 1_000]))
def test_reuse_changes_nothing(tiny_model: Any, requests: list[Step], room: int) -> None:
    """Whatever was asked, cancelled, paused or dropped before: the answer is a fresh engine's, the counts are true."""
    replay = Replay(tiny_model, room * TOKEN_BYTES)
    for step in requests:
        replay(step)


@settings(deadline=None, derandomize=True, max_examples=20)
@given(st.lists(st.tuples(PROMPTS, st.integers(1, 20)), min_size=1, max_size=3))
def test_a_sliding_window_changes_nothing(sliding: Any, requests: list[tuple[tuple[int, ...], int]]) -> None:
    """Where only a whole cache can be kept, the next turn goes on from it, and says what a fresh engine says."""
    ask = Ask(make_engine(sliding))
    for prompt, count in requests:
        ask(GenerationRequest(prompt, max_tokens=count))
        assert ask.tokens == tokens(sliding, prompt, count)
        turn = (*prompt, *ask.tokens)
        assert ask(GenerationRequest(turn, max_tokens=2)).usage.cached_tokens == len(turn) - 1
        assert ask.tokens == tokens(sliding, turn, 2)
