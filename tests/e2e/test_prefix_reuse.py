"""What SmolLM2 computed once on MLX is computed no more, and changes no answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import Chunk, Event, GenerationRequest, Prefill
from leanvibe_lsp.engine.local.backend import MlxEngine, _State
from leanvibe_lsp.engine.models.registry import resolve
from leanvibe_lsp.errors import Cancelled

pytestmark = pytest.mark.real_model

PIECES = ("import os\n", "def total(prices):\n", "    return sum(prices)\n", "# café\n", "x = 1\n" * 6)
PROMPTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlxEngine]:
    """SmolLM2."""
    engine = MlxEngine(resolve("smollm2", cache=tmp_path_factory.mktemp("cache")))
    engine.load(CancelToken())
    yield engine
    engine.close()


def state_of(engine: MlxEngine) -> _State:
    assert engine._state is not None
    return engine._state


def with_room(engine: MlxEngine, room: int) -> MlxEngine:
    """The same weights with no prompts yet, and `room` bytes for them."""
    from leanvibe_lsp.engine.local.prefix import PrefixTree

    state = state_of(engine)
    other = MlxEngine(engine._located)
    tree = PrefixTree(state.weights.model, state.prefixes.key, room)
    other._state = _State(state.weights, state.files, tree, state.window)
    return other


def answer(engine: MlxEngine, text: str, cancel_at: int | None = None) -> tuple[list[int], list[Prefill]]:
    """Greedy tokens, cancelled at an event, and the progress through the prompt."""
    events: list[Event] = []
    cancel = CancelToken()

    def sink(event: Event) -> None:
        events.append(event)
        if len(events) - 1 == cancel_at:
            cancel.cancel()

    prompt = tuple(state_of(engine).files.tokenizer.encode(text))
    try:
        engine.generate(GenerationRequest(prompt, max_tokens=5), sink, cancel, Deadline.never())
    except Cancelled:
        assert cancel_at is not None
    chunks = [event.token_id for event in events if isinstance(event, Chunk)]
    return chunks, [event for event in events if isinstance(event, Prefill)]


@settings(deadline=None, derandomize=True, max_examples=4)
@given(
    requests=st.lists(st.tuples(PROMPTS, st.none() | st.integers(0, 6)), min_size=2, max_size=4),
    tokens=st.sampled_from([50, 10_000]),
)
def test_reuse_changes_nothing(engine: MlxEngine, requests: list[tuple[str, int | None]], tokens: int) -> None:
    """Whatever was asked, cancelled or dropped before: the greedy answer is that of a fresh run."""
    token_bytes = 46_080  # 30 layers, keys and values, 3 heads of 64 numbers of 4 bytes
    used, fresh = with_room(engine, tokens * token_bytes), with_room(engine, 0)
    for text, cancel_at in requests:
        said, _ = answer(used, text, cancel_at)
        expected, progress = answer(fresh, text)
        assert said == (expected if cancel_at is None else expected[: len(said)])
        assert progress[0].cached == 0
        assert used.cache_bytes <= tokens * token_bytes
    again, progress = answer(used, requests[-1][0])
    assert again == expected
    if requests[-1][1] is None:
        assert progress[0].cached == min(progress[0].total - 1, tokens)
