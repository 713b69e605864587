from __future__ import annotations

import math
import threading
from typing import Any

import pytest

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import Chunk, Event, FinishReason, GenerationRequest, Prefill
from leanvibe_lsp.errors import Cancelled, ContextTooLarge, DeadlineExceeded, EngineError, UsageError
from tests.support.tiny_mlx import VOCABULARY, Ask, LetterTokenizer, make_engine

PROMPT = tuple(range(1, 12))


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefill four tokens at a time."""
    from leanvibe_lsp.engine.local import generate

    real = generate.limit
    monkeypatch.setattr(generate, "limit", lambda name: 4 if name == "engine.prefill_chunk" else real(name))


def log_softmax(model: Any, ids: tuple[int, ...]) -> list[float]:
    """The plain way: no cache, all at once, in Python."""
    from leanvibe_lsp.engine.local.arrays import mx

    row = model(mx.array([ids]))[0, -1].tolist()
    total = math.log(math.fsum(math.exp(value) for value in row))
    return [value - total for value in row]


def test_greedy_tokens_and_logprobs(tiny_model: Any, ask: Ask) -> None:
    """Each token is the likeliest of the full softmax, and its logprob and alternatives are that softmax's."""
    finished = ask(GenerationRequest(PROMPT, max_tokens=6, top_logprobs=5))
    so_far = PROMPT
    for chunk in ask.chunks:
        row = log_softmax(tiny_model, so_far)
        best = sorted(range(VOCABULARY), key=lambda token: -row[token])[:5]
        assert chunk.token_id == best[0]
        assert [alternative.token_id for alternative in chunk.top] == best
        assert [alternative.logprob for alternative in chunk.top] == pytest.approx([row[t] for t in best], abs=1e-4)
        assert chunk.logprob == pytest.approx(row[chunk.token_id], abs=1e-4)
        so_far = (*so_far, chunk.token_id)
    assert finished.usage.completion_tokens == 6
    assert finished.reason is FinishReason.LENGTH
    assert finished.text.startswith("".join(chunk.text for chunk in ask.chunks))


def test_progress_through_the_prompt(ask: Ask) -> None:
    """Prefill events begin at what was cached, go up by chunks, and end before the first token."""
    ask(GenerationRequest(PROMPT, max_tokens=2))
    assert [event.done for event in ask.events if isinstance(event, Prefill)] == [0, 4, 8, 10, 11]
    assert [type(event) for event in ask.events[-3:]] == [Prefill, Chunk, Chunk]
    ask(GenerationRequest((*PROMPT, 3, 3), max_tokens=1))
    first = ask.events[0]
    assert isinstance(first, Prefill)
    assert (first.done, first.total, first.cached) == (11, 13, 11)


def test_timing_is_sane(ask: Ask) -> None:
    """Both parts of the time are positive, and a speed follows from them."""
    timing = ask(GenerationRequest(PROMPT, max_tokens=4)).timing
    assert timing.prefill_seconds > 0
    assert timing.tokens_per_second(4) > 0


def test_cancel_within_a_chunk_and_a_token(tiny_model: Any) -> None:
    """After a cancel at most the chunk or token at work is finished, and no event comes any more."""
    for stop_at in (1, 5):  # during the prefill, during the decoding
        cancel = CancelToken()
        request = GenerationRequest(PROMPT, max_tokens=9)
        ask = Ask(make_engine(tiny_model))
        with pytest.raises(Cancelled):
            ask(request, cancel, watch=lambda _, a=ask, n=stop_at, c=cancel: c.cancel() if len(a.events) == n else None)
        assert len(ask.events) == stop_at


def test_cancelled_before_it_began(ask: Ask) -> None:
    """A request that was cancelled in the queue computes nothing."""
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        ask(GenerationRequest(PROMPT, max_tokens=1), cancel)
    assert ask.events == []


def test_deadline(ask: Ask) -> None:
    """A deadline that passed stops the work."""
    with pytest.raises(DeadlineExceeded):
        ask(GenerationRequest(PROMPT, max_tokens=1), deadline=Deadline.after(-1))


def test_stop_token(tiny_model: Any, ask: Ask) -> None:
    """The model's own end gives no text, counts as a token, and ends the answer."""
    ask(GenerationRequest(PROMPT, max_tokens=8))
    end = next(token for token in ask.tokens if token != ask.tokens[0])
    at = ask.tokens.index(end)
    expected = "".join(chunk.text for chunk in ask.chunks[:at])
    again = Ask(make_engine(tiny_model, stop_ids=frozenset({end})))
    finished = again(GenerationRequest(PROMPT, max_tokens=8))
    assert (finished.text, finished.reason) == (expected, FinishReason.STOP)
    assert finished.usage.completion_tokens == at + 1


