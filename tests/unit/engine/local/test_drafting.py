"""Drafting in the decode loop: the same tokens, fewer passes, a session that is true at every moment."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.base import Chunk, Event, Finished, GenerationRequest
from leanvibe_lsp.engine.local import draft
from leanvibe_lsp.engine.local.prefix import Session
from leanvibe_lsp.errors import Cancelled
from tests.support.tiny_mlx import Ask, make_engine

WINDOW = 256
# Random weights fall into runs that repeat, with changes between: guesses come out right and wrong.
PROMPT = (1, 2, 1, 0, 2, 2, 3, 3, 1, 0, 1, 3, 3, 2, 0, 1, 0, 2, 3, 1)
PROMPTS = st.lists(st.integers(0, 3), min_size=1, max_size=40).map(tuple)


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guess whenever a pair of tokens was seen before, and never rest."""
    real = draft.limit
    mine = {"draft.ngram_min": 2, "draft.rest_min": 0, "draft.rest_max": 0}
    monkeypatch.setattr(draft, "limit", lambda name: mine[name] if name in mine else real(name))


def answer(model: Any, prompt: tuple[int, ...], *, draft: bool, **options: Any) -> tuple[Ask, Finished]:
    """A fresh engine's answer; at its end the test engine compares layers and session."""
    ask = Ask(make_engine(model, window=WINDOW))
    return ask, ask(GenerationRequest(prompt, draft=draft, **options))


def close(mine: list[Chunk], other: list[Chunk]) -> None:
    """The same tokens and texts, the same probabilities to what one pass over several tokens rounds differently."""
    assert [(chunk.token_id, chunk.text) for chunk in mine] == [(chunk.token_id, chunk.text) for chunk in other]
    for one, two in zip(mine, other, strict=True):
        assert one.logprob == pytest.approx(two.logprob, abs=1e-3)
        assert [alternative.logprob for alternative in one.top] == pytest.approx(
            [alternative.logprob for alternative in two.top], abs=1e-3
        )


def test_fewer_passes_and_true_usage(tiny_model: Any) -> None:
    """Confirmed guesses are counted, each spares a pass, and `draft=False` makes none."""
    calls = 0

    class Counting:
        layers = tiny_model.layers

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            return tiny_model(*args, **kwargs)

    made = 100
    for drafts in (True, False):
        calls = 0
        _, finished = answer(Counting(), PROMPT, draft=drafts, max_tokens=made)
        assert finished.usage.completion_tokens == made
        assert (finished.usage.drafted_tokens > 0) == drafts
        assert calls == 1 + made - finished.usage.drafted_tokens  # one for the prompt


@settings(deadline=None, max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PROMPTS, st.integers(1, 90), st.integers(0, 3))
def test_greedy_is_the_same(tiny_model: Any, prompt: tuple[int, ...], tokens: int, top: int) -> None:
    """Whatever the prompt and the length: the tokens, texts and probabilities of an engine that guesses nothing."""
    with_draft, mine = answer(tiny_model, prompt, draft=True, max_tokens=tokens, top_logprobs=top)
    without, other = answer(tiny_model, prompt, draft=False, max_tokens=tokens, top_logprobs=top)
    close(with_draft.chunks, without.chunks)
    assert (mine.text, mine.reason) == (other.text, other.reason)


@settings(deadline=None, max_examples=20, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PROMPTS, st.integers(0, 60), st.integers(1, 4))
def test_stop_string_within_a_guess(tiny_model: Any, prompt: tuple[int, ...], begin: int, size: int) -> None:
    """Text after a stop string never appears, also where the guess that was confirmed went past it."""
    _, whole = answer(tiny_model, prompt, draft=False, max_tokens=70)
    stop = whole.text[begin : begin + size]
    ask, finished = answer(tiny_model, prompt, draft=True, max_tokens=70, stop=(stop,))
    assert finished.text == (whole.text.partition(stop)[0] if stop else whole.text)
    assert finished.usage.completion_tokens == len(ask.chunks)
    again = ask(GenerationRequest((*prompt, 1), max_tokens=20))
    assert again.text == answer(tiny_model, (*prompt, 1), draft=False, max_tokens=20)[1].text


@settings(deadline=None, max_examples=25, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PROMPTS, st.integers(1, 60))
def test_cancel_at_any_event(tiny_model: Any, prompt: tuple[int, ...], stop_at: int) -> None:
    """A cancel in the middle of a guess leaves a session from which the next request is answered as ever."""
    ask = Ask(make_engine(tiny_model, window=WINDOW))
    cancel = CancelToken()

    def watch(_event: Event) -> None:
        if len(ask.events) == stop_at:
            cancel.cancel()

    with pytest.raises(Cancelled):
        ask(GenerationRequest(prompt, max_tokens=80), cancel, watch=watch)
    assert len(ask.events) == stop_at
    said = tuple(ask.tokens)
    ask(GenerationRequest((*prompt, *said), max_tokens=30))
    fresh, _ = answer(tiny_model, (*prompt, *said), draft=False, max_tokens=30)
    close(ask.chunks, fresh.chunks)


def test_only_where_it_is_exact(tiny_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is guessed above temperature 0, nor with a cache that cannot forget."""
    _, drawn = answer(tiny_model, PROMPT, draft=True, max_tokens=60, temperature=0.1)
    assert drawn.usage.drafted_tokens == 0
    monkeypatch.setattr(Session, "trimmable", property(lambda _: False))
    _, kept = answer(tiny_model, PROMPT, draft=True, max_tokens=60)
    assert kept.usage.drafted_tokens == 0
    assert kept.text == answer(tiny_model, PROMPT, draft=False, max_tokens=60)[1].text