def test_stop_string_across_tokens(ask: Ask) -> None:
    """A stop string made of two tokens ends the answer before it, and is never shown."""
    whole = ask(GenerationRequest(PROMPT, max_tokens=12)).text
    stop = whole[3:5]
    finished = ask(GenerationRequest(PROMPT, max_tokens=12, stop=(stop,)))
    assert finished.text == whole[: whole.index(stop)]
    assert finished.reason is FinishReason.STOP
    assert "".join(chunk.text for chunk in ask.chunks) == finished.text


def test_held_text_is_in_the_end(ask: Ask) -> None:
    """Text that might have become a stop string is not lost when the answer ends."""
    whole = ask(GenerationRequest(PROMPT, max_tokens=4)).text
    finished = ask(GenerationRequest(PROMPT, max_tokens=4, stop=(whole[-1] + "never",)))
    assert finished.text == whole
    assert "".join(chunk.text for chunk in ask.chunks) == whole[:-1]


def test_sampling_is_seeded(ask: Ask) -> None:
    """The same seed draws the same tokens, another seed others; logprobs are before temperature."""

    def draw(seed: int) -> list[int]:
        ask(GenerationRequest(PROMPT, max_tokens=12, temperature=3.0, seed=seed, top_logprobs=1))
        return ask.tokens

    assert draw(1) == draw(1)
    assert len({tuple(draw(seed)) for seed in (1, 2, 3, -1, 1 << 70)}) == 5
    assert all(chunk.logprob <= chunk.top[0].logprob + 1e-5 for chunk in ask.chunks)


def test_temperature_follows_the_softmax(tiny_model: Any, ask: Ask) -> None:
    """Drawn tokens come as often as the softmax at that temperature says."""
    row = log_softmax(tiny_model, PROMPT)
    weights = [math.exp(value / 2.0) for value in row]
    likeliest = max(range(VOCABULARY), key=lambda token: row[token])
    expected = weights[likeliest] / sum(weights)
    draws = 400
    hits = 0
    for seed in range(draws):
        ask(GenerationRequest(PROMPT, max_tokens=1, temperature=2.0, seed=seed))
        hits += ask.tokens == [likeliest]
    assert hits / draws == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / draws))


def test_window_ends_the_answer(ask: Ask) -> None:
    """Prompt and answer together never pass the window; a prompt that fills it is refused with a next step."""
    finished = ask(GenerationRequest((1,) * 60, max_tokens=50))
    assert finished.usage.completion_tokens == 4
    with pytest.raises(ContextTooLarge, match="Ask about less"):
        ask(GenerationRequest((1,) * 64, max_tokens=1))


@pytest.mark.parametrize(("prompt", "tokens"), [((), 1), ((1,), 0), ((VOCABULARY,), 1), ((-1,), 1)])
def test_what_must_not_reach_the_device(ask: Ask, prompt: tuple[int, ...], tokens: int) -> None:
    """An empty prompt, no room, or an id outside of the vocabulary is refused: MLX checks no index."""
    with pytest.raises(UsageError):
        ask(GenerationRequest(prompt, max_tokens=tokens))


@pytest.mark.parametrize("fails_at", [1, 2, 4, 6])
def test_failure_of_mlx(tiny_model: Any, fails_at: int) -> None:
    """When MLX fails, in prefill or decode, the error is ours, and the next request is answered as ever."""
    calls = 0

    class Failing:
        layers = tiny_model.layers
        make_cache = tiny_model.make_cache

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            logits = tiny_model(*args, **kwargs)
            if calls == fails_at:
                raise RuntimeError("[malloc] no memory")
            return logits

    ask = Ask(make_engine(Failing()))
    with pytest.raises(EngineError, match="no memory"):
        ask(GenerationRequest(PROMPT, max_tokens=9))
    fresh = Ask(make_engine(tiny_model))
    assert ask(GenerationRequest(PROMPT, max_tokens=4)).text == fresh(GenerationRequest(PROMPT, max_tokens=4)).text


def test_failure_of_the_sink(ask: Ask) -> None:
    """An error of the listener goes through as it is."""

    def watch(_event: Event) -> None:
        raise KeyError("listener")

    with pytest.raises(KeyError, match="listener"):
        ask(GenerationRequest(PROMPT, max_tokens=4), watch=watch)


def test_special_and_half_tokens_have_texts() -> None:
    """The tiny tokenizer has the two hard cases: a special token and halves of a character."""
    tokenizer = LetterTokenizer()
    assert tokenizer.token_bytes(0) == b""
    assert tokenizer.token_bytes(VOCABULARY - 2) + tokenizer.token_bytes(VOCABULARY - 1) == "é".encode()


def test_load_and_close_on_other_threads(tiny_model: Any) -> None:
    """The engine may be closed, and asked, on another thread than the one that built it."""
    ask = Ask(make_engine(tiny_model))
    answers: list[str] = []

    def work() -> None:
        answers.append(ask(GenerationRequest(PROMPT, max_tokens=4)).text)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == [Ask(make_engine(tiny_model))(GenerationRequest(PROMPT, max_tokens=4)).text]
    ask.engine.close()
